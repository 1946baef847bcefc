from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.evaluation.segment_results import PartAnswers, save_examples
from crosspoint3d.part_colours import part_colours
from crosspoint3d.report.part_examples import SIZE, draw_points, part_examples
from crosspoint3d.report.sections import Missing
from tests.report.fake_finetuned import TABLE, labelled_shapes, part_answers
from tests.report.test_pictures import opened


def hue(picture: np.ndarray) -> np.ndarray:
    """Mean direction of the colour of all that is not white, from grey."""
    drawn = picture[(picture < 245).any(axis=2)].astype(float)
    mean = (drawn - drawn.mean(axis=1, keepdims=True)).mean(axis=0)
    unit: np.ndarray = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return unit


@pytest.mark.parametrize("place", range(8))
def test_points_have_the_colour_that_is_asked_for(place: int) -> None:
    colour = part_colours(TABLE)[place % len(TABLE)]
    generator = np.random.default_rng(place)
    cloud = generator.normal(size=(300, 3)).astype(np.float32)
    picture = draw_points(cloud, np.tile(colour, (300, 1)))
    wanted = colour - colour.mean()
    assert hue(picture) @ (wanted / np.linalg.norm(wanted)) > 0.9


@pytest.mark.parametrize("stretch", [(1, 1, 1), (1, 0.01, 0.01), (0.02, 1, 0.02), (3, 5, 0.1)])
def test_a_shape_fills_its_picture_and_is_not_cut(stretch: tuple[float, float, float]) -> None:
    generator = np.random.default_rng(0)
    cloud = generator.uniform(-1, 1, size=(500, 3)).astype(np.float32) * np.float32(stretch) + np.float32(4)
    there = (draw_points(cloud, np.full((500, 3), 90, np.uint8)) < 250).any(axis=2)
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) > 0.7 * SIZE
    assert min(rows[0], columns[0]) > 0 and max(rows[-1], columns[-1]) < SIZE - 1


def test_one_point_alone_can_be_drawn() -> None:
    picture = draw_points(np.zeros((5, 3), np.float32), np.full((5, 3), 90, np.uint8))
    assert (picture < 250).any()


def test_worst_median_and_best_shapes_are_drawn_with_their_parts(tmp_path: Path) -> None:
    split = labelled_shapes(30)
    answers = part_answers(split, TABLE, 0)
    save_examples(tmp_path / "examples.npz", answers, TABLE)
    found = part_examples(tmp_path / "examples.npz")
    assert not isinstance(found, Missing)
    assert {title: len(group) for title, group in found.items()} == {"Worst": 6, "Median": 6, "Best": 6}
    ious = answers.counts(TABLE).shape_ious()
    for group in found.values():
        for shape in group:
            row = split.ids.index(shape.id)
            assert shape.iou == f"{100 * ious[row]:.1f} %"
            assert shape.wrong == f"{100 * (answers.predicted[row] != split.parts[row]).mean():.1f} %"
            own = TABLE.parts[split.categories[row]]
            assert [part.name for part in shape.parts] == [TABLE.names[part] for part in own]
            for part, shown in zip(own, shape.parts, strict=True):
                truth, said = split.parts[row] == part, answers.predicted[row] == part
                assert shown.iou == (
                    f"{100 * (truth & said).sum() / (truth | said).sum():.0f} %" if (truth | said).any() else ""
                )
    assert float(found["Best"][-1].iou[:-2]) > float(found["Median"][0].iou[:-2]) > float(found["Worst"][0].iou[:-2])


def test_errors_are_red_and_right_answers_show_none(tmp_path: Path) -> None:
    split = labelled_shapes(6)
    for predicted, red in ((split.parts, False), (np.roll(split.parts, 1, axis=0), True)):
        save_examples(tmp_path / "examples.npz", PartAnswers(split, predicted), TABLE)
        found = part_examples(tmp_path / "examples.npz")
        assert not isinstance(found, Missing)
        for shape in (shape for group in found.values() for shape in group):
            pictures = {tile.caption: opened(tile.uri).astype(int) for tile in shape.tiles}
            reddest = (pictures["errors"][..., 0] - pictures["errors"][..., 1:].max(axis=2)).max()
            assert (reddest > 60) == red and shape.wrong == ("100.0 %" if red else "0.0 %")
            assert ("part of another category" in [part.name for part in shape.parts]) == red
            if not red:
                np.testing.assert_array_equal(pictures["truth"], pictures["prediction"])


def test_files_that_are_none_are_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "examples.npz"
    assert "missing" in str(part_examples(path))
    for broken in (b"", b"nothing", b"PK\x03\x04 and no more"):
        path.write_bytes(broken)
        assert "cannot be read" in str(part_examples(path))
    np.savez(path, points=np.zeros((1, 4, 3)))
    assert "part_names" in str(part_examples(path))
    split = labelled_shapes(3)
    save_examples(path, PartAnswers(split, split.parts), TABLE)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {"truth": arrays["truth"] + 50})
    assert "does not hold" in str(part_examples(path))
    np.savez(path, **{name: value[:0] for name, value in arrays.items()})
    assert "holds no shape" in str(part_examples(path))
