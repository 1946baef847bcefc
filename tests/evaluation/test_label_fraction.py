import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import SVC

from crosspoint3d.config import LabelFractionConfig, LinearConfig, Protocol, UsageError
from crosspoint3d.data.split import labelled_rows
from crosspoint3d.evaluation.label_fraction import label_fraction, subset_scores
from crosspoint3d.evaluation.linear_probe import linear
from crosspoint3d.evaluation.metrics import accuracy_chance
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders


def noisy(seed: int = 0, train: int = 120, test: int = 60) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(5, 12))

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 5
        return (centres[labels] + generator.normal(size=(count, 12)) + 4).astype(np.float32), labels

    return (*draw(train), *draw(test))


def use(monkeypatch: pytest.MonkeyPatch, trained: float, untrained: float, **clouds: float | bool) -> None:
    use_encoders(monkeypatch, trained=Radii(trained), untrained=Radii(untrained))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(**clouds))  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_predictions_are_those_of_a_machine_on_the_subset(protocol: Protocol) -> None:
    train, labels, test, test_labels = noisy()
    rows = labelled_rows(labels, [0.3], 1)[0]
    found = subset_scores(train, labels, rows, test, test_labels, 1, protocol)
    machine = SVC(kernel="linear", C=found.choice["C"]).fit(train[rows].astype(np.float64), labels[rows])
    predicted = machine.predict(test.astype(np.float64))
    assert np.array_equal(found.correct, predicted == test_labels)
    assert found.scores["overall_accuracy"] == (predicted == test_labels).mean()
    assert found.choice["labelled"] == len(rows) == 35
    if protocol == "paper":
        assert found.choice["C"] == pytest.approx(0.01)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
