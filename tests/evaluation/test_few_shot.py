from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.config import FewShotConfig, UsageError
from crosspoint3d.evaluation.few_shot import draw_episodes, episode_accuracy, few_shot
from tests.evaluation.fakes import Radii, cluster_clouds, use_encoders

SETTINGS = {"encoder": "run", "data": "somewhere", "points": 16, "device": "cpu"}


def config(**changes: object) -> FewShotConfig:
    values = {"n_way": 3, "k_shot": 2, "n_query": 4, "episodes": 6, "seeds": 2}
    return FewShotConfig(**(SETTINGS | values | changes))  # type: ignore[arg-type]


def test_clean_episodes_are_balanced_and_cross_the_split() -> None:
    train, test = np.arange(50) % 5, np.arange(40) % 5
    episodes = draw_episodes(train, test, config(), np.random.default_rng(0))
    assert len(episodes) == 6
    assert len({tuple(episode.ways) for episode in episodes}) > 1
    for episode in episodes:
        assert len(set(episode.ways)) == 3
        assert train[episode.support].tolist() == np.repeat(episode.ways, 2).tolist()
        assert test[episode.query].tolist() == np.repeat(episode.ways, 4).tolist()
        assert len(set(episode.support)) == 6
        assert len(set(episode.query)) == 12


def test_paper_episodes_take_both_from_train_and_never_the_same_shape() -> None:
    train = np.arange(18) % 3  # six a category: support 2 and query 4 use all of them
    for episode in draw_episodes(train, None, config(), np.random.default_rng(0)):
        assert train[episode.query].tolist() == np.repeat(episode.ways, 4).tolist()
        assert sorted([*episode.support, *episode.query]) == list(range(18))


def test_episodes_repeat_by_seed() -> None:
    train, test = np.arange(50) % 5, np.arange(40) % 5
    draws = [draw_episodes(train, test, config(), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    rows = [[(*e.ways, *e.support, *e.query) for e in episodes] for episodes in draws]
    assert rows[0] == rows[1] != rows[2]


def test_a_category_without_enough_shapes_is_never_drawn() -> None:
    train = np.repeat(np.arange(4), [9, 9, 9, 1])
    test = np.repeat(np.arange(4), 5)
    for episode in draw_episodes(train, test, config(), np.random.default_rng(0)):
        assert 3 not in episode.ways


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [({"n_query": 9}, "--n-query 5 works"), ({"k_shot": 20}, "smaller --k-shot"), ({"n_way": 9}, "--n-way")],
)
def test_too_few_shapes_say_what_would_work(changes: dict[str, int], remedy: str) -> None:
    train, test = np.repeat(np.arange(4), 9), np.repeat(np.arange(4), [5, 5, 5, 2])
    with pytest.raises(UsageError, match=remedy):
        draw_episodes(train, test, config(**changes), np.random.default_rng(0))


def test_the_named_remedy_works() -> None:
    train, test = np.repeat(np.arange(4), 9), np.repeat(np.arange(4), [5, 5, 5, 2])
    draw_episodes(train, test, config(n_query=5), np.random.default_rng(0))
    with pytest.raises(UsageError, match="--n-query 7 works"):
        draw_episodes(train, None, config(n_query=8), np.random.default_rng(0))
    draw_episodes(train, None, config(n_query=7), np.random.default_rng(0))


def test_perfect_features_score_one_and_constant_ones_chance() -> None:
    train, test = np.arange(50) % 5, np.arange(40) % 5
    for episode in draw_episodes(train, test, config(), np.random.default_rng(0)):
        perfect = np.eye(5, dtype=np.float32)
        assert episode_accuracy(perfect[train], perfect[test], episode) == 1.0
        constant = np.full((50, 7), 0.1, dtype=np.float32)
        assert episode_accuracy(constant, constant[:40], episode) == pytest.approx(1 / 3)


def test_scaling_the_features_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    train, test = np.arange(50) % 5, np.arange(40) % 5
    features = generator.normal(size=(50, 6)).astype(np.float32), generator.normal(size=(40, 6)).astype(np.float32)
    for episode in draw_episodes(train, test, config(), generator):
        scores = [episode_accuracy(features[0] * s, features[1] * s, episode) for s in np.float32([1, 1024])]
        assert scores[0] == scores[1]


def test_few_shot_counts_every_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    result = few_shot(config(out=tmp_path))
    assert result.scores["accuracy"]["mean"] == 1.0
    assert result.scores["accuracy"]["n"] == result.untrained["accuracy"]["n"] == 2
    assert result.details["episodes"]["trained"]["n"] == result.details["episodes"]["untrained"]["n"] == 12
    assert result.untrained["accuracy"]["mean"] == pytest.approx(result.chance["accuracy"]) == 1 / 3
    assert result.protocol["episodes"]["count"] == 12
    assert result.protocol["episodes"]["query"] == "test split"
    assert (tmp_path / "result.json").is_file()


def test_paper_draws_queries_from_the_train_split(monkeypatch: pytest.MonkeyPatch) -> None:
    use_encoders(monkeypatch, trained=Radii(1.0), untrained=Radii(0.0))
    monkeypatch.setattr("crosspoint3d.evaluation.seeds.load_clouds", cluster_clouds())
    result = few_shot(config(protocol="paper"))
    assert result.scores["accuracy"]["mean"] == 1.0
    assert "train split" in result.protocol["episodes"]["query"]


@pytest.mark.parametrize("name", ["n_way", "k_shot", "n_query", "episodes", "seeds", "batch_size", "k", "limit"])
def test_values_out_of_range_are_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} 0"):
        few_shot(config(**{name: 0.0 if name == "limit" else 0}))
