"""Endless procedural shapes of 24 everyday categories, every face knowing its part.

Canonical pose: y up, the front along +z, yawed by at most 12 degrees; longest side 1, centred on the bounding box.
"""

from collections.abc import Callable

import numpy as np

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.shapes import (
    airplanes,
    bottles,
    cars,
    electronics,
    instruments,
    lighting,
    lounging,
    plants,
    rockets,
    seating,
    ships,
    storage,
    tables,
    tools,
    trucks,
    vessels,
)
from crosspoint3d.data.shapes.builder import Builder

_SHAPES: dict[str, tuple[Callable[[Builder], None], tuple[str, ...]]] = {
    "airplane": (airplanes.airplane, airplanes.AIRPLANE),
    "bed": (lounging.bed, lounging.BED),
    "bench": (tables.bench, tables.BENCH),
    "bookshelf": (storage.bookshelf, storage.BOOKSHELF),
    "bottle": (bottles.bottle, bottles.BOTTLE),
    "bowl": (vessels.bowl, vessels.BOWL),
    "cabinet": (storage.cabinet, storage.CABINET),
    "car": (cars.car, cars.CAR),
    "chair": (seating.chair, seating.CHAIR),
    "desk": (tables.desk, tables.DESK),
    "guitar": (instruments.guitar, instruments.GUITAR),
    "knife": (tools.knife, tools.KNIFE),
    "lamp": (lighting.lamp, lighting.LAMP),
    "laptop": (electronics.laptop, electronics.LAPTOP),
    "monitor": (electronics.monitor, electronics.MONITOR),
    "mug": (vessels.mug, vessels.MUG),
    "plant": (plants.plant, plants.PLANT),
    "rocket": (rockets.rocket, rockets.ROCKET),
    "ship": (ships.ship, ships.SHIP),
    "sofa": (lounging.sofa, lounging.SOFA),
    "stool": (seating.stool, seating.STOOL),
    "table": (tables.table, tables.TABLE),
    "truck": (trucks.truck, trucks.TRUCK),
    "vase": (bottles.vase, bottles.VASE),
}

CATEGORIES: tuple[str, ...] = tuple(_SHAPES)
PARTS: tuple[tuple[str, str], ...] = tuple((category, part) for category in CATEGORIES for part in _SHAPES[category][1])
_ORDER_STREAM = 24


def parts_table() -> dict[str, list[int]]:
    """Category to its global part ids, the positions of its parts in `PARTS`."""
    return {name: [i for i, (category, _) in enumerate(PARTS) if category == name] for name in CATEGORIES}


def procedural_shape(index: int, seed: int = 0) -> tuple[Mesh, str]:
    """Shape `index` of an endless series, the same for the same seed on every machine.

    Every block of `len(CATEGORIES)` indices holds each category once, in an order of its own.

    Args:
        index: position in the series, 0 or more.
        seed: which series, 0 or more.

    Returns:
        A mesh with `corner_colors` and `parts` (global part ids), and its category.

    Raises:
        ValueError: a negative index or seed.
    """
    if index < 0 or seed < 0:
        raise ValueError(f"index and seed must be 0 or more, got index {index} and seed {seed}")
    block, place = divmod(index, len(CATEGORIES))
    order = np.random.default_rng([seed, block, _ORDER_STREAM]).permutation(len(CATEGORIES))
    category = CATEGORIES[int(order[place])]
    build, parts = _SHAPES[category]
    ids = {part: PARTS.index((category, part)) for part in parts}
    builder = Builder(ids, np.random.default_rng([seed, index]))
    build(builder)
    return builder.mesh(), category
