"""Data sets for part segmentation: published ones, tables with parts, procedural shapes; their record.

Axis letters: N shapes, P points.
"""

from collections import Counter
from typing import Any

import numpy as np

from crosspoint3d.config import UsageError
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
from crosspoint3d.data.pictured import DRAWN, NORMALISATION, ORIENTATION, SEEN
from crosspoint3d.data.procedural_clouds import procedural_clouds
from crosspoint3d.data.published import PARTS_PREFIX, PREFIXES, read_shapenet_part
from crosspoint3d.data.shapes import PARTS, parts_table
from crosspoint3d.data.sources import SPLITS, parse_procedural
from crosspoint3d.data.split import draw_split, split_hash
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.parts_table import PartsTable

OWN_VAL = "the data's own val split"
DRAWN_VAL = "a fifth of each category's train shapes, drawn from the seed, not trained on"
NO_VAL = "none: no category has two train shapes"


def load_part_clouds(spec: str, *, seed: int) -> PartClouds:
    """Read shapes whose points are labelled by part; every cloud centred on its mean with largest radius 1.

    The order of the points is kept. Data without a split gives a fifth of each category to test; without a val split, a
    fifth of each category's train shapes to val.

    Args:
        spec: `shapenetpart:DIR` (any set in its layouts), a table with parts, or `procedural:COUNT[:SEED]`.
        seed: draws the splits that the data does not have.

    Raises:
        UsageError: nothing is there, the layout is wrong, no shape has parts, train or test is empty, train lacks a
            category of another split, all of train is one part, a label is none of its category's parts, or a point
            has no label or is not finite; names file and row.
    """
    if spec.startswith(PARTS_PREFIX):
        published = read_shapenet_part(spec)
        return _assemble(spec, published.splits, published.naming, published.record, seed)
    if spec.startswith("procedural:"):
        points, parts, categories = procedural_clouds(*parse_procedural(spec))
        ids = [f"{spec}#{index}" for index in range(len(points))]
        rows = PartRows(points, parts.astype(np.int16), list(categories), ids, [f"shape {name}" for name in ids])
        return _drawn(spec, rows, [None] * len(ids), *_procedural_naming(), {}, seed)
    if spec.startswith(("clouds:", "images:", *PREFIXES)):
        raise UsageError(
            f"--data {spec} has no parts: give {PARTS_PREFIX}DIR, a table with parts or procedural:COUNT[:SEED]"
        )
    return _from_table(spec, ShapeTable(spec), seed)


def _from_table(spec: str, table: ShapeTable, seed: int) -> PartClouds:
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
    places = [f"row {row} ({name})" for row, name in zip(kept, taken["id"], strict=True)]
    labels = whole_labels(spec, taken["parts"], places.__getitem__)
    rows = PartRows(np.asarray(taken["points"], dtype=np.float32), labels, taken["category"], taken["id"], places)
    naming, source = _table_naming(spec, table, rows)
    left_out = {"no category": len(usable) - len(named), "no parts": len(named) - len(kept)}
    return _drawn(spec, rows, taken["split"], naming, source, left_out, seed)


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
    return _assemble(spec, splits, {name: own for name, own in naming.items() if name in present}, record, seed)


def _assemble(spec: str, splits: dict[str, PartRows], naming: Naming, record: dict[str, Any], seed: int) -> PartClouds:
    for name in ("train", "test"):
        if not splits[name].ids:
            raise UsageError(f"--data {spec}: no shape with parts is in the {name} split; segmentation needs both")
    train = splits["train"]
    for name in ("val", "test"):
        unseen = sorted(set(splits[name].categories) - set(train.categories))
        if unseen:
            place = splits[name].places[splits[name].categories.index(unseen[0])]
            raise UsageError(
                f"--data {spec}: {place}: categories of the {name} split that train does not have: {', '.join(unseen)}"
            )
    whole_train = list(zip(train.ids, train.categories, strict=True))
    val_source = OWN_VAL
    if not splits["val"].ids:
        held_out = draw_split(train.categories, seed)
        val_source = DRAWN_VAL if held_out.any() else NO_VAL
        splits = splits | {"train": train.take(np.flatnonzero(~held_out)), "val": train.take(np.flatnonzero(held_out))}
    table = number_parts(naming)
    made = {name: make_split(spec, splits[name], naming, table) for name in SPLITS}
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
