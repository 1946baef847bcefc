import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crosspoint3d.ops import EdgeConv, knn, reference
from crosspoint3d.ops.edge_statistics import edge_statistics
from crosspoint3d.ops.edges import edge_max


def layer_of(conv: EdgeConv) -> reference.EdgeLayer:
    norm = conv.norm
    assert norm.running_mean is not None and norm.running_var is not None
    values = (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    weight, gamma, beta, mean, var = (value.detach().double().clone() for value in values)
    return reference.EdgeLayer(*(v.requires_grad_() for v in (weight, gamma, beta)), mean, var)


def random_conv(in_dims: int, out_dims: int, seed: int) -> EdgeConv:
    generator = torch.Generator().manual_seed(seed)
    conv = EdgeConv(in_dims, out_dims)
    with torch.no_grad():
        conv.weight.normal_(std=0.5, generator=generator)
        conv.norm.weight.normal_(generator=generator)  # negative gammas too
        conv.norm.bias.normal_(generator=generator)
        conv.norm.running_mean.normal_(generator=generator)
        conv.norm.running_var.uniform_(0.5, 2.0, generator=generator)
    return conv


def compare(points: Tensor, indices: Tensor, conv: EdgeConv, gradients: bool = True) -> None:
    """Forward to 1e-5, gradients to 1e-4 and running statistics, against the definition in float64."""
    layer = layer_of(conv)
    mine, plain = points.clone().requires_grad_(), points.double().requires_grad_()
    result = conv(mine, indices)
    expected = reference.edge_conv(plain, indices, [layer], training=conv.training)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(conv.norm.running_mean.double(), layer.running_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(conv.norm.running_var.double(), layer.running_var, rtol=1e-5, atol=1e-6)
    if not gradients:
        return
    direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(9))
    result.backward(direction)
    expected.backward(direction.double())
    pairs = [(mine.grad, plain.grad), (conv.weight.grad, layer.weight.grad)]
    pairs += [(conv.norm.weight.grad, layer.gamma.grad), (conv.norm.bias.grad, layer.beta.grad)]
    for got, wanted in pairs:
        assert got is not None and wanted is not None
        size = wanted.abs().max().item()
        torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-4 * max(size, 1.0))


@settings(max_examples=40, deadline=None)
@given(
    clouds=st.integers(1, 3),
    count=st.integers(3, 40),
    channels=st.integers(1, 20),
    out_dims=st.integers(1, 24),
    seed=st.integers(0, 2**16),
    training=st.booleans(),
    data=st.data(),
)
def test_is_the_definition(
    clouds: int, count: int, channels: int, out_dims: int, seed: int, training: bool, data: st.DataObject
) -> None:
    k = data.draw(st.integers(2, count))
    points = torch.randn(clouds, count, channels, generator=torch.Generator().manual_seed(seed))
    compare(points, knn(points, k), random_conv(channels, out_dims, seed).train(training))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("channels", "out_dims"), [(3, 64), (64, 128)])
def test_at_the_sizes_of_dgcnn(channels: int, out_dims: int, training: bool) -> None:
    points = torch.randn(2, 256, channels, generator=torch.Generator().manual_seed(0))
    compare(points, knn(points, 20), random_conv(channels, out_dims, 0).train(training))


def test_far_features_keep_exact_statistics() -> None:
    points = torch.randn(2, 128, 8, generator=torch.Generator().manual_seed(0)) + 30
    compare(points, knn(points, 10), random_conv(8, 16, 0).train(), gradients=False)


@pytest.mark.parametrize("training", [True, False])
def test_copies_of_a_point(training: bool) -> None:
    points = torch.randn(2, 60, 6, generator=torch.Generator().manual_seed(0))
    points[:, 10:] = points[:, :1]
    compare(points, knn(points, 12), random_conv(6, 10, 0).train(training), gradients=False)


def test_gradient_of_equal_neighbours_goes_to_the_first() -> None:
    points = torch.tensor([[[0.0], [2.0], [2.0]]], requires_grad=True)
    conv = EdgeConv(1, 1).eval()
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[1.0, 0.0]]))
    conv(points, torch.tensor([[[0, 1, 2]] * 3]))[0, 0].backward()
    assert points.grad is not None and points.grad.flatten()[1] > 0 and points.grad.flatten()[2] == 0


