"""A sweep's table as a PNG: a panel for each score, settings from top to bottom, with 95 % intervals."""

import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crosspoint3d.evaluation.benchmark.table import lower_is_better
from crosspoint3d.evaluation.benchmark.text import score_words
from crosspoint3d.runtime import atomic
from crosspoint3d.training.sweep.table import Column, Table

INK, MUTED, LINE, MEAN, SEED = "#1c2733", "#667383", "#e6e9ee", "#2f6db3", "#b9c1cb"
ACROSS = 3
LONGEST = 40
TITLE = 48  # characters of a line above a panel


def draw_table(table: Table, path: Path) -> None:
    """Draw every shown score: each seed as a small dot, the mean with its 95 % t interval, the baseline as a line.

    Args:
        table: with one shown column at least.
        path: of the PNG; is replaced whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    names = [setting.name for setting in table.plan.settings]
    columns = table.shown
    across = min(ACROSS, len(columns))
    down = -(-len(columns) // across)
    figure = Figure(figsize=(2.2 + 3.4 * across, down * (1.2 + 0.34 * len(names))), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    for panel in panels.flat[len(columns) :]:
        panel.set_visible(False)
    for panel, column in zip(panels.flat, columns, strict=False):
        _panel(panel, column, names, table.plan.baseline.name)
    first = panels.flat[0]
    first.set_yticks(range(len(names)), [_short(name) for name in names])
    first.set_ylim(len(names) - 0.5, -0.5)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", facecolor="white")


def _panel(panel: Axes, column: Column, names: list[str], baseline: str) -> None:
    factor = 1 if lower_is_better(column.score) else 100
    for place, name in enumerate(names):
        cell = column.cells[name]
        if cell.summary is None:
            continue
        mean, half = (factor * cell.summary[key] for key in ("mean", "ci95"))
        if name == baseline:
            panel.axvline(mean, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        values = [factor * value for value in cell.values.values()]
        panel.plot(
            values, [place] * len(values), "o", color=SEED, markersize=4, markeredgecolor="white", markeredgewidth=0.6,
            zorder=4,
        )  # fmt: skip
        panel.errorbar([mean], [place], xerr=[half], fmt="o", color=MEAN, markersize=6, capsize=3, zorder=3)
    title = f"{textwrap.fill(column.evaluation.label, TITLE)}\n{score_words(column.score)}"
    panel.set_title(title, loc="left", fontsize=9, color=INK)
    panel.set_xlabel("rank" if factor == 1 else "%", color=MUTED, fontsize=8)
    panel.tick_params(length=0, labelcolor=MUTED, labelsize=8)
    panel.grid(axis="x", color=LINE, zorder=0)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(LINE)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
