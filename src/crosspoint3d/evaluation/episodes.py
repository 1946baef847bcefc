"""Random episodes: which rows are the support and which the queries, drawn from the labels and a generator alone.

Axis letters: N shapes (Ntr train, Nte test), W categories of an episode, S support rows, Q queries, E categories.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from crosspoint3d.config import FewShotConfig, UsageError


@dataclass(frozen=True)
class Episode:
    """Rows of one episode: `support` indexes the train split, `query` the split that the queries come from.

    Both go category by category, `k_shot` and `n_query` rows each; `ways` are the categories drawn.
    """

    ways: Int64[np.ndarray, " W"]
    support: Int64[np.ndarray, " S"]
    query: Int64[np.ndarray, " Q"]


def drawable(
    train_labels: Int64[np.ndarray, " Ntr"],
    test_labels: Int64[np.ndarray, " Nte"] | None,
    config: FewShotConfig,
    *,
    unit: str = "train shapes",
) -> Int64[np.ndarray, " E"]:
    """The categories that have enough shapes for an episode.

    Args:
        train_labels: where the support comes from.
        test_labels: where the queries come from; None takes them from train, disjoint from the support.
        config: n_way, k_shot and n_query.
        unit: what a row of `train_labels` is, in the plural, for the message.

    Raises:
        UsageError: there are fewer than `n_way` of them; says what would work.
    """
    train = np.bincount(train_labels)
    present = int(np.count_nonzero(train))
    if config.n_way > present:
        works = f"2 to {present} work" if present > 2 else "2 works" if present == 2 else "an episode needs two or more"
        raise UsageError(f"--n-way {config.n_way}: the data has {present} categories to draw from; {works}")
    if test_labels is None:
        queries = train - config.k_shot
        shots = train - config.n_query
    else:
        queries = np.bincount(test_labels, minlength=len(train))[: len(train)]
        shots = np.where(queries >= config.n_query, train, 0)
        queries = np.where(train >= config.k_shot, queries, 0)
    enough = np.flatnonzero((train >= config.k_shot) & (queries >= config.n_query)).astype(np.int64)
    if len(enough) >= config.n_way:
        return enough
    most_queries, most_shots = (int(np.sort(counts)[-config.n_way]) for counts in (queries, shots))
    remedies = [f"--n-query {most_queries} works"] * (most_queries >= 1)
    remedies += [f"a smaller --k-shot ({most_shots} works)"] * (1 <= most_shots < config.k_shot)
    if test_labels is not None and np.count_nonzero(train >= config.k_shot + config.n_query) >= config.n_way:
        remedies.append("--queries train")
    remedies += ["a smaller --k-shot"] * (not remedies) + [f"--n-way {len(enough)} works"] * (len(enough) >= 2)
    rest = "more of them" if test_labels is None else "test shapes"
    raise UsageError(
        f"--n-way {config.n_way}: {len(enough) or 'none'} of {present} categories have {config.k_shot} {unit} for the "
        f"support and {config.n_query} {rest} for queries; {', or '.join(remedies)}"
    )


def draw_episodes(
    train_labels: Int64[np.ndarray, " Ntr"],
    test_labels: Int64[np.ndarray, " Nte"] | None,
    config: FewShotConfig,
    generator: np.random.Generator,
    *,
    unit: str = "train shapes",
) -> list[Episode]:
    """Draw `config.episodes` episodes; no encoder has a say in them.

    Args:
        train_labels: where the support comes from.
        test_labels: where the queries come from; None takes them from train, disjoint from the support.
        config: n_way, k_shot, n_query and episodes.
        generator: source of randomness.
        unit: what a row of `train_labels` is, in the plural, for the message.

    Raises:
        UsageError: fewer than `n_way` categories have enough shapes; says what would work.
    """
    enough = drawable(train_labels, test_labels, config, unit=unit)
    train = {way: np.flatnonzero(train_labels == way) for way in enough}
    test = None if test_labels is None else {way: np.flatnonzero(test_labels == way) for way in enough}
    episodes = []
    for _ in range(config.episodes):
        ways = generator.choice(enough, config.n_way, replace=False)
        support, query = [], []
        for way in ways:
            order = generator.permutation(train[way])
            support.append(order[: config.k_shot])
            rest = order[config.k_shot :] if test is None else generator.permutation(test[way])
            query.append(rest[: config.n_query])
        episodes.append(Episode(ways, np.concatenate(support), np.concatenate(query)))
    return episodes
