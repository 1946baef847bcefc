"""The streamed loss against the plain formula, and what it never puts into memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from crosspoint3d import losses
from crosspoint3d.losses import nt_xent
from crosspoint3d.ops import nt_xent as nt_xent_blocks
from crosspoint3d.ops.nt_xent import streamed_nt_xent


def projections(count: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, width, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def plain(rows: Tensor, temperature: float) -> Tensor:
    """The formula with its whole matrix."""
    count = len(rows)
    logits = (rows @ rows.T / temperature).masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)
    positive = logits[torch.arange(count), torch.arange(count).roll(count // 2)]
    return (logits.logsumexp(1) - positive).mean()


def with_gradient(function: Any, raw: Tensor, *arguments: Any) -> tuple[Tensor, Tensor]:
    leaf = raw.clone().requires_grad_()
    loss = function(F.normalize(leaf, dim=1), *arguments)
    return loss.detach(), torch.autograd.grad(3 * loss, leaf)[0]


class LargestTensor(TorchDispatchMode):
    """Notes the most elements that any result of any operation has."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                self.elements = max(self.elements, value.numel())
        return result


@contextmanager
def largest_tensor() -> Iterator[LargestTensor]:
    with LargestTensor() as seen:
        yield seen


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(2, 20),
    width=st.integers(1, 9),
    height=st.integers(1, 45),
    seed=st.integers(0, 999),
    temperature=st.floats(0.02, 2),
)
def test_value_and_gradient_are_the_plain_ones(
    batch: int, width: int, height: int, seed: int, temperature: float
) -> None:
    raw = projections(2 * batch, width, seed)
    loss, gradient = with_gradient(streamed_nt_xent, raw, temperature, height)
    expected, expected_gradient = with_gradient(plain, raw, temperature)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("height", [64, 100, 127, 300])
@pytest.mark.parametrize("temperature", [0.01, 0.1])
def test_float32_keeps_its_digits(height: int, temperature: float) -> None:
    raw = projections(254, 64, 0)
    expected, expected_gradient = with_gradient(plain, raw, temperature)
    loss, gradient = with_gradient(streamed_nt_xent, raw.float(), temperature, height)
    assert loss.dtype == gradient.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    largest = expected_gradient.abs().max().item()
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=0, atol=1e-5 * largest)


def test_gradient_by_finite_differences() -> None:
    raw = projections(10, 4, 0).requires_grad_()
    assert torch.autograd.gradcheck(lambda raw: streamed_nt_xent(F.normalize(raw, dim=1), 0.2, 3), raw)


def test_no_matrix_of_all_pairs_is_ever_made() -> None:
    raw = projections(256, 4, 0, torch.float32)
    with largest_tensor() as seen:
        with_gradient(streamed_nt_xent, raw, 0.1, 16)
    assert seen.elements == 16 * 256
    with largest_tensor() as seen:
        with_gradient(plain, raw, 0.1)
    assert seen.elements == 256 * 256


