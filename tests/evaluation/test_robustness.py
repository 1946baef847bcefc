import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from crosspoint3d.config import LinearConfig, RobustnessConfig, UsageError
from crosspoint3d.data.clouds import LabelledClouds
from crosspoint3d.evaluation import robustness as module
from crosspoint3d.evaluation.conditions import KINDS
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.machine import PAPER_C, machine_answers
from crosspoint3d.evaluation.robustness import robustness
from tests.data.published.test_scanobjectnn import variant
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders

SPEC = f"{__name__}:sixteen_points"


def sixteen_points(points: torch.Tensor) -> torch.Tensor:
    """An encoder that takes 16 points and no other number."""
    return points.reshape(len(points), 16, 3).abs().mean(1)


class Height(Radii):
    """A feature that turns about the vertical leave as it is."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return super().forward(points)[:, 1:2]


def data(monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    for where in ("seeds", "robustness", "scored_shapes"):
        monkeypatch.setattr(f"crosspoint3d.evaluation.{where}.load_clouds", cluster_clouds(**options))


def config(**changes: Any) -> RobustnessConfig:
    values = {"encoder": "run", "data": "somewhere", "seeds": 2, "points": 16, "device": "cpu", "test_shapes": 0}
    return RobustnessConfig(**(values | changes))


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_a_machine_answers_as_a_linear_svc(protocol: Any) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 5
    centres = generator.normal(size=(5, 8))
    train = (centres[labels] + generator.normal(size=(90, 8)) + 3).astype(np.float32)
    queries = generator.normal(size=(40, 8)).astype(np.float32) + 3
    answers, choice = machine_answers(train, labels, queries, 0, protocol)
    for found, c in zip(answers, PAPER_C if protocol == "paper" else [choice["C"]], strict=True):
        machine = SVC(kernel="linear", C=c).fit(train.astype(np.float64), labels)
        np.testing.assert_array_equal(found, machine.predict(queries.astype(np.float64)))
    assert choice["C"] == pytest.approx(0.01) or protocol == "clean"


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_clean_clouds_score_as_in_linear(monkeypatch: pytest.MonkeyPatch, protocol: Any) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.5))
    data(monkeypatch, spread=0.4)
    found = robustness(config(protocol=protocol, corruptions=("jitter",)))
    same = linear(LinearConfig("run", "somewhere", seeds=2, points=16, device="cpu", protocol=protocol))
    for name in ("overall_accuracy", "mean_class_accuracy"):
        assert found.scores[name] == same.scores[name] and found.untrained[name] == same.untrained[name]
    assert found.details["paired"]["overall_accuracy"] == same.details["paired"]["overall_accuracy"]


def test_result_and_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    data(monkeypatch)
    result = robustness(config(out=tmp_path))
    names = [name.partition("@")[2] for name in result.scores if "@" in name]
    assert names == [f"{kind}={level.name}" for kind in KINDS if kind != "fewer" for level in KINDS[kind].levels]
    accuracy = [result.scores[f"overall_accuracy@{name}"]["mean"] for name in names]
    assert result.scores["overall_accuracy"]["mean"] == 1
    assert result.scores["mean_over_corruptions"]["mean"] == pytest.approx(np.mean(accuracy))
    assert result.scores["mean_over_corruptions"]["mean"] < 1
    assert result.scores["relative_robustness"] == result.scores["mean_over_corruptions"]
    for name in ("scale=0.8", "scale=1.25", "jitter=0.01"):
        assert result.scores[f"overall_accuracy@{name}"]["mean"] > 0.9
    for name, score in result.untrained.items():
        wanted = 1.0 if name == "relative_robustness" else result.chance[name]
        assert score["mean"] == pytest.approx(wanted), "a collapsed encoder scores chance under every condition"
    shown = {score for curve in result.details["curves"] for score in curve["scores"]}
    assert shown <= set(result.scores) and shown >= {f"overall_accuracy@{n}" for n in names if n != "scale=anisotropic"}
    units = result.details["paired"]["mean_over_corruptions"]
    assert units["unit"] == "test shape" and len(units["values"]) == 12
    assert np.mean(units["values"]) == pytest.approx(result.scores["mean_over_corruptions"]["mean"], abs=1e-5)
    protocol = json.loads((tmp_path / "result.json").read_text())["protocol"]
    assert protocol["corruptions"]["jitter"]["levels"] == ["0.01", "0.02", "0.03", "0.05"]
    assert "normalised anew" in protocol["corruptions"]["jitter"]["what"]
    assert "crc32" in protocol["corruptions_drawn_by"] and protocol["test_subset"]["shapes"] == 12
    assert protocol["test_subset"]["split_sha256"] != protocol["data"]["split_sha256"]
    assert len(protocol["C"]["trained"]) == len(protocol["C"]["untrained"]) == 2
    assert any(note.startswith("left out: fewer=512") for note in protocol["notes"])
    assert any("collapsed" in note for note in protocol["notes"])


def test_what_an_encoder_cannot_see_costs_it_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Height(1.0), untrained=Radii(0.0))
    data(monkeypatch)
    result = robustness(config(corruptions=("so3", "rotate_z")))
    clean = result.scores["overall_accuracy"]
    assert all(result.scores[f"overall_accuracy@rotate_z={x}"] == clean for x in ("15", "30", "60", "90", "random"))
    assert result.scores["overall_accuracy@so3=random"]["mean"] < clean["mean"]


def test_every_encoder_gets_the_same_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[np.ndarray]] = {"one": [], "two": []}

    class Watching(Radii):
        def forward(self, points: torch.Tensor) -> torch.Tensor:
            seen[current].append(points.numpy().copy())
            return super().forward(points)

    for current in seen:
        use_encoders(monkeypatch, trained=Watching(1.0 if current == "one" else 2.0), untrained=Radii(0.0))
        data(monkeypatch)
        robustness(config(seeds=1, cache=False, untrained=False, corruptions=("jitter", "partial"), limit=1.0))
    assert len(seen["one"]) == len(seen["two"]) == 2 + 4 + 3
    assert all(np.array_equal(a, b) for a, b in zip(seen["one"], seen["two"], strict=True))


def test_a_stratified_part_of_the_test_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    data(monkeypatch)
    result = robustness(config(test_shapes=5, corruptions=("drop",)))
    assert len(result.details["paired"]["overall_accuracy"]["values"]) == 5
    assert result.protocol["test_subset"]["shapes"] == 5 and result.protocol["test_subset"]["of"] == 12
    assert any(note.startswith("5 of 12 test shapes, stratified") for note in result.protocol["notes"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_shapes": 13}, "--test-shapes 13"),
        ({"test_shapes": -1}, "--test-shapes -1: must be at least 0"),
        ({"corruptions": ("spin",)}, "--corruptions spin"),
        ({"corruptions": ("fewer",)}, "--corruptions fewer: nothing can be run"),
    ],
)
def test_wrong_usage_is_found_out_first(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str) -> None:
    calls = use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    data(monkeypatch)
    with pytest.raises(UsageError, match=message):
        robustness(config(**changes))
    assert calls == [] or "fewer" in message


def test_transfer_is_scored_by_the_same_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    data(monkeypatch)

    def other(spec: str, *, seed: int) -> LabelledClouds:
        clouds = cluster_clouds(test=9)(spec, seed=seed)
        clouds.record["variant"] = "HARD"
        clouds.test_points[:3] = clouds.test_points[3:6, :, [1, 2, 0]]  # three shapes of another category
        return clouds

    monkeypatch.setattr("crosspoint3d.evaluation.scored_shapes.load_clouds", other)
    result = robustness(config(corruptions=("none",), transfer=("other",)))
    names = ["overall_accuracy", "mean_class_accuracy"]
    assert list(result.scores) == [*names, *(f"{name}@transfer=HARD" for name in names)]
    assert result.scores["overall_accuracy@transfer=HARD"]["mean"] == pytest.approx(6 / 9)
    assert result.untrained["overall_accuracy@transfer=HARD"]["mean"] == pytest.approx(1 / 3)
    assert result.protocol["transfer"]["HARD"]["name"] == "other" and result.details["curves"] == []
    assert set(result.details["paired"]) == {"overall_accuracy"}


def test_published_variants_of_scanobjectnn(tmp_path: Path) -> None:
    for seed, name in enumerate(("OBJ_BG", "PB_T50_RS")):
        variant(tmp_path, name, seed=seed)
    spec = f"scanobjectnn:{tmp_path}"
    options = {"data": spec, "transfer": (f"{spec}:PB_T50_RS",), "corruptions": ("none",), "encoder": "random:pointnet"}
    result = robustness(config(**options, seeds=1, limit=1.0))
    assert "overall_accuracy@transfer=PB_T50_RS" in result.scores
    record = result.protocol["transfer"]["PB_T50_RS"]
    assert record["variant"] == "PB_T50_RS" and len(record["files"]) == 2
    assert result.protocol["data"]["variant"] == "OBJ_BG"


def test_a_network_of_16_points_is_left_out_where_there_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    data(monkeypatch)
    result = robustness(config(encoder=SPEC, corruptions=("partial", "jitter")))
    assert not any("partial" in name for name in result.scores) and "mean_over_corruptions" in result.scores
    (note,) = (note for note in result.protocol["notes"] if note.startswith("left out"))
    assert "partial=75%, partial=50%, partial=25% (the encoder cannot take another number of points: shape" in note
    assert set(result.protocol["corruptions"]) == {"jitter"}
    with pytest.raises(UsageError, match=r"--corruptions partial: nothing can be run.*partial=25%"):
        robustness(config(encoder=SPEC, corruptions=("partial",)))


def test_other_errors_of_an_encoder_are_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Radii):
        def forward(self, points: torch.Tensor) -> torch.Tensor:
            if points.shape[1] < 16:
                raise RuntimeError("broken")
            return super().forward(points)

    use_encoders(monkeypatch, trained=Broken(1.0), untrained=Radii(0.0))
    data(monkeypatch)
    with pytest.raises(RuntimeError, match="broken"):
        robustness(config(corruptions=("partial",)))


def test_the_same_config_gives_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.5))
    data(monkeypatch, spread=0.4, drawn=True)
    first, second = (robustness(config(points=8)) for _ in range(2))
    assert (first.scores, first.untrained, first.details) == (second.scores, second.untrained, second.details)
    assert len(first.details["paired"]["overall_accuracy"]["values"]) == 2 * 12, "each seed has test shapes of its own"
    assert module.MEAN in first.scores
