"""The sum of every gradient over the processes of a distributed run, while the backward pass still runs.

What `DistributedDataParallel` does, but for three points that this package relies on. Its buckets are rebuilt after the
first step in the order in which gradients came; with three processes or more the sums are then rounded otherwise, and
a resumed run does not end with the bytes of one that was never stopped. Here buckets depend on the network alone.
Gradients are summed, not averaged, because every process has its rows' share of one loss of the whole batch
(`ops.across.rows_across`). And a network with parts that take no part keeps their gradients None.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET_BYTES = 25 * 2**20


class GradientSum:
    """Sums the gradients of a network's parameters, a bucket as soon as its last gradient is there.

    Args:
        network: its parameters must be the same in all processes, and stay where they are.
        bucket_bytes: least size of a bucket; the last one may be smaller.
    """

    def __init__(self, network: nn.Module, bucket_bytes: int = BUCKET_BYTES) -> None:
        self._buckets: list[list[nn.Parameter]] = [[]]
        self._place: dict[nn.Parameter, int] = {}
        size = 0
        for parameter in reversed([p for p in network.parameters() if p.requires_grad]):  # as gradients come
            if size >= bucket_bytes or (self._buckets[-1] and self._buckets[-1][0].dtype != parameter.dtype):
                self._buckets.append([])
                size = 0
            self._buckets[-1].append(parameter)
            self._place[parameter] = len(self._buckets) - 1
            size += parameter.numel() * parameter.element_size()
            parameter.register_post_accumulate_grad_hook(self._arrived)  # type: ignore[no-untyped-call]
        self._missing: list[int] = []
        self._flying: list[tuple[list[nn.Parameter], Tensor, dist.Work]] = []

    @contextmanager
    def summed(self) -> Iterator[None]:
        """The backward pass inside is the step's last; after it every gradient is the sum over all processes."""
        self._missing = [len(bucket) for bucket in self._buckets]
        self._flying = []
        try:
            yield
            for bucket in self._buckets[self._launched :]:  # parameters without a gradient never arrive
                self._launch(bucket)
            for parameters, flat, work in self._flying:
                work.wait()
                parts = torch.split(flat, [parameter.numel() for parameter in parameters])
                for parameter, part in zip(parameters, parts, strict=True):
                    parameter.grad = part.view_as(parameter)
        finally:
            self._missing, self._flying = [], []

    @property
    def _launched(self) -> int:
        return next((i for i, missing in enumerate(self._missing) if missing), len(self._missing))

    def _arrived(self, parameter: Tensor) -> None:
        if not self._missing:  # not the last backward pass of the step
            return
        assert isinstance(parameter, nn.Parameter)
        before = self._launched
        self._missing[self._place[parameter]] -= 1
        for bucket in self._buckets[before : self._launched]:  # in their order, so that processes meet
            self._launch(bucket)

    def _launch(self, bucket: list[nn.Parameter]) -> None:
        parameters = [parameter for parameter in bucket if parameter.grad is not None]
        if not parameters:
            return
        flat = torch.cat([parameter.grad.reshape(-1) for parameter in parameters])  # type: ignore[union-attr]
        work = dist.all_reduce(flat, async_op=True)
        assert work is not None
        self._flying.append((parameters, flat, work))
