import copy
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.models import Tower, load_encoder, load_image_encoder, untrained, untrained_image
from crosspoint3d.models.tower import seeded_weights
from tests.models.published_networks import (
    PublishedDGCNN,
    PublishedImageBranch,
    PublishedPartSeg,
    clouds,
    trained,
)
from tests.models.test_resnet import functional_resnet

CLASSIFIER = ["bn6", "bn7", "linear1", "linear2", "linear3"]
LABELS = ["bn10", "bn7", "bn8", "bn9", "conv10", "conv11", "conv7", "conv8", "conv9"]
NETWORKS: dict[str, tuple[Any, dict[str, Any], int, list[str]]] = {
    "trunk": (PublishedDGCNN, {}, 20, []),
    "trunk and head": (PublishedDGCNN, {"with_head": True}, 15, []),
    "trunk and classifier": (PublishedDGCNN, {"classes": 40}, 20, CLASSIFIER),
    "trunk, head and classifier": (PublishedDGCNN, {"with_head": True, "classes": 15}, 15, CLASSIFIER),
    "part segmentation": (PublishedPartSeg, {}, 40, LABELS),
    "part segmentation, pre-trained": (PublishedPartSeg, {"with_head": True, "parts": 0}, 40, []),
    "part segmentation and head": (PublishedPartSeg, {"with_head": True}, 40, LABELS),
}


def network(name: str = "trunk", k: int = 8) -> Any:
    build, arguments, _, _ = NETWORKS[name]
    with seeded_weights(0):
        return trained(build(k, **arguments))


def saved(weights: Any, path: Path) -> Path:
    torch.save(weights, path)
    return path


