"""The evaluations that a benchmark can hold: config class, function, the scores for its table, and a name in it."""

import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from crosspoint3d import config
from crosspoint3d.config import EvaluateConfig
from crosspoint3d.evaluation.protocol import Result


class Verb(NamedTuple):
    """An evaluation's config class, its function as `module:function`, and which of its scores the table shows."""

    config_class: type[EvaluateConfig]
    function: str
    main: str


VERBS = {
    "linear": Verb(config.LinearConfig, "linear_probe:linear", "overall_accuracy|mean_class_accuracy"),
    "few-shot": Verb(config.FewShotConfig, "few_shot:few_shot", "accuracy"),
    "knn": Verb(config.KnnConfig, "knn:knn", "overall_accuracy"),
    "label-fraction": Verb(config.LabelFractionConfig, "label_fraction:label_fraction", "overall_accuracy@.*"),
    "cluster": Verb(config.ClusterConfig, "cluster:cluster", "nmi"),
    "retrieval": Verb(
        config.RetrievalConfig, "retrieval:retrieval", "shape_to_shape_map|(picture_to_shape|shape_to_picture)_recall@1"
    ),
    "robustness": Verb(
        config.RobustnessConfig, "robustness:robustness", "overall_accuracy(@transfer=.*)?|mean_over_corruptions"
    ),
}


def function(verb: str) -> Callable[[Any], Result]:
    """The function of a verb, the same that the command line calls."""
    module, name = VERBS[verb].function.split(":")
    found: Callable[[Any], Result] = getattr(importlib.import_module(f"crosspoint3d.evaluation.{module}"), name)
    return found


def main_scores(verb: str, scores: Iterable[str]) -> list[str]:
    """The scores that the table shows; the first one where none of the usual names is there."""
    names = list(scores)
    return [name for name in names if re.fullmatch(VERBS[verb].main, name)] or names[:1]


def label(verb: str, options: dict[str, Any]) -> str:
    """A name for an evaluation with its options, such as `few-shot 5-way 10-shot, k=5`.

    Args:
        verb: one of VERBS.
        options: those that the file gives.
    """
    rest = dict(options)
    name = verb
    if verb == "few-shot":
        n_way, k_shot = (rest.pop(field, getattr(config.FewShotConfig, field)) for field in ("n_way", "k_shot"))
        name += f" {n_way}-way {k_shot}-shot"
    return ", ".join([name, *(f"{option}={_short(value)}" for option, value in rest.items())])


def _short(value: Any) -> str:
    return "+".join(_short(item) for item in value) if isinstance(value, list | tuple) else f"{value}"
