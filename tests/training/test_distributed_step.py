"""Steps of two processes with half the batch each, against one process with the whole batch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig
from crosspoint3d.data.pairs import Pairs
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.training import step as training_step
from crosspoint3d.training.gradient_sum import GradientSum
from crosspoint3d.training.negative_queue import NegativeQueue
from crosspoint3d.training.setup import build_model
from crosspoint3d.training.step import train_step, views

CONFIG = PretrainConfig(
    data=(Path("table"),),
    out=Path("run"),
    emb_dims=16,
    width=0.125,
    k=4,
    points=24,
    image_encoder="resnet18",
    image_size=32,
    projection_dims=16,
    temperature=1.0,
    batch_size=8,
    grad_clip=0.0,
)
SHARE = CONFIG.batch_size // 2
CPU = torch.device("cpu")
ALL: dict[str, Any] = {"views": 2, "view_loss": "multi-positive", "learn_temperature": True, "queue": 16}
# Encoder, shapes a chunk in each of two processes, optimizer, precision, steps, options. Gradients are compared in
# float64: in float32 rounding alone carries single values over a ReLU's or a maximum's edge.
CASES: dict[str, tuple[Any, int, Any, torch.dtype, int, dict[str, Any]]] = {
    "dgcnn, float32": ("dgcnn", 0, torch.optim.SGD, torch.float32, 3, {}),
    "dgcnn, Adam": ("dgcnn", 0, torch.optim.Adam, torch.float64, 3, {}),
    "dgcnn, chunks": ("dgcnn", 2, torch.optim.SGD, torch.float64, 1, {}),
    "pointnet": ("pointnet", 0, torch.optim.SGD, torch.float64, 1, {}),
    "pointnet, chunks, Adam": ("pointnet", 2, torch.optim.Adam, torch.float64, 3, {}),
    "partseg": ("dgcnn-partseg", 0, torch.optim.SGD, torch.float64, 1, {}),
    "partseg, chunks": ("dgcnn-partseg", 2, torch.optim.SGD, torch.float64, 1, {}),
    "mean of two views": ("pointnet", 0, torch.optim.SGD, torch.float64, 1, {"views": 2}),
    "multi-positive": ("pointnet", 0, torch.optim.SGD, torch.float64, 1, {"views": 2, "view_loss": "multi-positive"}),
    "learned temperature": ("pointnet", 0, torch.optim.Adam, torch.float64, 3, {"learn_temperature": True}),
    "queue": ("pointnet", 0, torch.optim.SGD, torch.float64, 3, {"queue": 12}),
    "all options": ("pointnet", 0, torch.optim.Adam, torch.float64, 3, ALL),
    "all options, chunks": ("pointnet", 2, torch.optim.Adam, torch.float64, 3, ALL),
    "frozen images": ("pointnet", 0, torch.optim.SGD, torch.float64, 2, {"freeze_images": True}),
    "frozen images, chunks": ("pointnet", 2, torch.optim.SGD, torch.float64, 1, {"freeze_images": True}),
    "all options, clouds alone": ("pointnet", 0, torch.optim.SGD, torch.float64, 2, ALL | {"cross_weight": 0.0}),
}


def batch(views: int = 1) -> Pairs:
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(CONFIG.batch_size, CONFIG.points, 3, generator=generator)
    images = torch.randint(0, 256, (CONFIG.batch_size, views, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Pairs(points, images)


def plain_views(
    config: PretrainConfig, points: Tensor, images: Tensor | None, generator: Any
) -> tuple[Tensor, Tensor | None]:
    """Views that depend on nothing but the sample: the cloud, its mirror image, the pictures."""
    clouds = torch.cat([points, points * torch.tensor([-1.0, 0.8, 1.0])])
    return clouds, None if images is None else images / 128 - 1


def built(config: PretrainConfig, kind: torch.dtype) -> CrossPoint:
    """The model of a config in this precision, which its inputs are brought to."""
    model = build_model(config, CPU).to(kind)
    model.register_forward_pre_hook(lambda _, inputs: tuple(x if x is None else x.to(kind) for x in inputs))
    return model


def steps(case: str, rows: list[int], chunk: int) -> dict[str, Any]:
    """Loss and gradients of the first step on these rows of the batch; weights and buffers after the last."""
    encoder, _, optimizer_class, kind, count, options = CASES[case]
    config = replace(CONFIG, encoder=encoder, chunk=chunk, **options)
    model = built(config, kind)
    optimizer = optimizer_class(model.parameters(), lr=1e-3)
    queue = NegativeQueue(config.queue, CPU)
    gradients = GradientSum(model, bucket_bytes=2**18) if dist.is_initialized() else None
    part = Pairs(*(values[rows] for values in batch(config.views) if values is not None))
    results: dict[str, Any] = {"loss": []}
    for step in range(count):
        outcome = train_step(config, model, optimizer, part, step, 1e-3, gradients, queue)
        results["loss"] += [torch.nan_to_num(term, -1.0) for term in outcome.loss]
        if step == 0:
            results["norm"] = outcome.gradient_norm
            results["gradients"] = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return results | {"state": state, "queue": queue.state}


def drawn(rows: list[int], chunk: int) -> list[Tensor]:
    """The clouds that a step sees, chunk by chunk, and what its dropout draws."""
    seen: list[Tensor] = []

    def noted(*arguments: Any) -> Any:
        seen.append(views(*arguments)[0])
        return plain_views(*arguments)

    model = build_model(CONFIG, CPU)
    model.register_forward_pre_hook(lambda *_: seen.append(torch.rand(3)))
    gradients = GradientSum(model) if dist.is_initialized() else None
    training_step.views = noted  # type: ignore[assignment]
    part = Pairs(*(values[rows] for values in batch() if values is not None))
    train_step(replace(CONFIG, chunk=chunk), model, torch.optim.SGD(model.parameters()), part, 5, 1e-3, gradients)
    training_step.views = plain_views  # type: ignore[assignment]
    return seen


def clouds_alone(rows: list[int]) -> dict[str, Any]:
    config = replace(CONFIG, cross_weight=0.0)
    model = built(config, torch.float64)
    gradients = GradientSum(model) if dist.is_initialized() else None
    training_step.views = lambda config, points, images, generator: (  # type: ignore[assignment]
        plain_views(config, points, points, generator)[0],
        None,
    )
    part = Pairs(*(values[rows] for values in batch() if values is not None))
    train_step(config, model, torch.optim.SGD(model.parameters()), part, 0, 1e-3, gradients)
    training_step.views = plain_views  # type: ignore[assignment]
    return {name: p.grad for name, p in model.named_parameters()}


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    training_step.views = plain_views  # type: ignore[assignment]
    rows = list(range(rank * SHARE, (rank + 1) * SHARE))
    results: dict[str, Any] = {case: steps(case, rows, CASES[case][1]) for case in CASES}
    results["drawn"] = drawn(rows, 0)
    results["alone"] = clouds_alone(rows)
    torch.save(results, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("steps")
    torch.multiprocessing.spawn(work, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(autouse=True)
def same_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_step, "views", plain_views)


def assert_near(got: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    # A bias before a BatchNorm has a gradient of rounding errors only: no tensor counts as smaller than this.
    assert got.keys() == wanted.keys()
    least = 1e-3 * max(value.double().norm() for value in wanted.values())
    errors = {name: (got[name].double() - value.double()).norm() for name, value in wanted.items()}
    relative = {name: error / wanted[name].double().norm().clamp_min(least) for name, error in errors.items()}
    worst = max(relative, key=lambda name: relative[name])
    assert relative[worst] < tolerance, f"{worst}: {relative[worst]}"


@pytest.mark.parametrize("case", CASES)
def test_loss_gradients_and_weights_are_those_of_the_whole_batch(of_both: list[dict[str, Any]], case: str) -> None:
    _, chunk, _, kind, _, _ = CASES[case]
    # A chunk's statistics are those of this chunk in both processes: the same shapes as one chunk of one process.
    rows = [
        rank * SHARE + row
        for start in range(0, SHARE, chunk or SHARE)
        for rank in range(2)
        for row in range(start, start + (chunk or SHARE))
    ]
    expected = steps(case, rows, 2 * chunk)
    tolerance = 1e-5 if kind == torch.float32 else 1e-8  # Adam divides rounding errors of biases before a BatchNorm
    for results in of_both:
        torch.testing.assert_close(results[case]["loss"], expected["loss"], rtol=tolerance, atol=tolerance)
        exact = 1e-2 if kind == torch.float32 else 1e-10
        torch.testing.assert_close(results[case]["norm"], expected["norm"], rtol=exact, atol=0)
        assert_near(results[case]["gradients"], expected["gradients"], exact)
        assert_near(results[case]["state"], expected["state"], tolerance)
        if not chunk:  # with chunks the same shapes lie in another order
            assert results[case]["queue"].keys() == expected["queue"].keys()
            torch.testing.assert_close(results[case]["queue"], expected["queue"], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_both_processes_hold_the_same_bytes(of_both: list[dict[str, Any]], case: str) -> None:
    one, two = (results[case] for results in of_both)
    for kind in ("state", "queue"):
        for name, value in one[kind].items():
            assert torch.equal(two[kind][name], value), name
    assert one["queue"].keys() == two["queue"].keys()


def test_a_process_draws_what_a_chunk_of_one_process_draws(of_both: list[dict[str, Any]]) -> None:
    first, _, second, *_ = drawn(list(range(CONFIG.batch_size)), SHARE)
    assert torch.equal(of_both[0]["drawn"][0], first) and torch.equal(of_both[1]["drawn"][0], second)


def test_dropout_differs_between_processes(of_both: list[dict[str, Any]]) -> None:
    alone = drawn(list(range(CONFIG.batch_size)), 0)[1]
    one, two = (results["drawn"][1] for results in of_both)
    assert torch.equal(one, alone) and not torch.equal(two, alone)


def test_a_tower_that_takes_no_part_has_no_gradient(of_both: list[dict[str, Any]]) -> None:
    expected = clouds_alone(list(range(CONFIG.batch_size)))
    for results in of_both:
        assert all((results["alone"][name] is None) == (value is None) for name, value in expected.items())
        given = {name: value for name, value in expected.items() if value is not None}
        assert_near({name: results["alone"][name] for name in given}, given, 1e-10)


def test_without_statistics_and_sums_over_processes_it_would_differ() -> None:
    model = build_model(CONFIG, CPU)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    whole = steps("dgcnn, float32", list(range(CONFIG.batch_size)), 0)
    half = steps("dgcnn, float32", list(range(SHARE)), 0)
    assert abs(whole["loss"][0] - half["loss"][0]) > 1e-3
