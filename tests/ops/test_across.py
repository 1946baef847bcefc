"""Two processes with some of the clouds each, against one process with all of them."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from crosspoint3d.ops import EdgeConv, PooledLinear, TwoLayerEdgeConv, knn
from crosspoint3d.ops.across import sum_across

CLOUDS, COUNT, CHANNELS = 4, 40, 5
SPLITS = {"equal": 2, "unequal": 1, "empty": 0}  # clouds of the first process


KINDS = {
    "one layer": lambda: EdgeConv(CHANNELS, 8),
    "two layers": lambda: TwoLayerEdgeConv(CHANNELS, 6, 8),
    "pooled": lambda: PooledLinear(CHANNELS, 8, slope=0.2),
}


def build(kind: str) -> EdgeConv | TwoLayerEdgeConv | PooledLinear:
    conv: EdgeConv | TwoLayerEdgeConv | PooledLinear = KINDS[kind]()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.normal_(generator=generator)
    return conv.train()


def step(kind: str, clouds: slice, synchronised: bool) -> dict[str, Tensor]:
    """Results, gradients and running statistics of one training step on some of the clouds."""
    generator = torch.Generator().manual_seed(1)
    points = (torch.randn(CLOUDS, COUNT, CHANNELS, generator=generator) + torch.arange(CLOUDS)[:, None, None])[clouds]
    conv = build(kind)
    conv.synchronised = synchronised
    points.requires_grad_()
    result = conv(points) if kind == "pooled" else conv(points, knn(points, 6))
    direction = torch.randn(CLOUDS, *result.shape[1:], generator=generator)[clouds]
    (result * direction).sum().backward()
    assert points.grad is not None
    values = {"result": result.detach(), "on points": points.grad}
    values |= {f"on {name}": p.grad for name, p in conv.named_parameters() if p.grad is not None}
    return values | {name: value for name, value in conv.named_buffers() if "running" in name}


def work(rank: int, folder: str) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results = {}
    for split, first in SPLITS.items():
        clouds = slice(0, first) if rank == 0 else slice(first, CLOUDS)
        for kind in KINDS:
            results[f"{split}, {kind}"] = step(kind, clouds, synchronised=True)
    value = torch.tensor([1.0 + rank], requires_grad=True)
    total = sum_across(value)
    (total * (1 + rank)).sum().backward()
    results["sum"] = {"total": total.detach(), "gradient": value.grad}
    torch.save(results, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    folder = tmp_path_factory.mktemp("across")
    torch.multiprocessing.spawn(work, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_do_what_one_does(of_both: list[dict[str, dict[str, Tensor]]], split: str, kind: str) -> None:
    expected = step(kind, slice(0, CLOUDS), synchronised=False)
    one, two = (results[f"{split}, {kind}"] for results in of_both)
    assert one.keys() == two.keys() == expected.keys()
    for name, wanted in expected.items():
        tolerance = {"rtol": 1e-5, "atol": 1e-5 * wanted.abs().max().item(), "msg": name}
        if name in ("result", "on points"):
            torch.testing.assert_close(torch.cat([one[name], two[name]]), wanted, **tolerance)
        elif name.startswith("on "):
            torch.testing.assert_close(one[name] + two[name], wanted, **tolerance)
        else:
            for got in (one[name], two[name]):
                torch.testing.assert_close(got, wanted, **tolerance)


def test_sum_and_its_gradient(of_both: list[dict[str, dict[str, Tensor]]]) -> None:
    for results in of_both:
        assert results["sum"]["total"].item() == 3 and results["sum"]["gradient"].item() == 3


def test_alone_a_value_is_its_own_sum() -> None:
    value = torch.ones(3)
    assert sum_across(value) is value
