import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from crosspoint3d.config import FinetuneClassifyConfig, UsageError
from crosspoint3d.data.class_clouds import ClassSplit, deal_labels
from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.data.clouds_h5 import Part
from crosspoint3d.data.loaded import OWN_VAL
from crosspoint3d.evaluation.calibration import Calibration
from crosspoint3d.evaluation.result_files import read_result
from crosspoint3d.losses import smoothed_cross_entropy
from crosspoint3d.models import DGCNN, PointNet, Tower, load_encoder, save_tower
from crosspoint3d.models.load_labelled import load_classifier
from crosspoint3d.runtime import generator_for
from crosspoint3d.training.classify_results import ClassAnswers, classify_details, save_examples
from crosspoint3d.training.classify_task import classify_task
from crosspoint3d.training.finetune_classify import finetune_classify
from crosspoint3d.training.finetune_run import FinetuneResult
from tests.evaluation.fakes import cluster_clouds

CPU = torch.device("cpu")


def data(drawn: bool = False, seed: int = 0) -> LabelledClouds:
    return cluster_clouds(0.25, drawn=drawn, points=24, train=120, test=33)("here", seed=seed)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        save_tower(Tower(PointNet(32), None).eval(), folder, {"data": "nothing"})
    return str(folder)


def settings(encoder: str, out: Path, **changes: Any) -> FinetuneClassifyConfig:
    values: dict[str, Any] = {"head": "light", "epochs": 5, "batch_size": 12, "lr": 5e-3, "device": "cpu"}
    return FinetuneClassifyConfig(encoder, "here", out, **values | changes)


def run(config: FinetuneClassifyConfig, drawn: bool = False) -> FinetuneResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crosspoint3d.training.finetune_classify.load_clouds", lambda spec, *, seed: data(drawn, seed))
        return finetune_classify(config)


@pytest.fixture(scope="module")
def finished(encoder: str, tmp_path_factory: pytest.TempPathFactory) -> FinetuneResult:
    return run(settings(encoder, tmp_path_factory.mktemp("finished") / "run", seeds=2))


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_scores_are_those_of_the_network_that_is_kept(finished: FinetuneResult) -> None:
    assert finished.result is not None
    folder, clouds = Path(finished.run), data()
    best = json.loads((folder / "summary.json").read_text())["best_seed"]
    classifier = load_classifier(folder)
    assert classifier.points == 24
    with torch.inference_mode():
        logits = classifier(torch.from_numpy(clouds.test_points)).numpy()
    right = logits.argmax(axis=1) == clouds.test_labels
    scores = {name: score["values"][best] for name, score in finished.result.scores.items()}
    assert scores["overall_accuracy"] == right.mean() > 0.8
    per_class = [right[clouds.test_labels == c].mean() for c in range(3)]
    assert scores["mean_class_accuracy"] == pytest.approx(np.mean(per_class))
    assert finished.result.chance == pytest.approx({"overall_accuracy": 1 / 3, "mean_class_accuracy": 1 / 3})
    assert finished.result == read_result(folder / "result.json")
    confusion = np.array(finished.result.details["trained"]["confusion_over_seeds"])
    assert confusion.sum() == 66
    assert np.trace(confusion) / 66 == pytest.approx(finished.result.scores["overall_accuracy"]["mean"])
    assert np.mean(finished.result.details["paired"]["overall_accuracy"]["values"]) == pytest.approx(
        finished.result.scores["overall_accuracy"]["mean"], abs=1e-5
    )


def test_the_epoch_is_the_last_best_one_on_validation_shapes(finished: FinetuneResult) -> None:
    for seed in range(2):
        folder = Path(finished.run) / f"seed-{seed}"
        outcome = json.loads((folder / "outcome.json").read_text())
        found = [row for row in rows(folder) if "val/overall_accuracy" in row]
        assert len(found) == 5
        assert not any(name.startswith("test/") for row in found for name in row)
        values = [row["val/overall_accuracy"] for row in found]
        assert outcome["kept_after"] == 5 - values[::-1].index(max(values))
        assert outcome["record"]["val"]["shapes"] == 24
        assert outcome["record"]["labelled"] | {"sha256": "", "drawn": ""} == {
            "shapes": 96, "share": 1.0, "of": 120, "sha256": "", "drawn": ""
        }  # fmt: skip


