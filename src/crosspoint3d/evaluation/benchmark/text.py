"""A benchmark's table in words: numbers with their intervals, names of scores, and the table for a terminal."""

import shutil
from itertools import groupby
from typing import Any, NamedTuple

from crosspoint3d.evaluation.benchmark.table import LEVEL, PROTOCOLS, Cell, Column, Table, lower_is_better
from crosspoint3d.evaluation.compare import Comparison

WORDS = {"map": "mAP", "nmi": "NMI", "ari": "ARI"}
TRANSFER = "transfer="
WIDTH = 120
NOISE = 1e-9
CHANCE = "(chance)"


class Printed(NamedTuple):
    """One score as text: its evaluation, and its columns (the second of published numbers) with a head each."""

    label: str
    columns: list[list[str]]


def shown(score: str, summary: dict[str, Any]) -> str:
    """Mean and half width of its 95 % interval, in per cent but for ranks; without ± where all are the same."""
    factor = 1 if lower_is_better(score) else 100
    spread = f" ± {summary['ci95'] * factor:.1f}" if summary["n"] > 1 and summary["std"] > NOISE else ""
    return f"{summary['mean'] * factor:.1f}{spread}"


def unit(score: str) -> str:
    """The unit of `shown`."""
    return "" if lower_is_better(score) else "%"


def score_words(score: str) -> str:
    """A score's name in words; of one under a condition the condition alone."""
    name, _, condition = score.partition("@")
    if condition.startswith(TRANSFER):
        return f"on {condition.removeprefix(TRANSFER)}"
    if condition and not name.endswith("recall"):
        return f"at {condition.replace('=', ' ')}"
    return " ".join(WORDS.get(word, word) for word in score.split("_"))


def p_words(p: float) -> str:
    """A p-value for reading."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def difference_words(comparison: Comparison, score: str) -> str:
    """A difference with its 95 % interval in points (of ranks: in ranks), or why there is none."""
    if comparison.test is None or comparison.p is None:
        return comparison.reason
    factor, words = (1, "") if lower_is_better(score) else (100, " points")
    numbers = [factor * value for value in (comparison.test.difference, comparison.test.low, comparison.test.high)]
    mean, low, high = (f"{value:.1f}".replace("-", "−") for value in numbers)
    return f"{'+' * (numbers[0] > 0)}{mean}{words} [{low}, {high}], {p_words(comparison.p)}"


def published_words(cell: Cell) -> str:
    """The published numbers of a cell."""
    return " / ".join(number.text for number in cell.published)


def seeds_words(column: Column) -> str:
    """How many values the intervals of a column are over."""
    counts = sorted({cell.summary["n"] for cell in column.cells.values() if cell.summary})
    return "n = " + " or ".join(str(count) for count in counts) if counts else ""


def errors(table: Table) -> list[str]:
    """Different messages of failed evaluations, in their order."""
    return list(dict.fromkeys(outcome.error for outcome in table.outcomes if outcome.error))


def terminal(table: Table) -> str:
    """The table as lines: a block for each protocol, cut into as many as its columns need."""
    names = [encoder.name for encoder in table.encoders]
    width = max(shutil.get_terminal_size((WIDTH, 24)).columns, 60)
    lines: list[str] = []
    for protocol in PROTOCOLS:
        columns = [column for column in table.columns if column.protocol == protocol]
        if columns:
            lines += [f"{protocol} protocol", "", *_blocks(_printed(columns, names, table), [*names, CHANCE], width)]
    numbers = [number for column in table.columns for number in column.published]
    lines.append("per cent; ± is the 95 % interval of the mean over the seeds, left out where all are the same")
    if any(column.best for column in table.columns):
        lines.append(f"* best, and better than the second by a paired test (p < {LEVEL:g}, corrected for all pairs)")
    if any("@" in column.score for column in table.columns):
        lines.append("at ..., on ...: overall accuracy under this condition, or on these data")
    sources = dict.fromkeys(f"published {n.text}: {n.encoder}, {n.source}{_note(n.note)}" for n in numbers)
    failed = [f"[{number}] failed: {error}" for number, error in enumerate(errors(table), 1)]
    return "\n".join([*lines, *sources, *failed, *(f"note: {note}" for note in table.notes)])


def _note(note: str) -> str:
    return f" ({note})" if note else ""


def _printed(columns: list[Column], names: list[str], table: Table) -> list[Printed]:
    printed = []
    for column in columns:
        cells = [column.cells.get(name) for name in names]
        chance = f"{shown(column.score, column.chance)}  " if column.chance else "-"
        texts = [[score_words(column.score), *(_cell(cell, column, table) for cell in cells), chance]]
        if column.published:
            texts.append(["published", *(published_words(cell) if cell else "" for cell in cells), ""])
        printed.append(Printed(column.evaluation.label, texts))
    return printed


def _cell(cell: Cell | None, column: Column, table: Table) -> str:
    if cell is not None and cell.outcome.error:
        return f"failed [{errors(table).index(cell.outcome.error) + 1}]"
    if cell is None or cell.summary is None:
        return "-"
    return shown(column.score, cell.summary) + (" *" if column.best == cell.outcome.encoder.name else "  ")


def _blocks(scores: list[Printed], names: list[str], width: int) -> list[str]:
    lines: list[str] = []
    block: list[str] = []
    begin = 0
    for end in range(1, len(scores) + 1):
        wider = _block(scores[begin:end], names)
        if end - begin > 1 and max(map(len, wider)) > width:
            lines += [*block, ""]
            begin, wider = end - 1, _block(scores[end - 1 : end], names)
        block = wider
    return [*lines, *block, ""]


def _block(scores: list[Printed], names: list[str]) -> list[str]:
    """Names, and the columns of some scores beside them, under the names of their evaluations."""
    lines = ["", "", *names]
    lines = [line.ljust(max(map(len, names))) for line in lines]
    for label, group in groupby(scores, key=lambda score: score.label):
        columns = [column for score in group for column in score.columns]
        beside = [
            "  " + "  ".join(f"{text:>{max(map(len, c))}}" for text, c in zip(row, columns, strict=True))
            for row in zip(*columns, strict=True)
        ]
        wide = max(len(label) + 2, len(beside[0]))
        lines = [
            line + more
            for line, more in zip(lines, [f"  {label:{wide - 2}}", *(f"{t:>{wide}}" for t in beside)], strict=True)
        ]
    return [line.rstrip() for line in lines]
