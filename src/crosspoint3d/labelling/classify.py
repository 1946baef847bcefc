"""`crosspoint3d classify`: the category of shapes of any source with its probability, and how far to believe it.

Axis letters: N shapes, C categories.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from crosspoint3d import models
from crosspoint3d.config import MOST_POINTS_BY_DEFAULT, ClassifyConfig
from crosspoint3d.config_file import require_at_least
from crosspoint3d.labelling.class_answers import ClassAnswer, answer_classes
from crosspoint3d.labelling.class_judgement import judge
from crosspoint3d.labelling.out_folder import check_folder
from crosspoint3d.labelling.places import find_places
from crosspoint3d.labelling.row_file import RowFile, read_rows
from crosspoint3d.labelling.run import label_shapes, points_for
from crosspoint3d.labelling.stream import Broken, Sampling, Shape
from crosspoint3d.labelling.summary import LabelSummary, summarise
from crosspoint3d.runtime import pick_device

ROWS, PROBABILITIES = "classes.csv", "probabilities.csv"


def classify(config: ClassifyConfig) -> LabelSummary:
    """Name the category of every shape that `config.out` has no row of yet.

    `classes.csv` holds the answers, `probabilities.csv` those of all categories, `calibration.png` how often answers of
    each confidence are right: of these shapes where 20 or more of them come with a category that the network knows,
    else of its own test split.

    Raises:
        UsageError: an option, the model, a source or the folder is wrong.
        OSError: a file cannot be written.
    """
    started = time.monotonic()
    require_at_least(config, {"points": 0, "votes": 1, "top": 1, "batch_size": 1, "seed": 0})
    check_folder(config)
    places = find_places(config.shapes, leave_out=config.out, seed=config.seed)
    device = pick_device(config.device)
    classifier = models.load_classifier(config.model, config.k).to(device)
    names = classifier.categories
    points = points_for(classifier, config.points, MOST_POINTS_BY_DEFAULT)
    sampling = Sampling(points, 1, config.votes, config.up, config.seed)
    top = min(config.top, len(names))
    others = [f"{word}_{place}" for place in range(2, top + 1) for word in ("class", "probability")]
    columns = ("id", "source", "category", "class", "probability", *others, "note")

    def work(
        shapes: Iterator[Shape | Broken], pool: Executor, stop: threading.Event
    ) -> Iterator[dict[str, Any] | Broken]:
        all_names = [f"p:{name}" for name in names]
        with RowFile(config.out / PROBABILITIES, ("id", *all_names), keep=config.resume) as file:
            for answer in answer_classes(classifier, shapes, batch_size=config.batch_size, device=device, stop=stop):
                if isinstance(answer, ClassAnswer):
                    written = [f"{value:.6f}" for value in answer.probabilities.tolist()]
                    file.append({"id": answer.shape.place.id, **dict(zip(all_names, written, strict=True))})
                yield _row(answer, names, top) if isinstance(answer, ClassAnswer) else answer

    ran = label_shapes(config, places, sampling, ROWS, columns, work)
    judged = judge(config.out / ROWS, config.out / PROBABILITIES, names, Path(config.model), config.out)
    return summarise(config, places, ran, (*_notes(config.out / ROWS), *judged), started)


def _row(answer: ClassAnswer, names: Sequence[str], top: int) -> dict[str, Any]:
    """The most probable categories, of equal ones the first."""
    order = np.argsort(-answer.probabilities, kind="stable")[:top].tolist()
    row = {
        "id": answer.shape.place.id,
        "source": answer.shape.place.candidate.source,
        "category": answer.shape.category or "",
        "note": answer.shape.note,
    }
    for place, number in enumerate(order, 1):
        suffix = f"_{place}" if place > 1 else ""
        row[f"class{suffix}"] = names[number]
        row[f"probability{suffix}"] = f"{float(answer.probabilities[number]):.6f}"
    return row


def _notes(rows: Path) -> tuple[str, ...]:
    """Shapes counted by class."""
    counts = Counter(row["class"] for row in read_rows(rows))
    if not counts:
        return ()
    names = ", ".join(f"{count} {name}" for name, count in counts.most_common(12))
    return (names + (f" and {len(counts) - 12} more classes" if len(counts) > 12 else ""),)
