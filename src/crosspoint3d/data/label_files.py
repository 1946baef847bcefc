"""Where the file with a shape's part labels lies: beside the shape, in a folder near it, or in a tree of its own."""

import os
from pathlib import Path

from crosspoint3d.config import UsageError
from crosspoint3d.data.meshes import is_shape_file

FOLDERS = ("labels", "seg", "gt", "points_label")
"""Folders in or beside a shape's folder where its label file may lie."""
_SUFFIXES = (".seg", "_labels.txt", ".npy")


def is_label_file(path: Path) -> bool:
    """Whether a file is one of part labels, by its name; a `.npy` has to be a row of numbers and no cloud."""
    return path.name.lower().endswith(_SUFFIXES) and not is_shape_file(path)


class LabelFiles:
    """Finds the label files of shapes; every folder is listed once.

    Args:
        root: the folder of the shapes.
        where: `auto` or `required` to look beside each shape and in `FOLDERS`, or a folder with the subfolders of
            `root`.

    Raises:
        UsageError: the folder is missing.
    """

    def __init__(self, root: Path, where: str) -> None:
        self._root = root
        self._tree = None if where in ("auto", "required") else Path(where)
        self._listed: dict[Path, frozenset[str]] = {}
        if self._tree is not None and not self._tree.is_dir():
            raise UsageError(f"--part-labels {where}: give auto, required, none or a folder that is there")

    def find(self, shape: Path) -> Path | None:
        """The label file of a shape, or None."""
        for folder in self._places(shape):
            for suffix in _SUFFIXES:
                path = folder / (shape.stem + suffix)
                if path.name in self._names(folder) and path != shape and is_label_file(path):
                    return path
        return None

    def find_all(self, shapes: list[Path]) -> list[Path | None]:
        """The label file of each shape.

        Raises:
            UsageError: a folder was given and holds none of them.
        """
        found = [self.find(shape) for shape in shapes]
        if self._tree is not None and shapes and not any(found):
            examples = ", ".join(str(place / (shapes[0].stem + ".seg")) for place in self._places(shapes[0]))
            raise UsageError(
                f"--part-labels {self._tree}: holds labels of none of the {len(shapes)} shapes; its files must lie as "
                f"the shapes do below {self._root}" + (f", such as {examples}" if examples else "")
            )
        return found

    def _places(self, shape: Path) -> list[Path]:
        if self._tree is not None:
            inside = shape.is_relative_to(self._root)
            return [self._tree / shape.parent.relative_to(self._root)] if inside else []
        above = Path(os.path.normpath(shape.parent / ".."))
        return [shape.parent, *(folder / name for folder in (shape.parent, above) for name in FOLDERS)]

    def _names(self, folder: Path) -> frozenset[str]:
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(path.name for path in folder.iterdir())
            except OSError:
                self._listed[folder] = frozenset()
        return self._listed[folder]
