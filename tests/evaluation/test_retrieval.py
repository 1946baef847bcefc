import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crosspoint3d.config import PretrainConfig, RetrievalConfig, UsageError
from crosspoint3d.config_file import save_yaml
from crosspoint3d.data.clouds import PicturedClouds
from crosspoint3d.evaluation import retrieval as module
from crosspoint3d.evaluation.metrics import retrieval_chance
from crosspoint3d.evaluation.retrieval import joint_scores, retrieval
from crosspoint3d.models import build_crosspoint, save_tower

SHAPES = 12


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((20, 20)).save(buffer, "PNG")
    return buffer.getvalue()


def shapes(drawn: bool = False, views: int = 2) -> Any:
    def load(spec: str, split: str | None = "test", *, seed: int) -> PicturedClouds:
        assert split == "test"
        points = np.random.default_rng(seed if drawn else 0).normal(size=(SHAPES, 32, 3)).astype(np.float32)
        pictures = [[picture(2 * row + view) for view in range(views)] for row in range(SHAPES)]
        record = {"name": spec, "split_drawn": drawn, "split_sha256": "", "shapes": SHAPES, "notes": []}
        categories = tuple("ab"[row % 2] for row in range(SHAPES))
        return PicturedClouds(points, pictures, categories, tuple(map(str, range(SHAPES))), record)

    return load


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a tiny model."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = PretrainConfig(
        (Path("table"),),
        folder,
        encoder="pointnet",
        emb_dims=16,
        image_encoder="resnet18",
        image_size=16,
        projection_dims=8,
    )
    model = build_crosspoint(config)
    save_tower(model.point_tower, folder / "encoder", {})
    save_tower(model.image_tower, folder / "image_encoder", {})
    save_yaml(config, folder / "config.yaml")
    return folder


def config(run: Path, **changes: Any) -> RetrievalConfig:
    values = {"encoder": str(run), "data": "table", "seeds": 2, "points": 32, "device": "cpu"}
    return RetrievalConfig(**(values | changes))


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


def test_retrieval_end_to_end(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_views", shapes())
    result = retrieval(config(run, views=2))
    written = json.loads((run / "evaluation" / "retrieval" / "result.json").read_text())
    assert written["scores"] == result.scores
    assert set(result.scores) == set(result.untrained) == set(result.chance)
    assert result.chance["picture_to_shape_recall@5"] == pytest.approx(5 / SHAPES)
    assert result.chance["shape_to_picture_mean_rank"] == (SHAPES + 1) / 2
    assert result.scores["picture_to_shape_mean_rank"]["std"] == 0
    assert any("std is 0" in note for note in result.protocol["notes"])
    assert result.protocol["image_size"] == 16
    assert result.protocol["gallery"] == SHAPES
    hashes = [entry["untrained"]["image_sha256"] for entry in result.protocol["encoders"]]
    assert len(set(hashes)) == 2, "a fresh untrained twin for every seed"
    assert result.protocol["encoders"][0]["trained"] == result.protocol["encoders"][1]["trained"]


def test_the_same_config_gives_the_same_scores(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_views", shapes(drawn=True))
    first, second = (retrieval(config(run, points=20)) for _ in range(2))
    assert first.scores == second.scores
    assert first.untrained == second.untrained
    assert first.scores["picture_to_shape_mean_rank"]["std"] > 0


def test_limit_keeps_a_stratified_share(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_views", shapes())
    result = retrieval(config(run, limit=0.5, seeds=1))
    assert result.protocol["gallery"] == SHAPES / 2
    assert any("share of 0.5" in note for note in result.protocol["notes"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": 3}, "--views 3: shape 0 has only 2 pictures"),
        ({"views": 0}, "--views 0"),
        ({"encoder": "random:dgcnn"}, "no image encoder"),
        ({"points": 33}, "--points 33: the clouds have 32"),
    ],
)
def test_wrong_usage_is_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(module, "load_views", shapes())
    with pytest.raises(UsageError, match=message):
        retrieval(config(run, **changes))


def test_clouds_without_pictures_are_refused(run: Path) -> None:
    with pytest.raises(UsageError, match="no pictures: use a table"):
        retrieval(config(run, data="clouds:a.h5,b.h5"))


def test_points_default_to_what_there_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "load_views", shapes())
    result = module.retrieval(config(run, points=0))
    assert result.protocol["points"]["count"] == 32
