import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crosspoint3d.config import UsageError
from crosspoint3d.data.image_folders import load_pictures

NOVEL = ("baby", "bed", "bee")


def encoded(seed: int, kind: str = "PNG", side: int = 8) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def seed(name: str) -> int:
    return 100 * sum(name.encode())


def classes(root: Path, names: tuple[str, ...] = NOVEL, count: int = 3) -> None:
    """A folder of `count` pictures for each name; the first is a PNG, then a JPEG, then a WebP."""
    for name in names:
        (root / name).mkdir(parents=True)
        for index in range(count):
            suffix, kind = ((".png", "PNG"), (".JPG", "JPEG"), (".webp", "WEBP"))[index % 3]
            (root / name / f"{index}{suffix}").write_bytes(encoded(seed(name) + index, kind))


def lay_out(folder: Path, layout: str) -> None:
    if layout.endswith("meta-test"):
        classes(folder / layout)
        classes(folder / layout.replace("test", "train"), ("apple", "bear"))
        classes(folder / layout.replace("test", "val"), ("boy",))
    elif layout.endswith("data"):
        classes(folder / layout, ("apple", *NOVEL, "bear"))
        lists = (folder / layout).parent / "splits" / "bertinetto"
        lists.mkdir(parents=True)
        (lists / "test.txt").write_text("\n".join(reversed(NOVEL)) + "\r\n\n")
        (lists / "train.txt").write_text("apple\nbear\n")
    elif layout == "test":
        classes(folder / "test")
        classes(folder / "train", ("apple", "bear"))
    else:
        classes(folder)


LAYOUTS = ["meta-test", "data", "cifar100/data", "cifar100/meta-test", "test", "."]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_novel_pictures(tmp_path: Path, layout: str) -> None:
    lay_out(tmp_path / "set", layout)
    found = load_pictures(f"images:{tmp_path / 'set'}")
    assert found.categories == NOVEL
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert found.ids[:4] == ("baby/0.png", "baby/1.JPG", "baby/2.webp", "bed/0.png")
    assert found.pictures[3] == encoded(seed("bed"))
    assert found.record["pictures"] == 9
    assert found.record["categories"] == 3
    assert "novel classes only: FOLDER" in found.record["split"]
    assert any("names no split" in note for note in found.record["notes"]) == (layout == ".")
    lay_out(tmp_path / "other", "meta-test")
    assert load_pictures(f"images:{tmp_path / 'other'}").record["split_sha256"] == found.record["split_sha256"]


def test_the_hash_knows_names_and_bytes(tmp_path: Path) -> None:
    hashes = set()
    lay_out(tmp_path, ".")
    for change in ("none", "bytes", "name"):
        if change == "bytes":
            (tmp_path / "bed" / "0.png").write_bytes(encoded(5))
        elif change == "name":
            (tmp_path / "bed" / "0.png").rename(tmp_path / "bed" / "7.png")
        hashes.add(load_pictures(f"images:{tmp_path}").record["split_sha256"])
    assert len(hashes) == 3


def test_other_files_are_counted(tmp_path: Path) -> None:
    lay_out(tmp_path, ".")
    (tmp_path / "list.txt").write_text("not in a class")
    (tmp_path / "baby" / "notes.txt").write_text("no picture")
    (tmp_path / "baby" / ".hidden.png").write_text("of the file system")
    (tmp_path / "bed" / "LICENCE").write_text("no picture")
    (tmp_path / "bed" / "more").mkdir()
    found = load_pictures(f"images:{tmp_path}")
    assert found.record["other_files"] == {".txt": 1, "folder": 1, "no extension": 1}
    assert len(found.ids) == 9


def test_broken_pictures_are_listed_and_counted(tmp_path: Path) -> None:
    classes(tmp_path, count=12)
    broken = sorted((tmp_path / "bed").iterdir())
    contents = [encoded(1)[:-40], b"", b"no picture", encoded(1, "BMP"), encoded(1, "JPEG")[:200], encoded(1)[:30]]
    for path, content in zip(broken, contents, strict=False):
        path.write_bytes(content)
    broken[6].unlink()
    broken[6].symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="7 of 36 pictures cannot be decoded") as raised:
        load_pictures(f"images:{tmp_path}")
    message = str(raised.value)
    assert f"{broken[0]} (" in message
    assert "and 2 more; replace or remove them" in message
    assert message.count(str(tmp_path / "bed")) == 5


def test_one_truncated_picture_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, ".")
    (tmp_path / "bee" / "0.png").write_bytes(encoded(1, side=64)[:-2000])
    with pytest.raises(UsageError, match=r"1 of 9 pictures cannot be decoded: .*bee/0.png \(.*truncated.*\); replace"):
        load_pictures(f"images:{tmp_path}")


def test_an_empty_class_has_no_label(tmp_path: Path) -> None:
    lay_out(tmp_path, "test")
    (tmp_path / "test" / "ant").mkdir()
    found = load_pictures(f"images:{tmp_path}")
    assert found.categories == ("ant", *NOVEL)
    assert set(found.labels.tolist()) == {1, 2, 3}


def test_wrong_layouts_say_what_is_expected(tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(UsageError, match=message):
            load_pictures(f"images:{tmp_path / 'set'}")

    root = tmp_path / "set"
    refused("no such folder; expected FOLDER/meta-test/CLASS/, ")
    root.mkdir()
    refused("no folder of pictures in it; expected")
    classes(root / "meta-train", ("apple",))
    refused("no folder of pictures in it; expected")
    classes(root / "data")
    refused(r"splits/bertinetto/test.txt is missing; it names the test classes of .*data, one a line")
    lists = root / "splits" / "bertinetto"
    lists.mkdir(parents=True)
    (lists / "test.txt").write_text("baby\nboy\n../meta-train/apple\n")
    refused(r"it names 2 classes without a folder in .*data, such as ../meta-train/apple")
    (lists / "test.txt").write_text("\n")
    refused("it names none")
    (lists / "test.txt").write_bytes(b"\xff\xfe\x00")
    refused("is no text file")
    (root / "test" / "ant").mkdir(parents=True)
    refused(r"no .png, .jpg or .webp file in its 1 classes \(FOLDER/test/CLASS\)")
