"""Data sets for part segmentation: published ones, tables with parts, procedural shapes; their record.

Axis letters: N shapes, P points.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crosspoint3d.config import UsageError
from crosspoint3d.data.loaded import (
    DRAWN,
    DRAWN_VAL,
    NO_VAL,
    NORMALISATION,
    ORIENTATION,
    OWN_VAL,
    SEEN,
    drawn_val,
    require_splits,
    table_places,
)
from crosspoint3d.data.part_labels import PartClouds
from crosspoint3d.data.part_rows import (
    Naming,
    PartRows,
    found_naming,
    make_split,
    number_parts,
    require_parts,
    whole_labels,
)
from crosspoint3d.data.procedural_clouds import procedural_clouds
from crosspoint3d.data.published import PARTS_PREFIX, PREFIXES, read_shapenet_part
from crosspoint3d.data.published.shapenet_part_names import NO_TABLE, OWN_TABLE
from crosspoint3d.data.shapes import PARTS, parts_table
from crosspoint3d.data.sources import SPLITS, parse_procedural
from crosspoint3d.data.split import draw_split, split_hash
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.parts_table import PartsTable

SURFACE = "points of what is seen from outside; a quarter of the surface lies within other parts"


def load_part_clouds(spec: str, *, seed: int, categories: Sequence[str] = ()) -> PartClouds:
    """Read shapes whose points are labelled by part; every cloud centred on its mean with largest radius 1.

    The order of the points is kept. Data without a split gives a fifth of each category to test; without a val split, a
    fifth of each category's train shapes to val, as `drawn_val` draws them.

    Args:
        spec: `shapenetpart:DIR` (any set in its layouts), a table with parts, or `procedural:COUNT[:SEED]`.
        seed: draws the splits that the data does not have.
        categories: to keep, each in the split that it has among all of the data; none: all.

    Raises:
        UsageError: nothing is there, the layout is wrong, no shape has parts, a category is not there, train or test
            is empty, train lacks a category of another split, all of train is one part, a label is none of its
            category's parts, or a point has no label or is not finite; names file and row.
    """
    if spec.startswith(PARTS_PREFIX):
        published = read_shapenet_part(spec)
        return _assemble(spec, published.splits, published.naming, published.record, seed, categories)
    if spec.startswith("procedural:"):
        points, parts, names = procedural_clouds(*parse_procedural(spec), outer=True)
        ids = [f"{spec}#{index}" for index in range(len(points))]
        rows = PartRows(points, parts.astype(np.int16), list(names), ids, [f"shape {name}" for name in ids])
        clouds = _drawn(spec, rows, [None] * len(ids), *_procedural_naming(), {}, seed, categories)
        return replace(clouds, record=clouds.record | {"surface": SURFACE})
    if spec.startswith(("clouds:", "images:", *PREFIXES)):
        raise UsageError(
            f"--data {spec} has no parts: give {PARTS_PREFIX}DIR, a table with parts or procedural:COUNT[:SEED]"
        )
    return _from_table(spec, ShapeTable(spec), seed, categories)


def _from_table(spec: str, table: ShapeTable, seed: int, categories: Sequence[str]) -> PartClouds:
    usable = table.select().tolist()
    if len(usable) == 0:
        raise UsageError(f"--data {spec}: the table holds no usable shape (all {len(table)} rows were refused)")
    named = [row for row, name in zip(usable, table.column("category", usable), strict=True) if name]
    if not named:
        raise UsageError(
            f"--data {spec}: none of its {len(usable)} shapes has a category; name them with "
            "`prepare --labels split.csv`"
        )
    kept = _with_parts(table, named)
    if not kept:
        raise UsageError(
            f"--data {spec}: none of its {len(named)} shapes with a category has parts; `prepare` makes parts of "
            "procedural shapes and of meshes whose faces are labelled"
        )
    taken = table.take(kept, ["points", "parts", "category", "split", "id"])
    places = table_places(kept, taken["id"])
    labels = whole_labels(spec, taken["parts"], places.__getitem__)
    rows = PartRows(np.asarray(taken["points"], dtype=np.float32), labels, taken["category"], taken["id"], places)
    naming, source = _table_naming(spec, table, rows)
    left_out = {"no category": len(usable) - len(named), "no parts": len(named) - len(kept)}
    return _drawn(spec, rows, taken["split"], naming, source, left_out, seed, categories)


def _with_parts(table: ShapeTable, rows: list[int]) -> list[int]:
    try:
        table.take(rows, ["parts"])
    except ValueError:  # some are null
        return [row for row, parts in zip(rows, table.column("parts", rows), strict=True) if parts is not None]
    return rows


def _table_naming(spec: str, table: ShapeTable, rows: PartRows) -> tuple[Naming, str]:
    stored = table.settings.get("parts_table")
    if stored is not None:
        try:
            known = PartsTable.from_dict(stored)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"--data {spec}: its parts_table cannot be used: {error}; prepare it anew") from error
        naming = {
            name: {part: known.names[part] for part in own}
            for name, own in zip(known.categories, known.parts, strict=True)
        }
        return naming, "the table's settings"
    if str(table.settings.get("origin", "")).startswith("procedural:"):
        return _procedural_naming()
    return found_naming([rows]), "the labels that occur, as the table names no parts"


def _procedural_naming() -> tuple[Naming, str]:
    naming = {category: {part: PARTS[part][1] for part in own} for category, own in parts_table().items()}
    return naming, "the procedural shapes' own"


def _drawn(
    spec: str,
    rows: PartRows,
    stated: list[str | None],
    naming: Naming,
    source: str,
    left_out: dict[str, int],
    seed: int,
    categories: Sequence[str],
) -> PartClouds:
    """Rows dealt to their splits, or to a drawn train and test where none has one; categories that occur are kept."""
    require_parts(spec, rows, naming)
    drawn = not any(stated)
    if drawn:
        stated = ["test" if held_out else "train" for held_out in draw_split(rows.categories, seed)]
    splits = {part: rows.take([i for i, own in enumerate(stated) if own == part]) for part in SPLITS}
    others = Counter(own or "no split" for own in stated if own not in SPLITS)
    present = {name for part in splits.values() for name in part.categories}
    record = {
        "split": DRAWN if drawn else "as the table says",
        "split_drawn": drawn,
        "left_out": left_out | dict(others),
        "parts_table": source,
    }
    naming = {name: own for name, own in naming.items() if name in present}
    return _assemble(spec, splits, naming, record, seed, categories)


def _assemble(
    spec: str,
    splits: dict[str, PartRows],
    naming: Naming,
    record: dict[str, Any],
    seed: int,
    categories: Sequence[str],
) -> PartClouds:
    if missing := sorted(set(categories) - set(naming)):
        apart = "; separate them by spaces" if any("," in name for name in missing) else ""
        raise UsageError(f"--categories {' '.join(missing)}: --data {spec} has {', '.join(naming)}{apart}")
    everyone = splits["train"]
    if categories:
        splits = {name: rows.of(categories) for name, rows in splits.items()}
        naming = {name: own for name, own in naming.items() if name in categories}
        record = record | {"categories_taken": list(naming)}
    there = {name: (rows.categories, rows.places) for name, rows in splits.items()}
    require_splits(spec, there, drawn=record["split_drawn"], shape="shape with parts")
    train = splits["train"]
    whole_train = list(zip(train.ids, train.categories, strict=True))
    val_source = OWN_VAL
    if not splits["val"].ids:
        held_out = drawn_val(everyone.categories, np.random.default_rng(seed))
        held_out = held_out[[name in naming for name in everyone.categories]]  # the same, whatever is taken
        val_source = DRAWN_VAL if held_out.any() else NO_VAL
        splits = splits | {"train": train.take(np.flatnonzero(~held_out)), "val": train.take(np.flatnonzero(held_out))}
    table = number_parts(naming)
    hint = NO_TABLE if record["parts_table"] == OWN_TABLE else ""
    made = {name: make_split(spec, splits[name], naming, table, hint) for name in SPLITS}
    occurring = np.unique(made["train"].parts)
    if len(occurring) < 2:
        raise UsageError(
            f"--data {spec}: all points of the train split are one part ({table.names[occurring[0]]}); segmentation "
            "needs two or more"
        )
    absent = sorted(set(table.categories) - set(train.categories))
    notes = [SEEN] if record["split_drawn"] else []
    if absent:
        notes.append(f"categories of the table of parts without a shape: {', '.join(absent)}")
    named = {name: list(zip(part.ids, part.categories, strict=True)) for name, part in splits.items()}
    record = record | {
        "name": spec,
        "split_sha256": split_hash(whole_train, named["test"]),
        "train_shapes": len(made["train"]),
        "val_shapes": len(made["val"]),
        "test_shapes": len(made["test"]),
        "val": {"from": val_source, "shapes": len(made["val"]), "sha256": split_hash(named["val"], ())},
        "categories": len(table.categories),
        "parts": len(table),
        "orientation": record.get("orientation", ORIENTATION),
        "normalisation": NORMALISATION,
        "notes": notes,
    }
    return PartClouds(made["train"], made["val"], made["test"], table, record)
