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
