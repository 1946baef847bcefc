"""Interactive figures (plotly) of evaluations: confusion matrix, accuracy by category, scores along a condition.

Pure functions of plain values; shares are 0 to 1 here and per cent in the figures. Axis letters: C categories.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Int64

from crosspoint3d.plots import INK, base_figure

TRAINED, UNTRAINED, CHANCE = "#2f6db3", "#8a96a4", "#d9722b"
MOST_CATEGORIES = 80
LONGEST_NAME = 22
MISTAKES = [
    [0.0, "#8c3d0f"], [0.35, "#d9722b"], [0.45, "#f2b68a"], [0.49, "#fbe5d5"], [0.5, "#ffffff"],
    [0.51, "#e3edf7"], [0.75, "#8db3dc"], [1.0, "#2f6db3"],
]  # fmt: skip
"""From taken for another (orange, strong from a tenth of the shapes on) to right (blue)."""


class Line(NamedTuple):
    """Means with the half widths of their 95 % intervals, along a condition; a mean may be missing."""

    mean: Sequence[float | None]
    half: Sequence[float]


def cell_size(categories: int) -> float:
    """Pixels of a cell of the confusion matrix, and of a category in `categories_figure`."""
    return float(np.clip(800 / max(categories, 1), 12.5, 34))


def confusion_figure(counts: Int64[np.ndarray, "C C"], names: Sequence[str], order: Sequence[int]) -> go.Figure:
    """The confusion matrix in shares of each row: right in blue, taken for another in orange, never left white.

    Args:
        counts: truth in the rows, prediction in the columns.
        names: of all C categories.
        order: the categories that are shown, from the top and from the left.
    """
    total = counts.sum(axis=1)
    shares = counts / np.maximum(total, 1)[:, None]
    values: list[list[float | None]] = []
    words: list[list[str]] = []
    for truth in order:
        values.append([])
        words.append([])
        for answer in order:
            share, count = float(shares[truth, answer]), int(counts[truth, answer])
            right = truth == answer
            empty = count == 0 and not (right and total[truth])
            values[-1].append(None if empty else round(share if right else -share, 3))
            said = "right" if right else f"taken for {names[answer]}"
            words[-1].append(
                "" if empty else f"{names[truth]} {said}<br>{count} of {total[truth]} ({100 * share:.1f} %)"
            )
    figure = base_figure(None)
    figure.add_heatmap(
        z=values, text=words, hoverinfo="text", colorscale=MISTAKES, zmin=-1, zmax=1, showscale=False, xgap=1, ygap=1
    )
    ticks = {
        "tickvals": list(range(len(order))), "ticktext": [shortened(names[row]) for row in order], "showgrid": False,
        "tickfont": {"size": _label_size(len(order)), "color": INK}, "constrain": "domain", "title": None,
    }  # fmt: skip
    figure.update_xaxes(**ticks, tickangle=-60, range=[-0.5, len(order) - 0.5])
    figure.update_yaxes(**ticks, scaleanchor="x", range=[len(order) - 0.5, -0.5])
    figure.update_layout(hovermode="closest", plot_bgcolor="#f7f8fa")
    return figure


def categories_figure(
    names: Sequence[str], trained: Sequence[float | None], untrained: Sequence[float | None], shapes: Sequence[float]
) -> go.Figure:
    """Accuracy of each category, hardest first (at most 80), the trained encoder's dot over the untrained one's.

    Args:
        names: of the categories; those without a trained accuracy are left out.
        trained: accuracy of each.
        untrained: the same of the encoder with fresh weights.
        shapes: test shapes of each.
    """
    known = [
        (value, name, row) for row, (name, value) in enumerate(zip(names, trained, strict=True)) if value is not None
    ]
    order = [row for _, _, row in sorted(known)[:MOST_CATEGORIES]]
    places = list(range(len(order)))
    ours, theirs = ([_percent(values[row]) for row in order] for values in (trained, untrained))
    figure = base_figure(None)
    stems: dict[str, list[float | None]] = {"x": [], "y": []}
    for place, ends in enumerate(zip(ours, theirs, strict=True)):
        stems["x"] += [place, place, None]
        stems["y"] += [*ends, None]
    figure.add_scatter(**stems, mode="lines", line={"color": "#cfd6de", "width": 3}, hoverinfo="skip", showlegend=False)
    words = [
        f"{names[row]}: {ours[place]:.1f} % of {shapes[row]:g}"
        + ("" if theirs[place] is None else f"<br>untrained {theirs[place]:.1f} %")
        for place, row in enumerate(order)
    ]
    for name, values, color in (("untrained", theirs, UNTRAINED), ("trained", ours, TRAINED)):
        figure.add_scatter(
            x=places, y=values, mode="markers", name=name, text=words, hoverinfo="text",
            marker={"color": color, "size": 9, "line": {"color": "white", "width": 1}},
        )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(
        tickvals=places, ticktext=[shortened(names[row]) for row in order], tickangle=-60, title=None,
        range=[-0.7, len(order) - 0.3], tickfont={"size": _label_size(len(order)), "color": INK},
    )  # fmt: skip
    figure.update_yaxes(range=[-4, 104], ticksuffix=" %", dtick=20)
    return figure


def curve_figure(
    x: Sequence[float | int | str],
    trained: Line,
    untrained: Line | None = None,
    *,
    chance: Sequence[float | None] = (),
    clean: tuple[float | None, float | None] = (None, None),
    log: bool = False,
    top: float = 1.0,
    pixels: int = 220,
) -> go.Figure:
    """A score along a condition, with 95 % intervals as error bars; levels that fall run from right to left.

    Args:
        x: levels of the condition; names stand in the order given.
        trained: scores at each.
        untrained: the same of the encoder with fresh weights; None: there is none.
        chance: what guessing scores at each; nothing is drawn without it.
        clean: scores of both encoders without the condition, drawn as dashed lines across.
        log: whether x is logarithmic (where all levels are above 0).
        top: end of the score's axis.
        pixels: about how long the axis of x will be; labels of levels that have no room there are left out.
    """
    named = any(isinstance(level, str) for level in x)
    places = list(range(len(x))) if named else list(x)
    figure = base_figure(None)
    log = log and not named and min(float(level) for level in x) > 0
    low, high = _ends([float(place) for place in places], log)
    for value, color in zip(clean, (TRAINED, UNTRAINED), strict=True):
        if value is not None:
            figure.add_scatter(
                x=[low, high], y=[_percent(value)] * 2, mode="lines", name="clean", hoverinfo="skip", showlegend=False,
                line={"color": color, "width": 1.2, "dash": "dash"}, opacity=0.7,
            )  # fmt: skip
    if any(value is not None for value in chance):
        known = [_percent(value) for value in chance]
        across = {"x": [low, high], "y": [known[0]] * 2} if len(set(known)) == 1 else {"x": places, "y": known}
        figure.add_scatter(
            **across, mode="lines", name="chance", line={"color": CHANCE, "width": 1.4, "dash": "dot"},
            hovertemplate="%{y:.1f} %",
        )  # fmt: skip
    for name, line, color in (("untrained", untrained, UNTRAINED), ("trained", trained, TRAINED)):
        if line is not None:
            figure.add_scatter(
                x=places, y=[_percent(value) for value in line.mean], mode="lines+markers", name=name,
                line={"color": color, "width": 2.2}, marker={"size": 7},
                error_y={"array": [_percent(value) for value in line.half], "thickness": 1.2, "width": 3},
                hovertemplate="%{y:.1f} %",
            )  # fmt: skip
    ends = [float(np.log10(end)) for end in (low, high)] if log else [low, high]
    along = [float(np.log10(place)) for place in places] if log else [float(place) for place in places]
    if along[0] > along[-1]:
        ends.reverse()
    texts = [level if isinstance(level, str) else f"{level:g}" for level in x]
    labels = _apart([(place - ends[0]) / (ends[1] - ends[0]) for place in along], texts, pixels)
    figure.update_xaxes(
        type="log" if log else "linear", tickvals=places, ticktext=labels, range=ends, tickangle=0, showline=True
    )
    figure.update_yaxes(range=[0, 100 * top], ticksuffix=" %", title=None)
    return figure


def shortened(name: str) -> str:
    """A name that fits beside a plot."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _label_size(categories: int) -> float:
    return round(min(12.0, cell_size(categories) - 2.5), 1)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2)


def _apart(places: Sequence[float], texts: Sequence[str], pixels: int) -> list[str]:
    """Labels at places from 0 to 1 of an axis; those that would run into another one are empty, the last one never."""
    halves = [(4 * len(text) + 2) / pixels for text in texts]
    end = places[-1] - halves[-1]
    labels, free = [], -1.0
    for place, half, text in zip(places[:-1], halves[:-1], texts[:-1], strict=True):
        fits = place - half >= free and place + half <= end
        labels.append(text if fits else "")
        free = place + half if fits else free
    return [*labels, texts[-1]]


def _ends(places: Sequence[float], log: bool) -> tuple[float, float]:
    """Where an axis begins and ends that shows these places with some air around them."""
    low, high = min(places), max(places)
    if log:
        air = (high / low) ** 0.06 if high > low else 2.0
        return low / air, high * air
    air = 0.06 * (high - low) if high > low else 0.5
    return low - air, high + air
