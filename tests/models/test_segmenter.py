import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from crosspoint3d import models
from crosspoint3d.config import UsageError
from crosspoint3d.models import (
    DGCNN,
    DGCNNPartSeg,
    PartHead,
    PointNet,
    PointNetPartSeg,
    ResNet,
    Segmenter,
    build_segmenter,
    has_part_head,
    load_encoder,
    load_segmenter,
    reference,
    save_segmenter,
)
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.ops.reference import ordered_knn
from crosspoint3d.parts_table import PartsTable

TABLE = PartsTable(("chair", "table", "lamp"), ((0, 1), (2,), (3, 4)), ("seat", "leg", "top", "foot", "shade"))
ENCODERS: dict[str, Any] = {
    "dgcnn": lambda: DGCNN(k=8, emb_dims=16, width=0.25),
    "dgcnn-partseg": lambda: DGCNNPartSeg(k=8, emb_dims=32),
    "pointnet": lambda: PointNet(16, t_nets=True),
    "pointnet-partseg": lambda: PointNetPartSeg(32),
}


def segmenter(kind: str = "dgcnn-partseg", head: Any = None, seed: int = 0) -> Segmenter:
    """With weights as training leaves them, and without dropout."""
    with seeded_weights(seed):
        encoder = ENCODERS[kind]()
    head = head or ("published" if has_part_head(encoder) else "light")
    model = build_segmenter(encoder, TABLE, head, seed)
    model.head.dropout = 0.0
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d) and module.affine:
            nn.init.normal_(module.weight, 1, 0.3, generator=generator)
            nn.init.normal_(module.bias, 0, 0.3, generator=generator)
        elif isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.normal_(module.weight, std=0.02, generator=generator)  # of the aligning matrix
    return model


def given(seed: int = 0, batch: int = 6, count: int = 30) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, count, 3, generator=generator), torch.randint(3, (batch,), generator=generator)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ENCODERS)
def test_on_the_same_graphs_it_is_the_plain_network(kind: str, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    farthest = []
    for seed in range(3):
        model, (points, category) = segmenter(kind, seed=seed).train(training), given(seed, 16)
        exact, graphs = copy.deepcopy(model).double(), []

        def search(x: Tensor, k: int, graphs: list[Tensor] = graphs) -> Tensor:
            graphs.append(ordered_knn(x, k))
            return graphs[-1]

        expected = reference.segmenter(exact, points.double(), category, training, search)
        for module in ("dgcnn", "dgcnn_partseg"):
            found = iter(graphs)
            monkeypatch.setattr(f"crosspoint3d.models.{module}.knn", lambda x, k, found=found: next(found))
        logits = model(points, category)
        assert logits.shape == (16, 30, 5)
        assert (logits - expected).abs().max() <= 2e-5 * expected.abs().max()
        direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed))
        (logits * direction).sum().backward()
        (expected * direction).sum().backward()
        pairs = [(ours.grad, plain.grad) for ours, plain in zip(model.parameters(), exact.parameters(), strict=True)]
        large = max(plain.norm() for _, plain in pairs)
        farthest.append(max((ours - plain).norm() / plain.norm().clamp_min(1e-3 * large) for ours, plain in pairs))
    # A value at a bend of LeakyReLU, or a maximum that two points share, may round to the other side, but rarely.
    assert min(farthest) < 1e-3


