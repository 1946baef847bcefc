"""`crosspoint3d segment`: part labels for shapes of any source, one after the other, in constant memory."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from crosspoint3d import models
from crosspoint3d.config import SegmentConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.labelling.categories import require_category
from crosspoint3d.labelling.out_folder import check_folder
from crosspoint3d.labelling.part_answers import PartAnswer, answer_parts
from crosspoint3d.labelling.part_files import COLUMNS, write_labels
from crosspoint3d.labelling.places import find_places
from crosspoint3d.labelling.row_file import read_rows
from crosspoint3d.labelling.run import AHEAD, label_shapes, points_for
from crosspoint3d.labelling.sheet import write_sheet
from crosspoint3d.labelling.stream import Broken, Sampling, Shape, in_order
from crosspoint3d.labelling.summary import LabelSummary, summarise
from crosspoint3d.part_colours import css, part_colours
from crosspoint3d.parts_table import PartsTable
from crosspoint3d.runtime import atomic, pick_device

ROWS, PARTS = "shapes.csv", "parts.json"
PUBLISHED_POINTS = 2048
FOUND = {"option": "by --category", "name": "by their own name", "fit": "by best fit"}


def segment(config: SegmentConfig) -> LabelSummary:
    """Label the parts of every shape that `config.out` has no labels of yet.

    Raises:
        UsageError: an option, the model, a source or the folder is wrong.
        OSError: a file cannot be written.
    """
    started = time.monotonic()
    require_at_least(config, {"points": 0, "votes": 1, "draws": 1, "smooth": 0, "batch_size": 1, "seed": 0})
    check_folder(config)
    places = find_places(config.shapes, leave_out=config.out, seed=config.seed)
    device = pick_device(config.device)
    segmenter = models.load_segmenter(config.model, config.k).to(device)
    table = segmenter.table
    if not all(table.parts):
        raise UsageError(
            f"MODEL {config.model}: the weights do not say which of their {len(table)} parts belong to which of their "
            f"{len(table.categories)} categories; in Python set load_segmenter(MODEL).table, keep it by "
            "save_segmenter, and give that folder"
        )
    category = require_category(config.category, table.categories) if config.category else None
    points = points_for(segmenter, config.points, PUBLISHED_POINTS)
    sampling = Sampling(points, config.draws, config.votes, config.up, config.seed)
    save = partial(
        write_labels,
        out=config.out,
        table=table,
        colours=part_colours(table),
        rounds=config.smooth,
        pictures=config.pictures,
    )

    def work(
        shapes: Iterator[Shape | Broken], pool: Executor, stop: threading.Event
    ) -> Iterator[dict[str, Any] | Broken]:
        answers = answer_parts(
            segmenter, shapes, category=category, batch_size=config.batch_size, device=device, stop=stop
        )
        return in_order(pool, lambda answer: save(answer) if isinstance(answer, PartAnswer) else answer, answers, AHEAD)

    ran = label_shapes(config, places, sampling, ROWS, COLUMNS, work)
    _write_table(config.out / PARTS, table, config.model)
    if config.pictures:
        write_sheet(config.out, config.out / ROWS)
    return summarise(config, places, ran, _notes(config.out / ROWS), started)


def _write_table(path: Path, table: PartsTable, model: str) -> None:
    colours = part_colours(table)
    categories = [
        {"name": name, "parts": [{"id": part, "name": table.names[part], "colour": css(colours[part])} for part in own]}
        for name, own in zip(table.categories, table.parts, strict=True)
    ]
    with atomic(path) as temporary:
        text = json.dumps({"model": model, "categories": categories}, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _notes(rows: Path) -> tuple[str, ...]:
    """How the categories were found, and what they are."""
    found: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    repeated = 0
    for row in read_rows(rows):
        found[row["category_from"]] += 1
        categories[row["category"]] += 1
        repeated += bool(row["note"])
    if not categories:
        return ()
    ways = ", ".join(f"{count} {FOUND[way]}" for way, count in found.most_common())
    names = ", ".join(f"{count} {name}" for name, count in categories.most_common(8))
    more = f" and {len(categories) - 8} more categories" if len(categories) > 8 else ""
    notes = [f"{names}{more}", f"category found {ways}"]
    if found["fit"]:
        notes.append("a best fit may be the wrong category (column fit of shapes.csv): --category names it")
    if repeated:
        notes.append(f"clouds of fewer points than the network takes, which were repeated: {repeated}")
    return tuple(notes)
