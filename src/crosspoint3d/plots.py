"""Interactive figures (plotly) of a run: losses, learning rate, and a map of shapes coloured by category.

Pure functions of logged rows and arrays. Axis letters: N shapes.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK, MUTED, LINE = "#1c2733", "#667383", "#e6e9ee"
TERMS = {
    "loss": ("total", INK),
    "intra_modal": ("cloud and cloud", "#2f6db3"),
    "cross_modal": ("cloud and picture", "#d9722b"),
}
GREY = "#b9c1cb"
COLORS = (
    "#2f6db3", "#d9722b", "#33935a", "#c23b4b", "#8059b3", "#87674a", "#d05a9e", "#1a98a8", "#a89a17", "#4a5768",
    "#1d3f8f", "#6d8c1f", "#74aee6", "#f0a566", "#7cc796", "#ea8a93", "#b89ade", "#bf9f80", "#eda0cd", "#6fcbd6",
    "#d3c653", "#93a1b1", "#8d9ee8", "#b9d65c",
)  # fmt: skip
MOST_LINES = 1500


class Style(NamedTuple):
    """How a category is drawn on the map."""

    color: str
    symbol: str


def category_styles(categories: Sequence[str | None]) -> dict[str, Style]:
    """A colour and symbol for each of the 24 most frequent categories, in alphabetical order.

    Twelve strong colours as discs, then as many light ones as diamonds; every other category is drawn grey.
    """
    counts = Counter(category for category in categories if category)
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[: len(COLORS)]
    symbols = ["circle"] * 12 + ["diamond"] * 12
    return {name: Style(*style) for name, *style in zip(sorted(frequent), COLORS, symbols, strict=False)}


def losses_figure(rows: Sequence[dict[str, Any]], batch_size: int | None = None) -> go.Figure:
    """Total loss and its two terms over the steps: every logged value faintly, a moving average on top.

    Args:
        rows: lines of metrics.jsonl; a term that is None everywhere is left out.
        batch_size: shapes a step; adds ln(2B - 1), the value of a term whose projections know nothing.
    """
    figure = base_figure("loss")
    steps = [row["step"] for row in rows]
    every = max(1, len(rows) // MOST_LINES)
    for name, (words, color) in TERMS.items():
        values = np.array([_number(row.get(name)) for row in rows])
        if not np.isfinite(values).any():
            continue
        raw = {"x": steps[::every], "y": _rounded(values[::every]), "line": {"color": color, "width": 1}}
        figure.add_scatter(mode="lines", opacity=0.22, hoverinfo="skip", showlegend=False, **raw)
        smooth = _rounded(_moving_average(values)[::every])
        figure.add_scatter(
            x=raw["x"], y=smooth, mode="lines", name=words, line={"color": color, "width": 2.2},
            hovertemplate="%{y:.3f}",
        )  # fmt: skip
    if batch_size and batch_size > 1 and steps:
        blind = math.log(2 * batch_size - 1)
        figure.add_scatter(
            x=[steps[0], steps[-1]], y=[round(blind, 4)] * 2, mode="lines", name="a term that guesses",
            line={"color": MUTED, "width": 1.2, "dash": "dot"}, hovertemplate="%{y:.3f}",
        )  # fmt: skip
    return figure


def learning_rate_figure(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """Learning rate over the steps."""
    figure = base_figure("learning rate")
    every = max(1, len(rows) // MOST_LINES)
    kept = rows[::every]
    figure.add_scatter(
        x=[row["step"] for row in kept], y=[float(f"{_number(row.get('lr')):.5g}") for row in kept], mode="lines",
        line={"color": "#33935a", "width": 2.2}, fill="tozeroy", fillcolor="rgba(51,147,90,0.08)", showlegend=False,
        hovertemplate="%{y:.3g}", name="learning rate",
    )  # fmt: skip
    figure.update_yaxes(rangemode="tozero", exponentformat="e", nticks=6)
    return figure


def map_figure(coordinates: Float[np.ndarray, "N 2"], categories: Sequence[str | None]) -> go.Figure:
    """A map of shapes, one trace a category in `category_styles` and one for all others, drawn first.

    `customdata` holds the row of each shape; hover text is left to the page, which shows the shape's picture.
    """
    styles = category_styles(categories)
    figure = base_figure(None)
    figure.update_layout(hovermode="closest", margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False)
    figure.update_xaxes(visible=False, range=_padded(coordinates[:, 0]))
    figure.update_yaxes(visible=False, range=_padded(coordinates[:, 1]), scaleanchor="x")
    size = 8 if len(coordinates) > 1000 else 10
    others = [row for row, category in enumerate(categories) if category not in styles]
    groups: list[tuple[str, Style, list[int]]] = [("", Style(GREY, "circle"), others)] if others else []
    for name, style in styles.items():
        groups.append((name, style, [row for row, category in enumerate(categories) if category == name]))
    for name, style, rows in groups:
        figure.add_scatter(
            x=_rounded(coordinates[rows, 0]), y=_rounded(coordinates[rows, 1]), mode="markers", name=name,
            customdata=rows, hoverinfo="none",
            marker={
                "color": style.color, "symbol": style.symbol, "size": size if name else size - 2, "opacity": 0.9,
                "line": {"color": "white", "width": 0.8},
            },
        )  # fmt: skip
    return figure


def base_figure(y_title: str | None, x_title: str = "step") -> go.Figure:
    """An empty figure in the house's fonts and colours; without `y_title` no axis has one."""
    axis = {"gridcolor": LINE, "zeroline": False, "linecolor": LINE, "ticks": "", "automargin": True}
    return go.Figure(
        layout={
            "template": "none",
            "font": {"family": FONT, "size": 12.5, "color": MUTED},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 12, "r": 12, "t": 34, "b": 12},
            "hovermode": "x unified",
            "hoverlabel": {"bgcolor": "white", "bordercolor": LINE, "font": {"color": INK}},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": INK}},
            "xaxis": axis | {"title": {"text": x_title if y_title else None, "standoff": 6}, "showgrid": False},
            "yaxis": axis | {"title": {"text": y_title, "standoff": 8}},
            "dragmode": False,
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#a6b0bb", "activecolor": INK},
        }
    )


def _moving_average(values: np.ndarray) -> np.ndarray:
    """Mean over a window of a twentieth of the run around each step, shorter at the ends, missing values left out."""
    half = max(0, len(values) // 40)
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    number = count[high] - count[low]
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(number > 0, (total[high] - total[low]) / np.maximum(number, 1), np.nan)
    return mean


def _padded(values: np.ndarray) -> list[float]:
    pad = 0.06 * max(float(np.ptp(values)), 1e-3)
    return [round(float(values.min()) - pad, 4), round(float(values.max()) + pad, 4)]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _rounded(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 4) if math.isfinite(value) else None for value in values]
