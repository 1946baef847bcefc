"""A benchmark as one HTML page that asks the network for nothing."""

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import jinja2

from crosspoint3d import __version__
from crosspoint3d.config import Protocol
from crosspoint3d.evaluation.benchmark.methods import data_lines, methods
from crosspoint3d.evaluation.benchmark.table import LEVEL, PROTOCOLS, Cell, Column, Table, lower_is_better
from crosspoint3d.evaluation.benchmark.text import (
    difference_words,
    errors,
    published_words,
    score_words,
    seeds_words,
    shown,
    unit,
)
from crosspoint3d.evaluation.compare import Comparison, plural
from crosspoint3d.evaluation.published_numbers import PublishedNumber, published_numbers
from crosspoint3d.runtime import atomic

MOST_COLUMNS = 10
MEANING = {
    "clean": "Whatever is chosen is chosen on the training split; the test split is read once.",
    "paper": "The published procedure where there is one, usual fixed values where there is none.",
}


@dataclass(frozen=True)
class Group:
    """Neighbouring columns of one evaluation, under its name; `width` counts those of published numbers too."""

    label: str
    columns: list[Column]
    width: int


@dataclass(frozen=True)
class Differences:
    """All pairs by one score: title, how many differ, and a line for each with whether it counts."""

    title: str
    summary: str
    lines: list[tuple[str, str, bool]]


@dataclass(frozen=True)
class Reference:
    """Published numbers for the evaluations of the file: names of these, and a row for each encoder and source."""

    labels: list[str]
    rows: list[tuple[str, list[str], str]]


def write_page(table: Table, path: Path) -> None:
    """Write the page.

    Args:
        table: with the places of the results relative to the page's folder.
        path: HTML file.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["url"] = quote
    source = resources.files("crosspoint3d.evaluation.benchmark").joinpath("page.html").read_text(encoding="utf-8")
    page = environment.from_string(source).render(
        table=table,
        name=table.file.stem,
        version=__version__,
        level=LEVEL,
        meaning=MEANING,
        protocols=[(protocol, found) for protocol in PROTOCOLS if (found := blocks(table, protocol))],
        differences=[(protocol, pairs) for protocol in PROTOCOLS if (pairs := differences(table, protocol))],
        reference=reference(table),
        methods=methods(table),
        errors=errors(table),
        data=data_lines(table),
        shown=shown,
        unit=unit,
        score_words=score_words,
        published_words=published_words,
        seeds_words=seeds_words,
        share=_share,
    )
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def blocks(table: Table, protocol: Protocol) -> list[list[Group]]:
    """The columns of a protocol by evaluation, cut where a page is full."""
    found: dict[str, list[Column]] = {}
    for column in table.columns:
        if column.protocol == protocol:
            found.setdefault(column.evaluation.label, []).append(column)
    cut: list[list[Group]] = []
    for label, columns in found.items():
        group = Group(label, columns, len(columns) + sum(bool(column.published) for column in columns))
        if not cut or sum(other.width for other in cut[-1]) + group.width > MOST_COLUMNS:
            cut.append([])
        cut[-1].append(group)
    return cut


def _share(cell: Cell, score: str) -> float | None:
    """Width of a cell's bar, per cent; None where it has none."""
    return None if cell.summary is None or lower_is_better(score) else round(100 * cell.summary["mean"], 1)


def differences(table: Table, protocol: Protocol) -> list[Differences]:
    """Paired tests of every column that has any, or the reason why a column has none."""
    found = []
    for column in table.columns:
        if column.protocol != protocol or not column.comparisons:
            continue
        title = f"{column.evaluation.label} · {score_words(column.score)}"
        tested = [c for c in column.comparisons if c.test]
        if not tested and len({c.reason for c in column.comparisons}) == 1:
            found.append(Differences(title, f"not tested: {column.comparisons[0].reason}", []))
            continue
        count = sum(_counts(c) for c in tested)
        units = {(c.test.units, c.unit) for c in tested if c.test}
        over = ", ".join(f"{number:,} {plural(word)}" for number, word in sorted(units))
        summary = f"{count} of {len(tested)} pair{'s' * (len(tested) != 1)} differ{'s' * (count == 1)}, over {over}"
        lines = [(_pair(o), difference_words(o, column.score), _counts(o)) for o in map(_oriented, column.comparisons)]
        found.append(Differences(title, summary if tested else "not tested", lines))
    return found


def _counts(comparison: Comparison) -> bool:
    return comparison.p is not None and comparison.p < LEVEL


def _pair(comparison: Comparison) -> str:
    return f"{comparison.first} − {comparison.second}"


def _oriented(comparison: Comparison) -> Comparison:
    """The pair in the order in which its difference is not negative."""
    test = comparison.test
    if test is None or test.difference >= 0:
        return comparison
    turned = replace(test, difference=-test.difference, low=-test.high, high=-test.low)
    return replace(comparison, first=comparison.second, second=comparison.first, test=turned)


def reference(table: Table) -> Reference:
    """Published numbers of all encoders for the evaluations of the file, whether or not a row names them."""
    numbers: dict[str, list[PublishedNumber]] = {}
    for outcome in table.outcomes:
        place = outcome.evaluation.dataset, outcome.evaluation.verb, outcome.config
        numbers[outcome.evaluation.label] = [n for n in published_numbers() if n.belongs(*place, n.score)]
    labels = [label for label, found in numbers.items() if found]
    rows: dict[tuple[str, str], list[list[str]]] = {}
    for index, label in enumerate(labels):
        for number in numbers[label]:
            source = number.source + (f" ({number.note})" if number.note else "")
            cells = rows.setdefault((number.encoder, source), [[] for _ in labels])
            cells[index].append(number.text)
    names = list(dict.fromkeys(encoder for encoder, _ in rows))
    ordered = sorted(rows.items(), key=lambda row: names.index(row[0][0]))
    return Reference(labels, [(name, [" / ".join(c) for c in cells], source) for (name, source), cells in ordered])