def test_a_single_point() -> None:
    points = torch.randn(5, 1, 4, generator=torch.Generator().manual_seed(0))
    indices = torch.zeros(5, 1, 1, dtype=torch.int64)
    compare(points, indices, random_conv(4, 6, 0).train())
    compare(points[:1], indices[:1], random_conv(4, 6, 0).eval())
    with pytest.raises(ValueError, match="at least 2 edges"):
        random_conv(4, 6, 0).train()(points[:1], indices[:1])


def test_more_neighbours_than_a_byte_counts() -> None:
    points = torch.randn(1, 300, 3, generator=torch.Generator().manual_seed(0))
    compare(points, knn(points, 300), random_conv(3, 4, 0).train())


def test_running_statistics_are_batch_norm_2ds_after_three_steps() -> None:
    conv, norm = random_conv(3, 8, 0).train(), nn.BatchNorm2d(8)
    norm.load_state_dict(copy.deepcopy(conv.norm.state_dict()))
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        points = torch.randn(2, 30, 3, generator=generator)
        indices = knn(points, 5)
        conv(points, indices)
        edges = reference.edge_features(points, indices).permute(0, 3, 1, 2)
        norm(nn.functional.conv2d(edges, conv.weight[:, :, None, None]))
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(conv.norm.state_dict()[name], value, msg=name)
    assert conv.norm.num_batches_tracked == 3


def test_autocast_does_not_touch_it() -> None:
    points = torch.randn(2, 40, 3, generator=torch.Generator().manual_seed(0))
    conv, indices = random_conv(3, 8, 0).eval(), knn(points, 6)
    expected = conv(points, indices)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(conv(points, indices), expected)


@pytest.mark.parametrize("dense", [1.0, 1e-2])
def test_statistics_of_close_neighbours_keep_their_digits(dense: float) -> None:
    """Neighbours on a surface differ by little beside the size of the shape; float32 sums would cancel."""
    generator = torch.Generator().manual_seed(1)
    sphere = torch.nn.functional.normalize(torch.randn(2, 400, 3, generator=generator), dim=2)
    points = sphere * torch.tensor([1.0, 1.0, dense])
    indices = knn(points, 8)
    conv = random_conv(3, 16, 0).train()
    with torch.no_grad():
        conv.weight[:, 3:] = 0
    x = points - points.mean((0, 1))
    _, variance, _ = edge_statistics(x, indices, conv.weight, synchronised=False)
    edges = reference.edge_features(x.double(), indices) @ conv.weight.double().T
    torch.testing.assert_close(variance.double(), edges.reshape(-1, 16).var(0, unbiased=False), rtol=1e-5, atol=0)


def test_in_evaluation_a_cloud_is_a_row_of_any_batch() -> None:
    points = torch.randn(3, 40, 5, generator=torch.Generator().manual_seed(0)) + 30
    conv, indices = random_conv(5, 8, 0).eval(), knn(points, 6)
    expected = conv(points, indices)
    compare(points, indices, conv)
    points[1] = torch.nan
    assert torch.equal(conv(points, indices)[[0, 2]], expected[[0, 2]])


def test_not_a_number_stays_visible() -> None:
    points = torch.randn(1, 10, 3, generator=torch.Generator().manual_seed(0))
    points[0, 4] = torch.nan
    points.requires_grad_()
    result = random_conv(3, 4, 0).train()(points, torch.arange(10).expand(1, 10, 10))
    result.sum().backward()
    assert result.isnan().all()


def test_backward_inside_autocast() -> None:
    points = torch.randn(2, 30, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    conv, indices = random_conv(5, 8, 0).train(), knn(points, 6)
    with torch.autocast("cpu", torch.bfloat16):
        conv(points, indices).sum().backward()
    assert points.grad is not None and points.grad.dtype == torch.float32 and points.grad.isfinite().all()


@pytest.mark.parametrize("place", [0, 3])
def test_not_a_number_among_the_neighbours_is_seen_wherever_it_stands(place: int) -> None:
    ab = torch.zeros(1, 5, 4)
    ab[0, 4, 0] = torch.nan
    indices = torch.zeros(1, 5, 4, dtype=torch.int64)
    indices[0, 2, place] = 4
    for gradient in (False, True):
        out = edge_max(ab.requires_grad_(gradient), indices, 0.2)
        assert out[0, 2, 0].isnan() and out.isnan().sum() == 1
