import numpy as np
import pytest

from crosspoint3d.evaluation.metrics import retrieval_chance
from crosspoint3d.evaluation.picture_retrieval import joint_scores


def test_perfect_projections_find_everything_both_ways() -> None:
    clouds = np.random.default_rng(0).normal(size=(30, 6))
    scores = joint_scores(clouds, np.stack([2 * clouds, 0.1 * clouds]))
    for way in ("picture_to_shape", "shape_to_picture"):
        assert scores[f"{way}_recall@1"] == 1
        assert scores[f"{way}_mean_rank"] == 1


def test_the_directions_are_not_the_same() -> None:
    clouds, pictures = np.eye(3), np.eye(3)
    pictures[2] = [0.8, 0.0, 0.6]  # closer to cloud 0 than to its own
    scores = joint_scores(clouds, pictures[None])
    assert scores["picture_to_shape_recall@1"] == pytest.approx(2 / 3)
    assert scores["shape_to_picture_recall@1"] == 1.0


@pytest.mark.parametrize("collapsed", ["clouds", "pictures"])
def test_a_collapsed_tower_scores_no_better_than_chance(collapsed: str) -> None:
    towers = {name: np.random.default_rng(0).normal(size=(50, 6)) for name in ("clouds", "pictures")}
    towers[collapsed] = np.ones((50, 6))
    scores, chance = joint_scores(towers["clouds"], towers["pictures"][None]), retrieval_chance(50)
    for way in ("picture_to_shape", "shape_to_picture"):
        assert scores[f"{way}_mean_rank"] == pytest.approx(chance["mean_rank"], rel=0.2)
        assert scores[f"{way}_recall@1"] <= 2 * chance["recall@1"]
