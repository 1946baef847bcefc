"""The reliability diagram: its intervals by their equation, and a picture of the right kind for any calibration."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crosspoint3d.evaluation.calibration import calibration
from crosspoint3d.labelling.reliability import draw_reliability, wilson


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (3, 7), (40, 50), (999, 1000)])
def test_both_ends_of_the_interval_lie_1_96_standard_errors_from_the_share(right: int, count: int) -> None:
    share = right / count
    for end in wilson(share, count):
        assert -1e-12 <= end <= 1 + 1e-12
        error = math.sqrt(max(end * (1 - end), 0) / count)
        assert abs(end - share) == pytest.approx(1.959964 * error, abs=1e-9)


@pytest.mark.parametrize("shapes", [1, 300])
def test_the_picture_is_drawn_for_few_and_many_shapes(tmp_path: Path, shapes: int) -> None:
    generator = np.random.default_rng(shapes)
    probabilities = generator.dirichlet(np.ones(4), shapes)
    found = calibration(probabilities, generator.integers(4, size=shapes))
    draw_reliability(tmp_path / "a.png", found, shapes, "title")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.array(picture.convert("RGB")).reshape(-1, 3)
    blue = (np.abs(pixels.astype(int) - [0x2F, 0x6D, 0xB3]).max(axis=1) < 8).sum()
    assert blue > (200 if found.accuracy else -1)
    assert not list(tmp_path.glob(".*"))