def same_state(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(network("trunk and head").state_dict(), tmp_path_factory.mktemp("trunk") / "best.pth")


@pytest.fixture(scope="module")
def image_branch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with seeded_weights(1):
        weights = trained(PublishedImageBranch()).state_dict()
    return saved(weights, tmp_path_factory.mktemp("image") / "img_model_best.pth")


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_the_published_networks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published, points = network(name), clouds(6, 60)
    tower = load_encoder(saved(published.state_dict(), tmp_path / "w.pth"), k=8)
    exact = copy.deepcopy(published).double()
    for training in (False, True):
        exact.graphs.clear()
        expected = exact.train(training)(points.double().transpose(1, 2))
        for module in ("dgcnn", "dgcnn_partseg"):
            given = iter(list(exact.graphs))
            monkeypatch.setattr(f"crosspoint3d.models.{module}.knn", lambda x, k, given=given: next(given))
        features = tower.train(training)(points)
        assert features.shape == (6, 1024 if name.startswith("part") else 2048)
        assert (features - expected).abs().max() < 1e-4
    if hasattr(published, "inv_head"):
        projections = tower.eval().project(features)
        torch.testing.assert_close(projections.double(), exact.eval().inv_head(features.double()), rtol=0, atol=1e-4)
    else:
        assert tower.head is None


def test_features_on_graphs_of_its_own(trunk: Path) -> None:
    published, points = network("trunk and head"), clouds(3, 200)
    features, expected = load_encoder(trunk, k=8)(points), published(points.transpose(1, 2))
    # Two neighbours at almost the same distance may change places in one of the two networks.
    assert ((features - expected).abs() < 1e-4).double().mean() > 0.99


@pytest.mark.parametrize("name", NETWORKS)
def test_every_key_is_used_or_listed_and_k_is_a_warning(name: str, tmp_path: Path) -> None:
    _, _, k, unused = NETWORKS[name]
    published = network(name)
    path = saved(published.state_dict(), tmp_path / "w.pth")
    with pytest.warns(UserWarning, match=rf"w\.pth: .* do not record k; k={k} is assumed.*--k"):
        tower = load_encoder(path)
    assert tower.k == k and tower.origin is not None and not tower.training
    assert sorted({key.split(".")[0] for key in tower.origin["keys_not_needed"]}) == unused
    assert set(tower.origin["keys_not_needed"]) < published.state_dict().keys() and tower.origin["k"] == "assumed"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = load_encoder(path, k=7)
        twin, again = untrained(path, 3, k=7), untrained(path, 3, k=7)
    assert given.k == 7 and given.origin is not None and given.origin["k"] == "given"
    assert twin.config() == given.config() and same_state(twin, again) and not same_state(twin, given)


def test_every_way_of_saving_gives_the_same_tower(trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, weights = load_encoder(trunk, k=8), torch.load(trunk)
    parallel = {f"module.{name}": value for name, value in weights.items()}
    ways = {
        "parallel.pth": parallel,
        "nested.ckpt": {"state_dict": parallel, "epoch": 3, "optimizer": {"state": {}}},
        "model.pt": {"model": weights},
        "twice.pth": {"model_state_dict": {"module." + name: value for name, value in parallel.items()}},
        "parameters.pth": {name: nn.Parameter(v) if v.is_floating_point() else v for name, v in weights.items()},
        "double.pth": {name: v.double() if v.is_floating_point() else v for name, v in weights.items()},
        "only_bn.pth": {n: v for n, v in weights.items() if ".1." not in n or n.startswith("inv_head")},
        "only_conv.pth": {n: v for n, v in weights.items() if not n.startswith("bn")},
    }
    for name, value in ways.items():
        assert same_state(load_encoder(saved(value, tmp_path / name), k=8), expected), name
    torch.save(weights, tmp_path / "old.t7", _use_new_zipfile_serialization=False)
    save_file({name: value.clone() for name, value in weights.items()}, tmp_path / "w.safetensors")
    monkeypatch.setattr("torch.serialization.location_tag", lambda storage: "cuda:3")
    saved(weights, tmp_path / "cuda.pth")
    for name in ("old.t7", "w.safetensors", "cuda.pth"):
        assert same_state(load_encoder(tmp_path / name, k=8), expected), name
    nested = load_encoder(tmp_path / "nested.ckpt", k=8)
    assert nested.origin is not None and nested.origin["keys_not_needed"] == ["epoch", "optimizer"]


def test_half_precision_becomes_single(trunk: Path, tmp_path: Path) -> None:
    half = {n: v.half() if v.is_floating_point() else v for n, v in torch.load(trunk).items()}
    tower = load_encoder(saved(half, tmp_path / "half.pth"), k=8)
    assert {value.dtype for value in tower.state_dict().values()} == {torch.float32, torch.int64}
    assert torch.equal(tower.state_dict()["encoder.conv5.linear.weight"], half["conv5.0.weight"][..., 0].float())


def wrong(change: str) -> dict[str, Tensor]:
    weights = dict(network("trunk and head").state_dict())
    if change == "missing":
        del weights["conv3.0.weight"], weights["bn2.running_var"], weights["inv_head.3.bias"]
    elif change == "unknown":
        weights["conv6.0.weight"] = weights["surprise"] = torch.zeros(3)
    elif change == "shape":
        weights["conv2.0.weight"] = torch.zeros(64, 64, 1, 1)
        weights["inv_head.0.weight"] = torch.zeros(100_000, 1)
    elif change == "twins":
        weights["bn3.bias"] = weights["bn3.bias"] + 1e-6
    elif change == "no statistics":
        weights = {name: value for name, value in weights.items() if "running" not in name}
    return weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"missing: bn2\.running_var, conv3\.0\.weight, inv_head\.3\.bias;"),
        ("unknown", r"unknown: conv6\.0\.weight, surprise;"),
        ("shape", r"shape: conv2.0.weight \(64, 64, 1, 1\) instead of \(64, 128\), .*inv_head.0.weight \(100000, 1\)"),
        ("twins", r"unequal, though two names of one tensor: bn3\.bias and conv3\.1\.bias;"),
        ("no statistics", r"missing: bn1\.running_mean, bn1\.running_var, .*conv5\.1\.running_mean"),
    ],
)
def test_nothing_is_loaded_in_part(change: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        load_encoder(saved(wrong(change), tmp_path / "w.pth"))


def test_other_networks_are_named_by_their_keys(tmp_path: Path) -> None:
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with pytest.raises(UsageError, match=r"another network \(0\.bias, 0\.weight, 1\.bias.*known are the DGCNN class"):
        load_encoder(saved(other.state_dict(), tmp_path / "w.pth"))
    head_alone = {name: value for name, value in wrong("").items() if name.startswith("inv_head")}
    with pytest.raises(UsageError, match="another network"):
        load_encoder(saved(head_alone, tmp_path / "h.pth"))


def test_image_branch(image_branch: Path) -> None:
    encoder, images = load_image_encoder(image_branch), torch.randn(2, 3, 64, 64)
    weights = torch.load(image_branch)
    backbone = {n.removeprefix("resnet."): v for n, v in weights.items() if n.startswith("resnet.")}
    features = encoder(images)
    torch.testing.assert_close(features, functional_resnet(backbone, images), rtol=1e-4, atol=1e-4)
    head = trained(PublishedImageBranch()).inv_head
    head.load_state_dict({n.removeprefix("inv_head."): v for n, v in weights.items() if n.startswith("inv_head.")})
    torch.testing.assert_close(encoder.project(features), head(features))
    assert encoder.origin is not None and encoder.origin["keys_not_needed"] == [] and encoder.k is None
    assert untrained_image(image_branch, 0).config() == encoder.config()


def test_pictures_and_clouds_are_not_confused(image_branch: Path, trunk: Path) -> None:
    with pytest.raises(UsageError, match="it encodes pictures, but an encoder of clouds"):
        load_encoder(image_branch)
    with pytest.raises(UsageError, match="it encodes clouds, but an encoder of pictures"):
        load_image_encoder(trunk)


def test_weights_that_others_published(shared_data: Path) -> None:
    path = shared_data / "strl_dgcnn.pth"
    with pytest.warns(UserWarning, match="k=20 is assumed"):
        tower = load_encoder(path)
    assert tower.origin is not None and tower.origin["keys_not_needed"] == [] and tower.head is None
    weights, points = torch.load(path, weights_only=True, map_location="cpu")["state_dict"], clouds(2, 300)
    published = PublishedDGCNN(20).eval()
    published.load_state_dict(weights)
    features, expected = tower(points), published(points.transpose(1, 2))
    assert features.isfinite().all() and features.std() > 0.1
    assert ((features - expected).abs() < 1e-4 * expected.abs().max()).double().mean() > 0.97
    with pytest.raises(UsageError, match="no projection head"):
        tower.project(features)


def test_no_generator_moves(trunk: Path) -> None:
    state = torch.get_rng_state()
    assert isinstance(load_encoder(trunk, k=8), Tower) and torch.equal(torch.get_rng_state(), state)
