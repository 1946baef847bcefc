"""Objectives: CrossPoint's NT-Xent within clouds and between clouds and pictures; cross entropy with smoothed labels.

Axis letters: B samples, V pictures of each, M projections of earlier steps, D width of the joint space, Q labels.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from crosspoint3d.ops.nt_xent import anchor_weights, left_out, mean_positive, streamed_nt_xent

# Beyond, the float32 matrix (64 MiB here) and the four copies of it that autograd makes are what fills a small GPU.
MOST_ROWS_AT_ONCE = 4096


class CrossPointLoss(NamedTuple):
    """The objective and its two terms, each a scalar; the terms are before their weights."""

    total: Float[Tensor, ""]
    intra_modal: Float[Tensor, ""]
    cross_modal: Float[Tensor, ""]


def nt_xent(
    a: Float[Tensor, "B D"],
    b: Float[Tensor, "B2 *V D2"],
    temperature: float | Float[Tensor, ""] = 0.1,
    past: Float[Tensor, "M D"] | None = None,
) -> Float[Tensor, ""]:
    """Normalised temperature-scaled cross entropy (SimCLR, arXiv 2002.05709, equation 1).

    Row i of `a` and row i of `b` are each other's positive; the other 2B - 2 rows are an anchor's negatives:
    `-log(exp(s(a_i, b_i) / t) / sum over every row but a_i itself of exp(s(a_i, row) / t))`, s the cosine, averaged
    over the 2B anchors. Computed in float32 whatever the inputs are, because bfloat16 cosines have two digits; where
    the matrix would have more elements than that of 4,096 anchors, block by block (`ops.nt_xent`), without it.

    With V positives `b_iv` of each `a_i`, in the way of SupCon's L_out (arXiv 2004.11362, equation 2): the mean over
    positives is outside the logarithm, and an anchor's other positives are among its choices.

        L = 1/2 mean over i, v of -log(exp(s(a_i, b_iv) / t) / sum over rows in C(a_i) of exp(s(a_i, row) / t))
          + 1/2 mean over i, v of -log(exp(s(b_iv, a_i) / t) / sum over rows in C(b_iv) of exp(s(b_iv, row) / t))

    The choices `C(a_i)` are all rows but `a_i`, those of `b_iv` all but `b_i1 ... b_iV`: what belongs to one sample in
    `b` is neither drawn together nor pushed apart. (SupCon draws it together: only 2 / (V + 1) of its pull would be
    between `a` and `b`.) V = 1 is the first formula.

    Rows of `past` are further choices of every anchor.

    Args:
        a: raw projections (B, D); normalised here.
        b: raw projections (B, D) of the same samples, or (B, V, D).
        temperature: divides the cosines; a number, or a tensor, whose sign is not looked at.
        past: raw projections of other samples, taken without gradient.

    Raises:
        ValueError: the shapes differ, the batch holds fewer than two samples, or the temperature is not positive.
    """
    if b.ndim not in (2, 3) or b.numel() == 0 or a.shape != (b.shape[0], b.shape[-1]):
        shapes = f"a has shape {tuple(a.shape)} and b {tuple(b.shape)}"
        raise ValueError(f"nt_xent: {shapes}; they must be equal, or b (B, V, D) for a (B, D)")
    batch = len(a)
    if batch < 2:
        raise ValueError(f"nt_xent: a batch of {batch} has no negatives; use a batch of at least 2")
    if not isinstance(temperature, Tensor) and not temperature > 0:
        raise ValueError(f"nt_xent: temperature={temperature} must be positive (the paper uses 0.1)")
    with torch.autocast(a.device.type, enabled=False):
        wide = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
        if b.ndim == 3:
            b = b.movedim(1, 0).flatten(0, 1)
        rows = F.normalize(torch.cat([a, b]).to(wide), dim=1)
        if past is not None:
            past = F.normalize(past.detach().to(wide), dim=1)
        if len(rows) * (len(rows) + (0 if past is None else len(past))) > MOST_ROWS_AT_ONCE**2:
            return streamed_nt_xent(rows, temperature, shapes=batch, past=past)
        logits = rows @ rows.T / temperature
        logits = logits.masked_fill(left_out(len(rows), batch, a.device), -torch.inf)
        if past is not None:
            logits = torch.cat([logits, rows @ past.T / temperature], dim=1)
        if len(rows) == 2 * batch:
            return F.cross_entropy(logits, torch.arange(2 * batch, device=a.device).roll(batch))
        mean = (logits.logsumexp(1) * anchor_weights(rows, batch)).mean()
        return mean - mean_positive(rows, batch) / temperature


def crosspoint_loss(
    cloud_1: Float[Tensor, "B D"],
    cloud_2: Float[Tensor, "B D"],
    image: Float[Tensor, "B *V D"] | None,
    *,
    temperature: float | Float[Tensor, ""] = 0.1,
    intra_weight: float = 1.0,
    cross_weight: float = 1.0,
    past: tuple[Float[Tensor, "M D"], Float[Tensor, "M D"], Float[Tensor, "M *V D"] | None] | None = None,
) -> CrossPointLoss:
    """IMID plus CMID (CrossPoint, arXiv 2203.00680, equations 3 to 7).

    `total = intra_weight * nt_xent(cloud_1, cloud_2) + cross_weight * nt_xent((cloud_1 + cloud_2) / 2, image)`.
    The mean is of the unnormalised projections. A term of weight 0 is still measured, without gradient.

    Args:
        cloud_1: projections (B, D) of the clouds under one augmentation.
        cloud_2: projections (B, D) of the same clouds under another.
        image: projections (B, D) of a picture of each, or (B, V, D) of V pictures that are all positives of their
            cloud (see `nt_xent`), or None when `cross_weight` is 0 (the term is then NaN).
        temperature: divides the cosines of both terms.
        intra_weight: weight of the intra-modal term.
        cross_weight: weight of the cross-modal term.
        past: what the first three arguments were for shapes of earlier steps, as further negatives: their clouds
            (2M rows) for the intra-modal term, the mean of their clouds and their pictures (2M or more) for the other.

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
        others = None if past is None else torch.cat(past[:2])
        intra_modal = nt_xent(cloud_1, cloud_2, temperature, others)
    if image is None:
        cross_modal = torch.full_like(intra_modal, torch.nan)
        return CrossPointLoss(intra_weight * intra_modal, intra_modal, cross_modal)
    with torch.set_grad_enabled(torch.is_grad_enabled() and cross_weight > 0):
        others = None
        if past is not None and past[2] is not None:
            others = torch.cat([(past[0] + past[1]) / 2, past[2].flatten(0, -2)])
        cross_modal = nt_xent((cloud_1 + cloud_2) / 2, image, temperature, others)
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