def test_probabilities_are_calibrated_and_kept_beside_the_network(finished: FinetuneResult) -> None:
    assert finished.result is not None
    folder, clouds = Path(finished.run), data()
    best = json.loads((folder / "summary.json").read_text())["best_seed"]
    outcome = json.loads((folder / f"seed-{best}" / "outcome.json").read_text())
    classifier = load_classifier(folder)
    assert classifier.temperature == outcome["record"]["temperature"]["value"]
    recorded = Calibration.from_dict(json.loads((folder / "classifier" / "calibration.json").read_text()))
    assert sum(found.count for found in recorded.bins) == 33
    assert recorded.ece == outcome["scores"]["expected_calibration_error"]
    with torch.inference_mode():
        logits = classifier(torch.from_numpy(clouds.test_points)).numpy()
    own = softmax(logits.astype(np.float64) / classifier.temperature, axis=1)[np.arange(33), clouds.test_labels]
    assert recorded.nll == pytest.approx(-np.log(own).mean(), rel=1e-4)
    both = finished.result.details["calibration"]
    assert sum(found["count"] for found in both["before"]["bins"]) == 66
    assert both["before"]["accuracy"] == both["after"]["accuracy"]
    assert (folder / "calibration.png").stat().st_size > 1000


def test_the_run_folder_holds_tables_examples_and_the_encoder(finished: FinetuneResult, encoder: str) -> None:
    folder = Path(finished.run)
    assert (folder / "per_class.csv").read_text().startswith("category,test_shapes")
    assert (folder / "confusion.csv").read_text().startswith("truth,a,b,c")
    with np.load(folder / "examples.npz") as examples:
        assert examples["points"].shape[1:] == (24, 3)
        assert examples["category_names"].tolist() == ["a", "b", "c"]
    tower, start = load_encoder(folder), load_encoder(encoder)
    own = load_classifier(folder).encoder.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in tower.encoder.state_dict().items())
    first = next(iter(start.encoder.state_dict()))
    assert not torch.equal(start.encoder.state_dict()[first], own[first])
    weights = json.loads((folder / "weights.json").read_text())
    assert all(name.startswith("encoder.") for name in weights["taken"])
    assert all(name.startswith("head.") for name in weights["new"])


def test_a_seed_alone_scores_the_same_and_a_finished_run_stays(
    finished: FinetuneResult, encoder: str, tmp_path: Path
) -> None:
    config = settings(encoder, tmp_path / "run", seeds=1)
    alone = run(config)
    assert alone.result is not None and finished.result is not None
    for name, score in alone.result.scores.items():
        assert score["values"] == finished.result.scores[name]["values"][:1]
    again = run(replace(config, resume=True))
    assert "nothing to do" in str(again)
    assert again.result == alone.result
    with pytest.raises(UsageError, match="--resume cannot change"):
        run(replace(config, resume=True, lr=0.1))
    with pytest.raises(UsageError, match="exists: give another folder"):
        run(config)


def test_paper_trains_on_all_labelled_shapes_and_chooses_on_test(encoder: str, tmp_path: Path) -> None:
    found = run(settings(encoder, tmp_path / "run", protocol="paper", mode="frozen", head="auto", epochs=2))
    assert found.result is not None
    outcome = json.loads((tmp_path / "run" / "seed-0" / "outcome.json").read_text())
    assert outcome["chosen_on"] == "test"
    assert outcome["record"]["labelled"]["shapes"] == 120
    assert outcome["record"]["temperature"]["value"] == 1
    assert outcome["record"]["head"] == "linear"
    assert sum("test/overall_accuracy" in row for row in rows(tmp_path / "run" / "seed-0")) == 2
    assert any("chosen on the test shapes" in note for note in found.result.protocol["notes"])
    assert any("not calibrated" in note for note in found.result.protocol["notes"])
    frozen, start = load_encoder(tmp_path / "run").state_dict(), load_encoder(encoder).state_dict()
    assert all(torch.equal(value, start[name]) for name, value in frozen.items())


def test_with_one_label_a_category_the_last_epoch_is_kept(encoder: str, tmp_path: Path) -> None:
    changes = {"labels": 0.01, "mode": "scratch", "class_weights": "balanced", "votes": 3, "points": 20, "epochs": 2}
    found = run(settings(encoder, tmp_path / "run", **changes), drawn=True)
    assert found.result is not None
    outcome = json.loads((tmp_path / "run" / "seed-0" / "outcome.json").read_text())
    assert (outcome["chosen_on"], outcome["kept_after"]) == (None, 2)
    assert found.result.protocol["data"]["train_shapes"] == 3
    assert found.result.protocol["data"]["val_shapes"] == 0
    notes = " ".join(found.result.protocol["notes"])
    assert "the last epoch is kept" in notes
    assert "not calibrated: there are no validation shapes" in notes
    assert not json.loads((tmp_path / "run" / "weights.json").read_text())["taken"]
    assert "20 of 24 points" in str(found)


