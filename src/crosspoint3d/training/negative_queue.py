"""A queue of projections of earlier steps, as further negatives of the contrastive losses.

A first-in-first-out memory as in MoCo (He et al., arXiv 1911.05722), but filled by the networks that are trained, as in
cross-batch memory (Wang et al., arXiv 1912.06798): there is no momentum encoder, so projections age while they wait.
"""

import torch
from torch import Tensor

from crosspoint3d.models.crosspoint import Projections


class NegativeQueue:
    """The last shapes that went through the networks, oldest first, as their projections were when they did.

    Empty at first: only what has been pushed counts. The whole batch of all processes is pushed, so that each process
    holds the same rows.

    Args:
        shapes: how many are kept; 0 keeps none.
        device: of the projections.

    Attributes:
        state: what a checkpoint has to hold, a tensor for each part of `Projections` that is there; always the same
            dictionary, with other tensors after each `push`.
    """

    def __init__(self, shapes: int, device: torch.device) -> None:
        self._shapes, self._device = shapes, device
        self.state: dict[str, Tensor] = {}

    def past(self) -> Projections | None:
        """The projections of all shapes in it, in float32 at least; None while there are none."""
        if not self.state:
            return None
        return Projections(self.state["cloud_1"], self.state["cloud_2"], self.state.get("image"))

    def push(self, projections: Projections) -> None:
        """Put in the projections of a batch, for which the oldest ones leave."""
        if not self._shapes:
            return
        for name, part in projections.detach()._asdict().items():
            if part is not None:
                new = part[-self._shapes :].to(torch.promote_types(part.dtype, torch.float32))
                old = self.state.get(name, new[:0])
                self.state[name] = torch.cat([old[max(0, len(old) + len(new) - self._shapes) :], new])

    def state_dict(self) -> dict[str, Tensor]:
        """`state`."""
        return self.state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Hold these rows instead."""
        self.state.clear()
        self.state.update({name: rows.to(self._device) for name, rows in state.items()})
