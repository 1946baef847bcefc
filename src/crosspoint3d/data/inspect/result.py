"""What `inspect` found, as text, as JSON, and as an exit code."""

import json
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from crosspoint3d.data.inspect.rows import NONE, SameGeometry

MOST_CATEGORIES = 20
_SPLITS = ("train", "val", "test", NONE)


@dataclass(frozen=True)
class Inspection:
    """A table in numbers.

    Attributes:
        table: its path. origin, settings: what it was made from, and how.
        rows, taken, refused: all rows, shapes, and rows with another status; less than `rows` where some are broken.
        by_category: shapes by category and split. refused_in: refused ones by category.
        reasons: refused shapes by kind of reason, with examples (id to status) in `examples`.
        points: a shape. views: shapes by number of pictures. picture_sizes: pictures by size; of `checked` shapes.
        with_normals, with_parts: of the `checked` shapes.
        bytes_by_column: on disk, in the newest version. bytes: all files of the folder. files: its data files.
        versions: states of the table that are kept.
        duplicates: None where the table holds no hashes.
        notes: what was left out of `noted` shapes, examples by id.
        contact_sheet: where it was written.
        problems: what is broken.
    """

    table: str
    origin: str
    settings: dict[str, Any]
    rows: int
    taken: int
    refused: int
    by_category: dict[str, dict[str, int]]
    refused_in: dict[str, int]
    reasons: dict[str, int]
    examples: dict[str, dict[str, str]]
    points: int
    checked: int
    views: dict[int, int]
    picture_sizes: dict[str, int]
    with_normals: int
    with_parts: int
    bytes_by_column: dict[str, int]
    bytes: int
    files: int
    versions: int
    duplicates: SameGeometry | None
    notes: dict[str, str]
    noted: int
    contact_sheet: str | None
    problems: list[str]
    as_json: bool = field(default=False, repr=False)

    @property
    def exit_code(self) -> int:
        """1 for a broken table, else 0."""
        return 1 if self.problems else 0

    def to_json(self) -> str:
        """All of it."""
        values = asdict(self)
        del values["as_json"]
        return json.dumps(values, indent=1, ensure_ascii=False)

    def __str__(self) -> str:
        return self.to_json() if self.as_json else "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lines = [f"{self.table}: {self.taken:,} shapes taken, {self.refused:,} refused"]
        lines.append(f"  origin      {self.origin}")
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        lines.append(f"  settings    {settings or 'not recorded'}")
        views, sizes = (" and ".join(_counted(each)) for each in (self.views, self.picture_sizes))
        extras = _of("normals", self.with_normals, self.checked) + _of("part labels", self.with_parts, self.checked)
        lines.append(f"  a shape     {self.points:,} points{extras}, {views or 'no'} pictures of {sizes or 'no'} px")
        lines += self._table_of_categories()
        if self.refused:
            kinds = ", ".join(f"{count:,} x {kind}" for kind, count in self.reasons.items())
            lines.append(f"  refused     {kinds}")
            lines += [f"    {name}: {text}" for shown in self.examples.values() for name, text in shown.items()]
        if self.noted:
            lines.append(f"  left out    pictures of {self.noted:,} shapes")
            lines += [f"    {name}: {text}" for name, text in self.notes.items()]
        lines += self._duplicate_lines() + self._size_lines()
        if self.contact_sheet:
            lines.append(f"  pictures    {self.contact_sheet}")
        lines.append(f"  read        all small columns, pictures and points of {self.checked:,} shapes")
        if self.checked < self.taken:
            lines[-1] += " (--check reads all of them)"
        lines += [f"BROKEN: {problem}" for problem in self.problems] or ["  nothing broken found"]
        return lines

    def _table_of_categories(self) -> list[str]:
        named = {name for counts in self.by_category.values() for name in counts}
        splits = [name for name in _SPLITS if name in named] + sorted(named - set(_SPLITS))
        ranked = sorted(self.by_category.items(), key=lambda item: (-sum(item[1].values()), item[0]))
        rows = [
            (name, *(counts.get(split, 0) for split in splits), self.refused_in.get(name, 0))
            for name, counts in islice(ranked, MOST_CATEGORIES)
        ]
        rest = ranked[MOST_CATEGORIES:]
        if rest:
            sums = (sum(counts.get(split, 0) for _, counts in rest) for split in splits)
            rows.append((f"{len(rest)} others", *sums, sum(self.refused_in.get(name, 0) for name, _ in rest)))
        totals = [sum(counts.get(split, 0) for counts in self.by_category.values()) for split in splits]
        rows.append(("all", *totals, self.refused))
        header = ("category", *("no split" if name == NONE else name for name in splits), "refused")
        cells = [header, *((str(row[0]), *(f"{number:,}" for number in row[1:])) for row in rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
        return [
            "    "
            + row[0].ljust(widths[0])
            + "".join(f"  {c.rjust(w)}" for c, w in zip(row[1:], widths[1:], strict=True))
            for row in cells
        ]

    def _duplicate_lines(self) -> list[str]:
        same = self.duplicates
        if same is None:
            return ["  duplicates  not known: a table of an earlier version, without hashes of the geometry"]
        left = f", {same.left_out:,} left out" if same.left_out else ""
        if not same.kept:
            return [f"  duplicates  none in the table{left}"]
        lines = [
            f"  duplicates  {same.kept:,} shapes have exactly the geometry of one before them{left}",
            f"    {same.groups:,} such groups: {same.across_splits:,} of them lie in several splits, "
            f"{same.across_categories:,} in several categories",
        ]
        return lines + [f"    {' = '.join(group)}" for group in same.examples]

    def _size_lines(self) -> list[str]:
        lines = [f"  on disk     {readable(self.bytes)} in {self.files:,} data files, {self.versions:,} versions"]
        total = sum(self.bytes_by_column.values())
        shown = [(name, size) for name, size in self.bytes_by_column.items() if size >= total / 100 and size]
        for name, size in shown:
            share = f"{100 * size / total:.0f} %"
            lines.append(f"    {name:<10} {readable(size):>9} {share:>6}  {readable(size / max(self.rows, 1))} a row")
        return lines


def readable(size: float | int) -> str:
    """Bytes in the unit that a reader would use: 812 B, 3.1 KB, 45 MB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _counted(counts: dict[Any, int], most: int = 3) -> list[str]:
    """Values, the most frequent first; with how often each occurs where there are several."""
    if len(counts) == 1:
        return [str(value) for value in counts]
    shown = [f"{value} ({count:,})" for value, count in islice(counts.items(), most)]
    return shown + ([f"{len(counts) - most} others"] if len(counts) > most else [])


def _of(what: str, count: int, checked: int) -> str:
    if not count:
        return ""
    return f", {what}" if count == checked else f", {what} ({100 * count / checked:.0f} %)"
