import numpy as np
import pytest

from crosspoint3d.data.shapes.curves import ellipse, fillet, hollow, smooth
from crosspoint3d.data.shapes.primitives import (
    Solid,
    box,
    ellipsoid,
    extrude,
    lathe,
    ribbon,
    rod,
    rounded_box,
    signed_volume,
    tube,
)
from tests.data.test_shapes import assert_closed

SOLIDS = {
    "box": (box((2, 3, 4), (1, 1, 1)), 24.0),
    "rod": (rod((0, 0, 0), (0, 2, 0), 1.0, sides=96), 2 * np.pi),
    "slanted rod": (rod((1, 2, 3), (1, 5, 7), 0.5, sides=96), 5 * 0.25 * np.pi),
    "cone": (rod((0, 0, 0), (0, 3, 0), 1.0, 0, sides=96), np.pi),
    "square bar": (rod((0, 0, 0), (3, 0, 0), 1.0, sides=4), 6.0),
    "lathe": (lathe(np.array([[0.0, 0], [1, 0], [1, 2], [0, 2]]), sides=96), 2 * np.pi),
    "ellipsoid": (ellipsoid((1, 2, 3), (5, 5, 5), sides=64, rings=63), 8 * np.pi),
    "extrusion": (extrude(ellipse(2, 4, 96), 3), 6 * np.pi),
    "ring": (
        tube(np.array([[np.cos(a), 0, np.sin(a)] for a in np.arange(64) * np.pi / 32]), 0.25, sides=48, loop=True),
        2 * np.pi * 0.0625 * np.pi,
    ),
    "straight tube": (tube(np.array([[0, 0, 0], [1.0, 0, 0], [3, 0, 0]]), 0.5, sides=96), 0.75 * np.pi),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_volume_equals_the_formula(name: str) -> None:
    solid, volume = SOLIDS[name]
    assert signed_volume(solid) == pytest.approx(volume, rel=0.01)


@pytest.mark.parametrize(
    "solid",
    [solid for solid, _ in SOLIDS.values()]
    + [
        box((1, 2, 3), bevel=0.1),
        rounded_box((1, 0.3, 2), radius=0.1),
        extrude(ellipse(2, 1, 12, 4), 1, bevel=0.2),
        ribbon(np.array([[0, 0, 0], [1.0, 0.2, 0]]), np.array([1, 0.3]), 0.1, (0, 0, 1)),
        lathe(hollow(np.array([[0.5, 0], [1, 0.5], [0.8, 2]]), 0.1), sides=9, power=5),
        tube(fillet([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1]], 0.2), 0.05),
    ],
)
def test_primitives_are_closed_and_turning_keeps_the_volume(solid: Solid) -> None:
    assert_closed(solid.faces)
    volume = signed_volume(solid)
    assert volume > 0
    assert set(np.unique(solid.faces)) == set(range(len(solid.vertices)))
    for moved in (solid.moved(1, 2, 3), solid.turned("x", 40), solid.turned("z", -200), solid.mirrored()):
        assert signed_volume(moved) == pytest.approx(volume)


def test_a_bevel_and_round_edges_take_a_little_away() -> None:
    assert 5.8 < signed_volume(box((1, 2, 3), bevel=0.05)) < 6
    assert 5.5 < signed_volume(rounded_box((1, 2, 3), radius=0.1)) < 6


def test_a_turn_of_90_degrees_about_y_brings_z_to_x() -> None:
    point = box((0.1, 0.1, 0.1), (0, 0, 1)).turned("y", 90).vertices.mean(0)
    np.testing.assert_allclose(point, [1, 0, 0], atol=1e-12)


def test_a_hollow_vessel_holds_less_than_a_full_one() -> None:
    wall = np.column_stack([np.ones(41), np.linspace(0, 2, 41)])
    full = lathe(np.concatenate([[[0, 0]], wall, [[0, 2]]]), sides=64)
    expected = 2 * np.pi - 1.85 * np.pi * 0.9**2
    cup = lathe(hollow(wall, 0.1), sides=64)
    assert signed_volume(cup) < 0.5 * signed_volume(full)
    assert signed_volume(cup) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("loop", [False, True])
def test_a_smooth_curve_passes_through_its_points(loop: bool) -> None:
    points = np.array([[0.0, 0], [1, 2], [3, 1], [4, 4]])
    spans = 4 if loop else 3
    curve = smooth(points, 5 * spans + (0 if loop else 1), loop=loop)
    np.testing.assert_allclose(curve[::5], points, atol=1e-12)


def test_a_smooth_curve_of_points_on_a_line_stays_on_it() -> None:
    curve = smooth([(0, 0), (1, 2), (2, 4), (3, 6)], 13)
    np.testing.assert_allclose(curve[:, 1], 2 * curve[:, 0], atol=1e-12)
