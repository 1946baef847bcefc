import json
from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.config import KnnConfig, UsageError
from crosspoint3d.evaluation import knn as module
from crosspoint3d.evaluation.knn import NUMBERS, knn, knn_predictions, knn_scores, unit_length
from crosspoint3d.evaluation.metrics import accuracy_chance
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders


def by_definition(train: np.ndarray, labels: np.ndarray, query: np.ndarray, number: int) -> int:
    """The vote of one query, neighbour by neighbour, without ties."""
    train, query = train.astype(np.float64), query.astype(np.float64)
    cosine = train @ query / np.linalg.norm(train, axis=1) / np.linalg.norm(query)
    votes: dict[int, float] = {}
    for row in np.argsort(-cosine)[:number]:
        votes[labels[row]] = votes.get(labels[row], 0.0) + np.exp(cosine[row] / 0.07)
    return max(votes, key=lambda label: votes[label])


def noisy(seed: int, train: int = 80, test: int = 50) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(4, 6))

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = generator.integers(4, size=count)
        labels[:4] = np.arange(4)
        lengths = generator.uniform(0.1, 10, size=(count, 1))
        return ((centres[labels] + 0.8 * generator.normal(size=(count, 6))) * lengths).astype(np.float32), labels

    return (*draw(train), *draw(test))


