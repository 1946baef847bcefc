"""Under which conditions robustness is measured: kinds of damage, their levels, and which of them clouds allow.

Axis letters: N clouds, P points, Q points that are left.
"""

import difflib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32

from crosspoint3d.config import UsageError
from crosspoint3d.transforms import corruptions

NOTHING = "none"
"""The name that asks for no damage at all, where only other data is of interest."""
GENERATOR = "numpy.random.default_rng([seed, zlib.crc32(b'KIND=LEVEL')]), one call for the whole test set"
"""How damages are drawn, for the record."""


@dataclass(frozen=True)
class Level:
    """How bad a damage is.

    Attributes:
        name: stands after `KIND=` in the names of scores.
        x: where it lies on the axis of the kind's curve; None: not on it.
        damage: takes clouds and a generator to damaged clouds.
        left: how many of so many points are left.
    """

    name: str
    x: float | None
    damage: Callable[..., np.ndarray]
    left: Callable[[int], int] = int


@dataclass(frozen=True)
class Kind:
    """A damage: how a plot is labelled, what is done, in words for the record, and its levels from mild to bad.

    `clean` is where undamaged clouds lie on the axis; None: at their number of points.
    """

    title: str
    x_label: str
    what: str
    clean: float | None
    levels: tuple[Level, ...]
    log: bool = False


@dataclass(frozen=True)
class Condition:
    """One level of one kind."""

    kind: str
    level: Level

    @property
    def name(self) -> str:
        """`KIND=LEVEL`, as in the names of scores."""
        return f"{self.kind}={self.level.name}"

    def __call__(self, points: Float32[np.ndarray, "N P 3"], seed: int) -> Float32[np.ndarray, "N Q 3"]:
        """Damaged clouds: the same for whatever encoder."""
        result: np.ndarray = self.level.damage(
            points, np.random.default_rng([seed, zlib.crc32(self.name.encode("ascii"))])
        )
        return result


def _angles(damage: Callable[..., np.ndarray]) -> tuple[Level, ...]:
    bounds = (15, 30, 60, 90, 180)
    return tuple(Level(str(a) if a < 180 else "random", float(a), partial(damage, degrees=float(a))) for a in bounds)


def _shares(damage: Callable[..., np.ndarray], *percent: int) -> tuple[Level, ...]:
    return tuple(Level(f"{p}%", float(p), partial(damage, share=p / 100)) for p in percent)


def _seen(percent: int, available: int) -> int:
    return corruptions.seen(available, percent / 100)


KINDS = {
    "rotate_z": Kind(
        "Rotation about the vertical", "largest angle, degrees",
        "turned about y (up) by an angle from U(-level, level) degrees, random is U(-180, 180)", 0.0,
        _angles(corruptions.rotate_z),
    ),
    "so3": Kind(
        "Rotation in space", "largest angle, degrees",
        "turned by a rotation uniform among those of at most so many degrees, random is uniform in SO(3)", 0.0,
        _angles(corruptions.so3),
    ),
    "jitter": Kind(
        "Jitter", "standard deviation",
        "normal noise of this standard deviation on every coordinate, not clipped; normalised anew", 0.0,
        tuple(Level(str(s), s, partial(corruptions.jitter, sigma=s)) for s in (0.01, 0.02, 0.03, 0.05)),
    ),
    "drop": Kind(
        "Dropped points", "points replaced by copies of one, %",
        "this share of the points replaced by copies of the first one kept; the others normalised anew", 0.0,
        _shares(corruptions.drop, 25, 50, 75, 90),
    ),
    "fewer": Kind(
        "Fewer points", "points", "so many of the cloud's points, drawn at random; normalised anew", None,
        tuple(
            Level(str(c), float(c), partial(corruptions.fewer, count=c), partial(min, c)) for c in (512, 256, 128, 64)
        ),
        log=True,
    ),
    "partial": Kind(
        "Partial views", "points seen, %",
        "the share of the points nearest to a far camera in a uniform random direction; normalised anew", 100.0,
        tuple(
            Level(f"{p}%", float(p), partial(corruptions.partial, share=p / 100), partial(_seen, p))
            for p in (75, 50, 25)
        ),
    ),
    "scale": Kind(
        "Scale", "factor",
        "multiplied by the factor and not normalised; anisotropic: each axis by U(2/3, 3/2), normalised anew", 1.0,
        (
            *(Level(f"{f:g}", f, partial(corruptions.scale, factor=f)) for f in (0.5, 0.8, 1.25, 2.0)),
            Level("anisotropic", None, corruptions.stretch),
        ),
        log=True,
    ),
    "outliers": Kind(
        "Outliers", "points replaced by outliers, %",
        "this share of the points (one at least) replaced by uniform ones in the unit ball; not normalised", 0.0,
        _shares(corruptions.outliers, 1, 5, 10, 20),
    ),
}  # fmt: skip


