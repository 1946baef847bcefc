"""`finetune segment` from an encoder's folder to a run folder: what is trained, chosen, read, kept and recorded."""

import dataclasses
import json
import os
import shutil
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crosspoint3d import cli
from crosspoint3d.config import FinetuneSegmentConfig, RepeatConfig, RunError, UsageError
from crosspoint3d.data.part_labels import PartClouds
from crosspoint3d.evaluation.part_predictions import with_points
from crosspoint3d.evaluation.repeat import repeat
from crosspoint3d.evaluation.result_files import read_result
from crosspoint3d.evaluation.segment_results import most_frequent_parts
from crosspoint3d.models import DGCNN, PointNet, ProjectionHead, Tower, load_encoder, save_tower
from crosspoint3d.models.load_labelled import load_segmenter
from crosspoint3d.training import finetune as loop
from crosspoint3d.training import finetune_segment as verb
from crosspoint3d.training import metrics
from crosspoint3d.training.finetune_record import CHANCE
from crosspoint3d.training.finetune_run import trained_line
from crosspoint3d.training.finetune_segment import finetune_segment
from crosspoint3d.training.segment_task import drawn_points, labelled_shapes
from tests.training import tiny_parts

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of two small encoders with projection heads: pointnet and dgcnn."""
    folder = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(1)
    save_tower(Tower(PointNet(emb_dims=8), ProjectionHead(8, 4, 4, bias=True)), folder / "pointnet", {})
    save_tower(Tower(DGCNN(k=4, emb_dims=8, width=0.125), ProjectionHead(16, 4, 4, bias=True)), folder / "dgcnn", {})
    return folder


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch) -> PartClouds:
    return use(monkeypatch, tiny_parts.clouds())


def use(monkeypatch: pytest.MonkeyPatch, clouds: PartClouds) -> PartClouds:
    monkeypatch.setattr(verb, "load_part_clouds", lambda *_, **__: clouds)
    return clouds


def config_for(encoders: Path, out: Path, **changes: Any) -> FinetuneSegmentConfig:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 4, "points": 16, "device": "cpu", "lr": 1e-2} | changes
    encoder = settings.pop("encoder", str(encoders / settings.pop("network", "pointnet")))
    return FinetuneSegmentConfig(encoder, "tiny", out, **settings)


def rows_of(run: Path, seed: int = 0) -> list[dict[str, Any]]:
    """The lines of a seed's metrics, but for its speed."""
    return [{k: v for k, v in row.items() if k != "shapes_per_s"} for row in metrics.read(run / f"seed-{seed}")]


def training(**changes: Any) -> Any:
    return read_result(changes["out"] / "result.json").protocol["trainings"][0]


