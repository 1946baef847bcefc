"""Runs on grey and on depth pictures: every part of a run looks at the pictures that the tower is trained on."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crosspoint3d.config import FewShotConfig, PretrainConfig, ReportConfig, RetrievalConfig, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.evaluation.features import compute_image_features
from crosspoint3d.evaluation.few_shot import few_shot
from crosspoint3d.evaluation.image_size import pictures_of
from crosspoint3d.evaluation.retrieval import retrieval
from crosspoint3d.report import report
from crosspoint3d.runtime import generator_for
from crosspoint3d.training import metrics, pretrain, setup
from crosspoint3d.training.step import views
from crosspoint3d.transforms import to_grey, to_input
from tests.data.tables import example_row, example_table
from tests.training.small_runs import POINTNET

TINY = POINTNET | {"projection_dims": 8, "max_steps": 2}


def config_for(data: Path, out: Path = Path("run"), **changes: Any) -> PretrainConfig:
    return PretrainConfig(data=(data,), out=out, **(TINY | changes))


@pytest.fixture(scope="module")
def only_depth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose coloured pictures are broken: whoever looks at them fails."""
    path = tmp_path_factory.mktemp("data") / "table"
    settings = {"seed": 0, "views": 2, "image_size": 32, "depth": True}
    table = ShapeTable.create(path, points=32, settings=settings)
    table.append([example_row(i, depth=True) | {"views": [b"broken", b"broken"]} for i in range(30)])
    return path


@pytest.fixture(scope="module")
def depth_run(only_depth: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "depth"
    pretrain.pretrain(config_for(only_depth, run, pictures="depth", probe_every=1))
    return run


def test_a_depth_run_sees_depth_alone(depth_run: Path) -> None:
    summary = json.loads((depth_run / "summary.json").read_text())
    assert summary["steps"] == 2 and summary["held_out"]["shapes"] == 6
    assert "probe_recall@1" in metrics.read(depth_run)[-1]
    described = json.loads((depth_run / "image_encoder" / "config.json").read_text())
    assert described["pictures"] == "depth" == pictures_of(str(depth_run)) == pictures_of(f"{depth_run}/image_encoder")
    assert "It was shown depth pictures" in (depth_run / "image_encoder" / "README.md").read_text()
    record = json.loads((depth_run / "evaluation" / "retrieval" / "result.json").read_text())["protocol"]
    assert record["pictures"] == "depth"


def test_an_evaluation_of_a_depth_run_needs_depth(depth_run: Path, tmp_path: Path) -> None:
    example_table(tmp_path / "plain", 8)
    settings = RetrievalConfig(
        encoder=str(depth_run), data=str(tmp_path / "plain"), search="pictures", seeds=1, device="cpu"
    )
    with pytest.raises(UsageError, match="has no depth pictures: use a table made by `crosspoint3d prepare --depth`"):
        retrieval(settings)
    (tmp_path / "photos").mkdir()
    config = FewShotConfig(encoder=str(depth_run), data=f"images:{tmp_path / 'photos'}", device="cpu")
    with pytest.raises(UsageError, match="it needs depth pictures, and images:"):
        few_shot(config)


def test_the_report_of_a_depth_run_shows_depth(depth_run: Path) -> None:
    made = report(ReportConfig(depth_run, device="cpu"))
    assert (depth_run / "report.html").is_file() and made is not None


def test_tables_without_depth_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    example_table(tmp_path / "table", 8)
    config = config_for(tmp_path / "table", tmp_path / "run", pictures="depth")
    with pytest.raises(UsageError, match=r"--pictures depth: the table .*prepare it anew with --depth"):
        pretrain.pretrain(config)
    assert not config.out.exists()
    assert pretrain.pretrain(replace(config, cross_weight=0.0)).steps == 2


def test_grey_pictures_are_augmented_by_their_luminance() -> None:
    config = config_for(Path("table"), pictures="grey", without=("turn",), augmentation="paper")
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(3, 20, 3, generator=generator)
    images = torch.randint(0, 256, (3, 3, 24, 24), dtype=torch.uint8, generator=generator)
    _, seen = views(config, points, images, generator_for(1))
    _, of_grey = views(replace(config, pictures="colour"), points, to_grey(images), generator_for(1))
    _, coloured = views(replace(config, pictures="colour"), points, images, generator_for(1))
    assert seen is not None and torch.equal(seen, of_grey)  # type: ignore[arg-type]
    assert not torch.equal(seen, coloured)  # type: ignore[arg-type]


def test_a_step_uses_the_named_augmentations(tmp_path: Path) -> None:
    config = config_for(Path("table"), recipe="paper", augmentation="none")
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(3, 16, 3, generator=generator)
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=generator)
    clouds, seen = views(config, points, images, generator_for(1))
    assert torch.equal(seen, to_input(images, 32))  # type: ignore[arg-type]
    lengths = clouds.norm(dim=2).amax(1)
    torch.testing.assert_close(lengths, torch.ones(6))
    _, other = views(replace(config, augmentation="recipe", without=("flip",)), points, images, generator_for(1))
    assert other is not None and not torch.equal(other, to_input(images, 32))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"without": ("spin",)}, "--without spin: known are scale, turn, translate, jitter, drop, crop, colour, grey"),
        (
            {"without": ("crop",), "recipe": "paper"},
            "--without crop: the augmentation paper does not use it; it has",
        ),
        ({"without": ("flip",), "augmentation": "none"}, "--without flip: the augmentation none .* none at all"),
        ({"image_weights": "pretrained"}, "--image-weights pretrained: resnet18 is this package's own"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        setup.validate(config_for(Path("table"), **changes))


def test_leaving_out_what_the_set_has_is_fine() -> None:
    setup.validate(config_for(Path("table"), without=("crop", "turn")))
    setup.validate(config_for(Path("table"), recipe="paper", augmentation="default", without=("grey",)))


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("sizes", [(12, 12), (12, 9)])
def test_features_of_grey_pictures(sizes: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (size, size, 3), dtype=np.uint8) for size in sizes]
    plain = [to_grey(torch.from_numpy(p).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy() for p in pictures]
    flat = torch.nn.Flatten()
    options: dict[str, Any] = {"image_size": 6, "batch_size": 2, "device": "cpu"}
    found = compute_image_features(flat, [png(p) for p in pictures], grey=True, **options)
    expected = compute_image_features(flat, [png(np.ascontiguousarray(p)) for p in plain], **options)
    np.testing.assert_array_equal(found, expected)


def test_a_grey_run_says_so_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example_table(tmp_path / "table", 30)
    config = config_for(tmp_path / "table", tmp_path / "run", pictures="grey", probe_every=1, max_steps=1)
    seen: list[bool] = []

    def noted(*given: Any, grey: bool = False, **named: Any) -> Any:
        seen.append(grey)
        return compute_image_features(*given, grey=grey, **named)

    for module in ("training.probes", "evaluation.picture_retrieval"):
        monkeypatch.setattr(f"crosspoint3d.{module}.compute_image_features", noted)
    pretrain.pretrain(config)
    assert seen and all(seen) and pictures_of(str(config.out)) == "grey"


def test_published_weights_and_older_runs_saw_colours(tmp_path: Path) -> None:
    assert pictures_of(str(tmp_path / "weights.pth")) == "colour"
    (tmp_path / "image_encoder").mkdir()
    (tmp_path / "image_encoder" / "config.json").write_text("{}")
    assert pictures_of(str(tmp_path)) == "colour"
