"""A queue keeps the last shapes in their order, whole, and can be put down and taken up again."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crosspoint3d.models.crosspoint import Projections
from crosspoint3d.training.negative_queue import NegativeQueue

CPU = torch.device("cpu")


def batch(count: int, seed: int, pictures: int = 1) -> Projections:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(count, pictures, 3, generator=generator)
    return Projections(
        torch.randn(count, 3, generator=generator), torch.randn(count, 3, generator=generator), image.squeeze(1)
    )


def parts(past: Projections | None) -> list[Tensor | None]:
    assert past is not None
    return list(past)


@settings(max_examples=50, deadline=None)
@given(
    shapes=st.integers(1, 12), counts=st.lists(st.integers(1, 9), min_size=1, max_size=6), pictures=st.integers(1, 3)
)
def test_the_last_shapes_are_held_oldest_first(shapes: int, counts: list[int], pictures: int) -> None:
    queue, pushed = NegativeQueue(shapes, CPU), [batch(count, seed, pictures) for seed, count in enumerate(counts)]
    for projections in pushed:
        queue.push(projections)
    for held, column in zip(parts(queue.past()), zip(*pushed, strict=True), strict=True):
        assert held is not None and torch.equal(held, torch.cat(column)[-shapes:])
        assert held.untyped_storage().nbytes() == held.numel() * held.element_size()  # a checkpoint holds no more


def test_nothing_is_in_it_at_first_and_a_queue_of_none_stays_empty() -> None:
    queue = NegativeQueue(0, CPU)
    assert NegativeQueue(4, CPU).past() is None
    queue.push(batch(3, 0))
    assert queue.past() is None and queue.state_dict() == {}


def test_clouds_alone() -> None:
    queue = NegativeQueue(4, CPU)
    queue.push(batch(3, 0)._replace(image=None))
    past = queue.past()
    assert past is not None and past.image is None and len(past.cloud_1) == 3


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32, torch.float64])
def test_rows_are_kept_in_float32_at_least_without_graph_or_share(kind: torch.dtype) -> None:
    queue, rows = NegativeQueue(4, CPU), torch.randn(2, 3, dtype=kind).requires_grad_()
    before = rows.detach().clone()
    queue.push(Projections(rows, rows, None))
    with torch.no_grad():
        rows.zero_()
    held = parts(queue.past())[0]
    assert held is not None and not held.requires_grad and held.dtype == torch.promote_types(kind, torch.float32)
    assert torch.equal(held, before.to(held.dtype))


def test_a_queue_goes_on_from_its_state() -> None:
    one, two = NegativeQueue(7, CPU), NegativeQueue(7, CPU)
    state = two.state
    one.push(batch(5, 0))
    two.push(batch(2, 9))
    two.load_state_dict(one.state_dict())
    for queue in (one, two):
        queue.push(batch(4, 1))
    assert two.state is state and list(one.state) == list(two.state)
    assert all(torch.equal(one.state[name], two.state[name]) for name in one.state)
