"""The published ShapeNet layout: clouds and pictures of two trees in one table, and what is missing or broken."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crosspoint3d import cli
from crosspoint3d.config import PrepareConfig, UsageError
from crosspoint3d.data.assemble import MeshError
from crosspoint3d.data.batches import decode
from crosspoint3d.data.order import DrawOrder
from crosspoint3d.data.pairs import load_pairs
from crosspoint3d.data.prepare import prepare
from crosspoint3d.data.published.shapenet_part_names import CATEGORIES
from crosspoint3d.data.shapenet import NO_MODEL, find_models, is_published_layout
from crosspoint3d.data.shapenet_names import SYNSETS
from crosspoint3d.data.shapenet_pictures import read_pictures
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.geometry import camera_matrix
from tests.data.shapes_on_disk import write

SIZE = 17
CHAIR, PLANE = "03001627", "02691156"


def cloud(seed: int, points: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(points, 3)).astype(np.float32)


def ply(points: np.ndarray) -> bytes:
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    return header.encode() + points.astype("<f4").tobytes()


def png(color: tuple[int, int, int, int], size: tuple[int, int] = (SIZE, SIZE)) -> bytes:
    """A half transparent picture: colour on the left, nothing (black, alpha 0) on the right."""
    pixels = np.zeros((*size[::-1], 4), np.uint8)
    pixels[:, : size[0] // 2] = color
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def model(root: Path, synset: str, name: str, *, seed: int = 0, pictures: int = 3, metadata: bool = True) -> None:
    write(root, f"ShapeNet/{synset}/{name}.ply", ply(cloud(seed)))
    for i in range(pictures):
        write(root, f"ShapeNetRendering/{synset}/{name}/rendering/{i:02d}.png", png((200, 30, 30 + i, 255)))
    if pictures and metadata:
        lines = "".join(f"{40.0 * i} {25 + i} 0 {0.6 + i / 10} 25\n" for i in range(pictures))
        write(root, f"ShapeNetRendering/{synset}/{name}/rendering/rendering_metadata.txt", lines.encode())
        write(root, f"ShapeNetRendering/{synset}/{name}/rendering/renderings.txt", b"00.png\n")


def run(root: Path, out: Path, **options: Any) -> tuple[Any, ShapeTable]:
    summary = prepare(PrepareConfig(str(root), out, **({"points": 64, "workers": 1} | options)))
    return summary, ShapeTable(out)


def test_clouds_and_pictures_come_together(tmp_path: Path) -> None:
    for i, (synset, name) in enumerate([(CHAIR, "b1"), (CHAIR, "a1"), (PLANE, "c1")]):
        model(tmp_path / "in", synset, name, seed=i, pictures=3)
    summary, table = run(tmp_path / "in", tmp_path / "t")
    assert (summary.taken, summary.refused, summary.other) == (3, 0, {})
    assert table.column("id") == [f"ShapeNet/{PLANE}/c1.ply", f"ShapeNet/{CHAIR}/a1.ply", f"ShapeNet/{CHAIR}/b1.ply"]
    assert table.column("category") == ["airplane", "chair", "chair"]
    assert (table.settings["views"], table.settings["image_size"]) == (3, SIZE)
    taken = table.take([0, 1, 2], ["points", "views"])
    for row, seed in enumerate((2, 1, 0)):
        expected = cloud(seed) - cloud(seed).mean(0)
        expected /= np.linalg.norm(expected, axis=1).max()
        order = np.lexsort(taken["points"][row].round(2).T)
        np.testing.assert_allclose(
            taken["points"][row][order], expected[np.lexsort(expected.astype(np.float16).round(2).T)], atol=0.02
        )
        for i, encoded in enumerate(taken["views"][row]):
            picture = decode(encoded).astype(int)
            assert picture.shape == (SIZE, SIZE, 3)
            assert np.abs(picture[4:12, 2:5] - [200, 30, 30 + i]).max() < 40
            assert picture[:, 12:].min() > 215  # transparent black is white


def test_a_training_batch_can_be_drawn(tmp_path: Path) -> None:
    for i in range(4):
        model(tmp_path / "in", CHAIR, f"m{i}", seed=i, pictures=2 + i % 2, metadata=False)
    _, table = run(tmp_path / "in", tmp_path / "t")
    order = DrawOrder((table.index("train", or_null=True),), 4, (), 0)
    (batch,) = load_pairs([table], order.epoch(0), workers=0)
    assert batch.points.shape == (4, 64, 3)
    assert batch.images is not None and batch.images.shape == (4, 1, 3, SIZE, SIZE)


def test_what_is_broken_or_missing_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "in"
    model(root, CHAIR, "good", seed=1)
    model(root, CHAIR, "one_cut", seed=2)
    model(root, CHAIR, "all_cut", seed=3)
    model(root, CHAIR, "bare", seed=4, pictures=0)
    model(root, "00000000", "unknown", seed=5)
    pictures = root / "ShapeNetRendering"
    cut = sorted((pictures / CHAIR / "all_cut" / "rendering").glob("*.png"))
    for path in [*cut, pictures / CHAIR / "one_cut" / "rendering" / "01.png"]:
        path.write_bytes(path.read_bytes()[:-30])
    write(pictures, f"{CHAIR}/one_cut/rendering/02.png", png((1, 2, 3, 255), (9, 12)))
    write(pictures, f"{CHAIR}/lonely/rendering/00.png", png((1, 2, 3, 255)))
    write(pictures, f"{PLANE}/lonely/rendering/00.png", png((1, 2, 3, 255)))
    write(root, f"ShapeNet/{CHAIR}/notes.blend", b"x")
    summary, table = run(root, tmp_path / "t")
    assert (summary.taken, summary.refused) == (3, 2)
    assert summary.reasons == {"no readable picture": 1, "no pictures": 1}
    assert summary.other == {NO_MODEL: 2, ".blend": 1}
    assert summary.notes == {
        f"ShapeNet/{CHAIR}/one_cut.ply": "01.png: truncated or no picture; 02.png: 9 x 12 px, not square"
    }
    assert "pictures refused: 2 of 1 shapes" in str(summary)
    assert table.column("category") == ["00000000", *["chair"] * 4]
    one_cut = table.column("id").index(f"ShapeNet/{CHAIR}/one_cut.ply")
    assert len(table.column("views")[one_cut]) == 1
    again, _ = run(root, tmp_path / "t")
    assert (again.new, again.notes) == (0, summary.notes)


@pytest.mark.parametrize("end", [8, 40, 60, -13, -1])
def test_a_picture_cut_anywhere_is_refused(end: int, tmp_path: Path) -> None:
    write(tmp_path, "00.png", png((1, 2, 3, 255)))
    write(tmp_path, "01.png", png((1, 2, 3, 255))[:end])
    read = read_pictures(tmp_path, SIZE)
    assert (len(read.views), len(read.refused)) == (1, 1)
    (tmp_path / "00.png").unlink()
    with pytest.raises(MeshError, match="no readable picture"):
        read_pictures(tmp_path, SIZE)


def test_large_pictures_are_scaled_down_and_small_ones_left(tmp_path: Path) -> None:
    model(tmp_path / "in", CHAIR, "a")
    for size, expected in ((16, 16), (224, SIZE)):
        _, table = run(tmp_path / "in", tmp_path / f"t{size}", image_size=size)
        assert {decode(view).shape for view in table.column("views")[0]} == {(expected, expected, 3)}
        assert table.settings["image_size"] == expected


def test_cameras_are_those_of_the_metadata(tmp_path: Path) -> None:
    """Blender (z up) stood at R(az, el) on +x; the importer had turned y up to z up by (x, y, z) -> (x, -z, y)."""
    model(tmp_path / "in", CHAIR, "a", seed=7, pictures=4)
    _, table = run(tmp_path / "in", tmp_path / "t")
    taken = table.take([0], ["points", "view_poses"])
    diagonal = np.linalg.norm(np.ptp(taken["points"][0], axis=0))
    for i, pose in enumerate(taken["view_poses"][0]):
        azimuth, elevation, ratio = np.radians(40.0 * i), np.radians(25.0 + i), 0.6 + i / 10
        level = np.cos(elevation)
        blender = np.array([np.cos(azimuth) * level, -np.sin(azimuth) * level, np.sin(elevation)])
        place = np.array([blender[0], blender[2], -blender[1]]) * 1.75 * ratio * diagonal
        assert np.abs((camera_matrix(pose) @ [*place, 1])[:3]).max() < 1e-3 * diagonal


def test_without_metadata_there_are_no_cameras(tmp_path: Path) -> None:
    model(tmp_path / "in", CHAIR, "a", metadata=False)
    model(tmp_path / "in", CHAIR, "b")
    write(tmp_path / "in", f"ShapeNetRendering/{CHAIR}/b/rendering/rendering_metadata.txt", b"1 2\n")
    _, table = run(tmp_path / "in", tmp_path / "t")
    assert table.column("view_poses") == [None, None]


def test_labels_and_duplicates_work_as_elsewhere(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model(tmp_path / "in", CHAIR, name, seed=3)
    (tmp_path / "in" / "l.csv").write_text(f"path,split\nShapeNet/{CHAIR}/a.ply,test\n")
    summary, table = run(tmp_path / "in", tmp_path / "t", labels=Path("l.csv"), drop_duplicates=True)
    assert table.column("split") == ["test", None]
    assert summary.refused_files == {f"ShapeNet/{CHAIR}/b.ply": f"duplicate of ShapeNet/{CHAIR}/a.ply"}


def test_the_layout_is_both_trees(tmp_path: Path) -> None:
    model(tmp_path, CHAIR, "a", pictures=0)
    assert not is_published_layout(tmp_path)
    (tmp_path / "ShapeNetRendering").mkdir()
    assert is_published_layout(tmp_path)
    assert find_models(tmp_path).settings == {}
    assert cli.run(["prepare", str(tmp_path), "--out", str(tmp_path / "t"), "--workers", "1"]) == 1
    assert ShapeTable(tmp_path / "t").column("status") == ["no pictures"]


def test_names_of_synsets() -> None:
    assert len(SYNSETS) == 57 == len(set(SYNSETS.values()))
    assert {name.lower() for name in CATEGORIES} <= set(SYNSETS.values())
    assert all(len(number) == 8 and number.isdecimal() for number in SYNSETS)


def test_ready_made_pictures_have_no_depth(tmp_path: Path) -> None:
    model(tmp_path / "in", CHAIR, "a")
    with pytest.raises(UsageError, match=r"--depth: the pictures of .* are ready-made"):
        run(tmp_path / "in", tmp_path / "out", depth=True)
    assert not (tmp_path / "out").exists()
