"""The table of a sweep: rows are settings, columns are scores over the seeds of pre-training, with differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy.special import stdtr

from crosspoint3d.evaluation.benchmark.verbs import main_scores
from crosspoint3d.evaluation.compare import holm
from crosspoint3d.evaluation.metrics import summary
from crosspoint3d.evaluation.result import Result
from crosspoint3d.training.sweep.plan import Evaluation, Plan, Setting

LEVEL = 0.05
"""A difference counts from this p-value (corrected) down."""
Measured = Mapping[tuple[str, int, str], Result]
"""Results by name of the setting, seed and label of the evaluation."""


@dataclass(frozen=True)
class Difference:
    """How much more a setting scores than the baseline from the same seeds.

    Attributes:
        mean: over the seeds that both have.
        low, high: ends of its 95 % t interval; both the mean for one seed.
        n: seeds.
        p: two-sided, of the paired t test, corrected (Holm) for the rows of the column; None where there is none.
    """

    mean: float
    low: float
    high: float
    n: int
    p: float | None

    @property
    def counts(self) -> bool:
        """Whether it is told from nothing."""
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Cell:
    """A setting by a score: its value for each seed that has one, their summary, and the difference."""

    values: dict[int, float]
    summary: dict[str, Any] | None
    difference: Difference | None


@dataclass(frozen=True)
class Column:
    """One score of one evaluation; cells by the names of the settings, and what guessing scores where it is known."""

    evaluation: Evaluation
    score: str
    cells: dict[str, Cell]
    chance: float | None
    main: bool


@dataclass(frozen=True)
class Failure:
    """What could not be done: of which run, in which stage (`pretrain`, or an evaluation), why, and its log."""

    job: str
    stage: str
    reason: str
    log: str


@dataclass(frozen=True)
class Table:
    """All of a sweep.

    Attributes:
        plan: what was asked for.
        columns: every score that a run has; those with `main` are shown.
        failures: what could not be done.
        missing: runs that are not finished, where the sweep was stopped.
        notes: what a reader should know.
    """

    plan: Plan
    columns: list[Column]
    failures: list[Failure]
    missing: int
    notes: list[str]

    @property
    def shown(self) -> list[Column]:
        """The columns for reading."""
        return [column for column in self.columns if column.main]

    @property
    def heads(self) -> list[str]:
        """Names of the options that tell the rows apart."""
        return list(dict.fromkeys(name for setting in self.plan.settings for name in setting.varied)) or ["setting"]

    def row(self, setting: Setting) -> list[str]:
        """What stands under `heads`."""
        return [setting.varied.get(name, "") for name in self.heads] if setting.varied else [setting.name]


def build_table(
    plan: Plan, measured: Measured, failures: Sequence[Failure], missing: int, notes: Sequence[str]
) -> Table:
    """Lay results out as a table, in the order of the file."""
    columns = []
    for evaluation in plan.evaluations:
        results = [result for (_, _, label), result in measured.items() if label == evaluation.label]
        scores = list(dict.fromkeys(score for result in results for score in result.scores))
        shown = main_scores(evaluation.verb, scores)
        columns += [_column(plan, evaluation, score, measured, main=score in shown) for score in scores]
    return Table(plan, columns, list(failures), missing, list(notes))


def _column(plan: Plan, evaluation: Evaluation, score: str, measured: Measured, *, main: bool) -> Column:
    found: dict[str, dict[int, float]] = {}
    chance: float | None = None
    for setting in plan.settings:
        found[setting.name] = {}
        for seed in plan.seeds:
            result = measured.get((setting.name, seed, evaluation.label))
            if result and score in result.scores:
                found[setting.name][seed] = float(result.scores[score]["mean"])
                chance = result.chance.get(score, chance)
    first = found[plan.baseline.name]
    tested = {
        name: difference(values, first) for name, values in found.items() if name != plan.baseline.name and values
    }
    cells = {
        name: Cell(values, summary(list(values.values())) if values else None, tested.get(name))
        for name, values in found.items()
    }
    return Column(evaluation, score, _corrected(cells), chance, main)


def difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """The paired difference over the seeds that both have; None where there are none.

    Differences that are all the same have an interval without width and no p-value: so few values say nothing about
    what another seed would give.

    Args:
        values: score of each seed.
        baseline: the same of the setting that it is compared with.
    """
    seeds = [seed for seed in values if seed in baseline]
    if not seeds:
        return None
    found = summary([values[seed] - baseline[seed] for seed in seeds])
    mean, half, n = found["mean"], found["ci95"], found["n"]
    p = None
    if n > 1 and found["std"] > 1e-9:
        p = min(1.0, 2 * float(stdtr(n - 1, -abs(mean) / (found["std"] / n**0.5))))
    return Difference(mean, mean - half, mean + half, n, p)


def _corrected(cells: dict[str, Cell]) -> dict[str, Cell]:
    """The cells with their p-values corrected for all that are tested together."""
    tested = {name: c.difference.p for name, c in cells.items() if c.difference and c.difference.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return {
        name: replace(cell, difference=replace(cell.difference, p=corrected[name]))
        if cell.difference and name in corrected
        else cell
        for name, cell in cells.items()
    }
