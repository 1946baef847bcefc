import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crosspoint3d.config import FewShotConfig, PretrainConfig, UsageError
from crosspoint3d.config_file import save_yaml
from crosspoint3d.evaluation import few_shot_pictures as module
from crosspoint3d.evaluation.episodes import Episode
from crosspoint3d.evaluation.few_shot import few_shot
from crosspoint3d.models import build_crosspoint, save_tower

COLOURS = {"blue": (10, 20, 240), "green": (20, 230, 10), "red": (240, 10, 20), "white": (250, 250, 250)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a tiny model."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    small: dict[str, Any] = {"encoder": "pointnet", "emb_dims": 16, "image_encoder": "resnet18", "image_size": 16}
    config = PretrainConfig((Path("table"),), folder, **small, projection_dims=8)
    model = build_crosspoint(config)
    save_tower(model.point_tower, folder / "encoder", {})
    save_tower(model.image_tower, folder / "image_encoder", {})
    save_yaml(config, folder / "config.yaml")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of each of four colours, of two sizes, as test classes of a CIFAR-FS folder."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / "meta-test" / name).mkdir(parents=True)
        for index in range(8):
            pixels = np.clip(np.array(colour) + generator.integers(-10, 10, (8 + 4 * (index % 2), 12, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "meta-test" / name / f"{index}.png")
    (folder / "meta-train" / "apple").mkdir(parents=True)
    return folder


class Colour(torch.nn.Module):
    """The mean colour of a picture by a weight; a weight of 0 is a collapsed encoder."""

    origin = None

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return 1 + self.weight * images.mean((2, 3))


def config(run: Path, pictures: Path, **changes: Any) -> FewShotConfig:
    values = {"n_way": 3, "k_shot": 2, "n_query": 4, "episodes": 3, "seeds": 2, "device": "cpu"}
    return FewShotConfig(str(run), f"images:{pictures}", **(values | changes))


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> tuple[Colour, Colour]:
    """An encoder that knows colours, and a collapsed twin."""
    towers = Colour(1.0), Colour(0.0)
    monkeypatch.setattr(module.models, "load_image_encoder", lambda spec: towers[0])
    monkeypatch.setattr(module.models, "untrained_image", lambda spec, seed: towers[1])
    return towers


@pytest.mark.parametrize("classifier", ["svm", "prototype", "logistic"])
@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_colours_score_one_and_a_collapsed_encoder_chance(
    pictures: Path, colours: tuple[Colour, Colour], classifier: str, protocol: str
) -> None:
    result = few_shot(config(Path("run"), pictures, classifier=classifier, protocol=protocol))
    assert result.scores["accuracy"]["mean"] == 1.0
    assert result.untrained["accuracy"]["mean"] == pytest.approx(result.chance["accuracy"]) == 1 / 3
    assert result.details["paired"]["accuracy"] == {"unit": "episode", "values": [1.0] * 6}


def test_only_pictures_of_episodes_are_encoded(pictures: Path, colours: tuple[Colour, Colour]) -> None:
    few_shot(config(Path("run"), pictures, n_way=2, k_shot=1, n_query=1, episodes=1))
    assert colours[0].seen <= 8
    assert colours[1].seen == 8


def test_end_to_end_with_a_run(run: Path, pictures: Path) -> None:
    result = few_shot(config(run, pictures))
    written = json.loads((run / "evaluation" / "few-shot-pictures" / "result.json").read_text())
    assert written["scores"] == result.scores
    assert result.protocol["image_size"] == 16
    assert result.protocol["data"]["pictures"] == 32
    assert result.protocol["episodes"]["query"] == "the same novel classes, other pictures than the support"
    assert module.SAME in result.protocol["notes"]
    hashes = [{entry[who]["sha256"] for entry in result.protocol["encoders"]} for who in ("trained", "untrained")]
    assert [len(found) for found in hashes] == [1, 2]
    assert "pictures at 16 x 16 pixels" in str(result)
    inner = few_shot(config(run / "image_encoder", pictures, protocol="paper"))
    assert inner.scores == result.scores == few_shot(config(run, pictures)).scores


def test_the_same_episodes_for_every_encoder(
    run: Path, pictures: Path, colours: tuple[Colour, Colour], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    original = module.draw_episodes

    def watch(*arguments: Any, **options: Any) -> list[Episode]:
        drawn.append(original(*arguments, **options))
        return drawn[-1]

    monkeypatch.setattr(module, "draw_episodes", watch)
    few_shot(config(Path("run"), pictures))
    few_shot(config(Path("other"), pictures, classifier="prototype"))
    rows = [[(*e.ways, *e.support, *e.query) for e in episodes] for episodes in drawn]
    assert rows[:2] == rows[2:]
    assert rows[0] != rows[1]


def test_without_a_twin(run: Path, pictures: Path) -> None:
    result = few_shot(config(run, pictures, untrained=False, seeds=1))
    assert result.untrained == {}
    assert set(result.details["episodes"]) == {"trained"}


def test_limit_keeps_a_stratified_share(run: Path, pictures: Path) -> None:
    full = few_shot(config(run, pictures, seeds=1))
    result = few_shot(config(run, pictures, limit=0.75, seeds=1))
    assert result.protocol["data"]["pictures"] == 24
    assert result.protocol["data"]["split_sha256"] != full.protocol["data"]["split_sha256"]
    assert any("share of 0.75 of the pictures" in note for note in result.protocol["notes"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": "test"}, "--queries test: pictures have no train split"),
        ({"points": 512}, "--points 512: pictures have no points"),
        ({"k": 5}, "--k 5: an image encoder has no neighbour graph"),
        ({"encoder": "random:dgcnn"}, "random:dgcnn is no image encoder"),
        ({"encoder": "os.path:join"}, "os.path:join is no image encoder"),
        ({"n_way": 5}, "--n-way 5: the data has 4 categories to draw from; 2 to 4 work"),
        ({"n_way": 1}, "--n-way 1: must be at least 2"),
        ({"n_query": 7}, "2 pictures for the support and 7 more of them for queries; --n-query 6 works"),
        ({"seeds": 0}, "--seeds 0"),
    ],
)
def test_wrong_usage_is_named(run: Path, pictures: Path, changes: dict[str, Any], message: str) -> None:
    values = {"encoder": str(run)} | changes
    with pytest.raises(UsageError, match=message):
        few_shot(FewShotConfig(data=f"images:{pictures}", **({"n_way": 3, "k_shot": 2, "n_query": 4} | values)))


def test_an_encoder_of_clouds_is_refused(run: Path, pictures: Path) -> None:
    with pytest.raises(UsageError, match="it encodes clouds, but an encoder of pictures is needed"):
        few_shot(config(run / "encoder", pictures))


def test_a_truncated_picture_is_named(run: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(buffer, "PNG")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "whole.png").write_bytes(buffer.getvalue())
    (tmp_path / "b" / "cut.png").write_bytes(buffer.getvalue()[:1500])
    with pytest.raises(UsageError, match=r"1 of 3 pictures cannot be decoded: .*b/cut.png"):
        few_shot(config(run, tmp_path, n_way=2, k_shot=1, n_query=1))
