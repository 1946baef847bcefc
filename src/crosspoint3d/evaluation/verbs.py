"""Evaluations by their verbs, for what runs several of them: config class, and function, imported when asked for."""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from crosspoint3d import config
from crosspoint3d.config import EvaluateConfig
from crosspoint3d.evaluation.result import Result


class Verb(NamedTuple):
    """An evaluation's config class, and its function as `module:function`."""

    config_class: type[EvaluateConfig]
    function: str


VERBS = {
    "linear": Verb(config.LinearConfig, "linear_probe:linear"),
    "knn": Verb(config.KnnConfig, "knn:knn"),
    "few-shot": Verb(config.FewShotConfig, "few_shot:few_shot"),
    "retrieval": Verb(config.RetrievalConfig, "retrieval:retrieval"),
    "label-fraction": Verb(config.LabelFractionConfig, "label_fraction:label_fraction"),
    "cluster": Verb(config.ClusterConfig, "cluster:cluster"),
    "robustness": Verb(config.RobustnessConfig, "robustness:robustness"),
}


def function(verb: str) -> Callable[[Any], Result]:
    """The function of a verb, the same that the command line calls."""
    module, name = VERBS[verb].function.split(":")
    found: Callable[[Any], Result] = getattr(importlib.import_module(f"crosspoint3d.evaluation.{module}"), name)
    return found