def test_the_datas_own_validation_shapes_choose(encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clouds = data()
    val = Part(clouds.test_points[::-1, :18].copy(), ["c", "b", "a"] * 11, [f"v{row}" for row in range(33)], ["x"] * 33)
    clouds = replace(clouds, val=val, record=clouds.record | {"left_out": {"val": 33}})
    monkeypatch.setattr("crosspoint3d.training.finetune_classify.load_clouds", lambda *_, **__: clouds)
    found = finetune_classify(settings(encoder, tmp_path / "run", labels=0.5, epochs=1))
    assert found.result is not None
    record = found.result.protocol
    assert record["points"]["count"] == 18, "as many as all splits have"
    assert record["data"]["val"]["from"] == OWN_VAL and record["data"]["left_out"] == {"val": 0}
    assert record["trainings"][0]["labelled"]["shapes"] == record["data"]["train_shapes"] == 60
    assert any("all 33 validation shapes: their labels are beside --labels" in note for note in record["notes"])


def test_the_loss_is_the_smoothed_cross_entropy_of_the_batch(encoder: str, tmp_path: Path) -> None:
    clouds = deal_labels(data(), seed=0, fraction=0.2, protocol="clean")
    config = settings(encoder, tmp_path, points=24, augment="none", label_smoothing=0.1)
    task = classify_task(config, clouds, 0, CPU)
    assert task.shapes == len(clouds.train)
    batch = np.array([5, 0, 3])
    task.model.eval()
    loss = task.loss(batch, generator_for(0))
    logits = task.model(torch.from_numpy(clouds.train.points[batch]))
    torch.testing.assert_close(loss, smoothed_cross_entropy(logits, torch.from_numpy(clouds.train.labels[batch]), 0.1))
    augmented = classify_task(replace(config, augment="shift"), clouds, 0, CPU)
    augmented.model.eval()
    first, again, other = (augmented.loss(batch, generator_for(seed)) for seed in (0, 0, 1))
    assert first == again != other


def answers(count: int = 60) -> ClassAnswers:
    generator = np.random.default_rng(3)
    labels = generator.integers(4, size=count)
    points = generator.normal(size=(count, 8, 3)).astype(np.float32)
    given = softmax(3 * np.eye(4)[labels] + 2 * generator.normal(size=(count, 4)), axis=1).astype(np.float32)
    test = ClassSplit(points, labels, tuple(f"s{number}" for number in range(count)))
    return ClassAnswers(test, given, np.full((count, 4), 0.25, dtype=np.float32))


def test_examples_are_the_surest_mistakes_and_right_answers_of_each_category(tmp_path: Path) -> None:
    given = answers()
    save_examples(tmp_path / "examples.npz", given, ["p", "q", "r", "s"])
    with np.load(tmp_path / "examples.npz") as file:
        found = dict(file)
    wrong = found["kinds"] == "wrong"
    sure = given.probabilities.max(axis=1)
    mistakes = sorted(sure[~given.correct].tolist(), reverse=True)
    assert found["probability"][wrong].tolist() == mistakes[:12]
    assert (found["truth"] != found["predicted"]).tolist() == wrong.tolist()
    assert sorted(found["truth"][~wrong].tolist()) == [0, 1, 2, 3]
    for name, truth, probability in zip(found["ids"], found["truth"], found["probability"], strict=True):
        row = int(name[1:])
        assert given.test.labels[row] == truth
        assert sure[row] == probability
        if given.correct[row]:
            assert probability == sure[given.correct & (given.test.labels == truth)].max()


def test_details_of_seeds_with_other_test_shapes_are_laid_end_to_end() -> None:
    given = answers()
    details = classify_details([given, given], ["p", "q", "r", "s"], same=False)
    assert len(details["paired"]["overall_accuracy"]["values"]) == 120
    assert details["calibration"]["before"]["confidence"] == pytest.approx(0.25)
    right = [given.correct[given.test.labels == c].mean() for c in range(4)]
    assert details["trained"]["per_class_accuracy"] == pytest.approx(right)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": 25}, "--points 25: the clouds have 24 points"),
        ({"labels": 0.0}, "--labels 0.0: must be above 0"),
        ({"labels": 1.5}, "--labels 1.5: a share"),
        ({"batch_size": 1}, "--batch-size 1: must be at least 2"),
        ({"k": 5}, "k=5: PointNet has no neighbour graph"),
        ({"encoder": "random:pointnet-partseg", "head": "published"}, "no classification head was published"),
        ({"encoder": "nowhere"}, "encoder nowhere: no such folder"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    encoder: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(replace(settings(encoder, tmp_path / "run"), **changes))
    assert not (tmp_path / "run").exists()


def test_fewer_points_than_neighbours_are_refused(tmp_path: Path) -> None:
    save_tower(Tower(DGCNN(30, 8, 0.1), None), tmp_path / "encoder", {})
    with pytest.raises(UsageError, match=r"^the clouds have 24 points: fewer than the 30 .* clouds of 30 points"):
        run(settings(str(tmp_path / "encoder"), tmp_path / "run"))
    with pytest.raises(UsageError, match=r"--points 20: fewer than the 30 .* clouds of 30 points or more, or --k 20"):
        run(settings(str(tmp_path / "encoder"), tmp_path / "run", points=20))
    assert not (tmp_path / "run").exists()
