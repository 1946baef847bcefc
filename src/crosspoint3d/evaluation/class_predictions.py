"""What a classifier answers on clouds: logits of stretched copies that vote, and probabilities at its temperature.

Axis letters: V votes, N shapes, B shapes of a batch, P points, C categories.
"""

import numpy as np
import torch
from jaxtyping import Float32, Int64
from scipy.special import softmax
from torch import nn

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.calibration import fit_temperature
from crosspoint3d.evaluation.part_predictions import vote_factors

LEAST_TO_CALIBRATE = 20
"""Validation shapes from which on a temperature is fitted."""


def class_logits(
    model: nn.Module,
    points: Float32[np.ndarray, "N P 3"],
    *,
    batch_size: int,
    device: torch.device,
    votes: int = 1,
    seed: int = 0,
) -> Float32[np.ndarray, "V N C"]:
    """Logits of every cloud as it is, and of copies stretched by U(0.8, 1.25) along each axis; in float32.

    Args:
        model: maps points (B, P, 3) to logits (B, C); is left in eval mode.
        points: normalised clouds.
        batch_size: clouds a forward pass; it decides nothing.
        device: of the model.
        votes: the cloud itself and so many copies less one.
        seed: decides the factors, together with the number of the shape.

    Raises:
        UsageError: a logit is not finite.
    """
    model.eval()
    batches = []
    for start in range(0, len(points), batch_size):
        clouds = torch.from_numpy(points[start : start + batch_size]).to(device)
        factors = vote_factors(start, len(clouds), votes, seed).to(device)
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            batch = torch.stack([model(clouds * factors[:, vote, None]).float() for vote in range(votes)])
        if not batch.isfinite().all():
            raise UsageError(
                f"the network gives values that are not finite (shapes {start} to {start + len(clouds) - 1}): its "
                "weights or its input are broken"
            )
        batches.append(batch.cpu().numpy())
    logits: np.ndarray = np.concatenate(batches, axis=1)
    return logits


def probabilities(logits: Float32[np.ndarray, "V N C"], temperature: float) -> Float32[np.ndarray, "N C"]:
    """The mean of `softmax(logits / temperature)` over the votes."""
    mean: np.ndarray = softmax(logits.astype(np.float64) / temperature, axis=2).mean(axis=0).astype(np.float32)
    return mean


def calibrated(logits: Float32[np.ndarray, "N C"], labels: Int64[np.ndarray, " N"]) -> tuple[float, str]:
    """The temperature that validation shapes ask for, and in words how it was found.

    It is 1 where there are fewer than 20 shapes, or all answers are right (or wrong), for which the best temperature is
    as small (or as large) as can be.

    Args:
        logits: of the validation shapes, which were not trained on.
        labels: their categories.
    """
    if len(labels) < LEAST_TO_CALIBRATE:
        return 1.0, f"too few validation shapes: {len(labels)} of the {LEAST_TO_CALIBRATE} that a temperature needs"
    right = int((logits.argmax(axis=1) == labels).sum())
    if right in (0, len(labels)):
        return 1.0, f"the answers on all {len(labels)} validation shapes are {'right' if right else 'wrong'}"
    return fit_temperature(logits, labels), f"fitted on {len(labels)} validation shapes"
