import numpy as np
import pytest
import torch
from scipy.special import softmax

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.class_predictions import calibrated, class_logits, probabilities
from crosspoint3d.models import PointNet
from crosspoint3d.runtime import generator_for
from crosspoint3d.transforms.points import stretch

CPU = torch.device("cpu")


def test_copies_vote_and_the_batch_size_decides_nothing() -> None:
    model = PointNet(8).eval()
    points = np.random.default_rng(0).normal(size=(5, 24, 3)).astype(np.float32)
    votes = class_logits(model, points, batch_size=2, device=CPU, votes=3, seed=7)
    whole = class_logits(model, points, batch_size=5, device=CPU, votes=3, seed=7)
    assert votes.shape == (3, 5, 8)
    assert np.allclose(votes, whole, atol=1e-5)
    assert np.allclose(votes[0], class_logits(model, points, batch_size=5, device=CPU)[0], atol=1e-5)
    for row in range(5):
        factors = stretch(torch.ones(2, 1, 3), 0.8, 1.25, generator_for(7, row))
        with torch.inference_mode():
            expected = model(torch.from_numpy(points[row]) * factors)
        assert np.allclose(votes[1:, row], expected.numpy(), atol=1e-5)
    expected = np.mean([softmax(vote.astype(np.float64) / 2, axis=1) for vote in votes], axis=0)
    assert np.allclose(probabilities(votes, 2.0), expected, atol=1e-6)


def test_a_network_that_is_not_finite_is_named() -> None:
    points = np.full((2, 24, 3), np.inf, dtype=np.float32)
    with pytest.raises(UsageError, match="not finite"):
        class_logits(PointNet(8), points, batch_size=2, device=CPU)


def test_a_temperature_needs_shapes_and_mistakes() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=400)
    logits = np.eye(3)[labels] * 2 + generator.normal(size=(400, 3))
    known, _ = calibrated((4 * logits).astype(np.float32), labels)
    base, how = calibrated(logits.astype(np.float32), labels)
    assert known == pytest.approx(4 * base, rel=1e-3)
    assert how == "fitted on 400 validation shapes"
    few = "too few validation shapes: 19 of the 20 that a temperature needs"
    assert calibrated(logits[:19].astype(np.float32), labels[:19]) == (1.0, few)
    sure = np.eye(3, dtype=np.float32)[labels]
    assert calibrated(sure, labels) == (1.0, "the answers on all 400 validation shapes are right")
    assert calibrated(sure, (labels + 1) % 3) == (1.0, "the answers on all 400 validation shapes are wrong")
