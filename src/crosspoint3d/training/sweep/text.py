"""A sweep's table in words: for a terminal, and the numbers as the page has them."""

import shutil

from crosspoint3d.evaluation.benchmark.table import lower_is_better
from crosspoint3d.evaluation.benchmark.text import p_words, score_words, shown
from crosspoint3d.training.sweep.table import LEVEL, Cell, Column, Difference, Table

WIDTH = 120
BASELINE = "baseline"


def difference_words(difference: Difference | None, score: str, *, p: bool = True) -> str:
    """A difference with its 95 % interval in points (of ranks: in ranks)."""
    if difference is None:
        return "-"
    factor = 1 if lower_is_better(score) else 100
    mean, low, high = (
        f"{factor * v:+.1f}".replace("-", "−") for v in (difference.mean, difference.low, difference.high)
    )
    words = f"{mean} [{low}, {high}]" if difference.n > 1 else f"{mean} (one seed)"
    return f"{words}, {p_words(difference.p)}" if p and difference.p is not None else words


def cell_words(cell: Cell, column: Column, seeds: int) -> str:
    """Mean ± half width of the 95 % interval, and how many seeds it is over where some are missing."""
    if cell.summary is None:
        return "-"
    fewer = f" (n = {cell.summary['n']})" if cell.summary["n"] < seeds else ""
    return shown(column.score, cell.summary) + fewer


def terminal(table: Table) -> str:
    """The table as lines, cut into blocks where the terminal is too narrow."""
    width = max(shutil.get_terminal_size((WIDTH, 24)).columns, 60)
    settings, seeds = table.plan.settings, table.plan.seeds
    begin = _joined(
        [["", head, *(table.row(setting)[i] for setting in settings)] for i, head in enumerate(table.heads)]
    )
    blocks, block = [], begin
    for column in table.shown:
        cells = [column.cells[setting.name] for setting in settings]
        texts = [["", score_words(column.score), *(cell_words(cell, column, len(seeds)) for cell in cells)]]
        if len(settings) > 1:
            texts.append(["", "difference", *(_against(table, column, setting.name) for setting in settings)])
        group = _joined(texts)
        group[0] = column.evaluation.label
        longest = max(map(len, group))
        more = [f"{left}  {right:>{longest}}" for left, right in zip(block, group, strict=True)]
        if block is not begin and max(map(len, more)) > width:
            blocks.append(block)
            more = [f"{left}  {right:>{longest}}" for left, right in zip(begin, group, strict=True)]
        block = more
    blocks.append(block)
    lines = ["\n".join(line.rstrip() for line in block) + "\n" for block in blocks]
    count = len(seeds)
    lines.append(
        f"per cent; ± is the 95 % t interval of the mean over {count} seed{'s' * (count != 1)} of pre-training"
    )
    if len(settings) > 1:
        lines.append(
            f"difference: to {table.plan.baseline.name!r} by the same seeds, with its 95 % t interval; "
            f"* p < {LEVEL:g}, corrected for the rows of the column"
        )
    lines += [f"note: {note}" for note in table.notes]
    return "\n".join([*lines, *(f"failed: {f.job}: {f.stage}: {f.reason} ({f.log})" for f in table.failures)])


def _against(table: Table, column: Column, name: str) -> str:
    if name == table.plan.baseline.name:
        return BASELINE
    difference = column.cells[name].difference
    return difference_words(difference, column.score, p=False) + " *" * (difference is not None and difference.counts)


def _joined(columns: list[list[str]]) -> list[str]:
    """Columns side by side."""
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)) for row in rows]
