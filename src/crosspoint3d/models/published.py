"""Published weights of CrossPoint, STRL and DGCNN as towers of this package: the same function, no key left over."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crosspoint3d.config import UsageError
from crosspoint3d.models.published_keys import HEAD, Layout, head_keys, layout_of
from crosspoint3d.models.tower import Tower, build_tower
from crosspoint3d.models.weights_file import read_weights
from crosspoint3d.runtime import file_sha256

SUFFIXES = (".pth", ".pt", ".ckpt", ".t7", ".safetensors")
CROSSPOINT_K = 15
NETWORKS = "the DGCNN classification trunk, the DGCNN part segmentation network and CrossPoint's image branch"


def load_published(path: Path) -> Tower:
    """The encoder in a file of published weights, in eval mode on the CPU, with its projection head where it has one.

    Published weights do not record the k of the graphs. The tower has the one its network is known for: 15 for a
    classification trunk with CrossPoint's head, 20 for one without, 40 for the part segmentation network.
    `tower.origin` holds the file's name and SHA-256, the layout, and the keys that the encoder does not need.

    Args:
        path: of a state dict with the published names, as `read_weights` takes it.

    Raises:
        UsageError: the file cannot be read, or a key is missing, unknown, of another shape, or unequal to its twin.
    """
    weights, beside = read_weights(path)
    names = weights.keys()
    layout = layout_of(names)
    if layout is None:
        raise UsageError(f"{path} holds another network ({_listed(sorted(names))}); known are {NETWORKS}")
    _check_keys(path, layout, weights)
    with torch.device("meta"):
        tower = build_tower(_config(layout, weights), seed=0)
    tower.load_state_dict(_fitted(path, layout, weights, tower), assign=True)
    tower.origin = {
        "file": path.name,
        "sha256": file_sha256(path),
        "layout": layout.what,
        "keys_not_needed": sorted(names - layout.required(names)) + beside,
    }
    return tower.eval()


def _check_keys(path: Path, layout: Layout, weights: Mapping[str, Tensor]) -> None:
    names = weights.keys()
    problems = {
        "missing": sorted(layout.required(names) - names),
        "unknown": sorted(names - layout.known(names)),
        "unequal, though two names of one tensor": [
            f"{second} and {first}"
            for second, first in layout.twins.items()
            if second in names and first in names and not _equal(weights[second], weights[first])
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{what}: {_listed(keys)}" for what, keys in problems.items() if keys)
        raise UsageError(f"{path} does not hold the {layout.what} as published; {listed}; known are {NETWORKS}")


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)


def _config(layout: Layout, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config of a tower as wide as the weights."""
    hidden, out = weights.get(f"{HEAD}0.weight"), weights.get(f"{HEAD}3.weight")
    encoder: dict[str, Any] = {"name": "resnet50"}
    features = 2048
    if layout.width_key is not None:
        emb_dims, classification = _rows(weights[layout.width_key]), layout.kind == "dgcnn"
        features = 2 * emb_dims if classification else emb_dims
        encoder = {"k": CROSSPOINT_K if classification and hidden is not None else layout.k, "emb_dims": emb_dims}
    head = None
    if hidden is not None and out is not None:
        widths = {"in_dims": features, "hidden_dims": _rows(hidden), "out_dims": _rows(out)}
        head = widths | {"bias": f"{HEAD}0.bias" in weights}
    return {"kind": layout.kind, "encoder": encoder, "head": head}


def _rows(weight: Tensor) -> int:
    return len(weight) if weight.ndim and weight.numel() else 1


def _fitted(path: Path, layout: Layout, weights: Mapping[str, Tensor], tower: Tower) -> dict[str, Tensor]:
    """The weights by the tower's names, in its shapes (convolutions over one place are matrices here) and types."""
    names = {f"encoder.{ours}": second for second, first in layout.twins.items() if (ours := layout.keys.get(first))}
    names |= {f"encoder.{ours}": name for name, ours in layout.keys.items() if name in weights}
    names |= {f"head.{ours}": name for name, ours in head_keys(weights.keys()).items()}
    fitted: dict[str, Tensor] = {}
    wrong = []
    for ours, like in tower.state_dict().items():
        value = weights[names[ours]]
        if value.shape == (*like.shape, *(1,) * (value.ndim - like.ndim)):
            fitted[ours] = value.reshape(like.shape).to(like.dtype, copy=True)
        else:
            wrong.append(f"{names[ours]} {tuple(value.shape)} instead of {tuple(like.shape)}")
    if wrong:
        raise UsageError(f"{path} does not hold the {layout.what} as published; of another shape: {_listed(wrong)}")
    return fitted


def _listed(names: Sequence[str], most: int = 40) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
