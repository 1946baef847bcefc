import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.models import load_encoder, load_segmenter
from crosspoint3d.models.tower import seeded_weights
from tests.models.published_networks import PublishedPartSeg, clouds, on_the_graphs_of, saved, trained

K = 8


def part_segmentation(**arguments: Any) -> PublishedPartSeg:
    with seeded_weights(0):
        return trained(PublishedPartSeg(K, **arguments))


def part_logits(network: PublishedPartSeg, points: Tensor, category: Tensor, categories: int = 16) -> Tensor:
    one_hot = F.one_hot(category, categories).to(points)
    return network.logits(points.transpose(1, 2), one_hot).transpose(1, 2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(part_segmentation(with_head=True).state_dict(), tmp_path_factory.mktemp("parts") / "best.pth")


@pytest.mark.parametrize("with_head", [True, False])
def test_part_logits_are_the_published_networks(
    with_head: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, points = part_segmentation(with_head=with_head), clouds(6, 60)
    category = torch.tensor([0, 15, 3, 3, 8, 11])
    segmenter = load_segmenter(saved(published.state_dict(), tmp_path / "w.pth"), k=K)
    segmenter.head.dropout = 0.0
    exact = copy.deepcopy(published).double()
    for dropout in (exact.dp1, exact.dp2):
        dropout.p = 0.0
    for training in (False, True):
        exact.graphs.clear()
        expected = part_logits(exact.train(training), points.double(), category)
        on_the_graphs_of(exact, monkeypatch)
        logits = segmenter.train(training)(points, category)
        assert logits.shape == (6, 60, 50) and (logits - expected).abs().max() < 2e-5 * expected.abs().max()
    segmenter.eval()
    exact.graphs.clear()
    expected = part_logits(exact.eval(), points.double(), category)  # with the statistics that training moved
    on_the_graphs_of(exact, monkeypatch)
    assert (segmenter(points, category) - expected).abs().max() < 2e-5 * expected.abs().max()


def test_part_logits_on_graphs_of_its_own(weights: Path) -> None:
    published, points, category = part_segmentation(with_head=True), clouds(4, 200), torch.tensor([1, 2, 3, 15])
    published.transform_net.k = published.k = 20
    logits, expected = load_segmenter(weights, k=20)(points, category), part_logits(published, points, category)
    # Two neighbours at almost the same distance may change places in one of the two networks.
    assert ((logits - expected).abs().amax(2) < 1e-4).double().mean() > 0.99


def test_part_weights_say_what_they_are(weights: Path) -> None:
    with pytest.warns(UserWarning, match=r"best\.pth: .* do not record k; k=40 is assumed.*--k"):
        segmenter = load_segmenter(weights)
    origin = segmenter.origin
    assert segmenter.k == 40 and not segmenter.training and origin is not None and segmenter.points is None
    assert {name.split(".")[0] for name in origin["keys_not_needed"]} == {"inv_head"} and origin["k"] == "assumed"
    assert origin["file"] == "best.pth" and origin["layout"] == "DGCNN part segmentation network"
    table = segmenter.table
    assert len(table) == 50 and len(table.categories) == 16 and table.categories[0] == "Airplane"
    assert [own[0] for own in table.parts] == [0, 4, 6, 8, 12, 16, 19, 22, 24, 28, 30, 36, 38, 41, 44, 47]
    encoder = load_encoder(weights, k=40)
    assert encoder.head is not None and encoder.origin is not None
    assert {name.split(".")[0] for name in encoder.origin["keys_not_needed"]} == {
        *(f"conv{i}" for i in range(7, 12)),
        *(f"bn{i}" for i in range(7, 11)),
    }
    points = clouds(2, 60)
    assert torch.equal(encoder(points), segmenter.encoder(points))


def test_other_numbers_of_parts_are_numbered(tmp_path: Path) -> None:
    published = part_segmentation(parts=9, categories=3)
    path = saved(published.state_dict(), tmp_path / "w.pth")
    with pytest.warns(UserWarning, match=r"do not name their 9 parts of 3 categories.*set \.table"):
        segmenter = load_segmenter(path, k=K)
    assert segmenter.table.names[8] == "part 8" and segmenter.table.parts == (tuple(range(9)), (), ())
    points, category = clouds(3, 60), torch.tensor([2, 0, 1])
    logits, expected = segmenter(points, category), part_logits(published, points, category, 3)
    assert logits.shape == (3, 60, 9) and ((logits - expected).abs() < 1e-4).double().mean() > 0.97
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        only = part_segmentation(parts=4, categories=1).state_dict()
        assert load_segmenter(saved(only, tmp_path / "one.pth"), k=K).table.parts == ((0, 1, 2, 3),)


def same_state(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_every_way_of_saving_gives_the_same_segmenter(weights: Path, tmp_path: Path) -> None:
    expected, state = load_segmenter(weights, k=K), torch.load(weights)
    parallel = {f"module.{name}": value for name, value in state.items()}
    squeezed = {n: v.reshape(v.shape[:2]) if n.startswith("conv") and v.ndim > 2 else v for n, v in state.items()}
    alone = ("inv_head", "transform_net.conv3")  # no BatchNorm of theirs has two names
    second = ("bn", "transform_net.bn1", "transform_net.bn2")
    ways = {
        "parallel.pth": parallel,
        "nested.ckpt": {"state_dict": parallel, "epoch": 3},
        "model.t7": {"model": state},
        "double.pth": {name: v.double() if v.is_floating_point() else v for name, v in state.items()},
        "matrices.pth": squeezed,
        "only_bn.pth": {n: v for n, v in state.items() if ".1." not in n or n.startswith(alone)},
        "only_conv.pth": {n: v for n, v in state.items() if not n.startswith(second)},
        "no_head.pth": {n: v for n, v in state.items() if not n.startswith("inv_head")},
    }
    for name, value in ways.items():
        assert same_state(load_segmenter(saved(value, tmp_path / name), k=K), expected), name
    save_file({name: value.clone() for name, value in state.items()}, tmp_path / "w.safetensors")
    assert same_state(load_segmenter(tmp_path / "w.safetensors", k=K), expected)
    half = {n: v.half() if v.is_floating_point() else v for n, v in state.items()}
    segmenter = load_segmenter(saved(half, tmp_path / "half.pth"), k=K)
    assert {value.dtype for value in segmenter.state_dict().values()} == {torch.float32, torch.int64}
    assert torch.equal(segmenter.head.first.weight, half["conv8.0.weight"][..., 0].float())


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"conv9.0.weight": None, "bn8.bias": None}, r"missing: bn8\.bias, conv9\.0\.weight;"),
    ({"surprise": torch.zeros(3)}, r"unknown: surprise;"),
    (
        {"conv8.0.weight": torch.zeros(256, 1279, 1)},
        r"shape: conv8\.0\.weight \(256, 1279, 1\) instead of \(256, 1280\)",
    ),
    ({"conv7.0.weight": torch.zeros(64, 16, 3)}, r"shape: conv7\.0\.weight \(64, 16, 3\) instead of \(64, 16\)"),
    ({"conv11.weight": torch.zeros(0)}, r"shape: conv11\.weight \(0,\)"),
    ({"bn9.bias": torch.ones(256)}, r"unequal, though two names of one tensor: bn9\.bias and conv9\.1\.bias;"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES)
def test_nothing_is_loaded_in_part(changes: dict[str, Any], message: str, weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights) | changes
    path = saved({name: value for name, value in state.items() if value is not None}, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=message), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load_segmenter(path, k=K)
