"""Labelled clouds for evaluations, from a table, a published data set, HDF5 files or procedural shapes; their record.

Axis letters: N shapes (Ntr train, Nte test), P points.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds_h5 import Part, read_h5_pair
from crosspoint3d.data.loaded import (
    DRAWN,
    NORMALISATION,
    ORIENTATION,
    SEEN,
    normalise_all,
    require_splits,
    table_places,
)
from crosspoint3d.data.pictured import PicturedClouds, load_views
from crosspoint3d.data.procedural_clouds import procedural_clouds
from crosspoint3d.data.published import PARTS_PREFIX, PREFIXES, read_published, read_shapenet_part
from crosspoint3d.data.sources import SPLITS, parse_procedural
from crosspoint3d.data.split import draw_split, split_hash
from crosspoint3d.data.table import ShapeTable

__all__ = ["LabelledClouds", "PicturedClouds", "load_clouds", "load_views"]


@dataclass(frozen=True)
class LabelledClouds:
    """Train and test clouds with their categories.

    Attributes:
        train_points, test_points: clouds centred on their mean with largest radius 1, y up.
        train_labels, test_labels: indices into `categories`.
        categories: names, sorted.
        train_ids, test_ids: a name for each shape.
        record: name, origin and hash of the split, counts, orientation, notes; plain values for a protocol
            record.
        val: the data's own validation shapes, as stored and of any category; None where there are none.
    """

    train_points: Float32[np.ndarray, "Ntr Ptr 3"]
    train_labels: Int64[np.ndarray, " Ntr"]
    test_points: Float32[np.ndarray, "Nte Pte 3"]
    test_labels: Int64[np.ndarray, " Nte"]
    categories: tuple[str, ...]
    train_ids: tuple[str, ...]
    test_ids: tuple[str, ...]
    record: dict[str, Any] = field(default_factory=dict)
    val: Part | None = None


def load_clouds(spec: str, *, seed: int) -> LabelledClouds:
    """Read labelled clouds.

    Args:
        spec: a table, `modelnet40:DIR`, `modelnet10:DIR`, `scanobjectnn:DIR[:VARIANT]`, `shapenetpart:DIR`,
            `clouds:TRAIN.h5,TEST.h5` or `procedural:COUNT[:SEED]`.
        seed: draws the split where the data has none.

    Raises:
        UsageError: nothing is there, the layout is wrong, no shape has a category, a part is empty, there
            are fewer than two categories, a test category is missing from train, or a cloud is not finite; names file
            or table and row.
    """
    if spec.startswith("clouds:"):
        names, train, test = read_h5_pair(spec)
        return _assemble(spec, train, test, names, {"split": "the two files as given", "split_drawn": False})
    if spec.startswith(PARTS_PREFIX):
        read = read_shapenet_part(spec)
        parts = {part: Part(rows.points, *rows[2:]) for part, rows in read.splits.items()}
        record = read.record | {"left_out": {"val": len(parts["val"].ids)}}
        return _assemble(spec, parts["train"], parts["test"], list(read.naming), record, parts["val"])
    if spec.startswith(PREFIXES):
        published = read_published(spec)
        return _assemble(spec, published.train, published.test, published.names, published.record)
    if spec.startswith("procedural:"):
        points, _, categories = procedural_clouds(*parse_procedural(spec))
        ids = [f"{spec}#{index}" for index in range(len(points))]
        splits: list[str | None] = [None] * len(ids)
        return _from_rows(spec, points, list(categories), splits, ids, [f"shape {name}" for name in ids], seed)
    if spec.startswith("images:"):
        raise UsageError(f"--data {spec}: pictures have no clouds; only `evaluate few-shot` takes them")
    table = ShapeTable(spec)
    rows = table.select()
    if len(rows) == 0:
        raise UsageError(f"--data {spec}: the table holds no usable shape (all {len(table)} rows were refused)")
    columns = [table.column(name, rows.tolist()) for name in ("category", "split", "id")]
    points = np.asarray(table.take(rows, ["points"])["points"], dtype=np.float32)
    places = table_places(rows.tolist(), columns[2])
    return _from_rows(spec, points, columns[0], columns[1], columns[2], places, seed)


def _from_rows(
    spec: str,
    points: np.ndarray,
    categories: list[str | None],
    splits: list[str | None],
    ids: list[str],
    places: list[str],
    seed: int,
) -> LabelledClouds:
    labelled = [index for index, category in enumerate(categories) if category]
    if not labelled:
        raise UsageError(
            f"--data {spec}: none of its {len(ids)} shapes has a category; name them with `prepare --labels split.csv`"
        )
    drawn = not any(splits)
    if drawn:
        splits = ["test" if held_out else "train" for held_out in draw_split(categories, seed)]
    parts = {}
    for part in SPLITS:
        rows = [index for index in labelled if splits[index] == part]
        named = ([str(column[index]) for index in rows] for column in (categories, ids, places))
        parts[part] = Part(points[rows], *named)
    others = Counter(splits[index] or "no split" for index in labelled if splits[index] not in ("train", "test"))
    record = {
        "split": DRAWN if drawn else "as the table says",
        "split_drawn": drawn,
        "left_out": {"no category": len(ids) - len(labelled)} | dict(others),
    }
    names = sorted({str(categories[index]) for index in labelled})
    return _assemble(spec, parts["train"], parts["test"], names, record, parts["val"])


def _assemble(
    spec: str,
    train: Part,
    test: Part,
    names: list[str],
    record: dict[str, Any],
    val: Part | None = None,
) -> LabelledClouds:
    train, test = (p._replace(places=p.places or [f"shape {name}" for name in p.ids]) for p in (train, test))
    there = {name: (part.categories, part.places) for name, part in (("train", train), ("test", test))}
    require_splits(spec, there, drawn=record["split_drawn"], shape="labelled shape")
    counts = Counter(train.categories)
    if len(counts) < 2:
        raise UsageError(f"--data {spec}: one category only ({next(iter(counts))}); an evaluation needs two or more")
    categories = tuple(name for name in names if name in counts)
    index = {name: number for number, name in enumerate(categories)}
    single = [name for name in categories if counts[name] == 1 and name not in set(test.categories)]
    notes = [SEEN] if record["split_drawn"] else []
    if single:
        notes.append(f"categories of one shape, kept in train and never tested: {', '.join(single)}")
    record = record | {
        "name": spec,
        "split_sha256": split_hash(
            zip(train.ids, train.categories, strict=True), zip(test.ids, test.categories, strict=True)
        ),
        "train_shapes": len(train.ids),
        "test_shapes": len(test.ids),
        "categories": len(categories),
        "single_shape_categories": single,
        "orientation": record.get("orientation", ORIENTATION),
        "normalisation": NORMALISATION,
        "notes": notes,
    }
    return LabelledClouds(
        normalise_all(train.points, train.places, spec),
        np.array([index[name] for name in train.categories], dtype=np.int64),
        normalise_all(test.points, test.places, spec),
        np.array([index[name] for name in test.categories], dtype=np.int64),
        categories,
        tuple(train.ids),
        tuple(test.ids),
        record,
        val if val and val.ids else None,
    )