def test_a_run_leaves_everything_behind(encoders: Path, tmp_path: Path, data: PartClouds) -> None:
    run = tmp_path / "run"
    config = config_for(encoders, run, seeds=2, labels=0.5, augment="none")
    result = finetune_segment(config)
    assert result.exit_code == 0 and result.result is not None
    written = read_result(run / "result.json")
    assert (
        set(written.scores)
        == {"instance_miou", "class_miou", "part_accuracy", "mean_part_accuracy"}
        == set(written.chance)
    )
    assert all(score["n"] == 2 and 0 <= score["mean"] <= 1 for score in written.scores.values())
    guesses = [
        most_frequent_parts(labelled_shapes(config, data, seed), with_points(data.test, 16, seed), data.table)
        for seed in (0, 1)
    ]
    assert written.chance == pytest.approx({name: (guesses[0][name] + guesses[1][name]) / 2 for name in guesses[0]})
    assert (run / "per_category.csv").read_text().count("\n") == 3
    assert (run / "per_part.csv").read_text().startswith("name,category,iou\nfoot,pole,")
    record = written.protocol
    assert (record["mode"], record["seeds"], record["k"]) == ("clean", [0, 1], None)
    assert record["points"] == {"count": 16, "picked": "16 of 24 points, drawn at random from the seed"}
    assert record["data"]["test_shapes"] == 6 and record["notes"][0] == "made for a test"
    assert "the epoch was chosen on all 4 validation shapes: their labels are beside --labels" in record["notes"]
    assert CHANCE in record["notes"]
    for seed, made in enumerate(record["trainings"]):
        assert (made["seed"], made["steps"], made["epochs"], made["chosen_on"]) == (seed, 2, 2, "val")
        assert made["labelled"]["shapes"] == 4 and made["labelled"]["of"] == 10 and made["head"] == "light"
        assert made["kept_after_epochs"] in (1, 2) and made["validation_shapes"] == 4
    assert record["trainings"][0]["labelled"]["sha256"] != record["trainings"][1]["labelled"]["sha256"]
    assert len(record["encoder_sha256"]) == 1 and record["encoders"][0]["clouds_sha256"]
    for name in (
        "command",
        "version",
        "code_sha256",
        "environment",
        "device",
        "date",
        "seconds",
        "config",
        "finetuning",
    ):
        assert record[name], name

    test, predicted = data.test, np.load(run / "seed-1" / "answers.npz")["predicted"]
    assert predicted.shape == (6, 16) and {row["id"] for row in written.details["shapes"]} == set(test.ids)
    steps = rows_of(run)
    assert [row["step"] for row in steps] == [1, 2] and [row["epoch"] for row in steps] == [0, 1]
    assert all(row["val/instance_miou"] >= 0 for row in steps)
    best = json.loads((run / "summary.json").read_text())["best_seed"]
    assert (run / "segmenter" / WEIGHTS).read_bytes() == (run / f"seed-{best}" / "segmenter" / WEIGHTS).read_bytes()
    segmenter = load_segmenter(run)
    assert segmenter.points == 16 and segmenter.table == data.table
    assert segmenter(torch.rand(2, 16, 3), torch.tensor([0, 1])).shape == (2, 16, 4)
    trained = load_encoder(run).encoder.state_dict()
    assert all(torch.equal(value, segmenter.encoder.state_dict()[name]) for name, value in trained.items())
    assert (run / "examples.npz").exists() and not (run / "seed-0" / "checkpoint").exists()
    text = str(result)
    assert "instance_miou" in text and "untrained" not in text and "taken from" in text and str(run) in text
    json.dumps(dataclasses.asdict(written), allow_nan=False)


def test_it_learns_and_repeats_to_the_bit(encoders: Path, tmp_path: Path) -> None:
    run = tmp_path / "a"
    result = finetune_segment(config_for(encoders, run, epochs=30, augment="none")).result
    assert result is not None
    assert result.scores["instance_miou"]["mean"] > max(0.7, result.chance["instance_miou"] + 0.2)
    finetune_segment(config_for(encoders, tmp_path / "b", epochs=30, augment="none"))
    assert rows_of(run) == rows_of(tmp_path / "b")


@pytest.mark.parametrize(
    ("loss_over", "losses"),
    [("all", [1.534964, 1.389446, 1.330878, 1.030708]), ("category", [0.759534, 0.729884, 0.655815, 0.631204])],
)
def test_the_losses_of_four_steps(loss_over: Any, losses: list[float], encoders: Path, tmp_path: Path) -> None:
    finetune_segment(config_for(encoders, tmp_path / "run", loss_over=loss_over))
    assert [row["loss"] for row in rows_of(tmp_path / "run")] == pytest.approx(losses, rel=1e-3)
    assert (training(out=tmp_path / "run")["loss_over"] == "all parts") == (loss_over == "all")


