"""Evaluations by their verbs, for what runs several of them: the configs, and the functions, imported when called."""

import importlib
from typing import Any

from crosspoint3d import config
from crosspoint3d.config import EvaluateConfig
from crosspoint3d.evaluation.protocol import Result

CONFIGS: dict[str, type[EvaluateConfig]] = {
    "linear": config.LinearConfig,
    "knn": config.KnnConfig,
    "few-shot": config.FewShotConfig,
    "retrieval": config.RetrievalConfig,
    "label-fraction": config.LabelFractionConfig,
    "cluster": config.ClusterConfig,
    "robustness": config.RobustnessConfig,
}
_MODULES = {"linear": "linear_probe"}


def evaluate(verb: str, options: EvaluateConfig) -> Result:
    """Run `evaluate VERB`.

    Raises:
        UsageError: as the evaluation itself.
    """
    name = verb.replace("-", "_")
    module = importlib.import_module(f"crosspoint3d.evaluation.{_MODULES.get(verb, name)}")
    function: Any = getattr(module, name)
    result: Result = function(options)
    return result
