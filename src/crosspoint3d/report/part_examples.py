"""The worst, median and best test shapes of part segmentation, drawn in the colours of their parts beside the truth.

Axis letters: N points, H and W pixels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Integer, UInt8

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.render import render_views
from crosspoint3d.geometry import fitting_distance
from crosspoint3d.part_colours import css, part_colours
from crosspoint3d.parts_table import PartsTable
from crosspoint3d.report.examples import Tile
from crosspoint3d.report.finetuned_run import read_examples
from crosspoint3d.report.pictures import data_uri
from crosspoint3d.report.sections import Missing
from crosspoint3d.report.shapes import DEFAULT_POSE

SIZE = 256
FILL = 0.93
"""Share of half the picture that a shape may reach."""
NEAREST = 0.1
RIGHT, WRONG, FOREIGN = (206, 213, 221), (197, 38, 52), (28, 39, 51)
KINDS = {"worst": "Worst", "median": "Median", "best": "Best"}


@dataclass(frozen=True)
class LegendPart:
    """A part of the category: its colour, and its IoU on this shape (empty where it neither is nor is named)."""

    name: str
    color: str
    iou: str


@dataclass(frozen=True)
class PartExample:
    """A test shape: truth, prediction and errors as pictures, and the parts of its category."""

    id: str
    category: str
    iou: str
    wrong: str
    tiles: list[Tile]
    parts: list[LegendPart]


def part_examples(path: Path) -> dict[str, list[PartExample]] | Missing:
    """The shapes of a run's examples.npz by kind (`KINDS`), each drawn three times; a Missing where it has none."""
    arrays = read_examples(path)
    if isinstance(arrays, Missing):
        return arrays
    try:
        table = _table(arrays["part_names"].tolist(), arrays["part_categories"].tolist())
        drawn = [(kind, _example(arrays, row, table)) for row, kind in enumerate(arrays["kinds"].tolist())]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return Missing(f"{path.name} does not hold what it should: {error!r}")
    found = {title: [example for own, example in drawn if own == kind] for kind, title in KINDS.items()}
    shown = {title: examples for title, examples in found.items() if examples}
    return shown or Missing(f"{path.name} holds no shape")


def _table(names: list[str], categories: list[str]) -> PartsTable:
    order = tuple(dict.fromkeys(categories))
    own = tuple(tuple(part for part, name in enumerate(categories) if name == category) for category in order)
    return PartsTable(order, own, tuple(names))


def _example(arrays: dict[str, np.ndarray], row: int, table: PartsTable) -> PartExample:
    points = arrays["points"][row].astype(np.float32)
    truth, predicted = (arrays[name][row].astype(np.int64) for name in ("truth", "predicted"))
    category = str(arrays["categories"][row])
    own = table.parts[table.categories.index(category)]
    colours = part_colours(table)
    colours[[part for part in range(len(table)) if part not in own]] = FOREIGN
    wrong = truth != predicted
    errors = np.where(wrong[:, None], np.array(WRONG, np.uint8), np.array(RIGHT, np.uint8))
    legend = [LegendPart(table.names[part], css(colours[part]), _iou(truth, predicted, part)) for part in own]
    foreign = int((~np.isin(predicted, own)).sum())
    if foreign:
        legend.append(LegendPart("part of another category", css(np.array(FOREIGN, np.uint8)), f"{foreign} points"))
    pictures = (("truth", colours[truth]), ("prediction", colours[predicted]), ("errors", errors))
    return PartExample(
        id=str(arrays["ids"][row]),
        category=category,
        iou=f"{100 * float(arrays['iou'][row]):.1f} %",
        wrong=f"{100 * wrong.mean():.1f} %",
        tiles=[Tile(words, data_uri(draw_points(points, shades))) for words, shades in pictures],
        parts=legend,
    )


def _iou(truth: Integer[np.ndarray, " N"], predicted: Integer[np.ndarray, " N"], part: int) -> str:
    either = int(((truth == part) | (predicted == part)).sum())
    return f"{100 * ((truth == part) & (predicted == part)).sum() / either:.0f} %" if either else ""


def draw_points(points: Float32[np.ndarray, "N 3"], colours: UInt8[np.ndarray, "N 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """A cloud as balls of these colours, as large as the picture allows."""
    centre = (points.min(axis=0) + points.max(axis=0)).astype(np.float64) / 2
    distance = fitting_distance(points - centre, *DEFAULT_POSE[:2], FILL)
    pose = np.array([[*DEFAULT_POSE[:2], max(distance, NEAREST)]], np.float32)
    mesh = Mesh(np.ascontiguousarray(points), np.zeros((0, 3), np.int32), vertex_colors=np.ascontiguousarray(colours))
    picture: np.ndarray = render_views(mesh, poses=pose, image_size=SIZE, frame=(centre, 1.0))[0]
    return picture
