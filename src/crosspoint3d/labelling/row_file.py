"""A CSV that grows row by row and can be gone on with after a kill at any moment."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from crosspoint3d.config import UsageError
from crosspoint3d.runtime import atomic


class RowFile:
    """Rows with an `id` first; every one is on disk whole when `append` returns.

    Args:
        path: is created; with `keep`, its complete rows stay.
        columns: of the header, `id` the first.
        keep: go on with the file where there is one.

    Attributes:
        kept: id -> source of the rows that were there.

    Raises:
        UsageError: the file that is to be gone on with has other columns.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, keep: bool) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.kept: dict[str, str] = {}
        if keep and path.is_file():
            self._repair()
            self.kept = {row["id"]: row.get("source", "") for row in read_rows(path)}
        else:
            with atomic(path) as temporary:
                temporary.write_text(_line(self.columns), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace", newline="")

    def append(self, row: dict[str, Any]) -> None:
        """Add one row; columns that it lacks are empty.

        Raises:
            OSError: the disk is full.
        """
        self._file.write(_line([row.get(name, "") for name in self.columns]))
        self._file.flush()

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def _repair(self) -> None:
        """Cut off the last line where a kill left it unfinished.

        Fields never hold a line break (`_line` sees to that), so that a line is a row.
        """
        with self.path.open("rb") as file:
            header = file.readline().decode("utf-8", "replace").rstrip("\r\n")
            if header != _line(self.columns).rstrip("\n"):
                raise UsageError(f"--resume: {self.path} has other columns ({header[:80]}); give another --out")
            whole = file.tell()
            for line in file:
                whole += len(line) if line.endswith(b"\n") else 0
        with self.path.open("rb+") as file:
            file.truncate(whole)


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV with a header, one by one."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _line(values: Sequence[Any]) -> str:
    text = io.StringIO()
    plain = [" ".join(str(value).splitlines()) if isinstance(value, str) else value for value in values]
    csv.writer(text, lineterminator="\n").writerow(plain)
    return text.getvalue()
