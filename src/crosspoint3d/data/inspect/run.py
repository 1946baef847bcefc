"""`inspect`: read a table through, however broken, and say what is there."""

from pathlib import Path

import numpy as np

from crosspoint3d.address import address_of, is_url
from crosspoint3d.config import InspectConfig, RunError, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data.inspect.contents import look_into
from crosspoint3d.data.inspect.read import bytes_by_column, open_fragments, problems_of
from crosspoint3d.data.inspect.result import Inspection
from crosspoint3d.data.inspect.rows import SMALL, Rows, names_of, read_index, repeated, same_geometry
from crosspoint3d.data.inspect.sheet import choose, draw_sheet, read_tiles
from crosspoint3d.data.location import entries_of, files_below
from crosspoint3d.data.store_errors import store_named
from crosspoint3d.data.table import BROKEN, ShapeTable
from crosspoint3d.runtime import atomic

SHEET, RECORD = "contact_sheet.png", "inspect.json"
_ARRAYS = ("points", "views", "image_size", "parts_table", "origin")


def inspect(config: InspectConfig) -> Inspection:
    """Count what a table holds and check that it can be read; with `--out` write a contact sheet and the numbers.

    Columns are read one after the other and fragment by fragment: a large table needs memory for some bytes a row and
    for one batch of pictures.

    Raises:
        UsageError: there is no table.
        RunError: its manifest, which says what its files are, cannot be read, its object store does not answer, or
            `--out` cannot be written.
    """
    require_at_least(config, {"shapes": 1, "seed": 0})
    with store_named(config.table):
        return _inspect(config)


def _inspect(config: InspectConfig) -> Inspection:
    table = _open(config.table)
    names = table.dataset.schema.names
    fragments = open_fragments(table)
    rows = read_index(fragments, names)
    contents = look_into(fragments, rows.ok, names, everything=config.check)
    doubled = repeated(rows.id_hash, np.arange(len(rows.ok)))
    problems = problems_of(fragments, [name for name in SMALL if name in names])
    problems += [
        f"id {names_of(fragments, [int(group[0])])[0]!r} is in rows {', '.join(str(row) for row in group)}"
        for group in doubled[:3]
    ]
    problems += contents.problems
    if contents.wrong > len(contents.problems):
        problems.append(f"{contents.wrong - len(contents.problems):,} more rows like these")
    files, size = _at_store(table) if is_url(config.table) else _on_disk(config.table)
    categories: dict[str, dict[str, int]] = {}
    for (category, split), count in sorted(rows.counts.items()):
        categories.setdefault(category, {})[split] = count
    taken = int(rows.ok.sum())
    sheet = None if config.out is None else config.out / SHEET
    found = Inspection(
        table=table.path,
        origin=str(table.settings.get("origin", "not recorded")),
        settings={name: value for name, value in table.settings.items() if name not in _ARRAYS},
        rows=len(rows.ok),
        taken=taken,
        refused=rows.known - taken,
        by_category=categories,
        refused_in=dict(rows.refused_in),
        reasons=dict(rows.reasons.most_common()),
        examples=rows.examples,
        points=table.points,
        checked=contents.checked,
        views=dict(contents.views.most_common()),
        picture_sizes=dict(contents.picture_sizes.most_common()),
        with_normals=contents.normals,
        with_parts=contents.parts,
        bytes_by_column=bytes_by_column(table),
        bytes=size,
        files=files,
        versions=len(table.dataset.versions()),
        duplicates=same_geometry(rows, fragments) if table.has("content") else None,
        notes=rows.notes,
        noted=rows.noted,
        contact_sheet=None if sheet is None else str(sheet),
        problems=problems,
        as_json=config.json,
    )
    if sheet is not None:
        _write(config, table, rows, found, sheet)
    return found


def _open(path: Path) -> ShapeTable:
    try:
        return ShapeTable(path)
    except UsageError as error:
        if isinstance(error.__cause__, (*BROKEN, ValueError)) and _has_manifests(path):
            table = address_of(path)
            raise RunError(
                f"table {table} is broken: its newest manifest in {table}/_versions cannot be read; without that "
                "file the table is what it was one commit before"
            ) from error
        raise


def _has_manifests(path: Path) -> bool:
    """Whether files say that there was a table."""
    if is_url(path):
        return "_versions" in entries_of(path)
    return any(path.glob("_versions/*.manifest"))


def _at_store(table: ShapeTable) -> tuple[int, int]:
    """Data files, and bytes of those of the newest version: Lance does not tell the sizes of other files."""
    data_files = [file for fragment in table.dataset.get_fragments() for file in fragment.data_files()]
    files = [name for name in files_below(table.path) if name.endswith(".lance")]
    return len(files), sum(file.file_size_bytes or 0 for file in data_files)


def _on_disk(path: Path) -> tuple[int, int]:
    """Data files, and bytes of all files, of a table in a folder."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return sum(file.suffix == ".lance" for file in files), sum(file.stat().st_size for file in files)


def _write(config: InspectConfig, table: ShapeTable, rows: Rows, found: Inspection, sheet: Path) -> None:
    tiles = read_tiles(table, choose(rows, config.shapes, config.seed))
    shown = f"{len(tiles)} of {found.taken:,} shapes in {len(found.by_category)} categories, first picture of each"
    try:
        with atomic(sheet) as path:
            draw_sheet(tiles, table.path, shown).save(path, "PNG", optimize=True)
        with atomic(sheet.with_name(RECORD)) as path:
            path.write_text(found.to_json(), encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"--out {config.out}: cannot be written ({error.strerror or error}); give another folder"
        ) from error
