from pathlib import Path

import numpy as np
import pytest
import torch

from crosspoint3d.config import FewShotConfig, UsageError
from crosspoint3d.evaluation.few_shot import few_shot
from crosspoint3d.models import DGCNN, Tower, save_tower
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders

SETTINGS = {"encoder": "run", "data": "somewhere", "points": 16, "device": "cpu"}


def config(**changes: object) -> FewShotConfig:
    values = {"n_way": 3, "k_shot": 2, "n_query": 4, "episodes": 6, "seeds": 2}
    return FewShotConfig(**(SETTINGS | values | changes))  # type: ignore[arg-type]


@pytest.fixture
def radii(monkeypatch: pytest.MonkeyPatch) -> None:
    """A perfect encoder on separable clouds, and a twin with constant features."""
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())


@pytest.mark.usefixtures("radii")
def test_few_shot_counts_every_episode(tmp_path: Path) -> None:
    result = few_shot(config(out=tmp_path))
    assert result.scores["accuracy"]["mean"] == 1.0
    assert result.scores["accuracy"]["n"] == result.untrained["accuracy"]["n"] == 2
    assert result.details["episodes"]["trained"]["n"] == result.details["episodes"]["untrained"]["n"] == 12
    assert result.untrained["accuracy"]["mean"] == pytest.approx(result.chance["accuracy"]) == 1 / 3
    assert result.protocol["episodes"]["count"] == 12
    assert result.protocol["episodes"]["query"] == "test split"
    assert result.details["paired"] == {"accuracy": {"unit": "episode", "values": [1.0] * 12}}
    assert (tmp_path / "result.json").is_file()


@pytest.mark.usefixtures("radii")
def test_paper_draws_queries_from_the_train_split() -> None:
    result = few_shot(config(protocol="paper"))
    assert result.scores["accuracy"]["mean"] == 1.0
    assert "train split" in result.protocol["episodes"]["query"]


@pytest.mark.usefixtures("radii")
@pytest.mark.parametrize("protocol", ["clean", "paper"])
@pytest.mark.parametrize("classifier", ["svm", "prototype", "logistic"])
def test_every_classifier_in_both_protocols(protocol: str, classifier: str) -> None:
    result = few_shot(config(protocol=protocol, classifier=classifier))
    assert result.scores["accuracy"]["mean"] == 1.0
    assert result.untrained["accuracy"]["mean"] == pytest.approx(1 / 3)
    word = {"svm": "SVM", "prototype": "1703.05175", "logistic": "logistic"}[classifier]
    assert word in result.protocol["classifier"]
    said = [note for note in result.protocol["notes"] if "the paper protocol's is svm" in note]
    assert len(said) == (protocol == "paper" and classifier != "svm")


@pytest.mark.usefixtures("radii")
@pytest.mark.parametrize(
    ("protocol", "queries", "taken", "own"),
    [
        ("clean", "train", "train split, other shapes than the support", False),
        ("clean", "test", "test split", True),
        ("paper", "train", "train split, other shapes than the support", True),
        ("paper", "test", "test split", False),
    ],
)
def test_queries_fixes_their_split(protocol: str, queries: str, taken: str, own: bool) -> None:
    result = few_shot(config(protocol=protocol, queries=queries))
    assert result.protocol["episodes"]["query"] == taken
    said = [note for note in result.protocol["notes"] if f"queries come from the {queries} split" in note]
    assert len(said) == (not own)
    same = few_shot(config(protocol="clean" if queries == "test" else "paper"))
    assert result.details["paired"] == same.details["paired"]


def test_the_same_episodes_for_every_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[tuple[int, ...]]] = []

    def watch(support: np.ndarray, query: np.ndarray, episodes: list, *rest: object) -> object:  # type: ignore[type-arg]
        drawn.append([(*e.ways, *e.support, *e.query) for e in episodes])
        return original(support, query, episodes, *rest)

    from crosspoint3d.evaluation import few_shot as module

    original = module.score_episodes  # type: ignore[attr-defined]
    monkeypatch.setattr("crosspoint3d.evaluation.few_shot.score_episodes", watch)
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(0.5, drawn=True))
    results = []
    for weight in (1.0, 3.0):
        use_encoders(monkeypatch, trained=Radii(weight), untrained=Radii(0.0))
        results.append(few_shot(config(points=16 if weight == 1 else 8)))
    one, other = drawn[:4], drawn[4:]
    assert one == other  # two seeds, each for the encoder and its twin
    assert one[0] == one[1] != one[2] == one[3]
    for result in results:
        values = result.details["paired"]["accuracy"]["values"]
        assert values == pytest.approx(result.details["episodes"]["trained"]["values"], abs=1e-6)
        assert [np.mean(values[:6]), np.mean(values[6:])] == pytest.approx(
            result.scores["accuracy"]["values"], abs=1e-6
        )
        assert len(set(values)) > 1


@pytest.mark.usefixtures("radii")
def test_with_one_seed_the_interval_is_over_its_episodes() -> None:
    result = few_shot(config(seeds=1))
    assert result.scores["accuracy"]["n"] == 6
    assert any("over 6 episodes" in note for note in result.protocol["notes"])


def test_categories_that_are_too_small_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds(test=11))  # c has 3 test shapes
    result = few_shot(config(n_way=2))
    assert "categories with too few shapes, never drawn: 1 (c)" in result.protocol["notes"]
    assert not any("too few" in note for note in few_shot(config(n_way=2, n_query=3)).protocol["notes"])


def test_the_record_has_the_k_that_was_used_and_the_one_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    torch.manual_seed(0)
    save_tower(Tower(DGCNN(k=6, emb_dims=8), None), tmp_path, {})
    settings = {"encoder": str(tmp_path), "seeds": 1, "protocol": "paper", "cache": False}
    results = [few_shot(config(**settings, k=k)) for k in (None, 5, 15)]
    assert [(r.protocol["k"], r.protocol["k_trained_with"]) for r in results] == [(6, 6), (5, 6), (15, 6)]
    notes = [[note for note in r.protocol["notes"] if "k = " in note] for r in results]
    assert notes == [
        ["the graphs have k = 6; the published few-shot script uses k = 5 (--k)"],
        ["the graphs have k = 5, though the encoder was trained with k = 6"],
        [
            "the graphs have k = 15, though the encoder was trained with k = 6",
            "the graphs have k = 15; the published few-shot script uses k = 5 (--k)",
        ],
    ]


@pytest.mark.usefixtures("radii")
def test_more_ways_than_categories() -> None:
    with pytest.raises(UsageError, match="--n-way 4: the data has 3 categories to draw from; 2 to 3 work"):
        few_shot(config(n_way=4))


@pytest.mark.parametrize("name", ["n_way", "k_shot", "n_query", "episodes", "seeds", "batch_size", "k", "limit"])
def test_values_out_of_range_are_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} 0"):
        few_shot(config(**{name: 0.0 if name == "limit" else 0}))


def test_one_way_is_refused() -> None:
    with pytest.raises(UsageError, match="--n-way 1: must be at least 2"):
        few_shot(config(n_way=1))
