import json
from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.cli import run
from crosspoint3d.config import LinearConfig, RepeatConfig, SegmentationConfig, UsageError
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.repeat import repeat
from crosspoint3d.evaluation.result_files import read_result
from crosspoint3d.evaluation.segmentation import segmentation
from crosspoint3d.models import save_segmenter
from tests.evaluation import part_fakes
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.1))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(0.3))
    linear(LinearConfig(encoder="run", data="somewhere", seeds=2, points=8, device="cpu", out=tmp_path / "linear"))
    return tmp_path / "linear" / "result.json"


def test_a_result_repeats_from_its_record_alone(result: Path) -> None:
    before = result.read_bytes()
    repetition = repeat(RepeatConfig(result.parent))
    assert repetition.exit_code == 0 and repetition.circumstances == {}
    assert set(repetition.differences.values()) == {0.0}
    assert str(repetition).splitlines()[-1] == "repeated"
    assert result.read_bytes() == before
    again = read_result(result.parent / "repeated" / "result.json")
    assert again.scores == read_result(result).scores and again.protocol["config"]["points"] == 8


def test_another_encoder_is_found_out(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(0.0), untrained=Radii(0.1))
    repetition = repeat(RepeatConfig(result, encoder="elsewhere"))
    assert repetition.exit_code == 1 and list(repetition.circumstances) == ["encoder"]
    assert repetition.repeated.protocol["encoder"] == "elsewhere"
    assert str(repetition).splitlines()[-1] == "NOT REPEATED"


def test_other_clouds_of_the_same_names_are_found_out(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(0.30001))
    assert list(repeat(RepeatConfig(result)).circumstances) == ["clouds"]


def test_an_untrained_twin_of_other_scores_is_found_out(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    repetition = repeat(RepeatConfig(result))
    assert repetition.exit_code == 1
    assert repetition.differences["overall_accuracy"] == 0
    assert (repetition.differences["untrained overall_accuracy"] or 0) > 0.1


def test_the_recorded_result_is_never_written_over(result: Path) -> None:
    before = result.read_bytes()
    with pytest.raises(UsageError, match="the recorded result is there"):
        repeat(RepeatConfig(result, out=result.parent / "x" / ".."))
    assert result.read_bytes() == before


def test_a_score_that_is_missing_is_not_repeated(result: Path) -> None:
    values = json.loads(result.read_text())
    values["scores"]["another"] = values["scores"]["overall_accuracy"]
    result.write_text(json.dumps(values))
    repetition = repeat(RepeatConfig(result, tolerance=1.0))
    assert repetition.differences["another"] is None and repetition.exit_code == 1
    assert "missing" in str(repetition)


@pytest.mark.parametrize(
    ("text", "message"), [("{}", "no result"), ("[", "no result"), (None, "No such file"), ("odd", "'odd' is unknown")]
)
def test_what_is_no_result_is_refused(text: str | None, message: str, tmp_path: Path, result: Path) -> None:
    file = tmp_path / "other.json"
    if text == "odd":
        file.write_text(json.dumps(json.loads(result.read_text()) | {"evaluation": "odd"}))
    elif text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=message):
        repeat(RepeatConfig(file))


@pytest.mark.parametrize(
    ("place", "name", "value", "message"),
    [
        (["protocol", "config"], "seeds", "2", "config, seeds: expected a whole number, got '2'"),
        (["protocol", "config"], "protocol", "claen", "did you mean 'clean'"),
        (["protocol", "config"], "shots", 3, "option shots is unknown here: version "),
        (["protocol", "config"], "data", None, "data: expected text, got None"),
        (["protocol"], "environment", None, "is no result"),
        (["protocol"], "encoders", [1], "is no result"),
    ],
)
def test_a_record_that_was_edited_is_refused_before_anything_runs(
    place: list[str], name: str, value: object, message: str, result: Path
) -> None:
    record = inner = json.loads(result.read_text())
    for part in place:
        inner = inner[part]
    inner[name] = value
    result.write_text(json.dumps(record))
    with pytest.raises(UsageError, match=message):
        repeat(RepeatConfig(result))
    assert not (result.parent / "repeated").exists()


def test_a_record_without_a_needed_option_is_refused(result: Path) -> None:
    record = json.loads(result.read_text())
    del record["protocol"]["config"]["data"]
    result.write_text(json.dumps(record))
    with pytest.raises(UsageError, match="config: data is missing"):
        repeat(RepeatConfig(result))


@pytest.mark.parametrize("verb", ["segment", "classify"])
def test_of_a_training_the_verb_is_named_that_repeats_it(verb: str, result: Path) -> None:
    result.write_text(json.dumps(json.loads(result.read_text()) | {"evaluation": verb}))
    with pytest.raises(
        UsageError, match=f"crosspoint3d finetune {verb} --config {result.parent}/config.yaml --out OTHER"
    ):
        repeat(RepeatConfig(result))


def test_a_segmentation_repeats_from_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "crosspoint3d.evaluation.segmentation.load_part_clouds", lambda spec, seed, categories: part_fakes.data()
    )
    for seed in range(2):
        save_segmenter(part_fakes.small_segmenter(seed), tmp_path / f"model-{seed}", {})
    first = SegmentationConfig(
        str(tmp_path / "model-0"),
        "parts",
        tmp_path / "out",
        points=10,
        seeds=2,
        votes=2,
        protocol="paper",
        device="cpu",
    )
    segmentation(first)
    repetition = repeat(RepeatConfig(tmp_path / "out"))
    assert repetition.exit_code == 0 and repetition.circumstances == {}
    assert "instance_miou" in repetition.differences and set(repetition.differences.values()) == {0.0}
    again = read_result(tmp_path / "out" / "repeated" / "result.json").protocol["config"]
    assert again["votes"] == 2 and again["points"] == 10 and again["model"] == first.model
    with pytest.raises(UsageError, match="--cache: evaluate segmentation keeps no features; leave it out"):
        repeat(RepeatConfig(tmp_path / "out", cache=True, out=tmp_path / "other"))
    assert not (tmp_path / "other").exists()
    other = repeat(RepeatConfig(tmp_path / "out", encoder=str(tmp_path / "model-1"), out=tmp_path / "other"))
    assert other.exit_code == 1 and list(other.circumstances) == ["encoder"]


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--encoder", "random:pointnet", "--data", "procedural:96", "--points", "64", "--device", "cpu"]
    few_shot = ["evaluate", "few-shot", *words, "--k-shot", "2", "--n-query", "1", "--seeds", "2", "--n-way", "3"]
    assert run([*few_shot, "--out", str(tmp_path)]) == 0
    assert "the encoder is itself untrained" in capsys.readouterr().out
    assert run(["evaluate", "repeat", str(tmp_path / "result.json")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "repeated"
    assert np.isfinite(read_result(tmp_path / "repeated" / "result.json").scores["accuracy"]["mean"])
