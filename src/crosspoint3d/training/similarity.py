"""How the projections of a batch lie in the joint space: cosines, alignment, uniformity, effective rank.

Axis letters: B shapes, V pictures of each, E width of the joint space.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from crosspoint3d.models.crosspoint import Projections

MOST_SHAPES = 512
"""Shapes of a batch that are looked at: the cost of a logged step is bounded, whatever the batch."""


def similarity(projections: Projections) -> dict[str, float]:
    """What `metrics.jsonl` says about the projections of a batch; its first 512 shapes are looked at.

    Of the two pairs that the losses compare, `intra` (two clouds of a shape) and `cross` (the mean of its clouds and
    its picture):

    - `_positive_cosine`, `_negative_cosine`: means over pairs of the same shape and of two different shapes;
    - `_alignment`: mean squared distance of positives on the unit sphere (Wang and Isola, arXiv 2005.10242, eq. 1).

    Where a shape has V pictures that the loss compares one by one, these are means over all of them.

    Of the two modalities, `cloud` (the first cloud of each shape) and `image` (its first picture):

    - `_uniformity`: see `uniformity`; `_effective_rank`: see `effective_rank`.

    The values of pictures are missing without an image tower. The rows are copied to the CPU once: this waits for the
    device, as reading the loss does.
    """
    first, second, pictures = (None if part is None else part.detach()[:MOST_SHAPES] for part in projections)
    assert first is not None and second is not None
    pairs = {"intra": (_unit(first), _unit(second)[:, None])}
    modalities = {"cloud": pairs["intra"][0]}
    if pictures is not None:
        each = pictures[:, None] if pictures.ndim == 2 else pictures
        pairs["cross"] = _unit((first + second) / 2), _unit(each)
        modalities["image"] = pairs["cross"][1][:, 0]
    values: dict[str, float] = {}
    for name, (a, b) in pairs.items():
        positive, negative = mean_cosines(a, b.mean(dim=1))  # cosines are linear in each of several pictures
        alignment = float((a[:, None] - b).square().sum(dim=2).mean())
        values |= {f"{name}_positive_cosine": positive, f"{name}_negative_cosine": negative}
        values[f"{name}_alignment"] = alignment
    for name, rows in modalities.items():
        values |= {f"{name}_uniformity": uniformity(rows), f"{name}_effective_rank": effective_rank(rows)}
    return values


def _unit(rows: Float[Tensor, "B *V E"]) -> Float32[Tensor, "B *V E"]:
    return F.normalize(rows.float().cpu(), dim=-1)


def mean_cosines(a: Float[Tensor, "B E"], b: Float[Tensor, "B E"]) -> tuple[float, float]:
    """Mean cosine of the rows of the same number, and of those of different numbers, without the B x B matrix.

    Args:
        a: unit rows, two at least.
        b: unit rows.
    """
    count = len(a)
    a, b = a.double(), b.double()
    same = float((a * b).sum())
    everything = float(a.sum(dim=0) @ b.sum(dim=0))
    return same / count, (everything - same) / (count * (count - 1))


def uniformity(rows: Float[Tensor, "B E"]) -> float:
    """`log mean exp(-2 |x - y|^2)` over all pairs of different rows (Wang and Isola, arXiv 2005.10242, eq. 2, t = 2).

    0 when all rows are one, about -4 when they are spread evenly over a sphere of many dimensions.

    Args:
        rows: unit rows, two at least.
    """
    count, squares = len(rows), rows.square().sum(dim=1)
    terms = (-2 * (squares[:, None] + squares - 2 * rows @ rows.T).clamp(min=0)).exp()
    mean = (terms.sum(dtype=torch.float64) - terms.diagonal().sum(dtype=torch.float64)) / (count * (count - 1))
    return float(mean.log())


def effective_rank(rows: Float[Tensor, "B E"]) -> float:
    """`exp(entropy of s / sum(s))`, s the singular values of the rows (Roy and Vetterli, EUSIPCO 2007).

    From 1 (all rows are multiples of one) to the smaller of B and E (all directions alike); 0 for zeros. The rows are
    not centred, so that projections that are all nearly the same count as collapsed.
    """
    wide = rows.double()
    gram = wide @ wide.T if len(wide) <= wide.shape[1] else wide.T @ wide
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    total = singular.sum()
    if not total > 0:
        return 0.0
    return float(torch.special.entr(singular / total).sum().exp())
