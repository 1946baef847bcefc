"""GradCache (Gao et al., arXiv 2101.06983): a contrastive batch of any size in the memory of one chunk of it.

A contrastive loss needs the projections of the whole batch, but not their graph:

1. every chunk goes through the network without a graph; its projections are kept;
2. the loss over all of them gives the gradient on each projection;
3. every chunk goes through again, with a graph, and backward from that gradient.

Gradients are those of one graph of all chunks under one loss. Each chunk is normalised by its own batch statistics.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from crosspoint3d.losses import CrossPointLoss
from crosspoint3d.models.crosspoint import Projections


def chunk_sizes(batch: int, chunk: int) -> list[int]:
    """Sizes of the fewest chunks of at most `chunk` samples, as equal as can be; [batch] where `chunk` is 0.

    None is of one sample, of which BatchNorm can take no variance: an odd batch in chunks of 2 has one of 3.
    """
    count = min(-(-batch // chunk), max(batch // 2, 1)) if chunk else 1
    return [batch // count + (number < batch % count) for number in range(count)]


def cached_backward(
    network: nn.Module,
    forward: Callable[[int], Projections],
    chunks: int,
    objective: Callable[[Projections], CrossPointLoss],
    last: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> CrossPointLoss:
    """Add the gradients of a loss over all chunks to the network's parameters; the loss.

    Buffers, such as BatchNorm's running statistics, move once: every chunk starts from the same ones and their new
    values are averaged over the chunks (those that are no floats, such as counts of batches, are one chunk's).

    Args:
        network: owner of all parameters and buffers that `forward` uses, on one device.
        forward: projections of the chunk of this number. Called twice for each chunk, both times with the same states
            of the global random generators (dropout, stochastic depth); must see the same inputs both times.
        chunks: how many there are.
        objective: the loss of the projections of all chunks, one chunk after another.
        last: around the backward pass that completes the gradients.
    """
    buffers = _Buffers(network)
    device = next(network.parameters()).device
    states, parts = [], []
    with torch.no_grad():
        for number in range(chunks):
            states.append(_random_states(device))
            parts.append(forward(number))
            buffers.restore()
    clouds_1, clouds_2, pictures = zip(*parts, strict=True)
    leaves = Projections(_leaf(clouds_1), _leaf(clouds_2), None if pictures[0] is None else _leaf(pictures))
    loss = objective(leaves)
    torch.autograd.backward(loss.total)
    sizes = [len(part.cloud_1) for part in parts]
    pulls = [torch.split(leaf.grad, sizes) if leaf is not None and leaf.grad is not None else None for leaf in leaves]
    for number in range(chunks):
        _set_random_states(device, states[number])
        outputs, gradients = [], []
        for output, pull in zip(forward(number), pulls, strict=True):
            if output is not None and output.requires_grad and pull is not None:
                outputs.append(output)
                gradients.append(pull[number])
        with last() if number + 1 == chunks else nullcontext():
            torch.autograd.backward(outputs, gradients)
        buffers.collect()
        if number + 1 < chunks:
            buffers.restore()
    buffers.settle(chunks)
    return CrossPointLoss(*(term.detach() for term in loss))


def _leaf(parts: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(parts).requires_grad_()


class _Buffers:
    """A network's buffers as they were, and how far the chunks move those that are floats."""

    def __init__(self, network: nn.Module) -> None:
        self.buffers = list(network.buffers())
        self.before = [buffer.clone() for buffer in self.buffers]
        self.floats = [buffer for buffer in self.buffers if buffer.is_floating_point()]
        self.start = [before for before in self.before if before.is_floating_point()]
        self.moves = [torch.zeros_like(buffer) for buffer in self.floats]

    def restore(self) -> None:
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.before)

    def collect(self) -> None:
        if self.floats:
            torch._foreach_add_(self.moves, torch._foreach_sub(self.floats, self.start))

    def settle(self, chunks: int) -> None:
        for buffer, start, move in zip(self.floats, self.start, self.moves, strict=True):
            buffer.copy_(torch.where(start.isfinite(), start + move / chunks, start))


def _random_states(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    if device.type != "cpu":
        states.append(getattr(torch, device.type).get_rng_state())
    return states


def _set_random_states(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type != "cpu":
        getattr(torch, device.type).set_rng_state(states[1])
