"""How evaluations are named in a file and appear in the table: which of their scores, and under what name."""

import re
from collections.abc import Iterable
from typing import Any

from crosspoint3d import config
from crosspoint3d.evaluation.plain_values import near
from crosspoint3d.evaluation.verbs import VERBS

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


def verb_and_options(entry: Any, place: str) -> tuple[str, Any]:
    """The evaluation that an entry of a file names, alone or with its options, and what it gives as these.

    Raises:
        UsageError: it is no such entry; names the place in the file.
    """
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        raise config.UsageError(
            f"{place}: expected the name of one evaluation, or `name: {{option: value}}`, got {entry!r}"
        )
    ((verb, given),) = entry.items()
    if verb not in VERBS:
        raise config.UsageError(f"{place}: no evaluation {verb!r}; {near(verb, VERBS)}")
    return verb, given


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
