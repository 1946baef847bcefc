import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from crosspoint3d import __version__
from crosspoint3d.config import UsageError
from crosspoint3d.models import (
    DGCNN,
    DGCNNPartSeg,
    PointNet,
    PointNetPartSeg,
    ProjectionHead,
    ResNet,
    Tower,
    load_tower,
    save_tower,
)
from crosspoint3d.models.callable_encoder import CallableEncoder
from crosspoint3d.models.encoders import PointEncoder


def tower() -> Tower:
    return Tower(DGCNN(k=6, emb_dims=16, width=0.25), ProjectionHead(32, 8, 4, bias=True))


def points(batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, 20, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "original",
    [
        tower(),
        Tower(PointNet(16, t_nets=True), None),
        Tower(ResNet("resnet18"), ProjectionHead.for_images(512, 8)),
    ],
    ids=["dgcnn", "pointnet without head", "resnet18"],
)
def test_round_trip_is_bit_equal(original: Tower, tmp_path: Path) -> None:
    original.train()
    x = torch.randn(3, 3, 32, 32) if isinstance(original.encoder, ResNet) else points()
    original(x)  # moves the running statistics
    save_tower(original, tmp_path / "encoder", {"data": "my shapes", "seed": 3})
    loaded = load_tower(tmp_path / "encoder")
    assert not loaded.training and loaded.config() == original.config()
    assert loaded.state_dict().keys() == original.state_dict().keys()
    for name, value in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert torch.equal(loaded(x), original.eval()(x))


def test_what_is_written(tmp_path: Path) -> None:
    save_tower(tower(), tmp_path, {"data": "my shapes", "seed": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "kind": "dgcnn",
        "encoder": {"k": 6, "emb_dims": 16, "width": 0.25},
        "head": {"in_dims": 32, "hidden_dims": 8, "out_dims": 4, "bias": True},
        "package": __version__,
        "data": "my shapes",
        "seed": 3,
    }
    card = (tmp_path / "README.md").read_text()
    assert "my shapes" in card and "load_encoder" in card and "licence" in card


def test_same_weights_same_bytes(tmp_path: Path) -> None:
    model = tower()
    for name in "ab":
        save_tower(model, tmp_path / name, {})
    one, two = (tmp_path / name / "model.safetensors" for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_a_full_disk_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tower(tower(), tmp_path, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        save_tower(tower(), tmp_path, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_keys_must_match_exactly(tmp_path: Path) -> None:
    save_tower(tower(), tmp_path, {})
    weights = load_file(tmp_path / "model.safetensors")
    weights["surprise"] = weights.pop("encoder.conv1.weight")
    weights["head.linear2.bias"] = torch.zeros(5)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UsageError) as caught:
        load_tower(tmp_path)
    for part in ("missing: encoder.conv1.weight", "unknown: surprise", "of another shape: head.linear2.bias"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_and_broken_files_are_named(name: str, tmp_path: Path) -> None:
    save_tower(tower(), tmp_path, {})
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:50])
    with pytest.raises(UsageError, match=name):
        load_tower(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UsageError, match=rf"{name}: No such file.*expected"):
        load_tower(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        '{"kind": "vit", "encoder": {}, "head": null}',
        '{"kind": "dgcnn", "encoder": {"j": 1}, "head": null}',
        "{}",
        "[]",
    ],
)
def test_configs_that_describe_nothing(config: str, tmp_path: Path) -> None:
    save_tower(tower(), tmp_path, {})
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UsageError, match=r"config\.json.*expected"):
        load_tower(tmp_path)


def test_k_is_dgcnns() -> None:
    model = tower()
    model.k = 3
    assert model.k == 3 and model.config()["encoder"]["k"] == 3
    with pytest.raises(UsageError, match="k=0"):
        model.k = 0
    pointnet = Tower(PointNet(8), None)
    assert pointnet.k is None
    with pytest.raises(UsageError, match="PointNet has no neighbour graph"):
        pointnet.k = 3


@pytest.mark.parametrize(
    ("encoder", "width"),
    [
        (DGCNN(k=6, emb_dims=16), 512),
        (DGCNNPartSeg(k=6, emb_dims=16), 192),
        (PointNet(16), 320),
        (PointNetPartSeg(16), 960),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else str(value),
)
def test_features_of_points(encoder: PointEncoder, width: int) -> None:
    model = Tower(encoder, None).eval()
    features = model(points(), per_point=True)
    assert features.shape == (4, 20, width) and encoder.point_features == width
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    # In another order of summation a neighbour may give way to one at almost the same distance.
    again = model(points()[:, order], per_point=True)
    assert ((again - features[:, order]).abs() < 1e-4).double().mean() > 0.97
    per_point, clouds = model.local(points())
    assert torch.equal(per_point, features) and torch.equal(clouds, model(points()))


def test_features_of_points_are_point_encoders() -> None:
    with pytest.raises(UsageError, match="per_point: ResNet has no features of points"):
        Tower(ResNet("resnet18"), None)(torch.zeros(1, 3, 32, 32), per_point=True)
    with pytest.raises(UsageError, match="per_point: CallableEncoder has no features of points"):
        Tower(CallableEncoder("torch:sum"), None)(points(), per_point=True)
    with pytest.raises(UsageError, match="local: CallableEncoder has no features of points"):
        Tower(CallableEncoder("torch:sum"), None).local(points())


@pytest.mark.parametrize("encoder", [DGCNN(3), DGCNNPartSeg(3), PointNet(8), PointNetPartSeg(8)])
def test_what_is_no_clouds_is_refused(encoder: PointEncoder, without_shape_checks: None) -> None:
    model, name = Tower(encoder, None).eval(), type(encoder).__name__
    for method in (model, model.local):
        with pytest.raises(ValueError, match=rf"{name}: points of shape \(2, 3, 20\).*give points\.transpose\(1, 2\)$"):
            method(torch.zeros(2, 3, 20))
        with pytest.raises(ValueError, match=rf"{name}: points of shape \(20, 3\).*give points\[None\] for a single"):
            method(torch.zeros(20, 3))
        with pytest.raises(ValueError, match=r"points of shape \(2, 20, 4\), but clouds are \(clouds, points, 3\)$"):
            method(torch.zeros(2, 20, 4))


def test_pointnets_of_before_have_other_names(tmp_path: Path) -> None:
    model = Tower(PointNet(16), None).eval()
    save_tower(model, tmp_path, {})
    weights = load_file(tmp_path / "model.safetensors")
    before = {name.replace("encoder.narrow.", "encoder.local."): value for name, value in weights.items()}
    assert before.keys() != weights.keys()
    save_file(before, tmp_path / "model.safetensors")
    assert torch.equal(load_tower(tmp_path)(points()), model(points()))


def test_no_head_no_projection() -> None:
    with pytest.raises(UsageError, match="no projection head"):
        Tower(PointNet(8), None).project(torch.zeros(2, 8))