def whole(a: Tensor, b: Tensor, temperature: Tensor | float, past: Tensor | None) -> Tensor:
    """`nt_xent` with its matrix."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "MOST_ROWS_AT_ONCE", 10**9)
        return nt_xent(a, b, temperature, past)


@settings(max_examples=60, deadline=None)
@given(
    shapes=st.integers(2, 12),
    pictures=st.integers(1, 4),
    queued=st.integers(0, 30),
    height=st.integers(1, 70),
    seed=st.integers(0, 999),
    temperature=st.floats(0.02, 2),
)
def test_any_blocks_of_several_pictures_and_a_queue_are_the_matrix(
    shapes: int, pictures: int, queued: int, height: int, seed: int, temperature: float
) -> None:
    leaf = projections(shapes * (1 + pictures), 5, seed).requires_grad_()
    heat = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    past = projections(queued, 5, seed + 1) if queued else None
    unit = None if past is None else F.normalize(past, dim=1)
    loss = streamed_nt_xent(F.normalize(leaf, dim=1), heat, height, shapes=shapes, past=unit)
    b = leaf[shapes:].unflatten(0, (pictures, shapes)).movedim(0, 1)
    expected = whole(leaf[:shapes], b, heat, past)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    got, wanted = (torch.autograd.grad(value, (leaf, heat)) for value in (loss, expected))
    torch.testing.assert_close(got, wanted, rtol=1e-7, atol=1e-9)
    fixed = streamed_nt_xent(F.normalize(leaf, dim=1), temperature, height, shapes=shapes, past=unit)
    assert torch.equal(fixed, loss)
    torch.testing.assert_close(torch.autograd.grad(fixed, leaf)[0], got[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shapes", "pictures", "queued"), [(64, 3, 0), (64, 1, 600), (32, 4, 300)])
def test_neither_pictures_nor_a_queue_bring_the_matrix_back(
    shapes: int, pictures: int, queued: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = shapes * (1 + pictures)
    monkeypatch.setattr(losses, "MOST_ROWS_AT_ONCE", 64)
    monkeypatch.setattr(nt_xent_blocks, "MOST_ELEMENTS", 16 * max(count, queued))
    a, b = projections(shapes, 4, 0).requires_grad_(), projections(shapes * pictures, 4, 1).requires_grad_()
    past = projections(queued, 4, 2) if queued else None
    heat = torch.tensor(0.1, requires_grad=True)
    with largest_tensor() as seen:
        nt_xent(a, b.unflatten(0, (shapes, pictures)), heat, past).backward()
    assert seen.elements == 16 * max(count, queued)
    with largest_tensor() as seen:
        whole(a, b.unflatten(0, (shapes, pictures)), heat, past)
    assert seen.elements >= count * count


def test_a_queue_alone_can_call_for_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MOST_ROWS_AT_ONCE", 100)
    monkeypatch.setattr(nt_xent_blocks, "MOST_ELEMENTS", 5000)
    a, b = projections(10, 4, 0), projections(10, 4, 1)
    for queued, most in ((479, 20 * 479 + 20 * 20), (481, 5000)):
        with largest_tensor() as seen:
            nt_xent(a, b, 0.1, projections(queued, 4, 2))
        assert (20 * (20 + queued) <= 100**2) == (seen.elements == 20 * (20 + queued))
        assert seen.elements <= most


def test_nt_xent_streams_large_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (projections(losses.MOST_ROWS_AT_ONCE // 2 + 1, 2, seed, torch.float32).requires_grad_() for seed in (0, 1))
    with largest_tensor() as seen:
        nt_xent(a, b).backward()
    assert seen.elements <= 2**24 and seen.elements < (2 * len(a)) ** 2 / 3
    few_a, few_b = (side.detach()[:50].requires_grad_() for side in (a, b))
    whole = nt_xent(few_a, few_b, 0.2)
    expected = torch.autograd.grad(whole, (few_a, few_b))
    monkeypatch.setattr(losses, "MOST_ROWS_AT_ONCE", 64)
    streamed = nt_xent(few_a, few_b, 0.2)
    torch.testing.assert_close(streamed, whole)
    torch.testing.assert_close(torch.autograd.grad(streamed, (few_a, few_b)), expected)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32, torch.float64])
def test_streaming_widens_as_the_matrix_does(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MOST_ROWS_AT_ONCE", 0)
    a, b = (projections(16, 8, seed).to(kind).requires_grad_() for seed in (0, 1))
    wide = torch.promote_types(kind, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent(a, b)
        loss.backward()
    assert loss.dtype == wide and a.grad is not None and a.grad.dtype == kind
    torch.testing.assert_close(loss, nt_xent(a.to(wide), b.to(wide)))
    exact = [side.detach().to(wide).requires_grad_() for side in (a, b)]
    torch.testing.assert_close(a.grad, torch.autograd.grad(nt_xent(*exact), exact[0])[0].to(kind))
