"""Which parts each category has, and how the label files of its shapes call them: the file behind `prepare --parts`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from crosspoint3d.config import UsageError
from crosspoint3d.parts_table import PartsTable

MOST_PARTS = 256
"""A table of shapes keeps part ids as uint8."""
_FORMS = "expected `CATEGORY: [name of part 0, name of part 1, ...]` or `CATEGORY: {number: name}`"


@dataclass(frozen=True)
class PartNames:
    """The parts of a table of shapes.

    Attributes:
        table: the parts by global id.
        numbers: for each category the numbers that label files use, in the order of its parts in `table`; None where
            only names are known, because the table was made of label files that name their parts.
    """

    table: PartsTable
    numbers: tuple[tuple[int, ...], ...] | None

    def __post_init__(self) -> None:
        if len(self.table) > MOST_PARTS:
            raise ValueError(
                f"{len(self.table)} parts, and a table holds {MOST_PARTS}: prepare the categories into several tables"
            )

    def by_number(self, category: str) -> dict[int, int] | None:
        """A category's parts: number in label files to global id; None where only names are known."""
        if self.numbers is None:
            return None
        place = self.table.categories.index(category)
        return dict(zip(self.numbers[place], self.table.parts[place], strict=True))

    def by_name(self, category: str) -> dict[str, int]:
        """A category's parts: name to global id."""
        return {self.table.names[part]: part for part in self.table.parts[self.table.categories.index(category)]}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, those of the parts table among them."""
        numbers = None if self.numbers is None else [list(own) for own in self.numbers]
        return self.table.to_dict() | {"numbers": numbers}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PartNames":
        """What `to_dict` wrote; a bare parts table counts by global ids."""
        table = PartsTable.from_dict(values)
        numbers = values.get("numbers", values["parts"])
        return cls(table, None if numbers is None else tuple(tuple(int(n) for n in own) for own in numbers))


def read_part_names(path: Path) -> PartNames:
    """Read a YAML or JSON file of parts.

    It maps each category to the names of its parts, listed from number 0, or by the number that label files use. Also
    read: the `parts.json` beside sets in ShapeNetPart's HDF5 layout (`names` and `first_id`), and a `PartsTable`.

    Raises:
        UsageError: missing, not understood, a part named twice, or more parts than a table holds.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"--parts {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"--parts {path} is neither YAML nor JSON: {error}") from error
    try:
        if not isinstance(values, dict) or not values:
            raise ValueError(f"holds no categories; {_FORMS}")
        if "categories" in values and "parts" in values:
            return _numbered(values)
        return collect({category: _one(category, parts) for category, parts in values.items()})
    except (KeyError, TypeError, ValueError) as error:
        text = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"--parts {path}: {text}") from error


def collect(parts: Mapping[str, Mapping[int, str] | list[str]]) -> PartNames:
    """Global ids counted through all categories.

    Args:
        parts: of each category, name by the number that label files use; lists of names where there are no numbers.

    Raises:
        ValueError: more parts than a table holds.
    """
    owned: list[tuple[int, ...]] = []
    names: list[str] = []
    for own in parts.values():
        owned.append(tuple(range(len(names), len(names) + len(own))))
        names += own.values() if isinstance(own, Mapping) else own
    table = PartsTable(tuple(parts), tuple(owned), tuple(names))
    numbers = [tuple(own) for own in parts.values() if isinstance(own, Mapping)]
    return PartNames(table, tuple(numbers) if len(numbers) == len(parts) else None)


def _one(category: Any, parts: Any) -> dict[int, str]:
    if not isinstance(category, str):
        raise ValueError(f"category {category!r} is no text: put it into quotes")
    if isinstance(parts, list):
        parts = dict(enumerate(parts))
    if not isinstance(parts, dict) or not parts:
        raise ValueError(f"{category} has no list of parts; {_FORMS}")
    numbered: dict[int, str] = {}
    for number, name in parts.items():
        if not isinstance(name, str):
            raise ValueError(f"{category}: part {number} is called {name!r}, which is no text: put it into quotes")
        numbered[_number(category, number)] = name
    twice = sorted({name for name in numbered.values() if list(numbered.values()).count(name) > 1})
    if twice or len(numbered) < len(parts):
        raise ValueError(f"{category} has a part twice: {', '.join(twice) or ', '.join(map(str, parts))}")
    return numbered


def _number(category: str, number: Any) -> int:
    """JSON has only text for keys."""
    if isinstance(number, bool) or not str(number).isdecimal():
        raise ValueError(f"{category}: {number!r} is no number of a part; {_FORMS}")
    return int(number)


def _numbered(values: dict[str, Any]) -> PartNames:
    """Parts that are called by their global ids in label files."""
    if not isinstance(values["parts"], dict):
        return PartNames.from_dict(values)
    categories = [str(name) for name in values["categories"]]
    owned, names = [], dict[int, str]()
    for category in categories:
        own = values["parts"][category]
        first = int(own["first_id"])
        owned.append(tuple(range(first, first + len(own["names"]))))
        names |= dict(zip(owned[-1], map(str, own["names"]), strict=True))
    table = PartsTable(tuple(categories), tuple(owned), tuple(names[part] for part in sorted(names)))
    return PartNames(table, table.parts)
