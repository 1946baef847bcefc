"""Paired tests between encoders: the same shapes, episodes or queries, scored by both.

What is tested is whether another draw of shapes (or episodes, queries) might have turned the difference round. Each
encoder is taken as it is: how much its scores would move had it been trained from another seed is not covered.

Axis letters: U units (test shapes, episodes, queries), V distinct sizes of a difference, N draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from crosspoint3d.evaluation.metrics import summary
from crosspoint3d.evaluation.result import Result

DRAWS = 9_999
STEP = 1e-6
"""Differences are whole multiples of this: results keep six digits."""
BLOCK = 2**20
ENCODERS_OWN = {
    *("encoder", "model", "out", "k", "device", "batch_size", "cache", "untrained", "search", "threads", "resume"),
    *("mode", "head", "labels", "epochs", "min_steps", "optimizer", "lr", "layer_decay", "weight_decay", "warmup"),
    *("final_lr", "label_smoothing", "class_weights", "loss_over", "augment", "validate_every", "grad_clip"),
    "precision",
}
"""Options in which two results may differ and still score the same units."""


@dataclass(frozen=True)
class PairedTest:
    """How much better the first of two is.

    Attributes:
        difference: mean over the units of first less second.
        low, high: ends of the 95 % t interval of that mean.
        p: two-sided p-value of the sign-flip permutation test.
        units: how many units.
    """

    difference: float
    low: float
    high: float
    p: float
    units: int


@dataclass(frozen=True)
class Comparison:
    """Two encoders by one score.

    Attributes:
        first, second: their names.
        unit: what was scored by both, such as `test shape`.
        test: the test of this pair alone; None where the two cannot be compared.
        p: its p-value, corrected (Holm) for all pairs tested together.
        reason: why there is no test; else empty.
    """

    first: str
    second: str
    unit: str
    test: PairedTest | None
    p: float | None
    reason: str


def paired_test(
    first: Float[np.ndarray, " U"],
    second: Float[np.ndarray, " U"],
    generator: np.random.Generator,
    draws: int = DRAWS,
) -> PairedTest:
    """Test whether two encoders differ on the same units, by flipping the signs of the differences at random.

    p = (1 + draws whose mean difference is at least as large) / (1 + draws), so never below 1 / (1 + draws). Where each
    unit is right or wrong this is McNemar's exact test, but for the draws.

    Args:
        first: scores of two or more units.
        second: of the same units in the same order.
        generator: draws the signs.
        draws: how many.
    """
    differences = np.rint((first.astype(np.float64) - second) / STEP).astype(np.int64)
    spread = summary((first.astype(np.float64) - second).tolist())
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    # Thirds and the like are rounded, each difference by one step at most: sums that close are equal ones.
    rounding = 2 * int(counts.sum())
    least, extreme = abs(int(differences.sum())) - rounding, 0
    block = max(1, BLOCK // max(1, len(sizes)))
    for begin in range(0, draws, block):
        positive = generator.binomial(counts, 0.5, size=(min(block, draws - begin), len(sizes)))
        extreme += int((np.abs((2 * positive - counts) @ sizes) >= least).sum())
    return PairedTest(
        difference=spread["mean"],
        low=spread["mean"] - spread["ci95"],
        high=spread["mean"] + spread["ci95"],
        p=(1 + extreme) / (1 + draws),
        units=len(differences),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being several (Holm 1979), in the order given."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = largest
    return corrected


def why_not(first: Result, second: Result, score: str) -> str:
    """The reason why two results must not be compared unit by unit; empty if they may.

    Args:
        first: result of one encoder.
        second: result of another.
        score: name of the score.
    """
    units: list[Any] = [result.details.get("paired", {}).get(score) for result in (first, second)]
    if None in units:
        return f"no results of single units were kept for {score}"
    theirs = [_conditions(result, unit) for result, unit in zip((first, second), units, strict=True)]
    for name in theirs[0] | theirs[1]:
        values = [conditions.get(name) for conditions in theirs]
        if values[0] != values[1]:
            return f"they differ in {name}: {values[0]} and {values[1]}"
    return "" if len(units[0]["values"]) > 1 else f"only one {units[0]['unit']}"


def _conditions(result: Result, unit: dict[str, Any]) -> dict[str, Any]:
    """All that must be equal for two results to have scored the same units."""
    protocol = result.protocol
    options = {name: value for name, value in protocol["config"].items() if name not in ENCODERS_OWN}
    return {
        "evaluation": result.evaluation,
        "protocol": protocol["mode"],
        "split (its hash)": protocol["data"].get("split_sha256"),
        "seeds": protocol["seeds"],
        "points": protocol["points"],
        "clouds (their hashes)": [entry.get("clouds_sha256") for entry in protocol.get("encoders", [])],
        "corruptions": protocol.get("corruptions"),
        "unit": unit["unit"],
        f"number of {plural(unit['unit'])}": len(unit["values"]),
        **{f"option {name}": value for name, value in options.items() if name not in ("seeds", "points", "protocol")},
    }


def plural(unit: str) -> str:
    """Several of a unit."""
    return f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"


def compare(results: Mapping[str, Result], score: str, seed: int = 0) -> list[Comparison]:
    """Every pair of encoders by one score, p-values corrected (Holm) for the number of pairs that were tested.

    Args:
        results: of one evaluation in one protocol, by the names of the encoders.
        score: name of the score, as in `details["paired"]`.
        seed: of the signs that are drawn.
    """
    pairs = list(combinations(results, 2))
    reasons = [why_not(results[first], results[second], score) for first, second in pairs]
    tests: list[PairedTest | None] = []
    for (first, second), reason in zip(pairs, reasons, strict=True):
        if reason:
            tests.append(None)
            continue
        a, b = (_values(results[name], score) for name in (first, second))
        tests.append(paired_test(a, b, np.random.default_rng(seed)))
    corrected = iter(holm([test.p for test in tests if test]))
    return [
        Comparison(first, second, _unit(results[first], score), test, next(corrected) if test else None, reason)
        for (first, second), test, reason in zip(pairs, tests, reasons, strict=True)
    ]


def _values(result: Result, score: str) -> Float[np.ndarray, " U"]:
    return np.asarray(result.details["paired"][score]["values"], dtype=np.float64)


def _unit(result: Result, score: str) -> str:
    return str(result.details.get("paired", {}).get(score, {}).get("unit", ""))
