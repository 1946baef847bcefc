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
from crosspoint3d.evaluation import picture_retrieval as module
from crosspoint3d.evaluation.retrieval import retrieval
from crosspoint3d.models import build_crosspoint, save_tower
from tests.evaluation.fakes import cluster_clouds

SHAPES = 12


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((20, 20)).save(buffer, "PNG")
    return buffer.getvalue()


def shapes(drawn: bool = False, views: int = 2) -> Any:
    def load(spec: str, split: str | None = "test", *, seed: int, column: str = "views") -> PicturedClouds:
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
    values = {"encoder": str(run), "data": "table", "seeds": 2, "points": 32, "device": "cpu", "search": "pictures"}
    return RetrievalConfig(**(values | changes))


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
    result = retrieval(config(run, points=0))
    assert result.protocol["points"]["count"] == 32


def labelled(monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Labelled clouds beside the pictured ones."""
    monkeypatch.setattr(module, "load_views", shapes())
    for where in ("seeds", "retrieval"):
        monkeypatch.setattr(f"crosspoint3d.evaluation.{where}.load_clouds", cluster_clouds(points=32, **options))


def test_all_is_both_searches_in_one_result(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled(monkeypatch)
    both, one, other = (retrieval(config(run, search=search)) for search in ("all", "shapes", "pictures"))
    assert both.scores == one.scores | other.scores and both.untrained == one.untrained | other.untrained
    assert both.chance == one.chance | other.chance
    assert next(iter(both.scores)) == "shape_to_shape_map" and both.details == one.details
    assert both.protocol["data"] == one.protocol["data"]
    assert both.protocol["gallery"] == SHAPES and both.protocol["pictured_data"]["shapes"] == SHAPES
    hashes = both.protocol["pictured_data"]["clouds_sha256"]
    assert len(hashes) == len(both.protocol["seeds"]) and all(len(digest) == 64 for digest in hashes)
    assert both.protocol["shape_to_shape"] == one.protocol["shape_to_shape"]
    for entry, shape, picture in zip(*(r.protocol["encoders"] for r in (both, one, other)), strict=True):
        assert set(entry["trained"]) == set(shape["trained"]) | {"image_sha256"}
        assert entry["trained"]["image_sha256"] == picture["trained"]["image_sha256"]
        assert entry["clouds_sha256"] == shape["clouds_sha256"]
    assert not any("searched" in note for note in both.protocol["notes"])


def test_the_record_says_what_came_from_the_cache(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CROSSPOINT3D_CACHE", str(tmp_path))
    labelled(monkeypatch)
    for expected in (False, True):
        entries = retrieval(config(run, seeds=1)).protocol["encoders"]
        assert entries[0]["trained"]["from_cache"] is entries[0]["untrained"]["from_cache"] is expected
        assert entries[0]["trained"]["seconds"] >= 0
    assert retrieval(config(run, seeds=1, search="all")).protocol["encoders"][0]["trained"]["from_cache"] is False


@pytest.mark.parametrize("encoder", ["random:pointnet", "tests.evaluation.test_no_twin:extents", "inner"])
def test_all_without_an_image_encoder_is_shapes(run: Path, monkeypatch: pytest.MonkeyPatch, encoder: str) -> None:
    labelled(monkeypatch)
    encoder = str(run / "encoder") if encoder == "inner" else encoder
    result = retrieval(config(run, encoder=encoder, search="all", seeds=1))
    assert all(name.startswith("shape_to_shape") for name in result.scores)
    assert any(note.startswith("pictures were not searched:") for note in result.protocol["notes"])
    with pytest.raises(UsageError, match=r"no image encoder|an encoder of pictures|neither image_encoder"):
        retrieval(config(run, encoder=encoder, search="pictures"))
    labelled(monkeypatch, test=3)
    with pytest.raises(UsageError, match=r"no category has two test shapes.*; pictures were not searched: "):
        retrieval(config(run, encoder=encoder, search="all"))


def test_all_without_pictures_is_shapes(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for where in ("seeds", "retrieval"):
        monkeypatch.setattr(f"crosspoint3d.evaluation.{where}.load_clouds", cluster_clouds(points=32))
    result = retrieval(config(run, data="procedural:60", search="all", seeds=1))
    assert any("procedural:60 has no pictures" in note for note in result.protocol["notes"])
    assert set(result.scores) == set(result.chance) and "shape_to_shape_map" in result.scores


def test_all_without_categories_is_pictures(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled(monkeypatch, test=3)
    result = retrieval(config(run, search="all"))
    assert all("picture" in name for name in result.scores) and "paired" not in result.details
    assert any("shape to shape was not searched: --data table: no category" in n for n in result.protocol["notes"])
    with pytest.raises(UsageError, match="no category has two test shapes"):
        retrieval(config(run, search="shapes"))


@pytest.mark.parametrize("search", ["all", "pictures"])
def test_an_untrained_twin_is_left_out_when_nobody_asks(
    run: Path, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    labelled(monkeypatch)
    result = retrieval(config(run, search=search, untrained=False))
    assert result.untrained == {} and result.protocol["encoders"][0]["untrained"] is None
    assert "not asked for" in str(result)


def test_paper_is_clean_and_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled(monkeypatch)
    clean, paper = (retrieval(config(run, search="all", protocol=mode, seeds=1)) for mode in ("clean", "paper"))
    assert clean.scores == paper.scores
    assert any("the paper protocol is the clean one" in note for note in paper.protocol["notes"])
