"""`evaluate cluster`: k-means on frozen features of the test split, compared with the categories.

Axis letters: N test shapes, D feature width.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, homogeneity_completeness_v_measure
from sklearn.metrics.cluster import contingency_matrix

from crosspoint3d.config import ClusterConfig, UsageError
from crosspoint3d.evaluation.knn import unit_length
from crosspoint3d.evaluation.metrics import summaries
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.runs import finish, over_seeds
from crosspoint3d.evaluation.seeds import SeedFeatures, SplitFeatures
from crosspoint3d.evaluation.svm import scaled

STARTS = 10
"""Starts of k-means; the one with the smallest sum of squared distances counts."""


@dataclass(frozen=True)
class Clustering:
    """One run of k-means.

    Attributes:
        scores: as `cluster_scores` has them.
        clusters: plain values, largest cluster first: its shapes, the category most of them have, and their share.
        asked: clusters that were looked for.
        constant: the features do not differ: all shapes are one cluster.
    """

    scores: dict[str, float]
    clusters: list[dict[str, Any]]
    asked: int
    constant: bool


def cluster(config: ClusterConfig) -> Result:
    """Score an encoder and its untrained twin by how well k-means on their features finds the categories.

    Features are divided by their length; there are as many clusters as categories with test shapes, unless
    `clusters` says otherwise. Nothing is chosen, so that both protocols are the same. The seed decides the starts.

    Raises:
        UsageError: fewer than two clusters, more clusters than test shapes, test shapes of one category only, or the
            data or the encoder cannot be used.
    """
    if config.clusters < 0 or config.clusters == 1:
        raise UsageError(f"--clusters {config.clusters}: 2 or more, or 0 for as many as there are categories")

    def score(item: SeedFeatures, features: SplitFeatures) -> Clustering:
        labels = item.clouds.test_labels
        present = len(np.unique(labels))
        if present < 2:
            raise UsageError(f"--data {config.data}: its test shapes are of one category; clusters need two or more")
        if config.clusters > len(labels):
            most = f"--clusters {len(labels)} or fewer works"
            raise UsageError(f"--clusters {config.clusters}: there are {len(labels)} test shapes only; {most}")
        return _clustering(features.test, labels, item.clouds.categories, config.clusters or present, item.seed)

    def chance(item: SeedFeatures) -> dict[str, float]:
        return cluster_scores(item.clouds.test_labels, np.zeros_like(item.clouds.test_labels))

    runs = over_seeds(config, score, chance, parts=["test"])
    labels, asked = runs.clouds.test_labels, runs.trained[-1].asked
    drawn = cluster_scores(labels, np.random.default_rng(0).integers(asked, size=len(labels)))
    notes = [
        "nothing is chosen here: clean and paper are the same (the CrossPoint paper clusters nothing)",
        "v_measure is nmi (arithmetic mean) by definition; chance is one single cluster, whose completeness is 1",
        f"a random one of {asked} clusters for every shape scores nmi {drawn['nmi']:.1%}, clustering accuracy "
        f"{drawn['clustering_accuracy']:.1%}; ari and ami are adjusted for that",
    ]
    if any(found.constant for all_found in runs.both.values() for found in all_found):
        notes.append("an encoder gives the same features for every shape (collapsed): they are one cluster")
    return finish(
        config,
        "cluster",
        runs,
        {who: summaries([found.scores for found in all_found]) for who, all_found in runs.both.items()},
        details={
            "clusters": {who: [found.clusters for found in all_found] for who, all_found in runs.both.items()},
            "paired": {},
        },
        method=f"k-means (scikit-learn, k-means++, best of {STARTS} starts by the seed) on the test split",
        scaler="each feature vector divided by its length",
        clusters=[found.asked for found in runs.trained],
        random_clusters=drawn,
        assignment="clustering_accuracy: one category a cluster at most, the best such assignment",
        notes=notes,
    )


def _clustering(
    features: Float[np.ndarray, "N D"],
    labels: Int64[np.ndarray, " N"],
    categories: Sequence[str],
    clusters: int,
    seed: int,
) -> Clustering:
    found = clusters_of(features, clusters, seed)
    counts = contingency_matrix(labels, found)
    sizes, present = counts.sum(axis=0), np.unique(labels)
    described = [
        {
            "shapes": int(sizes[c]),
            "category": categories[present[counts[:, c].argmax()]],
            "share": float(counts[:, c].max() / sizes[c]),
        }
        for c in np.argsort(-sizes, kind="stable")
    ]
    return Clustering(cluster_scores(labels, found), described, clusters, constant=len(sizes) == 1)


def clusters_of(features: Float[np.ndarray, "N D"], clusters: int, seed: int) -> Int64[np.ndarray, " N"]:
    """The cluster of each shape by k-means on features of unit length; constant features are one cluster.

    Args:
        features: any length.
        clusters: from 2 to N; fewer are found where fewer vectors differ.
        seed: decides the starts.
    """
    rows = unit_length(features)
    if scaled(rows, rows[:0]).constant:
        return np.zeros(len(rows), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found: np.ndarray = KMeans(clusters, n_init=STARTS, random_state=seed).fit_predict(rows)
    return found.astype(np.int64)


def cluster_scores(labels: Int64[np.ndarray, " N"], found: Int64[np.ndarray, " N"]) -> dict[str, float]:
    """How well clusters and categories agree: 1 is perfect.

    Returns:
        nmi: mutual information over the arithmetic mean of both entropies.
        ari: Rand index adjusted for chance (Hubert and Arabie 1985); it may be negative.
        ami: mutual information adjusted for chance (Vinh et al. 2010), arithmetic mean; it may be negative.
        v_measure: harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg 2007), which is nmi.
        homogeneity: 1 where every cluster has shapes of one category only.
        completeness: 1 where all shapes of a category are in one cluster.
        clustering_accuracy: share of the shapes whose cluster is given their category, by the best assignment that
            gives each cluster one category at most and each category one cluster at most.
    """
    homogeneity, completeness, v_measure = homogeneity_completeness_v_measure(labels, found)
    counts = contingency_matrix(labels, found)
    matched = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return {
        "nmi": float(v_measure),
        "ari": float(adjusted_rand_score(labels, found)),
        "ami": float(adjusted_mutual_info_score(labels, found)),
        "v_measure": float(v_measure),
        "homogeneity": float(homogeneity),
        "completeness": float(completeness),
        "clustering_accuracy": float(matched / len(labels)),
    }
