"""Categories by name, and the best fit against the plain definition."""

import numpy as np
import pytest
import torch

from crosspoint3d.config import UsageError
from crosspoint3d.labelling.categories import FIT_POINTS, best_fit, match_category, require_category
from tests.labelling.fakes import random_segmenter

NAMES = ("Lamp", "Four Leg", "lamp", "Mug")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("lamp", 2), ("Lamp", 0), ("LAMP", 0), ("fourleg", 1), ("four_leg", 1), ("cup", None), ("", None), (None, None)],
)
def test_equal_names_come_first_then_those_equal_but_for_case_and_blanks(
    name: str | None, expected: int | None
) -> None:
    assert match_category(name, NAMES) == expected


def test_unknown_names_are_answered_with_those_that_are_known() -> None:
    assert require_category("mug", NAMES) == 3
    with pytest.raises(UsageError, match=r"--category 'four legs': did you mean 'Four Leg'\? .* Lamp, Four Leg"):
        require_category("four legs", NAMES)
    with pytest.raises(UsageError, match="'zebra': The model knows"):
        require_category("zebra", NAMES)


def test_best_fit_is_the_mean_of_the_best_own_probability() -> None:
    segmenter = random_segmenter(1)
    table = segmenter.table
    clouds = torch.randn(5, FIT_POINTS + 40, 3, generator=torch.Generator().manual_seed(2)).numpy()
    best, scores = best_fit(segmenter, clouds, torch.device("cpu"))
    for number, own in enumerate(table.parts):
        with torch.no_grad():
            logits = segmenter(torch.from_numpy(clouds), torch.full((5,), number))
        expected = logits.softmax(2)[:, :FIT_POINTS, list(own)].max(dim=2).values.mean(dim=1)
        np.testing.assert_allclose(scores[:, number], expected, atol=1e-5)
    np.testing.assert_array_equal(best, scores.argmax(axis=1))