@pytest.mark.parametrize("kind", ENCODERS)
def test_its_features_are_the_encoders(kind: str) -> None:
    encoder, (points, _) = segmenter(kind).eval().encoder, given()
    per_point, cloud = encoder.local(points)
    assert per_point.shape == (6, 30, encoder.point_features) and cloud.shape == (6, encoder.features)
    assert torch.equal(per_point, encoder(points, per_point=True)) and torch.equal(cloud, encoder(points))
    expected = reference.local(encoder, points, False)
    torch.testing.assert_close((per_point, cloud), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", ["linear", "light", "published"])
@pytest.mark.parametrize("kind", ENCODERS)
def test_round_trip_is_bit_equal(kind: str, head: str, tmp_path: Path) -> None:
    if head == "published" and kind in ("dgcnn", "pointnet"):
        with pytest.raises(UsageError, match=r"head published: .*use linear or light"):
            segmenter(kind, head)
        return
    model, (points, category) = segmenter(kind, head), given()
    model(points, category)  # moves the running statistics
    model.points = 30
    save_segmenter(model, tmp_path / "run" / "segmenter", {"data": "my shapes", "fine_tuned": True})
    state = torch.get_rng_state()
    for spec in (tmp_path / "run", tmp_path / "run" / "segmenter"):
        loaded = load_segmenter(spec)
        assert not loaded.training and loaded.config() == model.config() and loaded.table == TABLE
        assert loaded.points == 30 and loaded.origin is None
        assert torch.equal(loaded(points, category), model.eval()(points, category))
    assert torch.equal(torch.get_rng_state(), state)
    encoder = load_encoder(tmp_path / "run" / "segmenter")
    assert encoder.head is None and torch.equal(encoder(points, per_point=True), model.encoder(points, per_point=True))
    twin = models.untrained(tmp_path / "run" / "segmenter", seed=1)
    assert twin.config() == encoder.config() and not torch.equal(twin(points), encoder(points))


def test_what_is_written(tmp_path: Path) -> None:
    save_segmenter(segmenter("dgcnn"), tmp_path, {"data": "my shapes", "seed": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["kind"] == "segmenter" and config["parts_table"] == TABLE.to_dict() and config["seed"] == 3
    assert config["encoder"] == {"kind": "dgcnn", "k": 8, "emb_dims": 16, "width": 0.25}
    card = (tmp_path / "README.md").read_text()
    for part in ("load_segmenter", "5 parts of 3 categories", "my shapes", "fine-tuned with labels", "licence"):
        assert part in card
    assert "without labels" not in card


def test_weights_and_config_must_fit(tmp_path: Path) -> None:
    save_segmenter(segmenter(), tmp_path, {})
    weights = load_file(tmp_path / "model.safetensors")
    weights["head.surprise"] = weights.pop("head.last.weight")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=r"missing: head\.last\.weight; unknown: head\.surprise"):
        load_segmenter(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    broken: list[dict[str, Any]] = [
        {"parts_table": {}},
        {"head": {}},
        {"encoder": {"kind": "image", "name": "resnet18"}},
    ]
    for change in [*broken, {"encoder": []}, {"points": "many"}]:
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UsageError, match=r"config\.json: .*expected the keys encoder, head, parts_table"):
            load_segmenter(tmp_path)


def test_dropout_is_the_generators() -> None:
    model, (points, category) = segmenter("pointnet-partseg"), given()
    model.head.dropout = 0.5
    one, again, other = (model(points, category, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_the_heads_weights_are_the_seeds() -> None:
    encoder, state = DGCNNPartSeg(8, 16), torch.get_rng_state()
    one, again, other = (build_segmenter(encoder, TABLE, "published", seed).head for seed in (0, 0, 1))
    assert torch.equal(one.first.weight, again.first.weight) and not torch.equal(one.first.weight, other.first.weight)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", ENCODERS)
def test_bfloat16_autocast_runs_forward_and_back(kind: str) -> None:
    model, (points, category) = segmenter(kind), given()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(points, category)
    torch.autograd.backward(half.float().square().mean())
    assert half.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_k_is_the_encoders() -> None:
    model = segmenter()
    model.k = 5
    assert model.k == 5 and model.config()["encoder"]["k"] == 5
    pointnet = segmenter("pointnet")
    assert pointnet.k is None
    with pytest.raises(UsageError, match="PointNet has no neighbour graph"):
        pointnet.k = 3


def test_refusals_name_argument_value_and_remedy() -> None:
    model, (points, category) = segmenter().eval(), given()
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=rf"category {wrong} must be between 0 and 2"):
            model(points, category.clone().fill_(wrong))
    with pytest.raises(
        ValueError, match=r"category: \(2,\) of torch.int64 for 6 clouds; give one integer a cloud, \(6,\)"
    ):
        model(points, category[:2])
    with pytest.raises(ValueError, match=r"clouds of 7 points are fewer than the k=8 .*give more points"):
        model(points[:, :7], category)
    for value in (torch.nan, torch.inf):
        broken = points.clone()
        broken[4, 3, 1] = value
        with pytest.raises(ValueError, match="points: sample 4 holds a value that is not finite; clean or drop"):
            model(broken, category)
    with pytest.raises(ValueError, match="at least 2 rows"):
        model.train()(points[:1], category[:1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_categories_may_be_of_any_integer_type(dtype: torch.dtype) -> None:
    model, (points, category) = segmenter().eval(), given()
    expected = model(points, category)
    assert torch.equal(model(points, category.to(dtype)), expected)
    array = category.to(dtype).numpy()
    array.flags.writeable = False
    assert torch.equal(model(points, array), expected)
    with pytest.raises(ValueError, match=r"category: \(2,\) of .* for 6 clouds; give one integer a cloud"):
        model(points, array[:2])


def test_clouds_and_categories_of_other_shapes_are_refused(without_shape_checks: None) -> None:
    model, (points, category) = segmenter().eval(), given()
    with pytest.raises(ValueError, match=r"Segmenter: points of shape \(6, 3, 30\).*give points\.transpose\(1, 2\)"):
        model(points.transpose(1, 2), category)
    for wrong in (category[:, None], category[0], category.float(), category > 0):
        with pytest.raises(ValueError, match=r"category: .* for 6 clouds; give one integer a cloud, \(6,\)"):
            model(points, wrong)


def test_encoder_head_and_table_must_fit() -> None:
    encoder = PointNet(16)
    with pytest.raises(ValueError, match=r"\(320, 8, 3, 5\), but encoder and table have \(320, 16, 3, 5\)"):
        Segmenter(encoder, PartHead(320, 8, 3, 5), TABLE)
    with pytest.raises(UsageError, match="ResNet has no features of points"):
        build_segmenter(ResNet("resnet18"), TABLE, "linear", 0)
