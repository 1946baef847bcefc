"""Scores in words and bars: the trained encoder, its untrained twin and chance side by side, grouped for reading."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.score_names import by_condition, split_level

_WAYS = {
    "shape_to_shape_": "Shape → shape",
    "picture_to_shape_": "Picture → shape",
    "shape_to_picture_": "Shape → picture",
}
_LABELS = {
    "map": "Mean average precision",
    "map_by_category": "Mean average precision, mean over categories",
    "nmi": "NMI (normalised mutual information)",
    "ami": "AMI (adjusted mutual information)",
    "ari": "ARI (adjusted Rand index)",
    "v_measure": "V-measure",
    "mean_over_corruptions": "Mean over all damages",
}


@dataclass(frozen=True)
class Bar:
    """Places on a track from 0 to 100: mean, low and high end of both intervals, and chance (None: unknown)."""

    trained: tuple[float, float, float]
    untrained: tuple[float, float, float] | None
    chance: float | None


@dataclass(frozen=True)
class Row:
    """One score as text; `tone` is better, worse or open (the intervals overlap, or there are none)."""

    group: str
    label: str
    trained: str
    untrained: str
    chance: str
    difference: str
    tone: str
    bar: Bar | None


def plain_rows(result: Result) -> list[Row]:
    """The scores on the data as they are: those of one way of searching together, those on other data last."""
    rows, others = [], []
    damaged = {name.partition("@")[0] for name in result.scores if split_level(name) and not _transferred(name)}
    for name in result.scores:
        if transferred := _transferred(name):
            words = label_of(name.partition("@")[0])
            others.append(
                score_row(result, name, "Tested on other data", f"{transferred}: {words[:1].lower()}{words[1:]}")
            )
        elif split_level(name) is None:
            prefix = next((prefix for prefix in _WAYS if name.startswith(prefix)), "")
            label = label_of(name.removeprefix(prefix)) + ", undamaged" * (name in damaged)
            rows.append(score_row(result, name, _WAYS.get(prefix, ""), label))
    return rows + others


def condition_rows(result: Result) -> list[Row]:
    """The scores under a condition (`NAME@CONDITION`), grouped by it under the title of its curve."""
    titles: dict[str, str] = {}
    for curve in curves(result):
        titles |= dict.fromkeys(curve["scores"], f"{curve['title']} · {curve['x_label']}".strip(" ·"))
    rows = []
    for names in by_condition(result.scores).values():
        pieces = split_level(names[0])
        if pieces is None or _transferred(names[0]):
            continue
        found = next((titles[name] for name in names if name in titles), "")
        score, _, kind = pieces[0].partition("@")
        group = found or f"{label_of(score)} by {kind.replace('_', ' ') or 'share'}"
        for name in names:
            level = name.removeprefix(pieces[0]).removeprefix("=")
            rows.append(score_row(result, name, group, level.replace("%", " %")))
    return rows


def _transferred(name: str) -> str:
    """The data that a score was measured on, where it is not that of the evaluation."""
    return name.partition("@transfer=")[2]


def curves(result: Result) -> list[dict[str, Any]]:
    """The curves that a result describes: title, x_label, x, scores, log; what is no curve is left out."""
    found = []
    described = result.details.get("curves")
    for entry in described if isinstance(described, list) else []:
        x, names = (entry.get("x"), entry.get("scores")) if isinstance(entry, dict) else (None, None)
        if not isinstance(x, list) or not isinstance(names, list) or len(x) != len(names) or len(x) == 0:
            continue
        plain = all(isinstance(level, str) or (isinstance(level, int | float) and isfinite(level)) for level in x)
        if plain and all(isinstance(name, str) for name in names) and any(n in result.scores for n in names):
            words = {key: str(entry.get(key, "")) for key in ("title", "x_label")}
            found.append(words | {"x": x, "scores": names, "log": bool(entry.get("log", False))})
    return found


def score_row(result: Result, name: str, group: str, label: str) -> Row:
    """One score of a result under these words."""
    trained, untrained, chance = result.scores[name], result.untrained.get(name), result.chance.get(name)
    difference, tone = verdict(name, trained, untrained) if untrained else ("", "open")
    return Row(
        group=group,
        label=label,
        trained=spread(name, trained),
        untrained=spread(name, untrained) if untrained else "not measured",
        chance="" if chance is None else spread(name, {"mean": chance, "n": 1}),
        difference=difference,
        tone=tone,
        bar=None if name.endswith("rank") else _bar(trained, untrained, chance),
    )


def label_of(name: str) -> str:
    """A score's name in words."""
    words = name.replace("_", " ")
    return _LABELS.get(name, words[:1].upper() + words[1:])


def percent(value: float) -> str:
    """A share from 0 to 1 as a percentage with one decimal."""
    return f"{100 * value:.1f} %"


def spread(name: str, score: dict[str, Any]) -> str:
    """Mean and half width of the 95 % interval; `name` decides whether it is a share or a rank."""
    factor, unit = _unit(name)
    interval = f" ± {score['ci95'] * factor:.1f}" if score["n"] > 1 else ""
    return f"{score['mean'] * factor:.1f}{interval}{unit}"


def verdict(name: str, trained: dict[str, Any], untrained: dict[str, Any]) -> tuple[str, str]:
    """The difference as text, and whether it is better, worse or open: decided only where the intervals are apart."""
    factor, unit = _unit(name)
    difference = (trained["mean"] - untrained["mean"]) * factor
    apart = abs(trained["mean"] - untrained["mean"]) > trained["ci95"] + untrained["ci95"]
    known = min(trained["n"], untrained["n"]) > 1 and apart
    good = difference < 0 if name.endswith("rank") else difference > 0
    words = f"{difference:+.1f}".replace("-", "−") + (" points" if unit else "")
    return words, ("better" if good else "worse") if known else "open"


def _unit(name: str) -> tuple[int, str]:
    return (1, "") if name.endswith("rank") else (100, " %")


def _bar(trained: dict[str, Any], untrained: dict[str, Any] | None, chance: float | None) -> Bar:
    def place(value: float) -> float:
        return round(100 * min(max(value, 0.0), 1.0), 2)

    def places(score: dict[str, Any]) -> tuple[float, float, float]:
        mean, half = score["mean"], score["ci95"]
        return place(mean), place(mean - half), place(mean + half)

    return Bar(places(trained), places(untrained) if untrained else None, None if chance is None else place(chance))
