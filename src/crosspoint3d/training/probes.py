"""Probes while a run trains: what its towers can do with shapes of the train side that it does not train on.

Never a test shape, so that nothing an evaluation reports later was looked at. Axis letters: N shapes, P points.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import nn

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.evaluation.features import compute_features, compute_image_features, project, subsample
from crosspoint3d.evaluation.machine import machine_answers
from crosspoint3d.evaluation.metrics import cosines, ranks, retrieval_scores
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.runtime import atomic
from crosspoint3d.training.excluded import training_rows

FILE = "probe_shapes.txt"
SHARE, MOST_HELD_OUT, MOST_FITTED = 0.1, 1000, 2000
_KEY = 0x70726F62
Rows = tuple[Int64[np.ndarray, " _"], ...]


def split_rows(tables: Sequence[ShapeTable], rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """The rows to train on, and those that probes look at: a tenth of the shapes, 2 at least and 1,000 at most.

    A function of the ids and the seed; the order of rows and tables does not matter, and a shape that two tables hold
    is held out of both.
    """
    names = [np.array(table.column("id", mine), dtype=object) for table, mine in zip(tables, rows, strict=True)]
    ids = sorted({name for mine in names for name in mine})
    count = min(max(2, round(SHARE * len(ids))), MOST_HELD_OUT)
    picked = {ids[i] for i in np.random.default_rng([seed, _KEY]).permutation(len(ids))[:count]}
    out = [np.array([name in picked for name in mine], dtype=bool) for mine in names]
    return (
        tuple(mine[~held] for mine, held in zip(rows, out, strict=True)),
        tuple(mine[held] for mine, held in zip(rows, out, strict=True)),
    )


class _Shapes(NamedTuple):
    """Shapes in memory; `categories` holds None for a shape without one, `pictures` the first one of each."""

    points: Float32[np.ndarray, "N P 3"]
    pictures: list[bytes]
    categories: list[str | None]


class Probe:
    """Linear probe and picture-to-shape retrieval every `config.probe_every` epochs, and after the last step.

    RUN/probe_shapes.txt lists the shapes that are held out for it, as `--exclude` takes them.

    Args:
        config: of the run, whose folder exists; `probe_every` is above 0.
        tables: of the run.
        steps: of an epoch.
        total: of the schedule.

    Raises:
        UsageError: neither categories nor an image tower are there to probe with.
    """

    def __init__(self, config: PretrainConfig, tables: list[ShapeTable], *, steps: int, total: int) -> None:
        self._config, self._every, self._total = config, steps * config.probe_every, total
        train, held_out = split_rows(tables, training_rows(tables, config.exclude), config.seed)
        self._held_out = _load(config, tables, held_out)
        self._fitted = _load(config, tables, _some_labelled(tables, train, config.seed))
        fitted = set(self._fitted.categories)
        self._labels = {name: number for number, name in enumerate(sorted(name for name in fitted if name))}
        self._scored = np.array([name in self._labels for name in self._held_out.categories])
        self._linear = len(fitted) > 1 and bool(self._scored.any())
        if not self._linear and not config.cross_weight:
            raise UsageError(
                f"--probe-every {config.probe_every}: nothing to measure without categories in --data and with "
                "--cross-weight 0; leave the option out"
            )
        ids = {name for table, mine in zip(tables, held_out, strict=True) for name in table.column("id", mine)}
        with atomic(config.out / FILE) as path:
            path.write_text("".join(f"{name}\n" for name in sorted(ids)), encoding="utf-8")

    def due(self, step: int) -> bool:
        """Whether to measure after this step."""
        return step % self._every == 0 or step == self._total

    def measure(self, model: CrossPoint) -> dict[str, float]:
        """Scores from 0 to 1; the model and the random generators, and so the run, are as before.

        - `probe_linear_accuracy`: a linear SVM fitted on at most 2,000 labelled shapes that are trained on (C chosen by
          cross-validation among them), scored on the held-out shapes of their categories; where there are categories.
        - `probe_recall@1`: share of held-out shapes that their first picture finds among all of them; where pictures
          are trained on. Chance is one over the number of held-out shapes.

        Features that are not finite are a message, not an error.
        """
        try:
            with undisturbed(model):
                return self._measure(model, next(model.parameters()).device)
        except UsageError as error:
            sys.stderr.write(f"probe: {error}\n")
            return {}

    def _measure(self, model: CrossPoint, device: torch.device) -> dict[str, float]:
        config, scores = self._config, {}
        batch = config.chunk or config.batch_size
        features = compute_features(model.point_tower, self._held_out.points, batch_size=batch, device=device)
        if self._linear:
            fitted = compute_features(model.point_tower, self._fitted.points, batch_size=batch, device=device)
            labels = np.array([self._labels[name or ""] for name in self._fitted.categories], dtype=np.int64)
            answers, _ = machine_answers(fitted, labels, features[self._scored], config.seed, "clean")
            known = [self._labels[name] for name in self._held_out.categories if name in self._labels]
            scores["probe_linear_accuracy"] = float((answers[0] == np.array(known)).mean())
        if config.cross_weight:
            pictures = compute_image_features(
                model.image_tower,
                self._held_out.pictures,
                image_size=config.image_size,
                batch_size=batch,
                device=device,
            )
            queries = project(model.image_tower, pictures, device=device)
            found = cosines(queries, project(model.point_tower, features, device=device))
            scores["probe_recall@1"] = retrieval_scores(ranks(found, np.arange(len(found))))["recall@1"]
        return scores


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Modes of all modules and the random generators of torch are put back afterwards, whatever happened inside."""
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def _some_labelled(tables: list[ShapeTable], rows: Rows, seed: int) -> Rows:
    """At most `MOST_FITTED` of the rows that have a category, drawn from all tables alike."""
    labelled = [
        (number, row)
        for number, (table, mine) in enumerate(zip(tables, rows, strict=True))
        for row, name in zip(mine, table.column("category", mine), strict=True)
        if name
    ]
    order = np.random.default_rng([seed, _KEY, 1]).permutation(len(labelled))[:MOST_FITTED]
    picked = [labelled[i] for i in np.sort(order)]
    return tuple(np.array([row for at, row in picked if at == number], dtype=np.int64) for number in range(len(tables)))


def _load(config: PretrainConfig, tables: list[ShapeTable], rows: Rows) -> _Shapes:
    """The same points of each shape at every probe, drawn by the seed."""
    points, pictures, categories = [np.empty((0, config.points, 3), np.float32)], [], []
    for table, mine in zip(tables, rows, strict=True):
        if len(mine):
            taken = table.take(mine, ["points", "views"] if config.cross_weight else ["points"])
            points.append(subsample(taken["points"], config.points, config.seed))
            pictures += [views[0] for views in taken.get("views", ())]
            categories += table.column("category", mine)
    return _Shapes(np.concatenate(points), pictures, categories)
