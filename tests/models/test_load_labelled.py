import json
from pathlib import Path

import pytest
import torch

from crosspoint3d.config import FinetuneClassifyConfig, FinetuneSegmentConfig, PretrainConfig, UsageError
from crosspoint3d.evaluation.benchmark.sources import encoder_paths
from crosspoint3d.models import (
    PointNet,
    Tower,
    build_classifier,
    build_segmenter,
    load_classifier,
    load_encoder,
    load_image_encoder,
    load_segmenter,
    save_classifier,
    save_segmenter,
    save_tower,
)
from crosspoint3d.parts_table import PartsTable
from crosspoint3d.training.run_folder import write_config

TABLE = PartsTable(("chair",), ((0, 1),), ("seat", "leg"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of finetune segment, finetune classify and pretrain, and an empty folder."""
    folder = tmp_path_factory.mktemp("runs")
    encoder = PointNet(8)
    save_segmenter(build_segmenter(encoder, TABLE, "light", 0), folder / "segment" / "segmenter", {})
    save_classifier(build_classifier(encoder, ("chair",), "light", 0), folder / "classify" / "classifier", {})
    for name in ("segment", "classify", "pretrain"):
        save_tower(Tower(encoder, None), folder / name / "encoder", {})
    (folder / "empty").mkdir()
    return folder


def test_a_run_is_a_network_and_an_encoder(runs: Path) -> None:
    points = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0))
    segmenter, classifier = load_segmenter(runs / "segment"), load_classifier(str(runs / "classify"))
    for network, name in ((segmenter, "segment"), (classifier, "classify")):
        assert torch.equal(load_encoder(runs / name)(points), network.encoder(points))
    assert segmenter.table == TABLE and classifier.categories == ("chair",)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("classify", r"classify: this run is of finetune classify; train one with crosspoint3d finetune segment"),
        ("classify/classifier", r"the folder holds a classifier, no segmenter; train one with .*finetune segment"),
        ("pretrain", r"this run holds an encoder, but no segmenter; train one with crosspoint3d finetune segment"),
        ("pretrain/encoder", r"the folder holds an encoder \(pointnet\), no segmenter; train one with .*finetune seg"),
        ("empty", r"neither segmenter/ nor config\.json is in this folder; train one"),
        (
            "nowhere",
            r"nowhere: no such folder; use a run folder of finetune segment, the folder of a segmenter, or pub",
        ),
    ],
)
def test_what_is_no_segmenter_is_said_to_be_what_it_is(runs: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_segmenter(runs / name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("segment", r"this run is of finetune segment; train one with crosspoint3d finetune classify"),
        ("segment/segmenter", r"the folder holds a segmenter, no classifier"),
        ("pretrain", r"this run holds an encoder, but no classifier"),
        ("nowhere", r"use a run folder of finetune classify"),
    ],
)
def test_what_is_no_classifier_is_said_to_be_what_it_is(runs: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_classifier(runs / name)


@pytest.mark.parametrize("spec", ["random:dgcnn", "onnx:model.onnx", "numpy:sum"])
def test_what_names_an_encoder_names_no_network(spec: str) -> None:
    with pytest.raises(UsageError, match="no such folder; use a run folder of finetune segment"):
        load_segmenter(spec)


@pytest.mark.parametrize("verb", ["finetune segment", "finetune classify", "pretrain"])
def test_an_unfinished_training_says_how_to_go_on(verb: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_config(
        {
            "finetune segment": FinetuneSegmentConfig("random:pointnet", "procedural:96", run),
            "finetune classify": FinetuneClassifyConfig("random:pointnet", "procedural:96", run),
            "pretrain": PretrainConfig((tmp_path,), run),
        }[verb]
    )
    for load in (load_segmenter, load_classifier, load_encoder, load_image_encoder):
        with pytest.raises(UsageError, match=f"not finished: go on with `crosspoint3d {verb} --out {run} --resume`$"):
            load(run)
    with pytest.raises(UsageError, match=f"not finished: go on with `crosspoint3d {verb} --out"):
        encoder_paths(str(run))
    (run / "summary.json").write_text("{}")
    with pytest.raises(
        UsageError, match=r"neither image_encoder/ nor config\.json is in this folder; use a run folder"
    ):
        load_image_encoder(run)


def test_an_unfinished_training_of_parts_of_an_earlier_version_is_not_one_of_categories(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_config(FinetuneSegmentConfig("random:pointnet", "procedural:96", run))
    lines = (run / "config.yaml").read_text().splitlines(keepends=True)
    (run / "config.yaml").write_text(
        "".join(line for line in lines if not line.startswith(("loss_over", "categories")))
    )
    (run / "seed-0").mkdir()
    for name, verb in (("accuracy", "classify"), ("instance_miou", "segment")):
        (run / "seed-0" / "metrics.jsonl").write_text(json.dumps({"step": 4, f"val/{name}": 0.5}) + "\n")
        with pytest.raises(UsageError, match=f"go on with `crosspoint3d finetune {verb} --out"):
            load_segmenter(run)


def test_k_must_apply(runs: Path) -> None:
    with pytest.raises(UsageError, match="k=7: PointNet has no neighbour graph"):
        load_segmenter(runs / "segment", k=7)
