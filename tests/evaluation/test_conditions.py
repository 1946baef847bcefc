import numpy as np
import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.conditions import KINDS, Condition, chosen_kinds, curves, possible

POINTS = np.random.default_rng(0).normal(size=(3, 40, 3)).astype(np.float32)


def conditions(kinds: list[str] | None = None, points: int = 1024, k: int | None = None) -> list[Condition]:
    return possible(kinds or list(KINDS), points, k)[0]


def test_all_kinds_or_those_that_are_named_in_their_own_order() -> None:
    assert chosen_kinds(()) == list(KINDS)
    assert chosen_kinds(("outliers", "jitter", "jitter")) == ["jitter", "outliers"]
    assert chosen_kinds(("none",)) == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("jiter",), "--corruptions jiter: did you mean jitter.*rotate_z, so3, .*none for no damage"),
        (("xyz",), "--corruptions xyz: there are rotate_z"),
        (("none", "drop"), "none goes with no other"),
    ],
)
def test_unknown_names_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen_kinds(names)


def test_the_seed_the_kind_and_the_level_decide_the_damage() -> None:
    drawn = {c.name: c(POINTS, 0) for c in conditions(["rotate_z", "so3", "jitter"])}
    for c in conditions(["rotate_z", "so3", "jitter"]):
        np.testing.assert_array_equal(drawn[c.name], c(POINTS, 0))
        assert not np.array_equal(drawn[c.name], c(POINTS, 1))
    # Scaled to one standard deviation, the noise of two levels is not the same.
    noise = [drawn[f"jitter={s}"] - POINTS for s in (0.01, 0.02)]
    assert not np.allclose(noise[1], 2 * noise[0], atol=1e-3)


@pytest.mark.parametrize("condition", conditions(), ids=lambda c: c.name)
def test_a_condition_leaves_as_many_points_as_it_says(condition: Condition) -> None:
    cloud = np.random.default_rng(1).normal(size=(1, 1024, 3)).astype(np.float32)
    assert condition(cloud, 0).shape == (1, condition.level.left(1024), 3)


def test_levels_that_clouds_or_graph_do_not_allow_are_left_out() -> None:
    found, notes = possible(["fewer", "partial"], 256, 64)
    assert [c.name for c in found] == ["fewer=128", "partial=75%", "partial=50%"]
    assert notes == [
        "left out: fewer=512, fewer=256 (the clouds have 256 points)",
        "left out: fewer=64 (the encoder's k is 64)",
        "left out: partial=25% (the encoder's k is 64)",
    ]
    assert possible(["rotate_z"], 20, 20)[1] == [], "clean clouds may have as many points as the graph has neighbours"
    with pytest.raises(UsageError, match=r"--corruptions fewer: nothing can be run; left out: fewer=512.*64 points"):
        possible(["fewer"], 64, None)
    assert possible([], 64, None) == ([], [])


def test_curves_begin_with_clean_clouds() -> None:
    by_title = {curve["title"]: curve for curve in curves(conditions(), "s", 1024)}
    assert len(by_title) == len(KINDS)
    assert by_title["Jitter"]["x"] == [0, 0.01, 0.02, 0.03, 0.05]
    assert by_title["Jitter"]["scores"] == ["s", *(f"s@jitter={x}" for x in (0.01, 0.02, 0.03, 0.05))]
    assert by_title["Fewer points"]["x"] == [1024, 512, 256, 128, 64] and by_title["Fewer points"]["log"]
    assert by_title["Partial views"]["x"] == [100, 75, 50, 25]
    assert by_title["Scale"]["x"] == [0.5, 0.8, 1, 1.25, 2] and by_title["Scale"]["scores"][2] == "s"
    assert curves(conditions(["drop"]), "s", 1024) == [
        {
            "title": "Dropped points",
            "x_label": "points replaced by copies of one, %",
            "x": [0, 25, 50, 75, 90],
            "scores": ["s", "s@drop=25%", "s@drop=50%", "s@drop=75%", "s@drop=90%"],
        }
    ]