def chosen_kinds(names: Sequence[str]) -> list[str]:
    """Kinds of damage by their names, in the order of `KINDS`: all where none is named, nothing for `none`.

    Raises:
        UsageError: a name is unknown.
    """
    for name in names:
        if name not in KINDS and name != NOTHING:
            close = difflib.get_close_matches(name, KINDS, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise UsageError(f"--corruptions {name}: {hint}there are {', '.join(KINDS)}, and {NOTHING} for no damage")
    if NOTHING in names and len(set(names)) > 1:
        raise UsageError(f"--corruptions {' '.join(names)}: {NOTHING} goes with no other")
    return [name for name in KINDS if name in names or not names]


def possible(names: Sequence[str], points: int, k: int | None) -> tuple[list[Condition], list[str]]:
    """The conditions that clouds and encoder allow.

    A level of `fewer` must leave points out, and no level may leave an encoder with fewer points than its graph needs.

    Args:
        names: kinds.
        points: of each clean cloud.
        k: neighbours in the encoder's graph, if it has one.

    Returns:
        Conditions by kind and level, and notes about those that are left out.

    Raises:
        UsageError: kinds are asked for, and no level of any can be run.
    """
    conditions, notes = [], []
    for kind in names:
        every = [Condition(kind, level) for level in KINDS[kind].levels]
        whole = [c for c in every if kind == "fewer" and c.level.left(points) >= points]
        small = [c for c in every if k is not None and c.level.left(points) <= k and c.level.left(points) < points]
        for left_out, why in ((whole, f"the clouds have {points} points"), (small, f"the encoder's k is {k}")):
            if left_out:
                notes.append(f"left out: {', '.join(c.name for c in left_out)} ({why})")
        conditions += [c for c in every if c not in whole and c not in small]
    if names and not conditions:
        raise UsageError(f"--corruptions {' '.join(names)}: nothing can be run; {'; '.join(notes)}")
    return conditions, notes


def curves(conditions: Sequence[Condition], score: str, points: int) -> list[dict[str, Any]]:
    """One curve a kind for `Result.details`: clean where it belongs on the axis, then every level on it.

    Args:
        conditions: what was measured.
        score: the score's name; under a condition it is `SCORE@CONDITION`.
        points: of each clean cloud.
    """
    found = []
    for name, kind in KINDS.items():
        line = [(float(points) if kind.clean is None else kind.clean, score)]
        line += [(c.level.x, f"{score}@{c.name}") for c in conditions if c.kind == name and c.level.x is not None]
        if len(line) == 1:
            continue
        if name == "scale":  # the only kind that goes both ways from clean
            line.sort()
        xs, scores = ([place[i] for place in line] for i in (0, 1))
        curve = {"title": kind.title, "x_label": kind.x_label, "x": xs, "scores": scores}
        found.append(curve | ({"log": True} if kind.log else {}))
    return found
