"""Pictures show the parts' colours, hold the whole shape, and name every part."""

import numpy as np
import trimesh

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.labelling.pictures import EDGE, LINE, SIDE, LegendEntry, _words, labelled_picture
from crosspoint3d.part_colours import part_colours
from tests.labelling.fakes import TABLE, two_boxes


def hues(pixels: np.ndarray) -> np.ndarray:
    values = pixels.reshape(-1, 3).astype(np.float64)
    return values / np.maximum(values.max(axis=1, keepdims=True), 1)


def test_faces_are_drawn_in_their_colours_inside_the_picture() -> None:
    boxes = two_boxes()
    mesh = Mesh(np.asarray(boxes.vertices, np.float32), np.asarray(boxes.faces, np.int32))
    colours = part_colours(TABLE)[[3, 4]]
    side = (boxes.triangles_center[:, 0] > 0).astype(int)
    legend = [LegendEntry("left", colours[0], 0.5), LegendEntry("right", colours[1], 0.5)]
    picture = np.array(labelled_picture(mesh, colours[side], "box", legend))
    assert picture.shape[1] == 2 * SIDE
    shape = picture[: -LINE - EDGE]
    drawn = hues(shape[(shape != 255).any(axis=2)])
    for colour in colours:
        share = (np.abs(drawn - hues(colour)).max(axis=1) < 0.12).mean()
        assert share > 0.2
    for view in (shape[:, :SIDE], shape[:, SIDE:]):
        covered = (view != 255).any(axis=2)
        assert not covered[:, [0, 1, 2, -3, -2, -1]].any()
        assert not covered[[0, -1]].any()
        assert covered.any(axis=0).sum() > 0.6 * SIDE
    assert (shape[[EDGE, -EDGE - 1]] != 255).any(axis=(1, 2)).all()
    chips = picture[-LINE - EDGE :].reshape(-1, 3)
    for colour in colours:
        assert (chips == colour).all(axis=1).sum() > 50


def test_a_cloud_is_drawn_too() -> None:
    points = np.asarray(trimesh.creation.icosphere(3).vertices, np.float32)
    mesh = Mesh(points, np.zeros((0, 3), np.int32))
    colours = np.tile(np.array([200, 30, 30], np.uint8), (len(points), 1))
    shape = np.array(labelled_picture(mesh, colours, "ball", []))[: -LINE - EDGE]
    drawn = shape[(shape != 255).any(axis=2)].astype(int)
    assert len(drawn) > 0.3 * SIDE * SIDE
    assert (drawn[:, 0] > drawn[:, 1] + 20).mean() > 0.9


def test_parts_that_are_not_there_are_not_named() -> None:
    black = np.zeros(3, np.uint8)
    words = _words(
        "t", [LegendEntry("a", black, 0.996), LegendEntry("b", black, 0.0), LegendEntry("c", black, 0.004)], 800
    )
    assert [word.text for word in words] == ["t", "a 100 %", "c <1 %"]


def test_a_long_legend_takes_more_lines_and_stays_inside() -> None:
    legend = [LegendEntry(f"part number {i}", np.zeros(3, np.uint8), 0.1) for i in range(14)]
    words = _words("category", legend, 800)
    assert len(words) == 15
    assert words[-1].row >= 2
    assert all(word.left >= EDGE for word in words)
    for row in range(words[-1].row + 1):
        places = [word.left for word in words if word.row == row]
        assert places == sorted(places)
        assert places[-1] < 700
