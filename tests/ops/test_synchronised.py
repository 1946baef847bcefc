"""BatchNorm in two processes with some of the samples each, against torch's in one process with all of them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.ops import EdgeConv, PooledLinear, TwoLayerEdgeConv
from crosspoint3d.ops.across import count_across, equal_shares, process, processes, rows_across
from crosspoint3d.ops.synchronised import synchronise

ROWS, CHANNELS = 6, 5
SPLITS = {"equal": 3, "unequal": 1, "empty": 0}  # rows of the first process


class NormAct(nn.BatchNorm2d):
    """What timm's BatchNorms look like: they drop and activate what is normalised."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop = nn.Identity()
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.act(self.drop(super().forward(x)))
        return result


class OwnForward(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


KINDS: dict[str, tuple[Any, tuple[int, ...], torch.dtype, float]] = {
    "rows": (lambda: nn.BatchNorm1d(CHANNELS), (), torch.float64, 1e-12),
    "pictures": (lambda: nn.BatchNorm2d(CHANNELS), (4, 3), torch.float64, 1e-12),
    "float32": (lambda: nn.BatchNorm2d(CHANNELS), (4, 3), torch.float32, 1e-5),
    "volumes": (lambda: nn.BatchNorm3d(CHANNELS), (2, 3, 2), torch.float64, 1e-12),
    "without weights": (lambda: nn.BatchNorm1d(CHANNELS, affine=False), (7,), torch.float64, 1e-12),
    "without running statistics": (
        lambda: nn.BatchNorm1d(CHANNELS, track_running_stats=False),
        (7,),
        torch.float64,
        1e-12,
    ),
    "cumulative": (lambda: nn.BatchNorm1d(CHANNELS, momentum=None), (7,), torch.float64, 1e-12),
    "activated": (lambda: NormAct(CHANNELS), (4, 3), torch.float64, 1e-12),
}


def two_steps(kind: str, rows: slice, across: bool) -> dict[str, Tensor]:
    """Results and gradients of the second of two training steps, running statistics after it."""
    build, axes, dtype, _ = KINDS[kind]
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(build()).to(dtype).train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=generator)
    if across:
        synchronise(network)
    values: dict[str, Tensor] = {}
    for _ in range(2):
        whole = torch.randn(ROWS, CHANNELS, *axes, generator=generator, dtype=dtype)
        x = (3 * whole + torch.arange(ROWS).view(-1, *[1] * (whole.dim() - 1)))[rows].requires_grad_()
        direction = torch.randn(whole.shape, generator=generator, dtype=dtype)[rows]
        network.zero_grad()
        result = network(x)
        (result * direction).sum().backward()
        assert x.grad is not None
        values = {"result": result.detach(), "on x": x.grad}
    values |= {f"on {name}": p.grad for name, p in network.named_parameters() if p.grad is not None}
    return values | dict(network.named_buffers())


def far_from_zero(rows: slice) -> Tensor:
    network = nn.BatchNorm1d(CHANNELS).train()
    synchronise(network)
    x = torch.randn(ROWS, CHANNELS, generator=torch.Generator().manual_seed(1)) + 1e4
    return network(x[rows]).detach()


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results: dict[str, Any] = {}
    for split, first in SPLITS.items():
        rows = slice(0, first) if rank == 0 else slice(first, ROWS)
        for kind in KINDS:
            results[f"{split}, {kind}"] = two_steps(kind, rows, across=True)
    results["far"] = far_from_zero(slice(0, 3) if rank == 0 else slice(3, ROWS))
    rows_of_mine = torch.full((2, 3), float(rank), requires_grad=True)
    everybodys = rows_across(rows_of_mine)
    (everybodys * torch.arange(12.0).view(4, 3)).sum().backward()
    results["rows"] = [everybodys.detach(), rows_of_mine.grad]
    with equal_shares():
        counts = [count_across(5, torch.device("cpu"))]
    results["counts"] = [*counts, count_across(5 + rank, torch.device("cpu")), process(), processes()]
    torch.save(results, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("synchronised")
    torch.multiprocessing.spawn(work, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_do_what_one_does(of_both: list[dict[str, Any]], split: str, kind: str) -> None:
    expected = two_steps(kind, slice(0, ROWS), across=False)
    one, two = (results[f"{split}, {kind}"] for results in of_both)
    assert one.keys() == two.keys() == expected.keys()
    tolerance = KINDS[kind][3]
    for name, wanted in expected.items():
        limits: dict[str, Any] = {"rtol": tolerance, "atol": 10 * tolerance, "msg": name}
        if name in ("result", "on x"):
            torch.testing.assert_close(torch.cat([one[name], two[name]]), wanted, **limits)
        elif name.startswith("on "):
            torch.testing.assert_close(one[name] + two[name], wanted, **limits)
        else:
            assert torch.equal(one[name], two[name])
            torch.testing.assert_close(one[name], wanted, **limits)


def test_a_large_mean_costs_no_digits(of_both: list[dict[str, Any]]) -> None:
    x = torch.randn(ROWS, CHANNELS, generator=torch.Generator().manual_seed(1)) + 1e4
    wanted = nn.BatchNorm1d(CHANNELS).double().train()(x.double()).float()
    torch.testing.assert_close(torch.cat([results["far"] for results in of_both]), wanted, rtol=0, atol=2e-3)


def test_rows_of_all_processes_and_each_ones_gradient(of_both: list[dict[str, Any]]) -> None:
    for rank, results in enumerate(of_both):
        everybodys, gradient = results["rows"]
        assert everybodys.tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2
        assert torch.equal(gradient, torch.arange(12.0).view(2, 2, 3)[rank])


def test_counts(of_both: list[dict[str, Any]]) -> None:
    assert [results["counts"] for results in of_both] == [[10, 11, 0, 2], [10, 11, 1, 2]]


def test_keys_weights_and_other_modes_stay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), NormAct(4), nn.GroupNorm(2, 4))
    changed = deepcopy(network)
    synchronise(changed)
    synchronise(changed)
    assert isinstance(changed[1], nn.BatchNorm2d) and type(changed[1]) is not nn.BatchNorm2d
    assert list(changed.state_dict()) == list(network.state_dict())
    x = torch.randn(2, 3, 4, 4)
    for mode in (True, False):
        assert torch.equal(changed.train(mode)(x), network.train(mode)(x))
    assert torch.equal(deepcopy(changed).eval()(x), network.eval()(x))


def test_layers_with_a_way_of_their_own_are_told_and_their_norms_left() -> None:
    for layer in (EdgeConv(3, 4), TwoLayerEdgeConv(3, 4, 5), PooledLinear(3, 4)):
        network = nn.Sequential(layer, nn.BatchNorm1d(4))
        synchronise(network)
        assert layer.synchronised and type(layer.norm) is nn.BatchNorm1d
        assert type(network[1]) is not nn.BatchNorm1d


def test_an_unknown_batch_norm_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0 is a OwnForward.*--image-encoder"):
        synchronise(nn.Sequential(OwnForward(3)))
