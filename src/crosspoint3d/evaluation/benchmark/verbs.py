"""How evaluations appear in the table: which of their scores, and under what name."""

import re
from collections.abc import Iterable
from typing import Any

from crosspoint3d import config

MAIN = {
    "linear": "overall_accuracy|mean_class_accuracy",
    "few-shot": "accuracy",
    "knn": "overall_accuracy",
    "label-fraction": "overall_accuracy@.*",
    "cluster": "nmi",
    "retrieval": "shape_to_shape_map|(picture_to_shape|shape_to_picture)_recall@1",
    "robustness": "overall_accuracy(@transfer=.*)?|mean_over_corruptions",
}


def main_scores(verb: str, scores: Iterable[str]) -> list[str]:
    """The scores that the table shows; the first one where none of the usual names is there."""
    names = list(scores)
    return [name for name in names if re.fullmatch(MAIN[verb], name)] or names[:1]


def label(verb: str, options: dict[str, Any]) -> str:
    """A name for an evaluation with its options, such as `few-shot 5-way 10-shot, k=5`.

    Args:
        verb: one of MAIN.
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
