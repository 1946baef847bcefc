"""The point transformer: its plain definitions, what does not matter to it, its features of points, its folder."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.models import PointTransformer, ProjectionHead, Tower, load_encoder, reference, save_tower, untrained
from crosspoint3d.models.crosspoint import build_crosspoint
from crosspoint3d.models.encoders import build_encoder, require_clouds
from crosspoint3d.models.patches import interpolation
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.models.transformer import Block

SMALL = {"patches": 8, "patch_points": 6, "width": 16, "depth": 3, "heads": 2}


def points(batch: int = 3, count: int = 40, seed: int = 0) -> Tensor:
    cloud = torch.randn(batch, count, 3, generator=torch.Generator().manual_seed(seed))
    cloud = cloud - cloud.mean(1, keepdim=True)
    return cloud / cloud.norm(dim=2).amax(1)[:, None, None]


def as_after_training(model: nn.Module, seed: int = 0) -> None:
    """Weights, biases and statistics that are all different from where they begin."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        with torch.no_grad():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None and norm.running_var is not None:
            nn.init.normal_(norm.running_mean, std=0.2, generator=generator)
            nn.init.uniform_(norm.running_var, 0.5, 2.0, generator=generator)


def small(seed: int = 0) -> PointTransformer:
    with seeded_weights(seed):
        model = PointTransformer(**SMALL)
    as_after_training(model, seed)
    return model


def test_sizes_are_the_papers() -> None:
    model = PointTransformer()
    assert model.config() == {"patches": 64, "patch_points": 32, "width": 384, "depth": 12, "heads": 6}
    assert (model.features, model.point_features, model.levels) == (768, 3 + 3 * 384, [4, 8, 12])
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert shapes["embedding.first.linear.weight"] == (128, 3) and shapes["embedding.second.weight"] == (256, 128)
    assert shapes["embedding.third.weight"] == (512, 512) and shapes["embedding.fourth.weight"] == (384, 512)
    assert shapes["blocks.11.wide.weight"] == (1536, 384)
    assert 21e6 < sum(parameter.numel() for parameter in model.parameters()) < 22.5e6
    assert [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm1d)] == [
        "embedding.first.norm",
        "embedding.norm",
    ]
    assert PointTransformer(depth=1).levels == [1] and PointTransformer(depth=2).levels == [1, 2]


@pytest.mark.parametrize("training", [False, True])
def test_it_is_the_plain_definition_forward_and_backward(training: bool) -> None:
    model, cloud = small().double().train(training), points().double()
    plain = copy.deepcopy(model)
    found, expected = model.local(cloud), reference.local(plain, cloud, training)
    torch.testing.assert_close(found, expected)
    for per_point, features in (found, expected):
        (per_point.sin().sum() + features.cos().sum()).backward()
    for (name, ours), theirs in zip(model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)
    assert torch.equal(plain.embedding.norm.running_mean, small().double().embedding.norm.running_mean)


def test_attention_is_softmax_in_each_head() -> None:
    block = Block(12, 3).double()
    as_after_training(block)
    x = torch.randn(2, 7, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    query, key, value = (x @ weight.T for weight in block.qkv.weight.split(12))
    heads = []
    for head in range(3):
        own = slice(4 * head, 4 * head + 4)
        share = torch.softmax(query[..., own] @ key[..., own].mT / 4**0.5, dim=2)
        heads.append(share @ value[..., own])
    torch.testing.assert_close(block.attention(x), block.projection(torch.cat(heads, dim=2)))


def test_order_of_points_does_not_matter_nor_do_other_clouds() -> None:
    model = small().eval()
    cloud = points()
    cloud[1, 6:] = cloud[1, :1]  # fewer different points than patches
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(cloud[:, order]), model(cloud))
    torch.testing.assert_close(model(cloud[:, order], per_point=True), model(cloud, per_point=True)[:, order])
    torch.testing.assert_close(model(cloud[1:2]), model(cloud)[1:2])


def test_evaluation_and_training_draw_nothing() -> None:
    for training in (False, True):
        model, state = small().train(training), torch.get_rng_state()
        assert torch.equal(model(points()), model(points()))
        assert torch.equal(torch.get_rng_state(), state)


def test_interpolation_is_inverse_squared_distance_to_three_patches() -> None:
    cloud = points(2, 30).double()
    centres = points(2, 5, seed=1).double()
    weights = interpolation(cloud, centres)
    for b in range(2):
        for i in range(30):
            distance = (centres[b] - cloud[b, i]).square().sum(1)
            expected = torch.zeros(5, dtype=torch.float64)
            for j in sorted(range(5), key=lambda j: float(distance[j]))[:3]:
                expected[j] = 1 / distance[j]
            torch.testing.assert_close(weights[b, i], expected / expected.sum(), rtol=1e-5, atol=1e-9)
    at_centres = interpolation(centres, centres)
    torch.testing.assert_close(at_centres, torch.eye(5, dtype=torch.float64).expand(2, 5, 5), rtol=0, atol=1e-6)
    assert interpolation(cloud, centres[:, :2]).shape == (2, 30, 2)


