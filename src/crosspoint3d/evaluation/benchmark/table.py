"""The table of a benchmark: rows are encoders, columns the scores of evaluations, with published numbers and tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosspoint3d.config import EvaluateConfig, Protocol
from crosspoint3d.evaluation.benchmark.plan import Encoder, Evaluation, Plan
from crosspoint3d.evaluation.benchmark.verbs import main_scores
from crosspoint3d.evaluation.compare import Comparison, compare
from crosspoint3d.evaluation.published_numbers import PublishedNumber, published_numbers
from crosspoint3d.evaluation.result import Result

PROTOCOLS: tuple[Protocol, ...] = ("clean", "paper")
LEVEL = 0.05
"""A difference counts from this p-value (corrected) down."""


@dataclass(frozen=True)
class Outcome:
    """What became of one encoder in one evaluation: a result in `file` (below the output folder), or an error."""

    encoder: Encoder
    evaluation: Evaluation
    config: EvaluateConfig
    file: str
    result: Result | None
    error: str


@dataclass(frozen=True)
class Cell:
    """One encoder by one score; `summary` is None where it failed or has no such score."""

    outcome: Outcome
    summary: dict[str, Any] | None
    published: tuple[PublishedNumber, ...]


@dataclass(frozen=True)
class Column:
    """One score of one evaluation in one protocol.

    Attributes:
        protocol, evaluation, score: which; `score` is empty where every encoder failed.
        cells: by the names of the encoders that the evaluation is for.
        comparisons: of every pair of encoders that has the score.
        best: the encoder that is best by a difference to the second that counts; None where there is none.
    """

    protocol: Protocol
    evaluation: Evaluation
    score: str
    cells: dict[str, Cell]
    comparisons: list[Comparison]
    best: str | None

    @property
    def chance(self) -> dict[str, float] | None:
        """What guessing scores, as `shown` takes it; None where it is not known."""
        known = [cell.outcome.result.chance.get(self.score) for cell in self.cells.values() if cell.outcome.result]
        value = next((value for value in known if value is not None), None)
        return None if value is None else {"mean": value, "n": 1}

    @property
    def published(self) -> list[PublishedNumber]:
        """The published numbers of all its cells."""
        return [number for cell in self.cells.values() for number in cell.published]


@dataclass(frozen=True)
class Table:
    """All of a benchmark.

    Attributes:
        file: the benchmark file.
        encoders: rows.
        columns: protocol by protocol, in the order of the file.
        outcomes: what was run, whole.
        notes: what a reader should know about the table.
    """

    file: Path
    encoders: list[Encoder]
    columns: list[Column]
    outcomes: list[Outcome]
    notes: list[str]


def build_table(plan: Plan, outcomes: Sequence[Outcome]) -> Table:
    """Lay outcomes out as a table.

    Args:
        plan: what was asked for.
        outcomes: one for each encoder, evaluation and protocol.
    """
    columns = []
    for protocol in PROTOCOLS:
        for evaluation in plan.evaluations:
            row = [o for o in outcomes if o.evaluation is evaluation and o.config.protocol == protocol]
            names = [name for o in row if o.result for name in main_scores(evaluation.verb, o.result.scores)]
            for score in list(dict.fromkeys(names)) or [""] * bool(row):
                columns.append(_column(protocol, evaluation, score, row, first=score in (names[:1] or [""])))
    return Table(plan.file, plan.encoders, columns, list(outcomes), _notes(plan, columns, outcomes))


def _column(protocol: Protocol, evaluation: Evaluation, score: str, row: list[Outcome], *, first: bool) -> Column:
    cells = {
        outcome.encoder.name: Cell(
            outcome,
            outcome.result.scores.get(score) if outcome.result else None,
            cell_published(outcome, score, first=first),
        )
        for outcome in row
    }
    results = {name: cell.outcome.result for name, cell in cells.items() if cell.outcome.result and cell.summary}
    means = {name: cell.summary["mean"] for name, cell in cells.items() if cell.summary}
    comparisons = compare(results, score)
    return Column(protocol, evaluation, score, cells, comparisons, _best(means, comparisons, score))


def lower_is_better(score: str) -> bool:
    """Whether less of a score is better: of ranks."""
    return score.endswith("rank")


def _best(means: dict[str, float], comparisons: list[Comparison], score: str) -> str | None:
    order = sorted(means, key=lambda name: means[name], reverse=not lower_is_better(score))
    if len(order) < 2 or means[order[0]] == means[order[1]]:
        return None
    pair = next(c for c in comparisons if {c.first, c.second} == set(order[:2]))
    return order[0] if pair.p is not None and pair.p < LEVEL else None


def cell_published(outcome: Outcome, score: str, *, first: bool) -> tuple[PublishedNumber, ...]:
    """Numbers that stand beside a score: of the built-in row where data and evaluation are the same, or as given.

    Args:
        outcome: encoder and evaluation.
        score: its name.
        first: whether it is the first of the evaluation's columns, to which a number without a score's name belongs.
    """
    rows, evaluation = outcome.encoder.published, outcome.evaluation
    if isinstance(rows, dict):
        keys = [f"{evaluation.label} {score}", *([evaluation.label] if first else [])]
        return tuple(rows[key] for key in keys if key in rows)
    return tuple(
        number
        for number in published_numbers()
        if number.encoder == rows and number.belongs(evaluation.dataset, evaluation.verb, outcome.config, score)
    )


def _notes(plan: Plan, columns: list[Column], outcomes: Sequence[Outcome]) -> list[str]:
    numbers = [number for column in columns for number in column.published]
    shown = {id(number) for number in numbers}
    notes = []
    for encoder in plan.encoders:
        if isinstance(encoder.published, dict):
            lost = [key for key, number in encoder.published.items() if id(number) not in shown]
            notes += [f"{encoder.name}: the published number of {key!r} has no column to stand in" for key in lost]
        elif encoder.published and not any(number.encoder == encoder.published for number in numbers):
            notes.append(
                f"{encoder.name}: nothing is published of {encoder.published!r} for these data and evaluations"
            )
    drawn = [o for o in outcomes if o.result and o.result.protocol["data"].get("split_drawn")]
    if drawn:
        notes.append(
            "each seed draws its own split, and a shape may be tested several times: the intervals of differences are "
            "too narrow"
        )
    return notes
