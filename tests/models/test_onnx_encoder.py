import hashlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from crosspoint3d.config import UsageError
from crosspoint3d.models import has_twin, load_encoder, save_tower, untrained


class Session:
    """Stands in for onnxruntime's: takes 1 to 8 clouds (B, N, 3) and returns (B, 6)."""

    input: tuple[str, list[Any]] = ("tensor(float)", ["B", "N", 3])
    inputs = 1

    def __init__(self, path: str, providers: list[str]) -> None:
        if Path(path).read_bytes() != b"network":
            raise RuntimeError("Protobuf parsing failed.\nmore")

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=f"points{i}", type=self.input[0], shape=self.input[1]) for i in range(self.inputs)]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="features", shape=["B", 6])]

    def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
        points = given["points0"]
        assert names == ["features"] and points.dtype == np.float32
        if len(points) > 8:
            raise RuntimeError("Got invalid dimensions\nfor input")
        return [np.concatenate([points.max(1), points.mean(1)], axis=1)]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    runtime = ModuleType("onnxruntime")
    runtime.InferenceSession = Session  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    (tmp_path / "net.onnx").write_bytes(b"network")
    return f"onnx:{tmp_path / 'net.onnx'}"


def points(batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, 10, 3, generator=torch.Generator().manual_seed(0))


def test_features(file: str) -> None:
    tower = load_encoder(file)
    torch.testing.assert_close(tower(points()), torch.cat([points().amax(1), points().mean(1)], dim=1))
    assert tower.features == 6 and tower.head is None and tower.k is None and not tower.training
    digest = tower.state_dict()["encoder.file_sha256"]
    assert bytes(digest.tolist()) == hashlib.sha256(b"network").digest()


def test_what_it_cannot_do(file: str, tmp_path: Path) -> None:
    tower = load_encoder(file)
    with pytest.raises(UsageError, match="k=5: OnnxEncoder has no neighbour graph"):
        load_encoder(file, k=5)
    with pytest.raises(UsageError, match="no projection head"):
        tower.project(tower(points()))
    with pytest.raises(UsageError, match="cannot be kept in an encoder folder"):
        save_tower(tower, tmp_path / "encoder", {})
    with pytest.raises(
        UsageError, match=r"input is \['B', 'N', 3\], cannot take clouds of shape \(9, 10, 3\)"
    ) as caught:
        tower(points(9))
    assert "\n" not in str(caught.value) and not has_twin(file)
    with pytest.raises(UsageError, match="no untrained twin"):
        untrained(file, 0)


@pytest.mark.parametrize(
    ("kind", "shape", "inputs"),
    [
        ("tensor(float16)", ["B", "N", 3], 1),
        ("tensor(float)", ["B", 3, 1024], 1),
        ("tensor(float)", ["B", 3, "N"], 1),
        ("tensor(float)", ["B", 3], 1),
        ("tensor(float)", ["B", "N", 3], 2),
    ],
)
def test_inputs_that_are_no_clouds(
    kind: str, shape: list[Any], inputs: int, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "input", (kind, shape))
    monkeypatch.setattr(Session, "inputs", inputs)
    with pytest.raises(UsageError, match=r"takes points0 tensor.*expected one input of clouds \(B, N, 3\), float32"):
        load_encoder(file)


def test_files_that_are_missing_or_broken(file: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.onnx: No such file"):
        load_encoder(f"onnx:{tmp_path / 'no.onnx'}")
    (tmp_path / "net.onnx").write_bytes(b"text")
    with pytest.raises(UsageError, match=r"onnxruntime cannot read it: Protobuf parsing failed\.$"):
        load_encoder(file)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"pip install 'crosspoint3d\[export\]'"):
        load_encoder("onnx:net.onnx")


def test_a_real_network(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    clouds, rows = ("points", 1, ["B", "N", 3]), ("features", 1, ["B", 3])
    graph = make.make_graph(
        [make.make_node("ReduceMax", ["points"], ["features"], axes=[1], keepdims=0)],
        "largest",
        [make.make_tensor_value_info(*clouds)],
        [make.make_tensor_value_info(*rows)],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "net.onnx"))
    tower = load_encoder(f"onnx:{tmp_path / 'net.onnx'}")
    assert torch.equal(tower(points()), points().amax(1)) and tower.features == 3
    (tmp_path / "net.onnx").write_bytes(b"text")
    with pytest.raises(UsageError, match="onnxruntime cannot read it"):
        load_encoder(f"onnx:{tmp_path / 'net.onnx'}")
