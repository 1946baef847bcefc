import itertools

import numpy as np
import pytest
from jaxtyping import Float64

from crosspoint3d.part_colours import PALETTE, css, part_colours
from crosspoint3d.parts_table import PartsTable

# Machado, Oliveira and Fernandes (2009), full severity, on linear light.
SIGHT = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def oklab(colours: np.ndarray, sight: str) -> Float64[np.ndarray, "N 3"]:
    """Ottosson's OKLab (2020): distances are about as large as they look; 0.02 is just seen."""
    share = colours / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(SIGHT[sight]).T, 0, 1)
    cones = seen @ np.array([[0.41222, 0.21190, 0.08830], [0.53633, 0.68070, 0.28172], [0.05145, 0.10740, 0.62998]])
    lab: np.ndarray = np.cbrt(cones) @ np.array(
        [[0.21045, 1.97800, 0.02590], [0.79362, -2.42859, 0.78277], [-0.00407, 0.45059, -0.80868]]
    )
    return lab


def nearest(colours: np.ndarray, sight: str) -> float:
    lab = oklab(colours, sight)
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(lab, 2))


def one_category(parts: int) -> PartsTable:
    return PartsTable(("thing",), (tuple(range(parts)),), tuple(f"part {part}" for part in range(parts)))


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("parts", "apart"), [(4, 0.16), (6, 0.09), (len(PALETTE), 0.08)])
def test_the_parts_of_a_category_are_told_apart_by_everyone(sight: str, parts: int, apart: float) -> None:
    assert nearest(part_colours(one_category(parts)), sight) > apart


def test_all_colours_differ_from_each_other_and_from_white_for_three_rounds() -> None:
    colours = part_colours(one_category(3 * len(PALETTE) + 1))
    assert nearest(np.concatenate([colours[:-1], [[255, 255, 255]]]), "normal") > 0.02
    np.testing.assert_array_equal(colours[-1], colours[0])


def test_a_colour_is_fixed_by_the_place_in_the_category() -> None:
    names = tuple("abcdefg")
    table = PartsTable(("lamp", "chair", "mug"), ((4, 6), (0, 1, 5), (2, 3)), names)
    colours, chair = part_colours(table), part_colours(one_category(3))
    assert colours.dtype == np.uint8
    for own in table.parts:
        np.testing.assert_array_equal(colours[list(own)], chair[: len(own)])
    assert [css(colour) for colour in chair] == list(PALETTE[:3])
