from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.config import UsageError
from crosspoint3d.data.clouds import load_views
from tests.data.test_clouds import row, table

NAN = np.full((16, 3), np.nan, dtype=np.float16)


def test_views_of_the_test_split_labelled_or_not(tmp_path: Path) -> None:
    path = table(tmp_path, [*(row(i) for i in range(8)), row(8, category=None, split="test", views=[b"x"])])
    shapes = load_views(path, seed=0)
    assert shapes.ids == ("s2", "s3", "s6", "s7", "s8")
    assert shapes.categories == ("a", "b", "a", "b", None)
    assert shapes.views[0] == [b"one", b"two"]
    assert shapes.views[4] == [b"x"]
    assert shapes.points.shape == (5, 16, 3)
    assert len(load_views(path, None, seed=0).ids) == 9


def test_a_drawn_split_is_said_so(tmp_path: Path) -> None:
    path = table(tmp_path, [row(i, split=None) for i in range(20)])
    first, again, other = (load_views(path, "test", seed=seed) for seed in (0, 0, 1))
    assert first.ids == again.ids != other.ids
    assert len(first.ids) == 4
    assert len(load_views(path, "train", seed=0).ids) == 16
    assert first.record["split_drawn"] is True
    assert first.record["notes"]


def test_what_cannot_be_searched_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, [row(i, split="train", views=None) for i in range(4)])
    with pytest.raises(UsageError, match=r"no shape in the split 'test' \(there is: 4 train\)"):
        load_views(path, seed=0)
    with pytest.raises(UsageError, match="4 shapes have no pictures, such as s0"):
        load_views(path, "train", seed=0)
    path = table(tmp_path / "nan", [row(i, **({"points": NAN} if i == 6 else {})) for i in range(8)])
    with pytest.raises(UsageError, match=r"row 6 \(s6\): points holds a value that is not finite"):
        load_views(path, seed=0)
    for spec in ("clouds:a,b", "procedural:9"):
        with pytest.raises(UsageError, match="no pictures"):
            load_views(spec, seed=0)
