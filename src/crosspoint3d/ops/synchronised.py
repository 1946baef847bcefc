"""BatchNorm over the samples of all processes, on every device (torch's SyncBatchNorm refuses a CPU).

Axis letters: C channels, W processes.
"""

import functools
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from crosspoint3d.config import UsageError
from crosspoint3d.ops.across import processes
from crosspoint3d.ops.eager import eager


class _NormAcross(Function):
    """`gamma (x - mean) / sqrt(variance + eps) + beta`, mean and biased variance those of all processes' x."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, mean, variance = _statistics(x)
        y = F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, eps)
        ctx.save_for_backward(x, gamma, mean, (variance + eps).rsqrt(), count)
        ctx.has_beta, ctx.eps = beta is not None, eps
        ctx.mark_non_differentiable(count, mean, variance)
        return y, count, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, on_y: Tensor, *_: Any) -> Any:
        x, gamma, mean, inverse, count = ctx.saved_tensors
        gain = inverse if gamma is None else gamma * inverse
        weight = torch.ones_like(mean) if gamma is None else gamma
        on_gamma, on_beta = torch.zeros_like(mean), torch.zeros_like(mean)
        if x.numel():
            _, on_gamma, on_beta = torch.ops.aten.native_batch_norm_backward(
                on_y, x, weight, None, None, mean, inverse, True, ctx.eps, [False, True, True]
            )
        sums = torch.stack([on_gamma, on_beta]).to(mean.dtype)
        dist.all_reduce(sums)
        linear, constant = -gain * sums / count
        axes = (1, -1) + (1,) * (x.dim() - 2)
        on_x = ((x - mean.view(axes)) * (linear * inverse).view(axes)).add_(constant.view(axes))
        on_x = on_x.addcmul_(on_y.to(on_x.dtype), gain.view(axes)).to(x.dtype)
        return on_x, None if gamma is None else on_gamma, on_beta if ctx.has_beta else None, None


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number of values a channel, their mean and biased variance, over all processes.

    Each process gives its own mean and variance, which are then merged (Chan et al. 1979): unlike sums of squares that
    loses no digits where the mean is large.
    """
    wide = x if x.is_cuda else x.to(torch.promote_types(x.dtype, torch.float32))
    channels = x.shape[1]
    own = torch.zeros(2 * channels + 1, dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
    if x.numel():
        own[0] = x.numel() // channels
        own[1 : channels + 1], own[channels + 1 :] = torch.batch_norm_update_stats(wide, None, None, 0.0)
    shares = [torch.empty_like(own) for _ in range(processes())]
    dist.all_gather(shares, own)
    counts, means, variances = torch.split(torch.stack(shares), [1, channels, channels], dim=1)
    count = counts.sum()
    mean = (counts * means).sum(0) / count
    variance = (counts * (variances + (means - mean).square())).sum(0) / count
    return count, mean, variance


class _Synchronised(_BatchNorm):
    """What `synchronise` puts before the class of a BatchNorm."""

    @eager
    def forward(self, x: Tensor) -> Tensor:
        """BatchNorm; in training over all processes, and the running statistics move by the same everywhere."""
        if not self.training or processes() == 1:
            return super().forward(x)
        y, count, mean, variance = _NormAcross.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, self.eps
        )
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            momentum = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
                unbiased = variance * (count / (count - 1).clamp_min(1))
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), momentum)
        for name in ("drop", "act"):  # timm's BatchNorms that drop and activate
            if name in self._modules:
                y = self._modules[name](y)  # type: ignore[misc]
        result: Tensor = y
        return result


@functools.cache
def _synchronised_class(kind: Any) -> Any:
    return type(f"Synchronised{kind.__name__}", (_Synchronised, kind), {})


def synchronise(model: nn.Module, leave: nn.Module | None = None) -> None:
    """Let every BatchNorm of a network take its statistics over all processes; keys and weights stay as they are.

    Modules inside `leave` stay as they are: a frozen network takes no statistics.

    Layers that take statistics in their own way (`EdgeConv`, `TwoLayerEdgeConv`, `PooledLinear`) have their
    `synchronised` set. In evaluation mode, and where there is one process, nothing changes.

    Raises:
        UsageError: a BatchNorm computes something of its own, which cannot be done over processes.
    """
    left = set() if leave is None else set(leave.modules())
    own_way = {module for module in model.modules() if hasattr(module, "synchronised")} - left
    inside = {module.norm for module in own_way}
    for module in own_way:
        module.synchronised = True  # type: ignore[assignment]
    for name, module in model.named_modules():
        if not isinstance(module, _BatchNorm) or isinstance(module, _Synchronised) or module in inside | left:
            continue
        plain = type(module).forward is _BatchNorm.forward
        if not plain and not {"drop", "act"} <= module._modules.keys():
            raise UsageError(
                f"{name} is a {type(module).__name__}, which is not known how to synchronise over processes: "
                "train in one process, or choose another --image-encoder"
            )
        kind: Any = type(module)
        module.__class__ = _synchronised_class(kind)
