"""Which weights learn, and how fast: a layer-wise learning rate from the head down to the first layer."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from crosspoint3d.config import FinetuneConfig
from crosspoint3d.models import PointTransformer


def parameter_groups(model: nn.Module, layer_decay: float, *, frozen: bool) -> list[dict[str, Any]]:
    """Groups for an optimizer, each with the `factor` on the learning rate.

    The head has 1, the encoder's last layer `layer_decay`, the one before it `layer_decay`^2, and so on (Howard and
    Ruder, arXiv 1801.06146). Layers are the encoder's children in their order, sequences taken apart (the transformer
    names its own: the patches' embedding, then each block); a layer without weights counts for nothing.

    Args:
        model: has submodules `encoder` and `head`; those of a frozen encoder stop requiring gradients.
        layer_decay: above 0; 1 is one rate for all.
        frozen: the head alone.
    """
    encoder, head = model.get_submodule("encoder"), model.get_submodule("head")
    encoder.requires_grad_(not frozen)
    groups = [{"params": list(head.parameters()), "factor": 1.0}]
    if frozen:
        return groups
    layers = [own for layer in encoder_layers(encoder) if (own := list(layer.parameters()))]
    grouped = {parameter for own in layers for parameter in own}
    rest = [parameter for parameter in encoder.parameters() if parameter not in grouped]
    layers = [rest, *layers] if rest else layers
    for depth, own in enumerate(reversed(layers), start=1):
        groups.append({"params": own, "factor": layer_decay**depth})
    return groups


def encoder_layers(encoder: nn.Module) -> Iterator[nn.Module]:
    """The encoder's layers from its input on."""
    if isinstance(encoder, PointTransformer):
        yield from encoder.layers()
        return
    for child in encoder.children():
        yield from child.children() if isinstance(child, nn.Sequential) else (child,)


def build_optimizer(config: FinetuneConfig, model: nn.Module) -> torch.optim.Optimizer:
    """SGD with momentum 0.9 or AdamW over the weights that learn, as one kernel where there is one."""
    groups = parameter_groups(model, config.layer_decay, frozen=config.mode == "frozen")
    fused = next(model.parameters()).device.type in ("cpu", "cuda") or None
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, weight_decay=config.weight_decay, fused=fused)
    return torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group the learning rate of a step times its factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["factor"]
