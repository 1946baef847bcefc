"""The table that `prepare` fills: a new one, or one to go on with, which has to agree with what is asked for now."""

import dataclasses
from pathlib import Path
from typing import Any

from crosspoint3d.address import address_of
from crosspoint3d.config import PrepareConfig, RunError, UsageError
from crosspoint3d.data.face_labels import names_in
from crosspoint3d.data.location import entries_of
from crosspoint3d.data.part_names import PartNames, read_part_names
from crosspoint3d.data.rows import RowSettings
from crosspoint3d.data.sources import Candidate, Found
from crosspoint3d.data.table import BROKEN, OK, ShapeTable, lance_reason


def open_table(config: PrepareConfig, found: Found) -> tuple[ShapeTable, RowSettings]:
    """The table, new or as it is, and what makes its rows; a table keeps the parts it was created with.

    Raises:
        UsageError: what is there is no table, or one made from another source or with other settings.
        RunError: the table cannot be created.
    """
    out, there = address_of(config.out), entries_of(config.out)
    if config.depth and found.settings:
        raise UsageError(
            f"--depth: the pictures of {config.source} are ready-made and have no depth; leave --depth out"
        )
    names = None if config.parts is None else read_part_names(config.parts)
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(RowSettings) if f.name != "names"}
    if config.part_labels not in ("auto", "required", "none"):
        values["part_labels"] = str(Path(config.part_labels).resolve())
    if found.settings:
        smaller = min(config.image_size, found.settings["image_size"])
        values |= found.settings | {"image_size": smaller}
    in_use = bool(there) or config.out.is_file()
    if in_use and "_versions" not in there:
        raise UsageError(f"--out {out} exists and is no table: give another folder")
    if not in_use:
        if names is None:
            files = ((each.category, Path(each.face_labels)) for each in found.candidates if each.face_labels)
            names = names_in(files)
        settings = RowSettings(**values, names=names)
        header = {"origin": found.origin} | settings.to_dict() | {"drop_duplicates": config.drop_duplicates}
        try:
            return ShapeTable.create(out, points=settings.points, settings=header), settings
        except BROKEN as error:
            raise RunError(
                f"--out {out}: the table cannot be created ({lance_reason(error)}); make room, give permission or "
                "name another folder"
            ) from error
    table = ShapeTable(out)
    # Tables of earlier versions hold neither part labels of files nor hashes of the geometry.
    kept: dict[str, Any] = {"part_labels": "auto", "drop_duplicates": False, "depth": False} | table.settings
    if names is None and "parts_table" in kept:
        names = PartNames.from_dict(kept["parts_table"])
    settings = RowSettings(**values, names=names)
    asked = {"origin": found.origin} | settings.to_dict() | {"drop_duplicates": config.drop_duplicates}
    differ = [
        "other parts" if name == "parts_table" else f"{name} {kept.get(name)!r}, now {value!r}"
        for name, value in asked.items()
        if kept.get(name) != value
    ]
    if differ:
        raise UsageError(
            f"--out {out} was made with {'; '.join(differ)}: use the same values to go on, or another --out"
        )
    return table, settings


def refuse_relabelling(table: ShapeTable, candidates: list[Candidate]) -> None:
    """Refuse to go on where shapes that the table holds have other labels now.

    Raises:
        UsageError: says how many, and names the first.
    """
    labels = zip(table.column("id"), table.column("category"), table.column("split"), strict=True)
    before = {name: (category, split) for name, category, split in labels}
    differ = [
        candidate.id
        for candidate in candidates
        if candidate.procedural is None
        and before.get(candidate.id, (candidate.category, candidate.split)) != (candidate.category, candidate.split)
    ]
    if differ:
        raise UsageError(
            f"--out {table.path} holds {len(differ)} of these shapes with another category or split "
            f"(first: {differ[0]}): prepare them anew into another --out"
        )
    named = {candidate.id for candidate in candidates if candidate.face_labels is not None}
    if not named.intersection(before):
        return
    rows = zip(table.column("id"), table.column("status"), table.filled("parts"), strict=True)
    late = [name for name, status, has_parts in rows if name in named and status == OK and not has_parts]
    if late:
        raise UsageError(
            f"--out {table.path} holds {len(late)} of these shapes without the part labels that they have now "
            f"(first: {late[0]}): prepare them anew into another --out"
        )