def test_features_of_points_are_coordinates_and_three_levels_of_tokens() -> None:
    model = small().eval()
    cloud = points()
    per_point, features = model.local(cloud)
    assert per_point.shape == (3, 40, model.point_features) and model.point_features == 3 + 3 * 16
    assert torch.equal(model(cloud), features) and torch.equal(model(cloud, per_point=True), per_point)
    assert torch.equal(per_point[:, :, :3], cloud)
    weights = interpolation(cloud, model.embedding(cloud).centres)
    tokens, positions, _ = model.embedding(cloud)
    for level, block in enumerate(model.blocks):
        tokens = block(tokens + positions)
        own = slice(3 + 16 * level, 19 + 16 * level)
        torch.testing.assert_close(per_point[:, :, own], weights @ model.norm(tokens))


def test_gradient() -> None:
    model = small().double().eval()
    cloud = points(2, 12).double().requires_grad_()
    torch.autograd.gradcheck(model, (cloud,), fast_mode=True)
    torch.autograd.gradcheck(lambda x: model.local(x)[0], (cloud,), fast_mode=True)
    model.train()(cloud).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_bfloat16_is_close() -> None:
    model = small().eval()
    with torch.autocast("cpu", torch.bfloat16):
        per_point, features = model.local(points())
    torch.testing.assert_close(features.float(), model(points()), rtol=0.1, atol=0.1)
    torch.testing.assert_close(per_point.float(), model(points(), per_point=True), rtol=0.1, atol=0.15)


def test_round_trip_and_twin(tmp_path: Path) -> None:
    model = small().eval()
    tower = Tower(model, ProjectionHead(32, 8, 4, bias=True)).eval()
    save_tower(tower, tmp_path, {"data": "nothing"})
    loaded = load_encoder(tmp_path)
    assert torch.equal(loaded(points()), model(points())) and not loaded.training
    assert torch.equal(loaded.project(loaded(points())), tower.project(tower(points())))
    assert loaded.config()["kind"] == "transformer" and loaded.config()["encoder"] == SMALL
    assert (loaded.k, loaded.least_points) == (None, 8)
    assert "transformer" in (tmp_path / "README.md").read_text()
    assert not torch.equal(untrained(tmp_path, 0)(points()), loaded(points()))
    with pytest.raises(UsageError, match="PointTransformer has no neighbour graph"):
        load_encoder(tmp_path, k=4)


def test_arguments_and_clouds_that_cannot_work() -> None:
    for changes in ({"patches": 0}, {"depth": 0}, {"heads": 3}):
        with pytest.raises(ValueError, match="must be positive, and the width a multiple of the heads"):
            PointTransformer(**(SMALL | changes))
    model = small()
    with pytest.raises(ValueError, match=r"clouds of 7 points, but it makes 8 patches of 6 points; give 8 points or"):
        model(points(2, 7))
    with pytest.raises(ValueError, match="7 points are fewer than the 8 that the encoder makes patches of"):
        require_clouds(Tower(model, None), points(2, 7))
    assert model.eval()(points(1, 8)).shape == (1, 32)


@pytest.mark.usefixtures("without_shape_checks")
def test_another_order_of_axes_is_named() -> None:
    with pytest.raises(ValueError, match=r"clouds are \(clouds, points, 3\); give points.transpose\(1, 2\)"):
        small()(torch.zeros(2, 3, 40))


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., PretrainConfig]:
    def build(**changes: object) -> PretrainConfig:
        settings = {"encoder": "transformer", "image_encoder": "resnet18", "width": 0.1, "depth": 1, **changes}
        return PretrainConfig(data=(), out=tmp_path, **settings)  # type: ignore[arg-type]

    return build


def test_it_is_built_from_a_config(config: Callable[..., PretrainConfig]) -> None:
    built = build_crosspoint(config(patches=4, patch_points=5, heads=2)).point_tower
    assert built.encoder.config() == {"patches": 4, "patch_points": 5, "width": 32, "depth": 1, "heads": 2}
    assert built.head is not None and built.head.config()["in_dims"] == 64
    again = build_encoder("transformer", built.encoder.config())
    assert again.state_dict().keys() == built.encoder.state_dict().keys()
    assert build_crosspoint(config(width=1.0)).point_tower.encoder.config()["width"] == 384


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": 32}, "--patches 64 is more than --points 32"),
        ({"points": 32, "patches": 8, "patch_points": 33}, "--patch-points 33 is more than --points 32"),
        ({"depth": 0}, "--depth 0: must be at least 1"),
        ({"heads": 0}, "--heads 0: must be at least 1"),
    ],
)
def test_options_that_do_not_fit(
    config: Callable[..., PretrainConfig], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        build_crosspoint(config(**changes))
