"""Classifiers of an episode: trained on the frozen features of its support, asked for its queries.

Axis letters: S support rows, Q queries, D feature width, N rows of a split (Ntr, Nq).
"""

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from crosspoint3d.evaluation.episodes import Episode

Classifier = Literal["svm", "prototype", "logistic"]
SCALER = "StandardScaler fitted on the support set"
TOLERANCE = 1e-6
"""Largest gradient at which logistic regression ends; the usual 1e-4 leaves decisions far from the optimum."""

CLASSIFIERS: dict[Classifier, dict[str, Any]] = {
    "svm": {"classifier": "linear SVM, one against one (libsvm)", "scaler": SCALER, "C": 1.0},
    "prototype": {
        "classifier": "nearest category mean of the support (prototype, arXiv 1703.05175)",
        "scaler": "none",
        "metric": "squared Euclidean distance of features as they are",
    },
    "logistic": {
        "classifier": "multinomial logistic regression with an L2 penalty (newton-cg)",
        "scaler": SCALER,
        "C": 1.0,
        "tolerance": TOLERANCE,
    },
}
"""What the protocol record says of each."""


class Answers(NamedTuple):
    """The way of each query, counted from 0, and whether the classifier's solver came to its end."""

    ways: Int64[np.ndarray, " Q"]
    converged: bool


class EpisodeScore(NamedTuple):
    """Share of an episode's queries that are right, and whether the classifier's solver came to its end."""

    accuracy: float
    converged: bool


def episode_score(
    support_features: Float[np.ndarray, "Ntr D"],
    query_features: Float[np.ndarray, "Nq D"],
    episode: Episode,
    classifier: Classifier = "svm",
) -> EpisodeScore:
    """Train a classifier on an episode's support and score it on its queries.

    Features are standardised by the support for `svm` and `logistic`. Prototypes take them as they are: a scaler fitted
    on so few shapes made means worse, and means ask for no unit variance.

    Args:
        support_features: of the split that `episode.support` indexes.
        query_features: of the split that `episode.query` indexes.
        episode: rows.
        classifier: `svm` as published with arXiv 2203.00680; `prototype`; `logistic`.
    """
    ways = len(episode.ways)
    support = support_features[episode.support].astype(np.float64)
    query = query_features[episode.query].astype(np.float64)
    if classifier != "prototype":
        scaler = StandardScaler().fit(support)
        support, query = scaler.transform(support), scaler.transform(query)
    labels, truth = (np.repeat(np.arange(ways), len(rows) // ways) for rows in (episode.support, episode.query))
    answers = _BY_NAME[classifier](support, labels, query)
    return EpisodeScore(float((answers.ways == truth).mean()), answers.converged)


def svm(
    support: Float64[np.ndarray, "S D"], labels: Int64[np.ndarray, " S"], queries: Float64[np.ndarray, "Q D"]
) -> Answers:
    """Linear SVM with C = 1, the classifier of the published few-shot script."""
    return Answers(SVC(kernel="linear", C=1.0).fit(support, labels).predict(queries), True)


def prototype(
    support: Float64[np.ndarray, "S D"], labels: Int64[np.ndarray, " S"], queries: Float64[np.ndarray, "Q D"]
) -> Answers:
    """The category whose mean is nearest by squared Euclidean distance (Snell et al. 2017, arXiv 1703.05175, eq. 1, 2).

    Equally near ones go to the first.
    """
    centre = support.mean(axis=0)
    means = np.stack([support[labels == way].mean(axis=0) for way in range(int(labels.max()) + 1)]) - centre
    # |q - m|^2 without |q|^2, which is the same for every mean.
    distances = (means**2).sum(axis=1) - 2 * (queries - centre) @ means.T
    return Answers(distances.argmin(axis=1), True)


def logistic(
    support: Float64[np.ndarray, "S D"], labels: Int64[np.ndarray, " S"], queries: Float64[np.ndarray, "Q D"]
) -> Answers:
    """Multinomial logistic regression, L2 penalty, C = 1, as scikit-learn has it.

    The penalty keeps the weights in the span of the support, so that they are sought there: S numbers instead of D.
    """
    if len(support) < support.shape[1]:
        basis = np.linalg.qr(support.T).Q
        support, queries = support @ basis, queries @ basis
    model = LogisticRegression(C=1.0, solver="newton-cg", tol=TOLERANCE, max_iter=1000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(support, labels)
    return Answers(model.predict(queries), not caught)


_BY_NAME = {"svm": svm, "prototype": prototype, "logistic": logistic}
