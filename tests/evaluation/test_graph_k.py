from pathlib import Path

import pytest

from crosspoint3d.evaluation.graph_k import trained_k
from crosspoint3d.models import DGCNN, PointNet, Tower, save_tower


@pytest.mark.parametrize("inner", ["", "encoder"])
def test_folders_record_it(tmp_path: Path, inner: str) -> None:
    save_tower(Tower(DGCNN(k=7, emb_dims=8), None), tmp_path / inner, {})
    assert trained_k(str(tmp_path)) == 7


@pytest.mark.parametrize(("said", "k"), [("given", 9), ("assumed", None)])
def test_an_assumed_number_is_not_known(tmp_path: Path, said: str, k: int | None) -> None:
    origin = {"file": "dgcnn.pth", "sha256": "0", "layout": "DGCNN", "keys_not_needed": [], "k": said}
    save_tower(Tower(DGCNN(k=9, emb_dims=8), None), tmp_path, {"origin": origin})
    assert trained_k(str(tmp_path)) == k


def test_other_encoders_have_none(tmp_path: Path) -> None:
    save_tower(Tower(PointNet(emb_dims=8), None), tmp_path, {})
    assert [trained_k(spec) for spec in (str(tmp_path), "random:dgcnn", "weights.pth", "module:function")] == [None] * 4