def test_one_shape_a_category_takes_ten_on_the_scaled_features(scale: float) -> None:
    train, labels, test, test_labels = noisy(1)
    train, test = train * np.float32(scale), test * np.float32(scale)
    rows = labelled_rows(labels, [0.001], 0)[0]
    found = subset_scores(train, labels, rows, test, test_labels, 0, "clean")
    known = train[rows].astype(np.float64)
    c = 10 / ((known - known.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert found.choice["C"] == pytest.approx(c, rel=1e-5)
    assert found.choice["one_shape_a_category"]
    predicted = SVC(kernel="linear", C=c).fit(known, labels[rows]).predict(test.astype(np.float64))
    assert np.array_equal(found.correct, predicted == test_labels)


def test_many_categories_of_one_shape_give_no_warning() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 30
    features = (np.eye(30)[labels] + 0.01 * generator.normal(size=(120, 30))).astype(np.float32)
    for fraction in (0.25, 0.5, 0.75):
        rows = labelled_rows(labels, [fraction], 0)[0]
        assert len(rows) == 120 * fraction
        found = subset_scores(features, labels, rows, features, labels, 0, "clean")
        assert found.scores["overall_accuracy"] == 1


@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_labels_that_are_not_known_are_not_read(protocol: Protocol) -> None:
    train, labels, test, test_labels = noisy(2)
    rows = labelled_rows(labels, [0.2], 0)[0]
    hidden = np.setdiff1d(np.arange(len(labels)), rows)
    changed, other = labels.copy(), train.copy()
    changed[hidden] = np.roll(labels[hidden], 1)
    other[hidden] = 1e6
    first = subset_scores(train, labels, rows, test, test_labels, 0, protocol)
    second = subset_scores(other, changed, rows, test, test_labels, 0, protocol)
    assert np.array_equal(first.counts, second.counts)
    assert first.choice == second.choice


@pytest.mark.parametrize("protocol", ["clean", "paper"])
@pytest.mark.parametrize("drawn", [False, True])
def test_all_labels_are_the_linear_evaluation(protocol: Protocol, drawn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 1.0, 0.3, spread=0.5, drawn=drawn)
    common = {"protocol": protocol, "seeds": 2, "points": 8, "device": "cpu"}
    share = label_fraction(LabelFractionConfig("run", "x", fractions=(0.3, 1.0), **common))  # type: ignore[arg-type]
    whole = linear(LinearConfig("run", "x", **common))  # type: ignore[arg-type]
    for name in ("overall_accuracy", "mean_class_accuracy"):
        assert share.scores[f"{name}@100%"] == whole.scores[name]
        assert share.untrained[f"{name}@100%"] == whole.untrained[name]
        assert share.chance[f"{name}@100%"] == whole.chance[name]
    assert share.details["paired"]["overall_accuracy@100%"] == whole.details["paired"]["overall_accuracy"]
    c = [seed["100%"]["C"] for seed in share.protocol["C"]["trained"]]
    assert c == [choice["C"] for choice in whole.protocol["C"]["trained"]]
    assert 0 < share.scores["overall_accuracy@100%"]["mean"] < 1


def test_perfect_and_constant_encoders_and_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 1.0, 0.0)
    config = LabelFractionConfig(
        "run", "x", fractions=(0.5, 0.025, 1.0), out=tmp_path, seeds=2, points=16, device="cpu"
    )
    result = label_fraction(config)
    names = [
        f"{name}@{share}" for name in ("overall_accuracy", "mean_class_accuracy") for share in ("2.5%", "50%", "100%")
    ]
    assert list(result.scores) == list(result.untrained) == list(result.chance) == names
    assert all(score["values"] == [1.0, 1.0] for score in result.scores.values())
    assert all(result.untrained[name]["mean"] == pytest.approx(1 / 3) for name in names)
    assert result.chance == pytest.approx(dict.fromkeys(names, 1 / 3))
    written = json.loads((tmp_path / "result.json").read_text())
    curves = written["details"]["curves"]
    assert [curve["scores"] for curve in curves] == [names[:3], names[3:]]
    assert all(curve["x"] == [2.5, 50, 100] and curve["log"] for curve in curves)
    assert written["details"]["paired"] == {name: {"unit": "test shape", "values": [1.0] * 12} for name in names[:3]}
    protocol = written["protocol"]
    assert protocol["labelled"]["shapes"] == {"2.5%": [3, 3], "50%": [15, 15], "100%": [30, 30]}
    assert [set(seed) for seed in protocol["C"]["untrained"]] == [{"2.5%", "50%", "100%"}] * 2
    assert any(note.startswith("one labelled shape a category") for note in protocol["notes"])
    assert any("collapsed" in note for note in protocol["notes"])


@pytest.mark.parametrize("protocol", ["clean", "paper"])
@pytest.mark.parametrize("fraction", [0.001, 0.2, 1.0])
def test_constant_features_score_a_constant_answer(protocol: Protocol, fraction: float) -> None:
    _, labels, _, test_labels = noisy()
    rows = labelled_rows(labels, [fraction], 0)[0]
    train, test = (np.full((len(part), 4), 0.3, np.float32) for part in (labels, test_labels))
    found = subset_scores(train, labels, rows, test, test_labels, 0, protocol)
    assert found.scores == pytest.approx(accuracy_chance(labels[rows], test_labels))


def test_paper_says_that_no_fractions_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 1.0, 0.0)
    config = LabelFractionConfig(
        "run", "x", protocol="paper", fractions=(0.1,), seeds=1, points=16, untrained=False, device="cpu"
    )
    result = label_fraction(config)
    assert any("no label fractions" in note for note in result.protocol["notes"])
    assert not any("one labelled shape" in note for note in result.protocol["notes"])
    assert not result.untrained


@pytest.mark.parametrize(
    ("fractions", "said"),
    [
        ((), "none given"),
        ((0.1, 0.0), "--fractions 0:"),
        ((1.5,), "--fractions 1.5"),
        ((-0.1,), "above 0"),
        ((float("nan"),), "--fractions nan"),
        ((0.1, 0.5, 0.1), "10% stands there more than once"),
    ],
)
def test_fractions_that_cannot_be_are_refused(fractions: tuple[float, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        label_fraction(LabelFractionConfig("run", "x", fractions=fractions))
