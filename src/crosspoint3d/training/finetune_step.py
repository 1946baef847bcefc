"""One step of fine-tuning: which shapes it sees, and how the weights move."""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from crosspoint3d.config import FinetuneConfig
from crosspoint3d.runtime import generator_for
from crosspoint3d.training.parameter_groups import set_rate
from crosspoint3d.training.seeded import seeded


def batch_rows(shapes: int, batch_size: int, seed: int, epoch: int, number: int) -> Int64[np.ndarray, " B"]:
    """The rows of one step: every epoch has an order of its own; what is left of it after whole batches is not seen.

    Fewer shapes than a batch make one batch of all; one alone is seen twice at once, as BatchNorm needs it.
    """
    if shapes == 1:
        return np.zeros(2, dtype=np.int64)
    order = np.random.default_rng([seed, epoch]).permutation(shapes)
    return order[number * batch_size : (number + 1) * batch_size]


def update(
    config: FinetuneConfig,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[torch.Generator], Float[Tensor, ""]],
    *,
    seed: int,
    step: int,
    lr: float,
) -> tuple[float, float]:
    """Move the weights once; the loss and the norm of its gradient. Where one is not finite, nothing moves.

    A frozen encoder stays in eval mode: its BatchNorm statistics do not move.

    Args:
        config: mode and clipping.
        model: with submodules `encoder` and `head`; is put into training mode.
        optimizer: of the weights that learn.
        loss: takes a generator on the model's device.
        seed: decides all that is random, together with `step`.
        step: steps done before.
        lr: of the head; each layer's factor applies.
    """
    device = next(model.parameters()).device
    model.train()
    if config.mode == "frozen":
        model.get_submodule("encoder").eval()
    optimizer.zero_grad(set_to_none=True)
    with seeded(seed, step, device):
        found = loss(generator_for(seed, step, 0, device=device))
        torch.autograd.backward(found)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip or math.inf)
    values = torch.stack([found.detach(), norm.to(found.dtype)]).tolist()
    if all(map(math.isfinite, values)):
        set_rate(optimizer, lr)
        optimizer.step()
    return values[0], values[1]
