"""What an image encoder can begin with: torchvision's layout, other runs, CrossPoint's branch, timm's own weights."""

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.models.heads import ProjectionHead
from crosspoint3d.models.image import TimmEncoder, image_encoder
from crosspoint3d.models.image_weights import check_image_weights, load_image_weights
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.resnet import ResNet
from crosspoint3d.models.tower import Tower, load_tower, save_tower
from crosspoint3d.runtime import file_sha256
from crosspoint3d.transforms.images import IMAGENET_MEAN, IMAGENET_STD
from tests.models.published_networks import PublishedImageBranch, saved, trained
from tests.models.test_resnet import functional_resnet, torchvision_keys


def tower_of(encoder: Any, dims: int = 8) -> Tower:
    return Tower(encoder, ProjectionHead.for_images(encoder.features, dims))


def other_weights(name: str = "resnet18") -> dict[str, Tensor]:
    """A ResNet's weights with torchvision's keys, none of them a fresh network's, and its classifier."""
    generator = torch.Generator().manual_seed(7)
    weights = {}
    for key, value in ResNet(name).state_dict().items():
        if key.endswith("num_batches_tracked"):
            weights[key] = torch.tensor(5)
        else:
            weights[key] = value * 0.9 + 0.05 * torch.rand(value.shape, generator=generator)
    features = 2048 if name == "resnet50" else 512
    return weights | {"fc.weight": torch.randn(10, features, generator=generator), "fc.bias": torch.zeros(10)}


def write(weights: dict[str, Tensor], path: Path) -> Path:
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    return path


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_a_file_of_torchvisions_layout(name: str, tmp_path: Path) -> None:
    weights = other_weights()
    assert list(weights)[:-2] == torchvision_keys("resnet18")
    tower = tower_of(ResNet("resnet18"))
    head = {key: value.clone() for key, value in tower.state_dict().items() if key.startswith("head")}
    path = write(weights, tmp_path / name)
    load_image_weights(tower, str(path))
    pictures = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        torch.testing.assert_close(tower.eval()(pictures), functional_resnet(weights, pictures), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(tower.state_dict()[key], value) for key, value in head.items())
    sha256 = file_sha256(path)
    assert tower.began_with == {"source": str(path), "sha256": sha256, "keys_left_out": ["fc.bias", "fc.weight"]}