@pytest.mark.parametrize("mode", ["full", "frozen", "scratch"])
def test_what_is_taken_and_what_is_trained(mode: str, encoders: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    finetune_segment(config_for(encoders, run, mode=mode, network="dgcnn"))
    before = load_file(encoders / "dgcnn" / WEIGHTS)
    after = load_file(run / "encoder" / WEIGHTS)
    weights = json.loads((run / "weights.json").read_text())
    heads = {name for name in before if name.startswith("head.")}
    segmenter = set(load_file(run / "segmenter" / WEIGHTS))
    if mode == "scratch":
        assert weights["taken"] == weights["not_needed"] == [] and set(weights["new"]) == segmenter
    else:
        assert set(weights["taken"]) == set(after) and set(weights["not_needed"]) == heads
        assert set(weights["new"]) == {name for name in segmenter if name.startswith("head.")}
    equal = [name for name in after if torch.equal(after[name], before[name])]
    assert (len(equal) == len(after)) == (mode == "frozen")
    if mode == "frozen":
        assert training(out=run)["head"] == "linear"
    else:
        assert not any(name.endswith("running_mean") for name in equal)


def test_an_interrupted_run_resumes_to_the_same_weights(
    encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = config_for(encoders, tmp_path / "whole", seeds=2, network="dgcnn")
    expected = finetune_segment(whole)
    update, calls = loop.update, iter(range(1, 100))

    def interrupted(*arguments: Any, **named: Any) -> tuple[float, float]:
        if next(calls) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return update(*arguments, **named)

    broken = replace(whole, out=tmp_path / "broken")
    monkeypatch.setattr(loop, "update", interrupted)
    stopped = finetune_segment(broken)
    monkeypatch.setattr(loop, "update", update)
    assert stopped.exit_code == 130 and "step 3 of seed 1" in str(stopped) and "--resume" in str(stopped)
    assert not (broken.out / "result.json").exists() and not (broken.out / "segmenter").exists()
    with pytest.raises(UsageError, match=r"lr was 0\.01, now 0\.5"):
        finetune_segment(replace(broken, resume=True, lr=0.5))
    found = finetune_segment(replace(broken, resume=True))
    assert expected.result is not None and found.result is not None
    assert found.result.scores == expected.result.scores and found.result.details == expected.result.details
    for seed in (0, 1):
        assert rows_of(whole.out, seed) == rows_of(broken.out, seed)
        paths = [config.out / f"seed-{seed}" / "segmenter" / WEIGHTS for config in (whole, broken)]
        assert paths[0].read_bytes() == paths[1].read_bytes()

    before = {path: path.read_bytes() for path in broken.out.rglob("*") if path.is_file()}
    again = finetune_segment(replace(broken, resume=True))
    assert again.exit_code == 0 and "finished; nothing to do" in str(again) and "instance_miou" in str(again)
    assert {path: path.read_bytes() for path in broken.out.rglob("*") if path.is_file()} == before
    with pytest.raises(UsageError, match="exists: give another folder, or --resume"):
        finetune_segment(broken)


def test_clean_reads_no_test_shape_before_its_end_and_paper_does(
    encoders: Path, tmp_path: Path, data: PartClouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned = replace(data.test, parts=data.test.parts ^ 1, points=data.test.points[:, ::-1].copy())
    runs = []
    for name, clouds in (("as-is", data), ("poisoned", replace(data, test=poisoned))):
        use(monkeypatch, clouds)
        runs.append(finetune_segment(config_for(encoders, tmp_path / name, augment="none")).result)
        finetune_segment(config_for(encoders, tmp_path / f"paper-{name}", augment="none", protocol="paper", epochs=4))
    assert runs[0] is not None and runs[1] is not None and runs[0].scores != runs[1].scores
    assert rows_of(tmp_path / "as-is") == rows_of(tmp_path / "poisoned")
    files = [tmp_path / name / "segmenter" / WEIGHTS for name in ("as-is", "poisoned")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert rows_of(tmp_path / "paper-as-is") != rows_of(tmp_path / "paper-poisoned")

    record = read_result(tmp_path / "paper-poisoned" / "result.json").protocol
    values = [row["test/instance_miou"] for row in rows_of(tmp_path / "paper-poisoned") if "test/instance_miou" in row]
    assert len(values) == 4 and not any("val/" in key for row in rows_of(tmp_path / "paper-poisoned") for key in row)
    assert record["trainings"][0]["kept_after_epochs"] == 4 - int(np.argmax(values[::-1]))
    assert record["trainings"][0]["chosen_on"] == "test" and record["trainings"][0]["answers"] == "any part"
    assert any("chosen on the test shapes" in note for note in record["notes"])
    assert any("the 4 validation shapes are trained on too" in note for note in record["notes"])
    assert record["trainings"][0]["labelled"]["shapes"] == len(data.train) + len(data.val)


def test_without_validation_shapes_the_last_epoch_is_kept(
    encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, tiny_parts.clouds(val=0))
    result = finetune_segment(config_for(encoders, tmp_path / "run", batch_size=16, min_steps=3)).result
    assert result is not None and training(out=tmp_path / "run")["kept_after_epochs"] == 3
    assert {"there are no validation shapes: the last epoch is kept", "--min-steps 3 made 3 epochs of 2"} <= set(
        result.protocol["notes"]
    )


def test_data_that_changed_after_a_seed_was_trained_is_refused(
    encoders: Path, tmp_path: Path, data: PartClouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_for(encoders, tmp_path / "run", epochs=1)
    finetune_segment(config)
    (config.out / "summary.json").unlink()  # as if stopped before the end
    use(monkeypatch, replace(data, test=replace(data.test, points=data.test.points[:, ::-1].copy())))
    with pytest.raises(RunError, match="have changed since seed 0 was trained"):
        finetune_segment(replace(config, resume=True))
    use(monkeypatch, data)
    assert finetune_segment(replace(config, resume=True)).exit_code == 0


@pytest.mark.parametrize("at", [3, 4], ids=["inside a seed", "between seeds"])
def test_an_encoder_that_changed_is_refused(
    at: int, encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(encoders / "pointnet", tmp_path / "encoder")
    config = config_for(encoders, tmp_path / "run", encoder=str(tmp_path / "encoder"), seeds=2)
    update, calls = loop.update, iter(range(1, 100))

    def interrupted(*arguments: Any, **named: Any) -> tuple[float, float]:
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGINT)
        return update(*arguments, **named)

    monkeypatch.setattr(loop, "update", interrupted)
    assert ("end of seed 0" if at == 4 else "step 3 of seed 0") in finetune_segment(config).stopped
    monkeypatch.setattr(loop, "update", update)
    save_tower(Tower(PointNet(emb_dims=8), ProjectionHead(8, 4, 4, bias=True)), tmp_path / "encoder", {})
    with pytest.raises(RunError, match=r"the weights of --encoder .*encoder have changed since .*run began"):
        finetune_segment(replace(config, resume=True))
    with pytest.raises(UsageError, match="encoder was"):
        finetune_segment(replace(config, resume=True, encoder=str(encoders / "pointnet")))
    shutil.rmtree(tmp_path / "encoder")
    shutil.copytree(encoders / "pointnet", tmp_path / "encoder")
    assert finetune_segment(replace(config, resume=True)).exit_code == 0


def test_resume_of_a_run_that_never_began_says_so(
    encoders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune_segment(config_for(encoders, tmp_path / "run", epochs=1, resume=True)).exit_code == 0
    assert "starting at step 0" in capsys.readouterr().err


def test_one_labelled_shape_is_enough(
    encoders: Path, tmp_path: Path, data: PartClouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    clouds = replace(data, train=data.train.take([0]), val=data.val.take([0]), test=data.test.take([0, 2]))
    use(monkeypatch, clouds)
    result = finetune_segment(config_for(encoders, tmp_path / "run", mode="frozen", epochs=1)).result
    assert result is not None and training(out=tmp_path / "run")["labelled"]["shapes"] == 1
    assert trained_line(result.protocol).endswith("1 labelled shape; kept after 1 of 1 epoch")


def test_every_option_at_once(encoders: Path, tmp_path: Path) -> None:
    config = config_for(
        encoders,
        tmp_path / "run",
        network="dgcnn",
        k=3,
        optimizer="sgd",
        precision="bfloat16",
        layer_decay=0.5,
        class_weights="balanced",
        augment="turn",
        votes=2,
        final_lr=0.5,
        points=0,
        grad_clip=0.0,
        epochs=1,
    )
    result = finetune_segment(config).result
    assert result is not None and result.protocol["k"] == 3
    assert result.protocol["points"]["picked"] == "all 24 points, nothing drawn"
    assert result.protocol["encoders"][0]["trained"]["k_trained_with"] == 4
    assert "SGD with momentum 0.9" in result.protocol["finetuning"]["optimizer"]


def test_smaller_shares_of_labels_lie_within_larger_ones(encoders: Path, tmp_path: Path, data: PartClouds) -> None:
    shares = [labelled_shapes(config_for(encoders, tmp_path, labels=share), data, 3) for share in (0.1, 0.4, 0.8, 1.0)]
    assert [len(own) for own in shares] == [2, 4, 8, 10]
    for smaller, larger in pairwise(shares):
        assert set(smaller.ids) < set(larger.ids)
    assert set(shares[0].categories.tolist()) == {0, 1}


def test_points_are_drawn_with_their_labels(data: PartClouds) -> None:
    marked = replace(data.train, points=np.repeat(data.train.parts[:, :, None], 3, axis=2).astype(np.float32))
    for count in (5, 24):
        points, parts = drawn_points(marked, count, torch.Generator().manual_seed(0))
        assert points.shape == (10, count, 3) and parts.shape == (10, count) and parts.dtype == torch.int64
        assert torch.equal(points[:, :, 0], parts.float())
    twice = [drawn_points(data.train, 12, torch.Generator().manual_seed(seed))[0] for seed in (0, 1)]
    assert not torch.equal(twice[0], twice[1])
    assert len(np.unique(twice[0][0].numpy(), axis=0)) == 12


def test_a_training_is_not_repeated_as_an_evaluation(encoders: Path, tmp_path: Path) -> None:
    finetune_segment(config_for(encoders, tmp_path / "run", epochs=1))
    with pytest.raises(UsageError, match=r"of a training: repeat it by `crosspoint3d finetune segment --config"):
        repeat(RepeatConfig(tmp_path / "run"))
    saved = str(tmp_path / "run" / "config.yaml")
    assert cli.run(["finetune", "segment", "--config", saved, "--out", str(tmp_path / "again")]) == 0
    assert rows_of(tmp_path / "run") == rows_of(tmp_path / "again")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 1}, "--batch-size 1"),
        ({"epochs": 0}, "--epochs 0"),
        ({"seeds": 0}, "--seeds 0"),
        ({"labels": 0.0}, "--labels 0"),
        ({"labels": 1.5}, "--labels 1.5"),
        ({"lr": 0.0}, "--lr 0"),
        ({"lr": float("nan")}, "--lr nan"),
        ({"layer_decay": 0.0}, "--layer-decay 0"),
        ({"layer_decay": 0.5, "mode": "frozen"}, "a frozen encoder learns at no rate"),
        ({"warmup": 1.0}, "--warmup 1"),
        ({"final_lr": 2.0}, "--final-lr 2"),
        ({"label_smoothing": 1.0}, "--label-smoothing 1"),
        ({"votes": 0}, "--votes 0"),
        ({"validate_every": 0}, "--validate-every 0"),
        ({"points": 25}, "--points 25: the clouds have 24 points"),
        ({"points": 3, "network": "dgcnn"}, "--points 3: fewer than the 4 .* --points 4 or more, or --k 3 or less"),
        ({"k": 4}, "no neighbour graph"),
        ({"head": "published"}, "no part segmentation head was published"),
        ({"network": "nowhere"}, "no such folder"),
        ({"encoder": "crosspoint3d.transforms:normalise"}, "CallableEncoder has no features of points"),
        ({"encoder": "crosspoint3d.transforms:normalise", "mode": "scratch"}, "architecture is not known"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(
    change: dict[str, Any], message: str, encoders: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        finetune_segment(config_for(encoders, tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()
