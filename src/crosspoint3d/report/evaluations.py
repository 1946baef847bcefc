"""The results section: a table for each evaluation, with plots of its curves and its categories."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crosspoint3d.data.table import ShapeTable
from crosspoint3d.evaluation.class_tables import ClassTable, class_table, similar_order
from crosspoint3d.evaluation.result import Result
from crosspoint3d.plots_evaluation import (
    MOST_CATEGORIES,
    Line,
    categories_figure,
    cell_size,
    confusion_figure,
    curve_figure,
    shortened,
)
from crosspoint3d.report.rows import curves
from crosspoint3d.report.run import RunRecord
from crosspoint3d.report.scores import KINDS, MAIN, ScoreTable, few_shot_table, score_table
from crosspoint3d.report.sections import Missing

MANY = 3
"""Curves beyond which their plots are small."""
READING = (
    "Rows: what a shape is; columns: what it is taken for. Blue: share of the row that is right; orange: share taken "
    "for another category, strong from a tenth on; nothing: never. Categories that are taken for each other stand side "
    "by side. Point at a cell for its count."
)


@dataclass(frozen=True)
class Chart:
    """A plot and the words above and below it; `width` is the least that keeps it readable (0: any), both in pixels."""

    id: str
    title: str
    figure: Any
    height: int
    above: str = ""
    below: str = ""
    width: int = 0
    square: bool = False


@dataclass(frozen=True)
class Evaluation:
    """A table with its plots.

    Attributes:
        table: the scores.
        curves: one plot a condition. clean: whether they show scores without the condition as dashed lines.
        classes: plots about the categories, folded away unless `opened`.
    """

    table: ScoreTable
    curves: list[Chart] = field(default_factory=list)
    clean: bool = False
    classes: list[Chart] = field(default_factory=list)
    opened: bool = False


def evaluations(run: RunRecord, tables: Sequence[ShapeTable]) -> list[Evaluation | Missing]:
    """Every evaluation of a run in the order of `KINDS`, then unknown ones; a `Missing` for a main one not run."""
    parts: list[Evaluation | Missing] = []
    opened = False
    for kind in [*KINDS, *sorted({result.evaluation for result in run.results.values()} - set(KINDS))]:
        found = {folder: result for folder, result in run.results.items() if result.evaluation == kind}
        if not found and kind in MAIN:
            parts.append(Missing(f"{KINDS[kind]}: not measured yet.", _command(kind, run, tables)))
        elif found and kind == "few-shot":
            parts.append(Evaluation(few_shot_table(found)))
        else:
            for folder in sorted(found, key=lambda folder: (folder != kind, folder)):
                part = evaluation_of(f"chart-{len(parts)}", folder, found[folder], open_classes=not opened)
                opened = opened or part.opened
                parts.append(part)
    return parts


def further_evaluations(run: RunRecord, tables: Sequence[ShapeTable]) -> tuple[str, list[str]]:
    """Of the evaluations that were not run, beside the main ones: the command of the first, and the other verbs."""
    absent = [kind for kind in KINDS if kind not in MAIN and not run.of_kind(kind)]
    return (_command(absent[0], run, tables), absent[1:]) if absent else ("", [])


def _command(verb: str, run: RunRecord, tables: Sequence[ShapeTable]) -> str:
    data = shlex.join([tables[0].path]) if tables else "TABLE"
    return f"crosspoint3d evaluate {verb} --encoder {shlex.join([str(run.path)])} --data {data}"


def evaluation_of(name: str, folder: str, result: Result, *, open_classes: bool) -> Evaluation:
    """One result with its plots, whose ids begin with `name`."""
    seeds = result.protocol.get("seeds", [])
    classes = class_table(result.details, len(seeds))
    drawn = _curve_charts(name, result)
    return Evaluation(
        table=score_table(folder, result),
        curves=drawn,
        clean=any(trace.name == "clean" for chart in drawn for trace in chart.figure.data),
        classes=_class_charts(name, classes) if classes else [],
        opened=classes is not None and open_classes,
    )


def _curve_charts(name: str, result: Result) -> list[Chart]:
    charts = []
    described = curves(result)
    if not described:
        return []
    shown = {score for curve in described for score in curve["scores"]}
    both, many = (result.scores, result.untrained), len(described) > MANY
    highest = max(part[score]["mean"] + part[score]["ci95"] for part in both for score in shown & set(part))
    for number, curve in enumerate(described):
        base = curve["scores"][-1].partition("@")[0]
        clean = [part[base]["mean"] if base in part else None for part in both]
        figure = curve_figure(
            curve["x"],
            _line(result.scores, curve["scores"]),
            _line(result.untrained, curve["scores"]) if shown & set(result.untrained) else None,
            chance=[result.chance.get(score, result.chance.get(base)) for score in curve["scores"]],
            clean=(clean[0], clean[1]),
            log=curve["log"],
            top=min(1.05, max(highest, 0.05) * 1.08),
            pixels=170 if many else 240,
        )
        height = 210 if many else 280
        charts.append(Chart(f"{name}-curve-{number}", curve["title"], figure, height, below=curve["x_label"]))
    return charts


def _line(scores: dict[str, dict[str, Any]], names: Sequence[str]) -> Line:
    found = [scores.get(name) for name in names]
    return Line(
        [None if score is None else float(score["mean"]) for score in found],
        [0.0 if score is None else float(score["ci95"]) for score in found],
    )


def confusion_chart(name: str, table: ClassTable) -> Chart:
    """What is taken for what; of many categories those with most mistakes."""
    names = [row.name for row in table.categories]
    order = similar_order(table.counts, MOST_CATEGORIES)
    words = READING
    if len(names) > MOST_CATEGORIES:
        words = f"The {MOST_CATEGORIES} categories with most mistakes, of {len(names)}. {words}"
    if table.seeds > 1:
        words += f" Counts are over {table.seeds} seeds together."
    side = round(cell_size(len(order)) * len(order)) + _margin(names, order)
    figure = confusion_figure(table.counts, names, order)
    return Chart(f"{name}-confusion", "What is taken for what", figure, side, words, width=side, square=True)


def _class_charts(name: str, table: ClassTable) -> list[Chart]:
    names = [row.name for row in table.categories]
    trained, untrained = [row.trained for row in table.categories], [row.untrained for row in table.categories]
    dots = categories_figure(names, trained, untrained, [row.shapes for row in table.categories])
    hardest = "Accuracy of each category, hardest first"
    if len(names) > MOST_CATEGORIES:
        hardest = f"Accuracy of the {MOST_CATEGORIES} hardest of {len(names)} categories"
    matrix = confusion_chart(name, table)
    height = 240 + _margin(names, similar_order(table.counts, MOST_CATEGORIES)) // 2
    return [Chart(f"{name}-categories", hardest, dots, height, width=matrix.width), matrix]


def _margin(names: Sequence[str], order: Sequence[int]) -> int:
    """Pixels that the names beside and below a matrix take."""
    return 40 + 6 * max(len(shortened(names[row])) for row in order)
