"""Names of scores: `NAME@CONDITION` says under which condition NAME was measured; long lists are shown by condition."""

import re
from collections.abc import Iterable

_LEVEL = re.compile(r"([^@]+@[^@=]*)(=.+|(?<=@)[\d.]+%)")


def split_level(name: str) -> tuple[str, str] | None:
    """A name in two pieces, the second of them the level of its condition; None where it has none.

    `overall_accuracy@jitter=0.02` is `overall_accuracy@jitter` at `=0.02`, and `overall_accuracy@5%` is
    `overall_accuracy@` at `5%`; the number of `recall@5` belongs to the score.
    """
    found = _LEVEL.fullmatch(name)
    return (found[1], found[2]) if found else None


def by_condition(names: Iterable[str]) -> dict[str, list[str]]:
    """Names that differ in the level alone, together, by what they share; groups stand where their first name stood.

    A name that shares nothing with any other is a group of its own, called by the whole name.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        pieces = split_level(name)
        groups.setdefault(pieces[0] if pieces else name, []).append(name)
    return {start if len(members) > 1 else members[0]: members for start, members in groups.items()}
