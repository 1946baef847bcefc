"""classify: classes and probabilities, accuracy of labelled shapes, the calibration figure and where it comes from."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from crosspoint3d import cli, models
from crosspoint3d.config import ClassifyConfig, UsageError
from crosspoint3d.evaluation.calibration import calibration
from crosspoint3d.labelling.classify import classify
from crosspoint3d.models import PointNet, build_classifier, save_classifier
from tests.labelling.fakes import NAMES, by_height, write_shapes


@pytest.fixture
def height(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "load_classifier", lambda spec, k=None: by_height())


def config(out: Path, *shapes: Path | str, model: Path | str = "M", **options: object) -> ClassifyConfig:
    return replace(ClassifyConfig(str(model), tuple(map(str, shapes)), out, device="cpu"), **options)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def labelled(root: Path, each: int) -> Path:
    """Folders `Ball` (one of them really a flat box) and `box` of as many shapes each."""
    for name in ("Ball", "box"):
        (root / name).mkdir(parents=True)
        for number in range(each):
            flat = name == "box" or number == 0
            mesh = trimesh.creation.box([2, 0.5, 2]) if flat else trimesh.creation.icosphere(2, radius=1 + number)
            mesh.export(root / name / f"{number}.ply")
    return root


@pytest.mark.usefixtures("height")
def test_labelled_shapes_give_classes_accuracy_and_their_own_figure(tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = classify(config(out, labelled(tmp_path / "in", 10), top=2, batch_size=7))
    found = rows(out / "classes.csv")
    assert list(found[0]) == [
        "id", "source", "category", "class", "probability", "class_2", "probability_2", "note",
    ]  # fmt: skip
    assert [row["class"] for row in found] == ["box"] + ["ball"] * 9 + ["box"] * 10
    assert (found[0]["probability"], found[0]["class_2"], found[0]["probability_2"]) == ("0.600000", "ball", "0.300000")
    text = str(summary)
    assert "shapes that come with a category the model knows: 20, of them right: 19 (95.0 %)" in text
    assert "11 box, 9 ball" in text
    table = np.array([[float(row[f"p:{name}"]) for name in NAMES] for row in rows(out / "probabilities.csv")])
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-5)
    expected = calibration(table, np.array([0] * 10 + [1] * 10))
    assert f"calibration error {100 * expected.ece:.1f} %" in text
    with Image.open(out / "calibration.png") as picture:
        assert min(picture.size) > 500
    assert summary.exit_code == 0


@pytest.mark.usefixtures("height")
def test_broken_files_and_few_labels(tmp_path: Path) -> None:
    summary = classify(config(tmp_path / "out", write_shapes(tmp_path / "in"), "procedural:1"))
    assert (summary.labelled, summary.failed, summary.exit_code) == (5, 3, 0)
    assert "shapes that come with a category the model knows: 2, of them right" in str(summary)
    assert "no calibration figure" in str(summary)
    assert not (tmp_path / "out" / "calibration.png").exists()
    notes = {row["id"]: row["note"] for row in rows(tmp_path / "out" / "classes.csv")}
    assert notes["Lamp-stand/few"] == "20 points, repeated to 256"
    assert len(rows(tmp_path / "out" / "failed.csv")) == 3


@pytest.mark.usefixtures("height")
def test_without_labels_the_figure_is_the_models_own(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "classifier").mkdir(parents=True)
    generator = np.random.default_rng(0)
    own = calibration(generator.dirichlet(np.ones(3), 50), generator.integers(3, size=50))
    (run / "classifier" / "calibration.json").write_text(json.dumps(own.to_dict()))
    summary = classify(config(tmp_path / "out", "procedural:2", model=run))
    assert f"on the model's own test split: calibration error {100 * own.ece:.1f} %" in str(summary)
    assert (tmp_path / "out" / "calibration.png").is_file()


@pytest.mark.usefixtures("height")
def test_resume_ends_as_if_never_stopped(tmp_path: Path) -> None:
    shapes = labelled(tmp_path / "in", 10)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = classify(config(whole, shapes))
    classify(config(cut, shapes))
    for name, kept in (("classes.csv", 6), ("probabilities.csv", 7)):
        lines = (cut / name).read_bytes().splitlines(keepends=True)
        (cut / name).write_bytes(b"".join(lines[:kept]) + lines[kept][:3])
    summary = classify(config(cut, shapes, resume=True))
    assert (summary.labelled, summary.kept) == (20, 5)
    assert (cut / "classes.csv").read_bytes() == (whole / "classes.csv").read_bytes()
    assert summary.notes == expected.notes
    assert (cut / "calibration.png").read_bytes() == (whole / "calibration.png").read_bytes()


def test_temperature_and_votes_of_a_real_network(tmp_path: Path) -> None:
    classifier = build_classifier(PointNet(emb_dims=16), NAMES, "linear", 0).eval()
    found = {}
    for temperature, votes in ((1.0, 1), (4.0, 1), (1.0, 4)):
        classifier.temperature, classifier.points = temperature, 64
        run, out = tmp_path / f"r{temperature}-{votes}", tmp_path / f"o{temperature}-{votes}"
        save_classifier(classifier, run / "classifier", {})
        classify(config(out, "procedural:3", model=run, votes=votes, top=9))
        columns = [f"p:{name}" for name in NAMES]
        table = np.array([[float(row[name]) for name in columns] for row in rows(out / "probabilities.csv")])
        found[temperature, votes] = np.log(table) - np.log(table).mean(axis=1, keepdims=True)
        assert "class_3" in rows(out / "classes.csv")[0]
    np.testing.assert_allclose(found[1.0, 1], 4 * found[4.0, 1], atol=1e-4)
    assert np.abs(found[1.0, 1] - found[1.0, 4]).max() > 3e-5


@pytest.mark.usefixtures("height")
def test_the_command_and_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["classify", "M", "procedural:2", "--out", str(out), "--device", "cpu"]
    assert cli.run(arguments) == 0
    assert "2 shapes labelled, 0 failed" in capsys.readouterr().out
    assert cli.run(arguments) == 2
    assert "in use" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--top 0"):
        classify(config(tmp_path / "o", "procedural:2", top=0))
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="no shapes found"):
        classify(config(tmp_path / "o", tmp_path / "none"))
    assert not (tmp_path / "o").exists()
