import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from crosspoint3d.models import ResNet

# torchvision 0.20, without fc.weight and fc.bias: trainable parameters, entries of the state dict, features.
FACTS = {"resnet18": (11_176_512, 120, 512), "resnet34": (21_284_672, 216, 512), "resnet50": (23_508_032, 318, 2048)}
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvision_keys(name: str) -> list[str]:
    """The names in order, spelled out from torchvision's layout."""
    depths = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}[name]
    convs = 3 if name == "resnet50" else 2
    keys = ["conv1.weight", *(f"bn1.{n}" for n in NORM)]
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            prefix = f"layer{stage}.{block}"
            for i in range(1, convs + 1):
                keys += [f"{prefix}.conv{i}.weight", *(f"{prefix}.bn{i}.{n}" for n in NORM)]
            if block == 0 and (stage > 1 or name == "resnet50"):
                keys += [f"{prefix}.downsample.0.weight", *(f"{prefix}.downsample.1.{n}" for n in NORM)]
    return keys


def functional_resnet(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """The network in eval mode, read off the names and shapes of its weights alone."""

    def norm(x: Tensor, name: str) -> Tensor:
        w = [weights[f"{name}.{n}"][:, None, None] for n in NORM[:4]]
        return (x - w[2]) / (w[3] + 1e-5).sqrt() * w[0] + w[1]

    x = F.relu(norm(F.conv2d(images, weights["conv1.weight"], stride=2, padding=3), "bn1"))
    x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    blocks = sorted({tuple(map(int, k[5:].split(".")[:2])) for k in weights if k.startswith("layer")})
    for stage, block in blocks:
        prefix = f"layer{stage}.{block}"
        bottleneck = f"{prefix}.conv3.weight" in weights
        stride = 2 if stage > 1 and block == 0 else 1
        y = x
        for i in (1, 2, 3) if bottleneck else (1, 2):
            w = weights[f"{prefix}.conv{i}.weight"]
            here = stride if i == (2 if bottleneck else 1) else 1
            y = norm(F.conv2d(y, w, stride=here, padding=w.shape[-1] // 2), f"{prefix}.bn{i}")
            if i < (3 if bottleneck else 2):
                y = y.clamp_min(0)
        if f"{prefix}.downsample.0.weight" in weights:
            x = norm(F.conv2d(x, weights[f"{prefix}.downsample.0.weight"], stride=stride), f"{prefix}.downsample.1")
        x = (x + y).clamp_min(0)
    return x.mean((2, 3))


@pytest.mark.parametrize("name", FACTS)
def test_keys_and_counts_are_torchvisions(name: str) -> None:
    model = ResNet(name)
    parameters, entries, features = FACTS[name]
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert list(model.state_dict()) == torchvision_keys(name)
    assert len(model.state_dict()) == entries and model.features == features
    assert model.config() == {"name": name}


@pytest.mark.parametrize("name", FACTS)
def test_outputs_are_the_functional_definitions(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    model = ResNet(name).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1, generator=generator)
                module.running_var.uniform_(0.8, 1.2, generator=generator)
                module.weight.uniform_(0.3, 0.7, generator=generator)
                module.bias.normal_(std=0.1, generator=generator)
    images = torch.randn(2, 3, 66, 64, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(
            model(images), functional_resnet(dict(model.state_dict()), images), rtol=1e-4, atol=1e-4
        )


def test_initial_weights_are_kaiming_by_fan_out() -> None:
    weight = ResNet("resnet18").get_parameter("layer3.1.conv1.weight")
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)


def test_unknown_depth() -> None:
    with pytest.raises(ValueError, match="'resnet19' must be one of resnet18, resnet34, resnet50"):
        ResNet("resnet19")
