import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from crosspoint3d.ops import cpu_edge_conv2, fallback_edge_conv2, knn, reference
from crosspoint3d.ops.edge_conv2 import TwoLayerEdgeConv


def layers_of(conv: TwoLayerEdgeConv) -> list[reference.EdgeLayer]:
    layers = []
    for weight, norm in ((conv.first.weight, conv.first.norm), (conv.weight, conv.norm)):
        values = (weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
        weight, gamma, beta, mean, var = (value.detach().double().clone() for value in values)
        layers.append(reference.EdgeLayer(*(v.requires_grad_() for v in (weight, gamma, beta)), mean, var))
    return layers


def random_conv(in_dims: int, hidden: int, out_dims: int, seed: int) -> TwoLayerEdgeConv:
    generator = torch.Generator().manual_seed(seed)
    conv = TwoLayerEdgeConv(in_dims, hidden, out_dims)
    with torch.no_grad():
        conv.first.weight.normal_(std=0.5, generator=generator)
        conv.weight.normal_(std=0.3, generator=generator)
        for norm in (conv.first.norm, conv.norm):
            norm.weight.normal_(generator=generator)  # negative gammas too
            norm.bias.normal_(generator=generator)
            norm.running_mean.normal_(generator=generator)
            norm.running_var.uniform_(0.5, 2.0, generator=generator)
    return conv


def random_points(clouds: int, count: int, channels: int, seed: int = 0) -> Tensor:
    return torch.randn(clouds, count, channels, generator=torch.Generator().manual_seed(seed))


def settled(points: Tensor, indices: Tensor, conv: TwoLayerEdgeConv) -> bool:
    """Whether no rounding to float32 can change a winner or the sign of a hidden channel: gradients jump there."""
    first, second = layers_of(conv)
    hidden = reference.edge_features(points.double(), indices) @ first.weight.T
    mean, var = first.running_mean, first.running_var
    if conv.training:
        mean, var = hidden.mean((0, 1, 2)), hidden.var((0, 1, 2), unbiased=False)
    z = (hidden - mean) * (var + 1e-5).rsqrt() * first.gamma + first.beta
    y = nn.functional.leaky_relu(z, 0.2) @ second.weight.T * second.gamma.sign()
    gap = y.topk(2, dim=2).values.diff(dim=2) if indices.shape[2] > 1 else torch.ones(1)
    return bool(z.abs().min() > 3e-6 and gap.abs().min() > 1e-5)


def compare(
    points: Tensor, indices: Tensor, conv: TwoLayerEdgeConv, gradients: bool = True, share: float = 1.0
) -> None:
    """Forward to 1e-5, a share of the gradients to 1e-4 of the largest, and running statistics, all in float64."""
    layers = layers_of(conv)
    mine, plain = points.clone().requires_grad_(), points.double().requires_grad_()
    result = conv(mine, indices)
    expected = reference.edge_conv(plain, indices, layers, training=conv.training)
    size = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-5 * size)
    for norm, layer in ((conv.first.norm, layers[0]), (conv.norm, layers[1])):
        torch.testing.assert_close(norm.running_mean.double(), layer.running_mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(norm.running_var.double(), layer.running_var, rtol=1e-5, atol=1e-6)
    if not gradients:
        return
    direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(9))
    result.backward(direction.to(result.dtype))
    expected.backward(direction.double())
    pairs = [(mine.grad, plain.grad)]
    for module, layer in ((conv.first, layers[0]), (conv, layers[1])):
        pairs += [(module.weight.grad, layer.weight.grad)]
        pairs += [(module.norm.weight.grad, layer.gamma.grad), (module.norm.bias.grad, layer.beta.grad)]
    for got, wanted in pairs:
        assert got is not None and wanted is not None
        size = max(1.0, wanted.abs().max().item())
        close = (got.double() - wanted).abs() <= 1e-4 * wanted.abs() + 1e-4 * size
        assert close.double().mean() >= share


@settings(max_examples=40, deadline=None)
@given(
    clouds=st.integers(1, 3),
    count=st.integers(3, 20),
    channels=st.integers(1, 12),
    hidden=st.integers(4, 20),
    out_dims=st.integers(1, 24),
    seed=st.integers(0, 2**16),
    training=st.booleans(),
    data=st.data(),
)
def test_is_the_definition(
    clouds: int, count: int, channels: int, hidden: int, out_dims: int, seed: int, training: bool, data: st.DataObject
) -> None:
    points = random_points(clouds, count, channels, seed)
    indices = knn(points, data.draw(st.integers(2, count)))
    conv = random_conv(channels, hidden, out_dims, seed).train(training)
    assume(settled(points, indices, conv))
    compare(points, indices, conv)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(2, 20), channels=st.integers(1, 12), seed=st.integers(0, 2**16), training=st.booleans())
