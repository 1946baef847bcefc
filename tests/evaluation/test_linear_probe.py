import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import SVC

from crosspoint3d.config import LinearConfig
from crosspoint3d.evaluation import linear_probe
from crosspoint3d.evaluation.classes import ClassScores
from crosspoint3d.evaluation.linear_probe import linear, linear_scores
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders


def noisy(seed: int = 0, train: int = 150, test: int = 60) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(5, 12))

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 5
        return (centres[labels] + generator.normal(size=(count, 12)) + 4).astype(np.float32), labels

    return (*draw(train), *draw(test))


def predictions(features: np.ndarray, labels: np.ndarray, queries: np.ndarray, c: float) -> np.ndarray:
    model = SVC(kernel="linear", C=c).fit(features.astype(np.float64), labels)
    return model.predict(queries.astype(np.float64))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_clean_predictions_are_those_of_a_linear_kernel(scale: float) -> None:
    train, train_labels, test, test_labels = noisy()
    train, test = train * np.float32(scale), test * np.float32(scale)
    found = linear_scores(train, train_labels, test, test_labels, 0, "clean")
    predicted = predictions(train, train_labels, test, found.choice["C"])
    assert found.scores["overall_accuracy"] == (predicted == test_labels).mean()
    assert found.counts[test_labels, predicted].min() > 0
    tried = [float(e) for e in found.choice["cross_validation"]]
    assert min(tried) < found.choice["exponent"] < max(tried)


def test_a_factor_on_the_features_changes_no_prediction() -> None:
    train, train_labels, test, test_labels = noisy(1)
    runs = [
        linear_scores(train * np.float32(s), train_labels, test * np.float32(s), test_labels, 0, "clean")
        for s in (1e-3, 1.0, 1e3)
    ]
    assert all(np.array_equal(run.counts, runs[0].counts) for run in runs)
    assert len({run.choice["exponent"] for run in runs}) == 1
    assert runs[0].choice["C"] == pytest.approx(1e12 * runs[2].choice["C"], rel=1e-4)


def test_paper_uses_the_published_c_on_features_as_they_are() -> None:
    train, train_labels, test, test_labels = noisy(2)
    found = linear_scores(train, train_labels, test, test_labels, 0, "paper")
    for c, suffix in ((0.01, ""), (0.1, "_C0.1")):
        predicted = predictions(train, train_labels, test, c)
        assert found.scores[f"overall_accuracy{suffix}"] == (predicted == test_labels).mean()
    assert found.choice["C"] == pytest.approx(0.01)


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_constant_features_score_a_constant_answer(protocol: str) -> None:
    train, train_labels, test, test_labels = noisy()
    train, test = np.full_like(train, 0.3), np.full_like(test, 0.3)
    found = linear_scores(train, train_labels, test, test_labels, 0, protocol)  # type: ignore[arg-type]
    assert found.scores["mean_class_accuracy"] == pytest.approx(1 / 5)
    assert found.choice["constant_features"]


def test_perfect_features_score_one() -> None:
    labels = np.arange(40) % 4
    features = np.eye(4, dtype=np.float32)[labels]
    found = linear_scores(features, labels, features[:20], labels[:20], 0, "clean")
    assert found.scores == {"overall_accuracy": 1.0, "mean_class_accuracy": 1.0}


def test_linear_writes_both_encoders_and_the_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    config = LinearConfig("run", "somewhere", out=tmp_path / "out", seeds=2, points=16, device="cpu")
    result = linear(config)
    assert result.scores["overall_accuracy"]["values"] == [1.0, 1.0]
    assert result.untrained["mean_class_accuracy"]["mean"] == pytest.approx(result.chance["mean_class_accuracy"])
    assert calls == ["trained", "untrained 0", "untrained 1"], "all points are used: the trained run is shared"
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written["evaluation"] == "linear"
    assert set(written["scores"]["overall_accuracy"]) == {"mean", "std", "ci95", "n", "values"}
    protocol = written["protocol"]
    assert protocol["seeds"] == [0, 1]
    assert len(protocol["C"]["trained"]) == len(protocol["C"]["untrained"]) == 2
    assert protocol["points"] == {"count": 16, "picked": "all 16 points, nothing drawn"}
    assert len(protocol["data"]["split_sha256"]) == 64
    assert sum(map(sum, written["details"]["trained"]["confusion_over_seeds"])) == 2 * 12
    assert written["details"]["trained"]["per_class_accuracy"] == [1.0] * 3
    assert any("collapsed" in note for note in protocol["notes"])


def test_paper_repeats_nothing_that_cannot_change(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    fits: list[int] = []

    def counted(*args: object) -> ClassScores:
        fits.append(1)
        return linear_scores(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(linear_probe, "linear_scores", counted)
    config = LinearConfig("run", "somewhere", protocol="paper", seeds=3, points=16, device="cpu")
    result = linear(config)
    assert len(fits) == 4
    assert result.scores["overall_accuracy"]["std"] == 0
    assert any("nothing" in note and "random" in note for note in result.protocol["notes"])
    assert "overall_accuracy_C0.1" in result.scores


def test_a_random_encoder_is_its_own_untrained_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    result = linear(LinearConfig("random:dgcnn", "somewhere", seeds=2, points=8, device="cpu"))
    assert calls == ["trained", "trained"]
    assert result.scores == result.untrained
    assert result.protocol["points"]["picked"] == "8 of 16 points, drawn at random from the seed"


def test_the_same_config_gives_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.5))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(spread=0.4))
    config = LinearConfig("run", "somewhere", seeds=2, points=8, device="cpu")
    first, second = linear(config), linear(config)
    assert (first.scores, first.untrained, first.details) == (second.scores, second.untrained, second.details)
    passing = {"date", "seconds", "encoders"}
    for name in first.protocol.keys() - passing:
        assert first.protocol[name] == second.protocol[name], name