@pytest.mark.parametrize("block", [7, 512])
def test_votes_are_those_of_the_definition(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    train, labels, test, _ = noisy(block)
    numbers = [1, 2, 5, 20, 80]
    found = knn_predictions(unit_length(train), labels, unit_length(test), numbers)
    expected = [[by_definition(train, labels, query, number) for query in test] for number in numbers]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("block", [7, 512])
def test_leave_one_out_asks_all_the_others(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    train, labels, _, _ = noisy(block + 1)
    rows = unit_length(train)
    found = knn_predictions(rows, labels, rows, [1, 5, 79], leave_one_out=True)
    for index, number in enumerate([1, 5, 79]):
        for own in range(len(train)):
            others = np.delete(np.arange(len(train)), own)
            assert found[index, own] == by_definition(train[others], labels[others], train[own], number)


def test_the_number_is_the_best_of_leave_one_out_and_the_smallest_of_equals() -> None:
    train, labels, test, test_labels = noisy(3, train=60)
    choice = knn_scores(train, labels, test, test_labels).choice
    tried = {int(number): accuracy for number, accuracy in choice["leave_one_out"].items()}
    assert tuple(tried) == tuple(number for number in NUMBERS if number < 60)
    best = max(tried.values())
    assert choice["neighbours"] == min(number for number, accuracy in tried.items() if accuracy == best)
    assert len(set(tried.values())) > 1


def test_the_test_split_does_not_decide_the_number() -> None:
    train, labels, test, test_labels = noisy(4)
    first = knn_scores(train, labels, test, test_labels).choice
    other = knn_scores(train, labels, -test[::-1], np.roll(test_labels, 1)).choice
    assert first == other


def test_a_perfect_encoder_scores_one() -> None:
    labels = np.arange(45) % 5
    features = np.eye(5, dtype=np.float32)[labels] * np.float32(3)
    for neighbours in (0, 1, 9, 20, 45):
        found = knn_scores(features, labels, features[:10], labels[:10], neighbours)
        assert found.scores == {"overall_accuracy": 1.0, "mean_class_accuracy": 1.0}


@pytest.mark.parametrize("noise", [0.0, 2e-7])
@pytest.mark.parametrize("counts", [(8, 8, 8), (5, 9, 6), (3, 8, 8)])
@pytest.mark.parametrize("arranged", ["sorted", "reversed", "interleaved"])
@pytest.mark.parametrize("neighbours", [0, 1, 5, 17])
def test_a_constant_encoder_always_answers_the_most_frequent_category(
    noise: float, counts: tuple[int, ...], arranged: str, neighbours: int
) -> None:
    generator = np.random.default_rng(neighbours)
    labels = np.repeat(np.arange(3), counts)
    labels = {"sorted": labels, "reversed": labels[::-1], "interleaved": generator.permutation(labels)}[arranged].copy()
    test_labels = np.repeat(np.arange(3), (4, 5, 7))

    def constant(count: int) -> np.ndarray:
        return (0.3 + noise * generator.normal(size=(count, 200))).astype(np.float32)

    found = knn_scores(constant(len(labels)), labels, constant(16), test_labels, neighbours)
    assert found.scores == pytest.approx(accuracy_chance(labels, test_labels))
    assert (found.counts.sum(axis=0) > 0).sum() == 1


def test_zero_features_are_similar_to_nothing() -> None:
    labels = np.array([0, 1, 1, 0, 1])
    found = knn_scores(np.zeros((5, 3), np.float32), labels, np.zeros((2, 3), np.float32), np.array([0, 1]), 2)
    assert found.counts.tolist() == [[0, 1], [0, 1]]


def test_equals_share_the_last_places() -> None:
    train = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    labels = np.array([0, 1, 2, 2, 0])
    query = np.array([[1, 0]], dtype=np.float32)
    # One voter of strength e^(1/0.07) beats any share of three equals of e^(0.6/0.07), all of which vote from 4 on.
    assert knn_predictions(train, labels, query, [1, 2, 4])[:, 0].tolist() == [0, 0, 0]
    # Without it the three equals share one or two places: category 2 has two of the three, wherever it stands.
    assert knn_predictions(train[1:], labels[1:], query, [1, 2, 3])[:, 0].tolist() == [2, 2, 2]


def test_knn_writes_both_encoders_and_the_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    result = knn(KnnConfig("run", "somewhere", out=tmp_path, seeds=2, points=16, device="cpu"))
    assert result.scores["overall_accuracy"]["values"] == [1.0, 1.0]
    assert result.untrained["overall_accuracy"]["mean"] == pytest.approx(result.chance["overall_accuracy"])
    assert result.untrained["mean_class_accuracy"]["mean"] == pytest.approx(1 / 3)
    assert calls == ["trained", "untrained 0", "untrained 1"]
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["protocol"]["temperature"] == 0.07
    assert written["protocol"]["neighbours"]["trained"][0]["neighbours"] == 1
    assert set(written["protocol"]["neighbours"]["trained"][0]["leave_one_out"]) == {"1", "2", "5", "10", "20"}
    assert sum(map(sum, written["details"]["trained"]["confusion_over_seeds"])) == 2 * 12
    paired = written["details"]["paired"]["overall_accuracy"]
    assert paired == {"unit": "test shape", "values": [1.0] * 12}
    assert any("nothing" in note and "random" in note for note in written["protocol"]["notes"])


def test_paper_takes_twenty_and_says_that_none_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    config = KnnConfig("run", "somewhere", protocol="paper", seeds=1, points=16, device="cpu")
    result = knn(config)
    assert result.protocol["neighbours"]["trained"] == [{"neighbours": 20}]
    assert any("no nearest-neighbour evaluation" in note for note in result.protocol["notes"])


def test_the_largest_number_tried_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    for numbers, said in (((1, 2), False), ((2,), True)):
        monkeypatch.setattr(module, "NUMBERS", numbers)
        result = knn(KnnConfig("run", "somewhere", seeds=1, points=16, device="cpu"))
        assert any("largest one tried, 2" in note for note in result.protocol["notes"]) == said


@pytest.mark.parametrize(
    ("neighbours", "protocol", "said"),
    [
        (31, "clean", "--neighbours 31: .*30 train shapes"),
        (31, "paper", "--neighbours 31"),
        (-1, "clean", "at least 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    neighbours: int, protocol: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    with pytest.raises(UsageError, match=said):
        knn(KnnConfig("run", "x", protocol=protocol, neighbours=neighbours, seeds=1, points=16, device="cpu"))  # type: ignore[arg-type]
    assert knn(KnnConfig("run", "x", neighbours=30, seeds=1, points=16, device="cpu")).scores


def test_paper_with_fewer_than_twenty_train_shapes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(train=12))
    with pytest.raises(UsageError, match="--neighbours 12 or fewer works"):
        knn(KnnConfig("run", "x", protocol="paper", seeds=1, points=16, device="cpu"))
