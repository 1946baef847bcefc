import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import comb
from sklearn.metrics import normalized_mutual_info_score

from crosspoint3d.config import ClusterConfig, UsageError
from crosspoint3d.evaluation.cluster import cluster, cluster_scores, clusters_of
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders


def entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_their_definitions(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(3, size=60)
    found = np.where(generator.random(60) < 0.6, labels, generator.integers(4, size=60))
    scores = cluster_scores(labels, found)

    table = np.zeros((3, 4))
    np.add.at(table, (labels, found), 1)
    rows, columns = entropy(table.sum(1)), entropy(table.sum(0))
    mutual = rows + columns - entropy(table.reshape(-1))
    assert scores["nmi"] == scores["v_measure"] == pytest.approx(2 * mutual / (rows + columns))
    assert scores["nmi"] == pytest.approx(normalized_mutual_info_score(labels, found, average_method="arithmetic"))
    assert scores["homogeneity"] == pytest.approx(mutual / rows)
    assert scores["completeness"] == pytest.approx(mutual / columns)

    together = comb(table, 2).sum()
    pairs = comb(table.sum(1), 2).sum(), comb(table.sum(0), 2).sum()
    expected = pairs[0] * pairs[1] / comb(60, 2)
    assert scores["ari"] == pytest.approx((together - expected) / (sum(pairs) / 2 - expected))

    best = max(
        table[0, a] + table[1, b] + table[2, c]
        for a in range(4)
        for b in range(4)
        for c in range(4)
        if len({a, b, c}) == 3
    )
    assert scores["clustering_accuracy"] == pytest.approx(best / 60)


def test_names_of_clusters_do_not_matter() -> None:
    labels = np.arange(30) % 5
    scores = cluster_scores(labels, np.array([3, 0, 4, 1, 2])[labels])
    assert scores == pytest.approx(dict.fromkeys(scores, 1.0))


def test_one_cluster_and_one_a_shape() -> None:
    labels = np.repeat([0, 1, 2], (5, 3, 2))
    one = cluster_scores(labels, np.zeros_like(labels))
    assert one["clustering_accuracy"] == 0.5
    assert one["completeness"] == 1
    assert all(one[name] == 0 for name in ("nmi", "ari", "ami", "v_measure", "homogeneity"))
    each = cluster_scores(labels, np.arange(10))
    assert each["homogeneity"] == pytest.approx(1)
    assert each["ari"] == pytest.approx(0)
    assert each["ami"] == pytest.approx(0, abs=1e-9)
    assert each["clustering_accuracy"] == pytest.approx(0.3)


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_constant_features_are_one_cluster_without_a_warning(noise: float) -> None:
    generator = np.random.default_rng(0)
    features = (0.7 + noise * generator.normal(size=(40, 8))).astype(np.float32)
    features *= generator.uniform(1, 5, size=(40, 1)).astype(np.float32)
    assert not clusters_of(features, 5, 0).any()


def test_fewer_distinct_features_than_clusters_give_no_warning() -> None:
    kinds = np.arange(12) % 2
    found = clusters_of(np.eye(2, dtype=np.float32)[kinds], 4, 0)
    assert cluster_scores(kinds, found)["nmi"] == pytest.approx(1)


def test_lengths_of_features_do_not_matter() -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(50, 4)).astype(np.float32)
    lengths = np.exp2(generator.integers(-9, 9, size=(50, 1))).astype(np.float32)
    assert np.array_equal(clusters_of(features, 4, 2), clusters_of(features * lengths, 4, 2))


def test_cluster_writes_both_encoders_and_the_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    result = cluster(ClusterConfig("run", "somewhere", out=tmp_path, seeds=2, points=16, device="cpu"))
    assert {name: score["mean"] for name, score in result.scores.items()} == pytest.approx(
        dict.fromkeys(result.scores, 1.0)
    )
    assert {name: score["mean"] for name, score in result.untrained.items()} == pytest.approx(result.chance)
    assert result.chance["clustering_accuracy"] == pytest.approx(1 / 3)
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["protocol"]["clusters"] == [3, 3]
    found = written["details"]["clusters"]
    assert [[c["shapes"] for c in seed] for seed in found["trained"]] == [[4, 4, 4]] * 2
    assert all({c["category"] for c in seed} == {"a", "b", "c"} for seed in found["trained"])
    assert found["untrained"][0] == [{"shapes": 12, "category": "a", "share": pytest.approx(1 / 3)}]
    assert any("collapsed" in note for note in written["protocol"]["notes"])
    assert any("v_measure is nmi" in note for note in written["protocol"]["notes"])


def test_both_protocols_and_both_runs_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.5))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(spread=1.0, test=30))
    clean, again, paper = (
        cluster(ClusterConfig("run", "x", protocol=protocol, seeds=2, points=8, device="cpu"))
        for protocol in ("clean", "clean", "paper")
    )
    assert (clean.scores, clean.untrained, clean.details) == (again.scores, again.untrained, again.details)
    assert (clean.scores, clean.untrained) == (paper.scores, paper.untrained)
    assert 0 < clean.scores["nmi"]["mean"] < 1
    random = clean.protocol["random_clusters"]
    assert 0 < random["nmi"] < 0.3 and abs(random["ami"]) < 0.15
    assert any(f"scores nmi {random['nmi']:.1%}" in note for note in clean.protocol["notes"])


def test_the_number_of_clusters_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    config = ClusterConfig("run", "x", clusters=2, seeds=1, points=16, device="cpu")
    result = cluster(config)
    assert sorted(c["shapes"] for c in result.details["clusters"]["trained"][0]) == [4, 8]
    assert result.scores["completeness"]["mean"] == pytest.approx(1)
    assert result.scores["clustering_accuracy"]["mean"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("clusters", "said"), [(13, "--clusters 13: .*12 test shapes"), (1, "2 or more"), (-2, "--clusters -2")]
)
def test_numbers_that_cannot_be_are_refused(clusters: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    with pytest.raises(UsageError, match=said):
        cluster(ClusterConfig("run", "x", clusters=clusters, seeds=1, points=16, device="cpu"))


def test_test_shapes_of_one_category_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(test=1))
    with pytest.raises(UsageError, match="of one category"):
        cluster(ClusterConfig("run", "x", seeds=1, points=16, device="cpu"))
