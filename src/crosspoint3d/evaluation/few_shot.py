"""`evaluate few-shot`: episodes of a few labelled shapes a category, a linear SVM on frozen features.

Axis letters: N shapes (Ntr train, Nte test), D feature width.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from crosspoint3d.config import FewShotConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.evaluation.metrics import summary
from crosspoint3d.evaluation.protocol import Result, protocol_record, write_result
from crosspoint3d.evaluation.seeds import seed_features


@dataclass(frozen=True)
class Episode:
    """Rows of one episode: `support` indexes the train split, `query` the test split (paper: train too).

    Both go category by category, `k_shot` and `n_query` rows each; `ways` are the categories drawn.
    """

    ways: Int64[np.ndarray, " W"]
    support: Int64[np.ndarray, " S"]
    query: Int64[np.ndarray, " Q"]


def few_shot(config: FewShotConfig) -> Result:
    """Score an encoder and its untrained twin on the same episodes.

    Clean: support from the train split, queries from the test split. Paper: both from the train split,
    disjoint, as in the published code of arXiv 2203.00680. Both: StandardScaler fitted on the support,
    linear SVM, C = 1. Spread and interval are over the seeds' means, because a seed may redraw weights, points and
    split for all of its episodes; with one seed they are over its episodes, as published. `details` holds the latter.

    Raises:
        UsageError: too few categories have enough shapes, or the data or the encoder cannot be used.
    """
    started = time.monotonic()
    require_at_least(config, {"n_way": 2, "k_shot": 1, "n_query": 1, "episodes": 1})
    values: dict[str, list[list[float]]] = {"trained": [], "untrained": []}
    encoded, last = [], None
    for item in seed_features(config, test=config.protocol == "clean"):
        last, clouds = item, item.clouds
        encoded.append(item.record())
        test_labels = clouds.test_labels if config.protocol == "clean" else None
        episodes = draw_episodes(clouds.train_labels, test_labels, config, np.random.default_rng(item.seed))
        for who, features in (("trained", item.trained), ("untrained", item.untrained)):
            if features is None:
                continue
            queries = features.test if config.protocol == "clean" else features.train
            values[who].append([episode_accuracy(features.train, queries, episode) for episode in episodes])
    assert last is not None
    result = Result(
        evaluation="few-shot",
        scores={"accuracy": _spread(values["trained"])},
        untrained={"accuracy": _spread(values["untrained"])} if values["untrained"] else {},
        chance={"accuracy": 1 / config.n_way},
        protocol=protocol_record(
            config,
            data=last.clouds.record,
            encoders=encoded,
            seconds=time.monotonic() - started,
            classifier="linear SVM, one against one (libsvm)",
            scaler="StandardScaler fitted on the support set",
            C=1.0,
            episodes={
                "count": config.episodes * config.seeds,
                "a_seed": config.episodes,
                "n_way": config.n_way,
                "k_shot": config.k_shot,
                "n_query": config.n_query,
                "support": "train split",
                "query": "test split" if config.protocol == "clean" else "train split, other shapes than the support",
            },
            notes=_notes(config),
        ),
        details={
            "episodes": {
                who: summary([value for seed in seeds for value in seed]) for who, seeds in values.items() if seeds
            }
        },
    )
    write_result(config, "few-shot", result)
    return result


def _spread(seeds: list[list[float]]) -> dict[str, Any]:
    return summary(seeds[0] if len(seeds) == 1 else [float(np.mean(episodes)) for episodes in seeds])


def _notes(config: FewShotConfig) -> list[str]:
    over = f"{config.episodes} episodes" if config.seeds == 1 else f"{config.seeds} seeds of {config.episodes} episodes"
    notes = [f"std and interval are over {over}"]
    if config.protocol == "paper":
        notes.append("the graph's k is as trained unless --k is given; the published few-shot script uses k = 5")
    return notes


def draw_episodes(
    train_labels: Int64[np.ndarray, " Ntr"],
    test_labels: Int64[np.ndarray, " Nte"] | None,
    config: FewShotConfig,
    generator: np.random.Generator,
) -> list[Episode]:
    """Draw `config.episodes` episodes.

    Args:
        train_labels: where the support comes from.
        test_labels: where the queries come from; None takes them from train, disjoint from the support.
        config: n_way, k_shot, n_query and episodes.
        generator: source of randomness.

    Raises:
        UsageError: fewer than `n_way` categories have enough shapes; says what would work.
    """
    classes = np.arange(int(train_labels.max()) + 1)
    train = [np.flatnonzero(train_labels == c) for c in classes]
    test = None if test_labels is None else [np.flatnonzero(test_labels == c) for c in classes]
    have_train = np.array([len(rows) for rows in train])
    if test is None:
        eligible = np.flatnonzero(have_train >= config.k_shot + config.n_query)
    else:
        have_test = np.array([len(rows) for rows in test])
        eligible = np.flatnonzero((have_train >= config.k_shot) & (have_test >= config.n_query))
    if len(eligible) < config.n_way:
        spare = have_train - config.k_shot if test is None else np.where(have_train >= config.k_shot, have_test, 0)
        most = int(np.sort(spare)[::-1][config.n_way - 1]) if len(spare) >= config.n_way else 0
        remedy = f"--n-query {most} works" if most >= 1 else "use a smaller --k-shot or --n-way"
        raise UsageError(
            f"--n-way {config.n_way}: only {len(eligible)} categories have {config.k_shot} train shapes and "
            f"{config.n_query} {'more of them' if test is None else 'test shapes'}; {remedy}"
        )
    episodes = []
    for _ in range(config.episodes):
        ways = generator.choice(eligible, config.n_way, replace=False).astype(np.int64)
        support, query = [], []
        for way in ways:
            order = generator.permutation(train[way])
            support.append(order[: config.k_shot])
            rest = order[config.k_shot :] if test is None else generator.permutation(test[way])
            query.append(rest[: config.n_query])
        episodes.append(Episode(ways, np.concatenate(support), np.concatenate(query)))
    return episodes


def episode_accuracy(
    support_features: Float[np.ndarray, "Ntr D"], query_features: Float[np.ndarray, "Nq D"], episode: Episode
) -> float:
    """Share of an episode's queries that a linear SVM on its standardised support gets right.

    Args:
        support_features: of the split that `episode.support` indexes.
        query_features: of the split that `episode.query` indexes.
        episode: rows.
    """
    ways = len(episode.ways)
    scaler = StandardScaler().fit(support_features[episode.support].astype(np.float64))
    support = scaler.transform(support_features[episode.support].astype(np.float64))
    query = scaler.transform(query_features[episode.query].astype(np.float64))
    labels = np.repeat(np.arange(ways), len(episode.support) // ways)
    truth = np.repeat(np.arange(ways), len(episode.query) // ways)
    return float((SVC(kernel="linear", C=1.0).fit(support, labels).predict(query) == truth).mean())
