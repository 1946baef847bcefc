"""The point transformer through the verbs: pre-training by both recipes, evaluation, fine-tuning, layer-wise rates."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import crosspoint3d.evaluation.segmentation as segmentation
from crosspoint3d import cli
from crosspoint3d.config import (
    FinetuneClassifyConfig,
    FinetuneSegmentConfig,
    KnnConfig,
    PretrainConfig,
    SegmentationConfig,
    UsageError,
)
from crosspoint3d.evaluation.knn import knn
from crosspoint3d.labelling.run import points_for
from crosspoint3d.models import PointTransformer, Tower, load_classifier, load_encoder, load_segmenter, save_tower
from crosspoint3d.training import finetune_segment as segment_verb
from crosspoint3d.training.finetune_classify import finetune_classify
from crosspoint3d.training.finetune_segment import finetune_segment
from crosspoint3d.training.parameter_groups import encoder_layers, parameter_groups
from crosspoint3d.training.pretrain import pretrain
from tests.data.tables import example_table
from tests.training import tiny_parts

TINY: dict[str, Any] = {
    "encoder": "transformer",
    "width": 0.1,
    "patches": 8,
    "patch_points": 6,
    "depth": 2,
    "heads": 2,
    "points": 16,
    "image_encoder": "resnet18",
    "image_size": 32,
    "batch_size": 4,
    "max_steps": 2,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "table"
    example_table(path, 20)
    return path


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    pretrain(PretrainConfig(data=(data,), out=folder, **TINY))
    return folder


def weights(folder: Path) -> bytes:
    return (folder / "encoder" / "model.safetensors").read_bytes()


def test_a_run_repeats_bit_for_bit_from_its_config(run: Path, tmp_path: Path) -> None:
    assert cli.run(["pretrain", "--config", str(run / "config.yaml"), "--out", str(tmp_path / "again")]) == 0
    assert weights(run) == weights(tmp_path / "again")
    encoder = load_encoder(run)
    assert encoder(torch.rand(2, 16, 3)).shape == (2, 2 * 32)
    config = json.loads((run / "encoder" / "config.json").read_text())
    assert config["kind"] == "transformer" and config["encoder"]["heads"] == 2


@pytest.mark.parametrize(
    "changes", [{"recipe": "paper", "optimizer": "adam", "cross_weight": 0.0}, {"chunk": 2, "precision": "bfloat16"}]
)
def test_it_learns_by_every_recipe(data: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    result = pretrain(PretrainConfig(data=(data,), out=tmp_path / "run", **(TINY | changes)))
    assert result.steps == 2 and result.loss > 0
    before = load_encoder(tmp_path / "run")
    assert all(value.isfinite().all() for value in before.state_dict().values())


def test_patches_that_the_clouds_cannot_fill(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["pretrain", "--data", str(data), "--out", str(tmp_path / "run"), "--encoder", "transformer"]
    assert cli.run([*arguments, "--device", "cpu", "--batch-size", "4"]) == 2
    assert "--patches 64 is more than --points 32; give fewer" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_evaluation(run: Path, data: Path) -> None:
    result = knn(KnnConfig(str(run), str(data), seeds=2, points=16, device="cpu", neighbours=3))
    assert 0 <= result.scores["overall_accuracy"]["mean"] <= 1 and result.untrained
    assert result.protocol["encoders"][0]["trained"]["width"] == 64
    with pytest.raises(UsageError, match="--points 7: the encoder makes patches of 8 points or more"):
        knn(KnnConfig(str(run), str(data), points=7, device="cpu"))
    with pytest.raises(UsageError, match="has no neighbour graph"):
        knn(KnnConfig(str(run), str(data), points=16, k=4, device="cpu"))


@pytest.mark.parametrize("mode", ["frozen", "full"])
def test_finetune_segment(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(segment_verb, "load_part_clouds", lambda *_, **__: tiny_parts.clouds())
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 4, "points": 16, "device": "cpu", "lr": 1e-3, "mode": mode}
    settings["layer_decay"] = 0.7 if mode == "full" else 1.0
    config = FinetuneSegmentConfig(str(run), "tiny", tmp_path / "run", **settings)
    result = finetune_segment(config)
    assert result.exit_code == 0 and result.result is not None
    assert 0 < result.result.scores["part_accuracy"]["mean"] <= 1
    segmenter = load_segmenter(tmp_path / "run")
    assert isinstance(segmenter.encoder, PointTransformer)
    clouds, category = torch.rand(2, 16, 3), torch.tensor([0, 1])
    assert segmenter(clouds, category).shape == (2, 16, 4)
    same = [
        torch.equal(value, segmenter.state_dict()[f"encoder.{name}"])
        for name, value in load_encoder(run).encoder.named_parameters()
    ]
    assert all(same) if mode == "frozen" else not any(same)
    few = FinetuneSegmentConfig(str(run), "tiny", tmp_path / "few", **(settings | {"points": 7}))
    with pytest.raises(UsageError, match=r"--points 7 .* the encoder makes patches of 8 points or more"):
        finetune_segment(few)
    monkeypatch.setattr(segmentation, "load_part_clouds", lambda *_, **__: tiny_parts.clouds())
    score = {"model": str(tmp_path / "run"), "data": "tiny", "seeds": 1, "device": "cpu"}
    again = segmentation.segmentation(SegmentationConfig(**score))
    assert again.scores["part_accuracy"]["mean"] == pytest.approx(result.result.scores["part_accuracy"]["mean"])
    with pytest.raises(UsageError, match=r"--points 7 .* the network makes patches of 8 points or more"):
        segmentation.segmentation(SegmentationConfig(points=7, **score))
    with pytest.raises(UsageError, match="--points 7: the network makes patches of 8 points or more"):
        points_for(segmenter, 7, 16)


def test_finetune_classify(run: Path, data: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 4, "points": 16, "device": "cpu", "lr": 1e-3}
    result = finetune_classify(FinetuneClassifyConfig(str(run), str(data), tmp_path / "run", **settings))
    assert result.exit_code == 0
    assert load_classifier(tmp_path / "run")(torch.rand(3, 16, 3)).shape == (3, 2)


class Net(torch.nn.Module):
    def __init__(self, encoder: PointTransformer) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = torch.nn.Linear(2, 3)


def test_rates_fall_from_block_to_block_down_to_the_embedding() -> None:
    encoder = PointTransformer(patches=4, patch_points=4, width=8, depth=3, heads=2)
    assert len(list(encoder_layers(encoder))) == 4
    model = Net(encoder)
    names = {parameter: name for name, parameter in model.named_parameters()}
    factors = {names[p]: g["factor"] for g in parameter_groups(model, 0.5, frozen=False) for p in g["params"]}
    assert factors.keys() == set(names.values())
    expected = {"head": 1.0, "norm": 0.5, "blocks.2": 0.5, "blocks.1": 0.25, "blocks.0": 0.125, "embedding": 0.0625}
    for name, factor in factors.items():
        layer = next(layer for layer in expected if name.removeprefix("encoder.").startswith(f"{layer}."))
        assert factor == expected[layer], name


def test_an_encoder_folder_is_enough(tmp_path: Path) -> None:
    save_tower(Tower(PointTransformer(4, 4, 8, 1, 2), None), tmp_path / "encoder", {})
    assert load_encoder(tmp_path)(torch.rand(1, 9, 3)).shape == (1, 16)
