"""The curves of a run beside its losses: cosines, effective rank, probes; those that its metrics.jsonl holds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from crosspoint3d.plots import MOST_LINES, base_figure

_CLOUDS, _LIGHT_CLOUDS, _PICTURES, _LIGHT_PICTURES = "#2f6db3", "#74aee6", "#d9722b", "#f0a566"
_CURVES: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "similarity": (
        "mean cosine of projections",
        {
            "intra_positive_cosine": ("two clouds of a shape", _CLOUDS),
            "intra_negative_cosine": ("clouds of different shapes", _LIGHT_CLOUDS),
            "cross_positive_cosine": ("clouds and picture of a shape", _PICTURES),
            "cross_negative_cosine": ("clouds and picture of different shapes", _LIGHT_PICTURES),
        },
    ),
    "rank": (
        "effective rank of projections",
        {"cloud_effective_rank": ("clouds", _CLOUDS), "image_effective_rank": ("pictures", _PICTURES)},
    ),
    "probe": (
        "share right, held-out train shapes",
        {
            "probe_linear_accuracy": ("category by a linear probe", _CLOUDS),
            "probe_recall@1": ("shape found by its picture", _PICTURES),
        },
    ),
}


@dataclass(frozen=True)
class Curve:
    """A figure with the id of its place on the page; its lines have a name and a colour each."""

    id: str
    title: str
    figure: go.Figure


def run_curves(rows: Sequence[dict[str, Any]]) -> list[Curve]:
    """The curves that lines of metrics.jsonl have values for; none for a run of a version before they were logged."""
    found = []
    for name, (title, lines) in _CURVES.items():
        figure = base_figure(title)
        for key, (words, color) in lines.items():
            points = [(row["step"], row[key]) for row in rows if _finite(row.get(key))]
            points = points[:: max(1, len(points) // MOST_LINES)]
            if points:
                steps, values = zip(*points, strict=True)
                figure.add_scatter(
                    x=steps, y=[round(value, 4) for value in values], name=words, hovertemplate="%{y:.3f}",
                    mode="lines" if len(points) > 30 else "lines+markers", line={"color": color, "width": 2},
                )  # fmt: skip
        if figure.data:
            found.append(Curve(f"plot-{name}", title, figure))
    return found


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
