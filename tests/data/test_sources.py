"""Which files are shapes, and what their folders say about them."""

from pathlib import Path

import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.data.shapes import CATEGORIES
from crosspoint3d.data.sources import Candidate, find


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def labels_of(candidates: list[Candidate]) -> dict[str, tuple[str | None, str | None]]:
    return {candidate.id: (candidate.category, candidate.split) for candidate in candidates}


def test_category_and_split_come_from_folders(tmp_path: Path) -> None:
    touch(tmp_path, "chair/train/a.off", "chair/test/b.off", "lamp/c.off", "train/mug/d.off", "e.off", "obj/f.obj")
    assert labels_of(find(str(tmp_path)).candidates) == {
        "chair/test/b.off": ("chair", "test"),
        "chair/train/a.off": ("chair", "train"),
        "e.off": (None, None),
        "lamp/c.off": ("lamp", None),
        "obj/f.obj": (None, None),
        "train/mug/d.off": ("mug", "train"),
    }


def test_everything_else_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.obj", "a.mtl", "wood.png", "b.bin", "table.csv", "LICENSE.txt", "x.blend", "y.blend", "c.usdz")
    found = find(str(tmp_path))
    assert [candidate.id for candidate in found.candidates] == ["a.obj"]
    assert found.companions == 5
    assert dict(found.other) == {".blend": 2, ".usdz": 1}


def test_one_model_in_two_formats_is_taken_once(tmp_path: Path) -> None:
    touch(tmp_path, "set/obj/a.obj", "set/gltf/a.gltf", "set/obj/b.obj", "set/x/a.obj", "set/y/a.gltf")
    touch(tmp_path, "c.obj", "c.ply")
    found = find(str(tmp_path))
    expected = ["c.obj", "c.ply", "set/gltf/a.gltf", "set/obj/b.obj", "set/x/a.obj", "set/y/a.gltf"]
    assert [candidate.id for candidate in found.candidates] == expected
    assert found.same_model == {"set/obj/a.obj": "set/gltf/a.gltf"}


def test_labels_override_folders_and_name_what_is_missing(tmp_path: Path) -> None:
    touch(tmp_path, "A/a.ply", "A/b.ply")
    (tmp_path / "split.csv").write_text("path,category,split\nA/a.ply,alpha,test\nA/gone.ply,alpha,train\n")
    found = find(str(tmp_path), labels=Path("split.csv"))
    expected = {"A/a.ply": ("alpha", "test"), "A/b.ply": ("A", None), "A/gone.ply": ("alpha", "train")}
    assert labels_of(found.candidates) == expected
    assert found.unlabelled == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [("file,split\na,b\n", "expected a header"), ("path,split\na,training\n", "train, val or test")],
)
def test_bad_labels_are_refused(text: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path, "a.ply")
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        find(str(tmp_path), labels=tmp_path / "l.csv")
    with pytest.raises(UsageError, match="no such file"):
        find(str(tmp_path), labels=tmp_path / "none.csv")


def test_a_list_file_and_a_single_shape(tmp_path: Path) -> None:
    touch(tmp_path, "A/a.ply", "A/b.ply")
    (tmp_path / "list.txt").write_text("# mine\nA/b.ply\n\nA/a.ply\nA/b.ply\nA/gone.ply\n")
    assert [c.id for c in find(str(tmp_path / "list.txt")).candidates] == ["A/b.ply", "A/a.ply", "A/gone.ply"]
    assert [c.id for c in find(str(tmp_path / "A" / "a.ply")).candidates] == ["a.ply"]


def test_procedural_shapes_hold_out_whole_blocks() -> None:
    block = len(CATEGORIES)
    found = find(f"procedural:{7 * block}:3")
    splits = [candidate.split for candidate in found.candidates]
    blocks = ["train", "test", "train", "train", "train", "train", "test"]
    assert splits == [split for split in blocks for _ in range(block)]
    assert found.candidates[5].procedural == (3, 5)
    assert found.candidates == find(f"procedural:{7 * block}", seed=3).candidates


@pytest.mark.parametrize(
    "source", ["procedural:", "procedural:0", "procedural:ten", "procedural:1:2:3", "procedural:\u00b2", "nowhere"]
)
def test_a_source_that_cannot_be_is_refused(source: str) -> None:
    with pytest.raises(UsageError, match=r"SOURCE|procedural:COUNT"):
        find(source)


def test_labels_from_a_spreadsheet_with_absolute_paths(tmp_path: Path) -> None:
    touch(tmp_path, "A/a.ply", "ply/c.ply", "obj/c.obj")
    lines = ["path,category,split", f"{tmp_path}/A/a.ply,alpha,test", "obj/c.obj,gamma,val"]
    (tmp_path / "l.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    found = find(str(tmp_path), labels=tmp_path / "l.csv")
    assert labels_of(found.candidates) == {"A/a.ply": ("alpha", "test"), "obj/c.obj": ("gamma", "val")}
    assert found.unlabelled == 0
    (tmp_path / "l.csv").write_bytes("path,category\nA/a.ply,St\u00fchle\n".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        find(str(tmp_path), labels=tmp_path / "l.csv")
    with pytest.raises(UsageError, match="own categories"):
        find("procedural:3", labels=tmp_path / "l.csv")


def test_labels_of_the_format_that_is_left_out_go_to_its_twin(tmp_path: Path) -> None:
    touch(tmp_path, "ply/c.ply", "gltf/c.gltf")
    (tmp_path / "l.csv").write_text("path,category\nply/c.ply,gamma\n")
    found = find(str(tmp_path), labels=tmp_path / "l.csv")
    assert labels_of(found.candidates) == {"gltf/c.gltf": ("gamma", None)}


def test_formats_may_be_sibling_folders_higher_up(tmp_path: Path) -> None:
    touch(tmp_path, "obj/chair/c.obj", "ply/chair/c.ply", "ply/lamp/c.ply")
    assert labels_of(find(str(tmp_path)).candidates) == {
        "obj/chair/c.obj": ("chair", None),
        "ply/lamp/c.ply": ("lamp", None),
    }


def test_a_list_may_point_outside_and_repeat_itself(tmp_path: Path) -> None:
    touch(tmp_path, "in/chair/a.off", "lists/x")
    (tmp_path / "lists" / "l.txt").write_text("../in/chair/a.off\n./../in/chair/a.off\n")
    (candidate,) = find(str(tmp_path / "lists" / "l.txt")).candidates
    assert candidate.category is None
    assert Path(candidate.source).exists()


def test_linked_folders_are_followed_once_and_names_decide_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "a.off")
    touch(tmp_path / "in", "license_plate.off", "LICENSE", "readme.txt")
    (tmp_path / "in" / "chair").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    found = find(str(tmp_path / "in"))
    assert labels_of(found.candidates) == {"chair/a.off": ("chair", None), "license_plate.off": (None, None)}
    assert found.companions == 2
