"""Objectives: CrossPoint's NT-Xent within clouds and between clouds and pictures; cross entropy with smoothed labels.

Axis letters: B samples, D width of the joint space, Q labels.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from crosspoint3d.ops.nt_xent import streamed_nt_xent

# Beyond, the float32 matrix (64 MiB here) and the four copies of it that autograd makes are what fills a small GPU.
MOST_ROWS_AT_ONCE = 4096


class CrossPointLoss(NamedTuple):
    """The objective and its two terms, each a scalar; the terms are before their weights."""

    total: Float[Tensor, ""]
    intra_modal: Float[Tensor, ""]
    cross_modal: Float[Tensor, ""]


def nt_xent(a: Float[Tensor, "B D"], b: Float[Tensor, "B2 D2"], temperature: float = 0.1) -> Float[Tensor, ""]:
    """Normalised temperature-scaled cross entropy (SimCLR, arXiv 2002.05709, equation 1).

    Row i of `a` and row i of `b` are each other's positive; the other 2B - 2 rows are an anchor's negatives:
    `-log(exp(s(a_i, b_i) / t) / sum over every row but a_i itself of exp(s(a_i, row) / t))`, s the cosine, averaged
    over the 2B anchors. Computed in float32 whatever the inputs are, because bfloat16 cosines have two digits; above
    4,096 anchors block by block (`ops.nt_xent`), without the 2B x 2B matrix in memory.

    Args:
        a: raw projections (B, D); normalised here.
        b: raw projections (B, D) of the same samples.
        temperature: divides the cosines.

    Raises:
        ValueError: the shapes differ, the batch holds fewer than two samples, or the temperature is not positive.
    """
    if a.shape != b.shape:
        raise ValueError(f"nt_xent: a has shape {tuple(a.shape)} and b {tuple(b.shape)}; they must be equal")
    batch = len(a)
    if batch < 2:
        raise ValueError(f"nt_xent: a batch of {batch} has no negatives; use a batch of at least 2")
    if not temperature > 0:
        raise ValueError(f"nt_xent: temperature={temperature} must be positive (the paper uses 0.1)")
    with torch.autocast(a.device.type, enabled=False):
        wide = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
        rows = F.normalize(torch.cat([a, b]).to(wide), dim=1)
        if len(rows) > MOST_ROWS_AT_ONCE:
            return streamed_nt_xent(rows, temperature)
        logits = rows @ rows.T / temperature
        itself = torch.eye(2 * batch, dtype=torch.bool, device=a.device)
        positive = torch.arange(2 * batch, device=a.device).roll(batch)
        return F.cross_entropy(logits.masked_fill(itself, -torch.inf), positive)


def crosspoint_loss(
    cloud_1: Float[Tensor, "B D"],
    cloud_2: Float[Tensor, "B D"],
    image: Float[Tensor, "B D"] | None,
    *,
    temperature: float = 0.1,
    intra_weight: float = 1.0,
    cross_weight: float = 1.0,
) -> CrossPointLoss:
    """IMID plus CMID (CrossPoint, arXiv 2203.00680, equations 3 to 7).

    `total = intra_weight * nt_xent(cloud_1, cloud_2) + cross_weight * nt_xent((cloud_1 + cloud_2) / 2, image)`.
    The mean is of the unnormalised projections. A term of weight 0 is still measured, without gradient.

    Args:
        cloud_1: projections (B, D) of the clouds under one augmentation.
        cloud_2: projections (B, D) of the same clouds under another.
        image: projections (B, D) of a picture of each, or None when `cross_weight` is 0 (the term is then NaN).
        temperature: divides the cosines of both terms.
        intra_weight: weight of the intra-modal term.
        cross_weight: weight of the cross-modal term.

    Raises:
        ValueError: a weight is negative, both are 0, `image` is missing though its term counts, or `nt_xent` refuses.
    """
    if min(intra_weight, cross_weight) < 0 or intra_weight + cross_weight == 0:
        raise ValueError(
            f"crosspoint_loss: intra_weight={intra_weight} and cross_weight={cross_weight} must not be negative "
            "and one must be positive"
        )
    if image is None and cross_weight > 0:
        raise ValueError(f"crosspoint_loss: cross_weight={cross_weight} needs image projections, got None")
    with torch.set_grad_enabled(torch.is_grad_enabled() and intra_weight > 0):
        intra_modal = nt_xent(cloud_1, cloud_2, temperature)
    if image is None:
        cross_modal = torch.full_like(intra_modal, torch.nan)
        return CrossPointLoss(intra_weight * intra_modal, intra_modal, cross_modal)
    with torch.set_grad_enabled(torch.is_grad_enabled() and cross_weight > 0):
        cross_modal = nt_xent((cloud_1 + cloud_2) / 2, image, temperature)
    total = intra_weight * intra_modal + cross_weight * cross_modal
    return CrossPointLoss(total, intra_modal, cross_modal)


def smoothed_cross_entropy(
    logits: Float[Tensor, "*items Q"],
    labels: Int64[Tensor, "*items"],
    smoothing: float = 0.2,
    weights: Float[Tensor, " Q"] | None = None,
    allowed: Bool[Tensor, "*items Q"] | None = None,
) -> Float[Tensor, ""]:
    """Cross entropy against labels of which a share is spread over the other labels (DGCNN's published objective).

    With `p = softmax(logits)`, label `y` and smoothing `e` an item's loss is
    `l = -(1 - e) log p_y - e / (Q - 1) * sum over c != y of log p_c`; the result is `sum w_y l / sum w_y` over all
    items (their mean without weights). torch's `label_smoothing` spreads `e` over all Q labels instead, `y` among them.
    Computed in float32 at least, under autocast too.

    Args:
        logits: of every item (points, shapes), any leading axes.
        labels: from 0 to Q - 1.
        smoothing: share that the other labels get, from 0 to below 1.
        weights: of each label.
        allowed: labels that compete for each item, its own among them; the others are left out of softmax and
            smoothing. An item with a single one has no loss. None: all of them.

    Raises:
        ValueError: there is no item, fewer than two labels, or `smoothing` is out of range.
    """
    count = logits.shape[-1]
    if count < 2 or labels.numel() == 0:
        raise ValueError(
            f"smoothed_cross_entropy: logits of shape {tuple(logits.shape)}; it needs one item and two labels at least"
        )
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothed_cross_entropy: smoothing={smoothing} must be from 0 to below 1 (published: 0.2)")
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        rivals: int | Tensor = count - 1
        if allowed is not None:
            logits = logits.masked_fill(~allowed, -torch.inf)
            rivals = (allowed.sum(-1) - 1).clamp_min(1)
        log_p = F.log_softmax(logits, dim=-1)
        own = log_p.gather(-1, labels[..., None])[..., 0]
        others = (log_p if allowed is None else log_p.masked_fill(~allowed, 0)).sum(-1) - own
        loss = -(1 - smoothing) * own - smoothing / rivals * others
        if weights is None:
            return loss.mean()
        weight = weights.to(loss.dtype)[labels]
        return (weight * loss).sum() / weight.sum()
