"""Class probabilities of a stream of shapes, in batches, at the classifier's temperature.

Axis letters: C categories.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from crosspoint3d.evaluation.class_predictions import class_logits, probabilities
from crosspoint3d.labelling.stream import Broken, Shape, batches
from crosspoint3d.models import Classifier


@dataclass(frozen=True)
class ClassAnswer:
    """What the network says of one shape: the probability of each of its categories."""

    shape: Shape
    probabilities: Float32[np.ndarray, " C"]


def answer_classes(
    classifier: Classifier,
    shapes: Iterable[Shape | Broken],
    *,
    batch_size: int,
    device: torch.device,
    stop: threading.Event,
) -> Iterator[ClassAnswer | Broken]:
    """Name the categories of shapes in their order; what is broken is handed on.

    Args:
        classifier: on `device`, in eval mode.
        shapes: are taken until their clouds fill a batch.
        batch_size: clouds a forward pass; it decides nothing.
        device: where to compute.
        stop: when it is set, shapes that wait for their batch to fill are dropped.

    Raises:
        UsageError: the network gives values that are not finite.
    """
    for batch in batches(shapes, clouds=batch_size, most=4 * batch_size, stop=stop, draws=1):
        yield from _answer(classifier, batch, batch_size, device)


def _answer(
    classifier: Classifier, batch: Sequence[Shape | Broken], batch_size: int, device: torch.device
) -> Iterator[ClassAnswer | Broken]:
    shapes = [shape for shape in batch if isinstance(shape, Shape)]
    rows: Iterator[Float32[np.ndarray, " C"]] = iter(())
    if shapes:
        clouds = np.stack([shape.clouds[0] for shape in shapes])
        flat = clouds.reshape(-1, *clouds.shape[2:])
        logits = class_logits(classifier, flat, batch_size=batch_size, device=device)
        found = probabilities(logits, classifier.temperature)
        rows = iter(found.reshape(len(shapes), -1, found.shape[1]).mean(axis=1))
    for shape in batch:
        yield shape if isinstance(shape, Broken) else ClassAnswer(shape, next(rows))
