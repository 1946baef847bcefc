"""How far the confidence of a classifier can be believed, and one temperature that mends it.

Axis letters: N shapes, C categories.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

LOG_TEMPERATURE = -3.0, 3.0


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence is above `low` and up to `high`; without answers both means are None."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy (Guo et al. 2017, arXiv 1706.04599); the confidence is the largest probability.

    Attributes:
        accuracy: share of the answers that are right.
        confidence: mean confidence.
        ece: expected calibration error: mean over the answers of |accuracy - confidence| of their bin.
        mce: the largest such difference of a bin.
        brier: mean over the answers of the sum over the categories of (probability - truth)^2, from 0 to 2.
        nll: mean of -log of the true category's probability, which is taken as 1e-12 at least.
        bins: of equal width from 0 to 1.
    """

    accuracy: float
    confidence: float
    ece: float
    mce: float
    brier: float
    nll: float
    bins: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"bins": [asdict(found) for found in self.bins]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Calibration":
        """What `to_dict` gave.

        Raises:
            KeyError, TypeError: the values are something else.
        """
        return cls(**values | {"bins": tuple(Bin(**found) for found in values["bins"])})


def calibration(
    probabilities: Float[np.ndarray, "N C"], labels: Int64[np.ndarray, " N"], bins: int = 15
) -> Calibration:
    """Measure the confidence of answers against their truth.

    Args:
        probabilities: of each category, rows that sum to 1.
        labels: true categories.
        bins: of equal width; an answer of confidence c is in the bin whose upper end is the first at or above c.

    Raises:
        ValueError: there is no answer, a label is out of range, rows do not sum to 1, or `bins` is below 1.
    """
    _check("calibration", "probabilities", probabilities, labels)
    if bins < 1:
        raise ValueError(f"calibration: bins={bins} must be at least 1 (15 is usual)")
    wide = probabilities.astype(np.float64)
    if wide.min() < 0 or abs(wide.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("calibration: probabilities must not be negative and each row must sum to 1; softmax them")
    confidence, right = wide.max(axis=1), wide.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights=values, minlength=bins) for values in (confidence, right.astype(np.float64)))
    mean, share = (total / np.maximum(count, 1) for total in sums)
    gaps = np.abs(share - mean)
    own = wide[np.arange(len(labels)), labels]
    return Calibration(
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        ece=float((count * gaps).sum() / len(labels)),
        mce=float(gaps[count > 0].max()),
        brier=float(((wide**2).sum(axis=1) - 2 * own + 1).mean()),
        nll=float(-np.log(np.maximum(own, 1e-12)).mean()),
        bins=tuple(
            Bin(b / bins, (b + 1) / bins, int(n), float(mean[b]) if n else None, float(share[b]) if n else None)
            for b, n in enumerate(count)
        ),
    )


def fit_temperature(logits: Float[np.ndarray, "N C"], labels: Int64[np.ndarray, " N"]) -> float:
    """The temperature T at which softmax(logits / T) has the smallest mean -log p of the true categories.

    Guo et al. 2017, section 4.2. No answer changes, only its confidence. T stays between e^-3 and e^3, which it reaches
    where every answer is right, or every one is wrong. Fit it on shapes that were not trained on.

    Args:
        logits: of each category.
        labels: true categories.

    Raises:
        ValueError: there is no answer, a label is out of range, or a logit is not finite.
    """
    _check("fit_temperature", "logits", logits, labels)
    wide = logits.astype(np.float64)
    own = wide[np.arange(len(labels)), labels]

    def nll(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float((logsumexp(scale * wide, axis=1) - scale * own).mean())

    found = minimize_scalar(nll, bounds=LOG_TEMPERATURE, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def _check(function: str, name: str, values: np.ndarray, labels: np.ndarray) -> None:
    if len(values) == 0:
        raise ValueError(f"{function}: {name} is empty: there is no answer to judge; give one at least")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ValueError(f"{function}: {name}[{row}] is not finite: the network or its input is broken")
    if not 0 <= labels.min() <= labels.max() < values.shape[1]:
        raise ValueError(
            f"{function}: labels from {labels.min()} to {labels.max()}; {name} has categories 0 to "
            f"{values.shape[1] - 1}"
        )