def test_a_file_from_before_batches_were_counted_in_a_wrapper(tmp_path: Path) -> None:
    weights = {key: value for key, value in other_weights().items() if not key.endswith("num_batches_tracked")}
    wrapped = {"state_dict": {f"module.{key}": value for key, value in weights.items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "net.pth")
    tower = tower_of(ResNet("resnet18"))
    load_image_weights(tower, str(tmp_path / "net.pth"))
    assert torch.equal(tower.encoder.state_dict()["layer4.1.conv2.weight"], weights["layer4.1.conv2.weight"])
    assert tower.encoder.state_dict()["bn1.num_batches_tracked"] == 0
    assert tower.began_with is not None and tower.began_with["keys_left_out"] == ["fc.bias", "fc.weight", "epoch"]


def test_every_key_that_does_not_fit_is_listed(tmp_path: Path) -> None:
    weights = other_weights()
    weights["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    weights["layer9.0.conv1.weight"] = weights.pop("layer1.0.conv1.weight")
    path = write(weights, tmp_path / "net.pth")
    tower = tower_of(ResNet("resnet18"))
    before = {key: value.clone() for key, value in tower.state_dict().items()}
    with pytest.raises(UsageError) as caught:
        load_image_weights(tower, str(path))
    for part in (
        "is not a resnet18 with torchvision's keys",
        "missing: layer1.0.conv1.weight",
        "unknown: layer9.0.conv1.weight",
        "of another shape: conv1.weight",
    ):
        assert part in str(caught.value)
    assert all(torch.equal(tower.state_dict()[key], value) for key, value in before.items())
    assert tower.began_with is None


def test_one_missing_count_is_not_forgiven(tmp_path: Path) -> None:
    weights = other_weights()
    del weights["bn1.num_batches_tracked"]
    with pytest.raises(UsageError, match=r"missing: bn1\.num_batches_tracked"):
        load_image_weights(tower_of(ResNet("resnet18")), str(write(weights, tmp_path / "net.pth")))


@pytest.mark.parametrize("which", ["run", "folder"])
def test_an_encoder_of_another_run_begins_with_its_own_head(which: str, tmp_path: Path) -> None:
    other = tower_of(ResNet("resnet18"), dims=16)
    save_tower(other, tmp_path / "image_encoder", {})
    source = tmp_path if which == "run" else tmp_path / "image_encoder"
    tower = tower_of(ResNet("resnet18"))
    load_image_weights(tower, str(source))
    for key, value in other.encoder.state_dict().items():
        assert torch.equal(tower.encoder.state_dict()[key], value), key
    assert tower.began_with is not None
    assert tower.began_with["sha256"] == file_sha256(tmp_path / "image_encoder" / "model.safetensors")
    with pytest.raises(UsageError, match="holds a resnet18, but the image encoder is resnet34: give --image-encoder"):
        load_image_weights(tower_of(ResNet("resnet34")), str(source))


def test_the_published_image_branch(tmp_path: Path) -> None:
    network = trained(PublishedImageBranch())
    path = saved(network.state_dict(), tmp_path / "branch.pth")
    tower = tower_of(ResNet("resnet50"))
    load_image_weights(tower, str(path))
    expected = network.state_dict()["resnet.layer4.2.conv3.weight"]
    assert torch.equal(tower.encoder.state_dict()["layer4.2.conv3.weight"], expected)
    with pytest.raises(UsageError, match="holds a resnet50, but the image encoder is resnet18"):
        load_image_weights(tower_of(ResNet("resnet18")), str(path))


def test_an_encoder_of_clouds_is_refused(tmp_path: Path) -> None:
    save_tower(tower_of(PointNet(16)), tmp_path / "image_encoder", {})
    with pytest.raises(UsageError, match=r"--image-weights .*encodes clouds, but an encoder of pictures is needed"):
        load_image_weights(tower_of(ResNet("resnet18")), str(tmp_path))


def test_what_cannot_be_is_said_by_the_option(tmp_path: Path) -> None:
    check_image_weights("resnet50", "scratch")
    with pytest.raises(UsageError, match=r"this package.s own .*--image-weights resnet50.pth.*timm:resnet50"):
        check_image_weights("resnet50", "pretrained")
    with pytest.raises(UsageError, match="no such file or folder; give scratch, pretrained"):
        check_image_weights("resnet18", str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UsageError, match=r"--image-weights .*text.pth begins with b'hello', which is no file"):
        load_image_weights(tower_of(ResNet("resnet18")), str(tmp_path / "text.pth"))
    fresh = tower_of(ResNet("resnet18"))
    load_image_weights(fresh, "scratch")
    assert fresh.began_with is None


HALF = (0.5, 0.5, 0.5)


class Tiny(nn.Module):
    """A network as timm makes them."""

    def __init__(self, about: dict[str, Any], pretrained: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.num_features, self.pretrained_cfg = 6, about
        if pretrained:
            nn.init.constant_(self.conv.weight, 0.25)
            nn.init.constant_(self.norm.running_mean, 2.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.norm(self.conv(x)).relu().mean((2, 3))
        return pooled


@pytest.fixture
def fake_timm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(about: dict[str, Any] | None = None, fault: Exception | None = None) -> None:
        def create_model(name: str, pretrained: bool, num_classes: int) -> nn.Module:
            if pretrained and fault is not None:
                raise fault
            return Tiny({"hf_hub_id": f"timm/{name}", "mean": HALF, "std": HALF} | (about or {}), pretrained)

        module = types.ModuleType("timm")
        module.create_model, module.__version__ = create_model, "1.0.0"  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "timm", module)

    return install


def test_timms_weights_see_pictures_normalised_as_they_were_trained(fake_timm: Any, tmp_path: Path) -> None:
    fake_timm()
    tower = tower_of(image_encoder("timm:tiny"))
    load_image_weights(tower, "pretrained")
    began = tower.began_with
    assert began is not None and began["source"] == "pretrained" and began["weights"] == "timm/tiny"
    assert began["timm"] == "1.0.0" and began["mean"] == list(HALF) and len(began["sha256"]) == 64
    raw = torch.rand(2, 3, 12, 12)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    network = Tiny({}, pretrained=True)
    network.norm.running_mean = torch.full((6,), 2.0)
    network.conv.bias = tower.encoder.model.conv.bias  # type: ignore[union-attr,assignment]
    tower.eval(), network.eval()
    torch.testing.assert_close(tower((raw - mean) / std), network((raw - 0.5) / 0.5), rtol=1e-4, atol=1e-5)
    save_tower(tower, tmp_path / "image_encoder", {"began_with": began})
    again = load_tower(tmp_path / "image_encoder")
    assert torch.equal(again((raw - mean) / std), tower((raw - mean) / std))
    card = (tmp_path / "image_encoder" / "README.md").read_text()
    assert "began with the weights `pretrained of timm/tiny`" in card and began["sha256"] in card
    third = tower_of(image_encoder("timm:tiny"))
    load_image_weights(third, str(tmp_path))
    assert isinstance(third.encoder, TimmEncoder) and third.encoder.mean == HALF
    assert third.began_with is not None and third.began_with["std"] == list(HALF)


def test_imagenets_normalisation_is_left_as_it_is(fake_timm: Any) -> None:
    fake_timm({"mean": IMAGENET_MEAN, "std": IMAGENET_STD})
    tower = tower_of(image_encoder("timm:tiny"))
    load_image_weights(tower, "pretrained")
    assert tower.encoder.config() == {"name": "timm:tiny"}
    pictures = torch.randn(2, 3, 9, 9)
    tower.eval()
    assert torch.equal(tower(pictures), tower.encoder.model(pictures))  # type: ignore[operator]


def test_a_hash_names_the_weights(fake_timm: Any) -> None:
    digests = []
    for seed in (0, 0, 1):
        fake_timm()
        torch.manual_seed(seed)
        tower = tower_of(image_encoder("timm:tiny"))
        load_image_weights(tower, "pretrained")
        digests.append(tower.began_with["sha256"])  # type: ignore[index]
    assert digests[0] == digests[1] != digests[2]  # the bias of the fake is random


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (RuntimeError("No pretrained weights exist for tiny"), r"No pretrained weights exist .*pretrained=True\)"),
        (OSError("offline"), "cannot be fetched .OSError: offline.; connect once"),
    ],
)
def test_weights_that_cannot_be_had(fake_timm: Any, fault: Exception, words: str) -> None:
    fake_timm(fault=fault)
    with pytest.raises(UsageError, match=words):
        load_image_weights(tower_of(image_encoder("timm:tiny")), "pretrained")


def test_a_network_of_one_size_and_one_of_grey_pictures_say_so(fake_timm: Any) -> None:
    fake_timm({"fixed_input_size": True, "input_size": (3, 224, 224)})
    encoder = image_encoder("timm:tiny")
    assert isinstance(encoder, TimmEncoder)
    encoder.require_size(224)
    with pytest.raises(UsageError, match="--image-size 64: timm:tiny takes pictures of 224 pixels only"):
        encoder.require_size(64)
    with pytest.raises(UsageError, match="pictures of 1 channels, not of 3"):
        encoder.expect((0.5,), (0.5,))


def test_a_file_is_not_for_timm(fake_timm: Any, tmp_path: Path) -> None:
    fake_timm()
    path = write(other_weights(), tmp_path / "net.pth")
    with pytest.raises(UsageError, match="is read for resnet18, resnet34, resnet50 only; for timm:tiny give"):
        load_image_weights(tower_of(image_encoder("timm:tiny")), str(path))
