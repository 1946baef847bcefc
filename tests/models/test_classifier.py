import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.models import (
    DGCNN,
    ClassHead,
    Classifier,
    DGCNNPartSeg,
    PointNet,
    PointNetPartSeg,
    ResNet,
    build_classifier,
    has_class_head,
    load_classifier,
    load_encoder,
    save_classifier,
)

NAMES = ("chair", "table", "lamp")
ENCODERS: dict[str, Any] = {
    "dgcnn": lambda: DGCNN(k=8, emb_dims=16, width=0.25),
    "dgcnn-partseg": lambda: DGCNNPartSeg(k=8, emb_dims=32),
    "pointnet": lambda: PointNet(16),
    "pointnet-partseg": lambda: PointNetPartSeg(32),
}


def clouds(batch: int = 6, count: int = 30) -> Tensor:
    return torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("widths", [(), (7,), (7, 5)])
def test_head_is_the_plain_definition(widths: tuple[int, ...], training: bool) -> None:
    head = ClassHead(6, 4, widths, dropout=0.0, slope=0.2).double().train(training)
    features = torch.randn(9, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).add(2)

    def normal(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
        mean, variance = (x.mean(0), x.var(0, unbiased=False)) if training else (norm.running_mean, norm.running_var)
        y = (x - mean) / (variance + 1e-5).sqrt()
        return y * norm.weight + norm.bias if norm.affine else y

    x = features if head.norm is None else normal(features, head.norm)
    for layer in head.hidden:
        x = F.leaky_relu(normal(F.linear(x, layer.linear.weight, layer.linear.bias), layer.norm), 0.2)
    torch.testing.assert_close(head(features), x @ head.last.weight.T + head.last.bias)
    assert [layer.linear.bias is not None for layer in head.hidden] == [False, True][: len(widths)]


@pytest.mark.parametrize("head", ["linear", "light", "published"])
@pytest.mark.parametrize("kind", ENCODERS)
def test_round_trip_is_bit_equal(kind: str, head: Any, tmp_path: Path) -> None:
    encoder, points = ENCODERS[kind](), clouds()
    if head == "published" and not has_class_head(encoder):
        with pytest.raises(UsageError, match=r"head published: .*use linear or light"):
            build_classifier(encoder, NAMES, head, 0)
        return
    model = build_classifier(encoder, NAMES, head, 0)
    model(points)  # moves the running statistics
    model.points, model.temperature = 30, 1.7
    save_classifier(model, tmp_path / "classifier", {"data": "my shapes"})
    for spec in (tmp_path, tmp_path / "classifier"):
        loaded = load_classifier(spec)
        assert not loaded.training and loaded.config() == model.config()
        assert (loaded.categories, loaded.points, loaded.temperature) == (NAMES, 30, 1.7)
        assert torch.equal(loaded(points), model.eval()(points)) and loaded(points).shape == (6, 3)
    features = load_encoder(tmp_path / "classifier")
    assert features.head is None and torch.equal(features(points), encoder(points))


def test_what_is_written(tmp_path: Path) -> None:
    save_classifier(build_classifier(PointNet(16), NAMES, "light", 0), tmp_path, {"data": "my shapes"})
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["kind"] == "classifier" and config["categories"] == list(NAMES) and config["temperature"] == 1
    assert config["encoder"] == {"kind": "pointnet", "emb_dims": 16, "t_nets": False} and config["points"] is None
    card = (tmp_path / "README.md").read_text()
    assert "load_classifier" in card and "3 categories" in card and "my shapes" in card
    (tmp_path / "config.json").write_text(json.dumps(config | {"temperature": "hot"}))
    with pytest.raises(UsageError, match=r"config\.json: .*expected the keys encoder, head, categories"):
        load_classifier(tmp_path)


def test_dropout_is_the_generators() -> None:
    model, points = build_classifier(PointNet(16), NAMES, "light", 0), clouds()
    one, again, other = (model(points, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)
    model.eval()
    assert torch.equal(model(points), model(points))


@pytest.mark.parametrize("head", ["linear", "light"])
def test_bfloat16_autocast_runs_forward_and_back(head: Any) -> None:
    model = build_classifier(DGCNN(k=8, emb_dims=16, width=0.25), NAMES, head, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(clouds())
    torch.autograd.backward(half.float().square().mean())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_refusals_name_argument_value_and_remedy() -> None:
    model, points = build_classifier(DGCNN(k=8, emb_dims=16), NAMES, "light", 0), clouds()
    assert model.k == 8
    with pytest.raises(ValueError, match="clouds of 7 points are fewer than the k=8"):
        model(points[:, :7])
    with pytest.raises(ValueError, match="sample 2 holds a value that is not finite"):
        model(points.index_fill(0, torch.tensor([2]), torch.nan))
    with pytest.raises(ValueError, match="at least 2 rows"):
        model(points[:1])
    with pytest.raises(ValueError, match=r"\(8, 3\), but encoder and names have \(16, 3\)"):
        Classifier(PointNet(16), ClassHead(8, 3), NAMES)
    with pytest.raises(ValueError, match=r"ClassHead: .*must be positive"):
        ClassHead(8, 0)
    with pytest.raises(UsageError, match="ResNet cannot be fine-tuned"):
        build_classifier(ResNet("resnet18"), NAMES, "linear", 0)
    with pytest.raises(UsageError, match="PointNet has no neighbour graph"):
        build_classifier(PointNet(16), NAMES, "linear", 0).k = 4


def test_clouds_of_another_shape_are_refused(without_shape_checks: None) -> None:
    model = build_classifier(DGCNN(k=8, emb_dims=16), NAMES, "light", 0).eval()
    with pytest.raises(ValueError, match=r"Classifier: points of shape .*, 3, .*give points\.transpose\(1, 2\)"):
        model(clouds().transpose(1, 2))
