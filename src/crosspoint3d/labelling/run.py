"""The loop that `segment` and `classify` share: read ahead, label in batches, append rows, pass over broken files."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from tqdm import tqdm

from crosspoint3d.config import UsageError, UseConfig
from crosspoint3d.labelling.out_folder import FAILED, missing, start_folder
from crosspoint3d.labelling.places import Places
from crosspoint3d.labelling.row_file import RowFile
from crosspoint3d.labelling.stream import Broken, Sampling, Shape, in_order, read_shape
from crosspoint3d.models import Classifier, Segmenter
from crosspoint3d.runtime import stop_requests

THREADS, AHEAD = 4, 8
Work = Callable[[Iterator[Shape | Broken], Executor, threading.Event], Iterator[dict[str, Any] | Broken]]
"""Labels shapes in their order: a row of the CSV for each, or the broken shape itself."""


@dataclass(frozen=True)
class Ran:
    """Shapes in the CSV, those of them that an earlier run labelled, id -> reason of the failed, and if it was cut."""

    labelled: int
    kept: int
    failed: dict[str, str]
    interrupted: bool


def points_for(model: Segmenter | Classifier, asked: int, otherwise: int) -> int:
    """Points of each cloud: as asked, else as trained, else `otherwise`.

    Raises:
        UsageError: fewer than the neighbours in the network's graphs, or than its patches are made of.
    """
    points = asked or model.points or otherwise
    if points < (model.k or 1):
        raise UsageError(
            f"--points {points}{'' if asked else ' (by default)'}: fewer than the k={model.k} neighbours of the "
            f"network's graphs; give {model.k} points or more, or --k {points} or less"
        )
    if points < model.least_points:
        raise UsageError(f"--points {points}: the network makes patches of {model.least_points} points or more")
    return points


def label_shapes(
    config: UseConfig, places: Places, sampling: Sampling, file: str, columns: tuple[str, ...], work: Work
) -> Ran:
    """Label all shapes that the folder has no row of, and append a row for each, in the order of the places.

    Ctrl-C and SIGTERM end it after what is being labelled; every row that is there has all its files.

    Args:
        config: of the verb.
        places: the shapes.
        sampling: of their clouds.
        file: name of the CSV in the folder of labels.
        columns: of the CSV.
        work: labels them.

    Raises:
        UsageError: rows of an earlier run are of other shapes.
        OSError: the disk is full.
    """
    start_folder(config)
    failed: dict[str, str] = {}
    with (
        RowFile(config.out / file, columns, keep=config.resume) as rows,
        RowFile(config.out / FAILED, ("id", "source", "reason"), keep=False) as broken,
        stop_requests() as stop,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        todo = missing(places, rows.kept)
        labelled = 0
        with tqdm(total=len(todo), unit="shape", desc="label", disable=None if todo else True) as bar:
            shapes = in_order(pool, partial(read_shape, sampling=sampling), todo, AHEAD, stop)
            for row in work(shapes, pool, stop):
                if isinstance(row, Broken):
                    failed[row.place.id] = row.reason
                    source = row.place.candidate.source
                    broken.append({"id": row.place.id, "source": source, "reason": row.reason})
                    bar.set_postfix(failed=len(failed), refresh=False)
                else:
                    labelled += 1
                    rows.append(row)
                bar.update()
        interrupted = labelled + len(failed) < len(todo)
        return Ran(len(rows.kept) + labelled, len(rows.kept), failed, interrupted)
