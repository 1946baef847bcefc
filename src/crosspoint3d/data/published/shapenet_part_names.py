"""The parts of ShapeNetPart's categories, and tables of parts that stand beside the data of other sets."""

import json
from collections.abc import Sequence
from pathlib import Path

from crosspoint3d.config import UsageError
from crosspoint3d.data.part_rows import Naming

_PARTS = {
    "Airplane": 4, "Bag": 2, "Cap": 2, "Car": 4, "Chair": 4, "Earphone": 3, "Guitar": 3, "Knife": 2,
    "Lamp": 4, "Laptop": 2, "Motorbike": 6, "Mug": 2, "Pistol": 3, "Rocket": 3, "Skateboard": 3, "Table": 3,
}  # fmt: skip
"""How many parts each category has, in the order of the labels; the 50 part ids count through."""
TABLE_FILE = "parts.json"
_LAYOUT = '{"categories": [...], "parts": {category: {"names": [...], "first_id": 0}}} with ids that count through'
OWN_TABLE = "the 50 parts of ShapeNetPart"
NO_TABLE = f"; without a {TABLE_FILE} the data is read as ShapeNetPart: put one beside other data, {_LAYOUT}"
"""What to do about labels that are not ShapeNetPart's."""
CATEGORIES = tuple(_PARTS)


def shapenet_part_naming(*, local: bool = False) -> Naming:
    """The 16 categories with their 50 parts, which the data set numbers but does not name.

    Args:
        local: labels as in the oldest layout, from 1 in each category; else 0 to 49.
    """
    naming: Naming = {}
    first = 0
    for name, count in _PARTS.items():
        naming[name] = {(1 if local else first) + i: f"{name} {i}" for i in range(count)}
        first += count
    return naming


def naming_of(categories: Sequence[str], *, local: bool = False) -> tuple[Naming, str]:
    """The parts of categories that have no `parts.json`, and where they are from.

    Args:
        categories: as the data spells them.
        local: as in `shapenet_part_naming`.

    Returns:
        All 16 categories of ShapeNetPart if these are some of them; else nothing: the labels must tell.
    """
    if set(categories) <= set(CATEGORIES):
        return shapenet_part_naming(local=local), OWN_TABLE
    return {}, f"the labels that occur, as there is no {TABLE_FILE} and not all categories are ShapeNetPart's"


def read_table(spec: str, path: Path) -> Naming:
    """`parts.json`: {"categories": [names in order of the labels], "parts": {name: {"names": [...], "first_id": 0}}}.

    Raises:
        UsageError: the file has another layout, or two categories share a part id; names the file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        naming: Naming = {}
        for name in values["categories"]:
            own = values["parts"][name]
            first, names = int(own["first_id"]), [str(part) for part in own["names"]]
            if name in naming or not names or first < 0:
                raise ValueError(f"category {name!r} repeats, has no parts, or a first_id below 0")
            naming[str(name)] = {first + i: part for i, part in enumerate(names)}
        ids = sorted(part for own in naming.values() for part in own)
        if ids != list(range(values.get("num_parts", len(ids)))) or not ids:
            raise ValueError(f"the ids of {len(ids)} parts must be 0 to num_parts - 1, each once")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"--data {spec}: {path}: expected {_LAYOUT}: {type(error).__name__}: {error}") from error
    return naming
