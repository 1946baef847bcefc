"""Probes while a run trains: what its towers can do with shapes of the train side that it does not train on.

Never a test shape, so that nothing an evaluation reports later was looked at. Axis letters: N shapes, P points.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.evaluation.features import compute_features, compute_image_features, project, subsample
from crosspoint3d.evaluation.machine import machine_answers
from crosspoint3d.evaluation.metrics import cosines, ranks, retrieval_scores
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.runtime import atomic
from crosspoint3d.training.excluded import training_rows
from crosspoint3d.training.probe_shapes import Picked, some_labelled, split_rows

FILE = "probe_shapes.txt"


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
        self._fitted = _load(config, tables, some_labelled(tables, train, config.seed))
        fitted = set(self._fitted.categories)
        self._labels = {name: number for number, name in enumerate(sorted(name for name in fitted if name))}
        self._scored = np.array([name in self._labels for name in self._held_out.categories])
        self._linear = len(fitted) > 1 and bool(self._scored.any())
        if not self._linear and not config.cross_weight:
            raise UsageError(
                f"--probe-every {config.probe_every}: nothing to measure without categories in --data and with "
                "--cross-weight 0; leave the option out"
            )
        ids = {name for table, mine in zip(tables, held_out, strict=True) for name in table.take(mine, ["id"])["id"]}
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
        batch = config.at_once(config.batch_size)
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
                grey=config.pictures == "grey",
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


def _load(config: PretrainConfig, tables: list[ShapeTable], rows: Picked) -> _Shapes:
    """The same points of each shape at every probe, drawn by the seed."""
    points, pictures, categories = [np.empty((0, config.points, 3), np.float32)], [], []
    for table, mine in zip(tables, rows, strict=True):
        if len(mine):
            column = "depth" if config.pictures == "depth" else "views"
            taken = table.take(mine, ["points", "category", *([column] if config.cross_weight else [])])
            points.append(subsample(taken["points"], config.points, config.seed))
            pictures += [views[0] for views in taken.get(column, ())]
            categories += taken["category"]
    return _Shapes(np.concatenate(points), pictures, categories)