def test_in_double_precision(count: int, channels: int, seed: int, training: bool) -> None:
    points = random_points(2, count, channels, seed).double()
    conv = random_conv(channels, 7, 9, seed).double().train(training)
    compare(points, knn(points, max(2, count // 2)), conv)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("channels", "hidden", "out_dims"), [(3, 64, 64), (64, 64, 64), (3, 64, 128)])
def test_at_the_sizes_of_the_segmentation_network(channels: int, hidden: int, out_dims: int, training: bool) -> None:
    points = random_points(2, 256, channels)
    # Among a million hidden values some are so near 0 that rounding decides their slope.
    compare(points, knn(points, 40), random_conv(channels, hidden, out_dims, 0).train(training), share=0.95)


def passes(module: object, threads: int, dense: bool, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Everything that a set of kernels returns for the same three clouds."""
    generator = torch.Generator().manual_seed(0)
    ab, weight = torch.randn(3, 50, 26, generator=generator), torch.randn(10, 13, generator=generator)
    centre, gradient = torch.randn(13, generator=generator), torch.randn(3, 50, 10, generator=generator)
    on_edge, on_all = torch.randn(13, 13, generator=generator), torch.randn(13, generator=generator)
    indices = knn(random_points(3, 50, 3), 7)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ab, weight, centre, gradient = (value.to(dtype) for value in (ab, weight, centre, gradient))
        largest, winner, sums = module.forward(ab, indices, weight, centre, 0.2)  # type: ignore[attr-defined]
        more = (on_edge.to(dtype) + on_edge.T, on_all.to(dtype)) if dense else (None, None)
        gradients = module.backward(ab, indices, weight, centre, 0.2, winner, gradient, *more)  # type: ignore[attr-defined]
        return [largest, winner, sums, *gradients][: 7 if dense else 5]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_compiled_and_plain_passes_agree(monkeypatch: pytest.MonkeyPatch, threads: int, dense: bool) -> None:
    expected = passes(fallback_edge_conv2, 1, dense, torch.float64)
    for block in (2**19, 7 * 13 * 9):  # a share at once, a few points
        monkeypatch.setattr(cpu_edge_conv2, "BLOCK", block)
        monkeypatch.setattr(fallback_edge_conv2, "CPU_BLOCK", block)
        for module in (cpu_edge_conv2, fallback_edge_conv2):
            for got, wanted in zip(passes(module, threads, dense), expected, strict=True):
                size = wanted.abs().max().item()
                torch.testing.assert_close(got, wanted, rtol=0, atol=2e-6 * size, check_dtype=False)


@pytest.mark.parametrize("training", [True, False])
def test_copies_of_a_point(training: bool) -> None:
    points = random_points(2, 60, 6)
    points[:, 10:] = points[:, :1]
    compare(points, knn(points, 12), random_conv(6, 8, 10, 0).train(training), gradients=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_of_equal_neighbours_goes_to_the_first(dtype: torch.dtype) -> None:
    points = torch.tensor([[[0.0], [2.0], [2.0]]], dtype=dtype, requires_grad=True)
    conv = TwoLayerEdgeConv(1, 1, 1).to(dtype).eval()
    with torch.no_grad():
        conv.first.weight.copy_(torch.tensor([[1.0, 0.0]]))
        conv.weight.fill_(1)
    conv(points, torch.tensor([[[0, 1, 2]] * 3]))[0, 0].backward()
    assert points.grad is not None and points.grad.flatten()[1] > 0 and points.grad.flatten()[2] == 0


def test_a_single_point() -> None:
    points, indices = random_points(5, 1, 4), torch.zeros(5, 1, 1, dtype=torch.int64)
    compare(points, indices, random_conv(4, 5, 6, 0).train())
    compare(points[:1], indices[:1], random_conv(4, 5, 6, 0).eval())
    with pytest.raises(ValueError, match="at least 2 edges"):
        random_conv(4, 5, 6, 0).train()(points[:1], indices[:1])


def test_each_point_alone() -> None:
    points = random_points(2, 30, 4)
    compare(points, torch.arange(30).expand(2, 30)[:, :, None], random_conv(4, 5, 6, 0).train())


def test_more_neighbours_than_a_byte_counts() -> None:
    points = random_points(1, 300, 3)
    compare(points, knn(points, 300), random_conv(3, 6, 4, 0).train(), share=0.99)


def test_neighbours_outside_the_cloud_are_refused() -> None:
    points = random_points(1, 10, 3)
    for wrong in (-1, 10):
        with pytest.raises(ValueError, match=rf"index {wrong} must be between 0 and 9"):
            TwoLayerEdgeConv(3, 4, 4).eval()(points, torch.full((1, 10, 2), wrong))


def test_far_hidden_features_keep_exact_statistics() -> None:
    points, conv = random_points(2, 128, 8), random_conv(8, 16, 16, 0).train()
    with torch.no_grad():
        conv.first.norm.bias.fill_(50)
    compare(points, knn(points, 10), conv, gradients=False)


def test_running_statistics_are_batch_norm_2ds_after_three_steps() -> None:
    conv = random_conv(3, 6, 8, 0).train()
    norms = nn.BatchNorm2d(6), nn.BatchNorm2d(8)
    for norm, own in zip(norms, (conv.first.norm, conv.norm), strict=True):
        norm.load_state_dict(copy.deepcopy(own.state_dict()))
    for seed in range(3):
        points = random_points(2, 30, 3, seed)
        indices = knn(points, 5)
        conv(points, indices)
        edges = reference.edge_features(points, indices).permute(0, 3, 1, 2)
        hidden = norms[0](nn.functional.conv2d(edges, conv.first.weight[:, :, None, None]))
        norms[1](nn.functional.conv2d(nn.functional.leaky_relu(hidden, 0.2), conv.weight[:, :, None, None]))
    for norm, own in zip(norms, (conv.first.norm, conv.norm), strict=True):
        for name, value in norm.state_dict().items():
            torch.testing.assert_close(own.state_dict()[name], value, msg=name)
        assert own.num_batches_tracked == 3


def test_autocast_does_not_touch_it() -> None:
    points, conv = random_points(2, 40, 3).requires_grad_(), random_conv(3, 6, 8, 0).train()
    indices, results = knn(points, 6), []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            result = conv(points, indices)
        result.square().sum().backward()
        results.append((result, points.grad))
        points.grad = None
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


@pytest.mark.parametrize("threads", [1, 2])
def test_inference_mode(threads: int) -> None:
    points, conv = random_points(2, 40, 3), random_conv(3, 6, 8, 0).eval()
    indices, before = knn(points, 6), torch.get_num_threads()
    expected = conv(points, indices)
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            result = conv(points.clone(), indices)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_not_a_number_stays_visible(dtype: torch.dtype) -> None:
    points = random_points(1, 12, 3).to(dtype)
    ab, weight = random_points(1, 12, 8).to(dtype), random_points(1, 5, 4)[0].to(dtype)
    ab[0, 4], indices = torch.nan, knn(points, 3)
    module = cpu_edge_conv2 if dtype == torch.float32 else fallback_edge_conv2
    touched = (indices == 4).any(2)[0]
    largest, _, _ = module.forward(ab, indices, weight, ab.new_zeros(4), 0.2)
    assert 0 < touched.sum() < 12
    assert largest[0, touched].isnan().all() and largest[0, ~touched].isfinite().all()
    points[0, 4] = torch.nan
    assert random_conv(3, 4, 5, 0).to(dtype).train()(points, torch.arange(12).expand(1, 12, 12)).isnan().all()


class Largest(TorchDispatchMode):
    """Remembers the most numbers that an operation returned in one tensor."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                self.numbers = max(self.numbers, value.untyped_storage().nbytes() // value.element_size())
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_grows_with_points_not_with_edges_times_channels(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_edge_conv2, "BLOCK", 2**14)
    monkeypatch.setattr(fallback_edge_conv2, "CPU_BLOCK", 2**14)
    count, k, hidden, saved = 2000, 16, 32, []
    points = random_points(1, count, 3).to(dtype).requires_grad_()
    conv, indices = random_conv(3, hidden, 24, 0).to(dtype), knn(points, k)

    def keep(value: Tensor) -> Tensor:
        saved.append(value.untyped_storage().nbytes() // dtype.itemsize)
        return value

    with Largest() as largest, torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        conv(points, indices).sum().backward()
    assert 0 < largest.numbers <= count * 2 * hidden
    assert sum(saved) < count * k * hidden
