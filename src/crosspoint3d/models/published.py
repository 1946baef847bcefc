"""Published weights of CrossPoint, STRL and DGCNN as networks of this package: the same function, no key left over."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crosspoint3d.config import UsageError
from crosspoint3d.models.class_head import ClassHead
from crosspoint3d.models.classifier import Classifier
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.part_head import PartHead
from crosspoint3d.models.published_keys import HEAD, Layout, layout_of
from crosspoint3d.models.published_names import category_names, parts_table
from crosspoint3d.models.segmenter import Segmenter
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
    weights, beside, layout = _read(path)
    _check_keys(path, layout, weights, labels=False)
    with torch.device("meta"):
        tower = build_tower(_config(layout, weights), seed=0)
    tower.origin = _filled(path, layout, weights, beside, tower, labels=False)
    return tower


def load_published_segmenter(path: Path) -> Segmenter:
    """The part segmentation network in a file of published weights, in eval mode on the CPU.

    Its k is 40, as the network is known for; `origin` as of `load_published`. With 16 categories and 50 parts the table
    is ShapeNetPart's; otherwise parts and categories are numbered, and the file does not say which belong together: the
    table gives all parts to the first category, with a warning.

    Args:
        path: of a state dict with the published names, `conv7` to `conv11` among them.

    Raises:
        UsageError: as for `load_published`, or the file holds another network.
    """
    weights, beside, layout = _read(path)
    _require(path, layout, weights, "dgcnn-partseg", "a part segmentation head (conv7 to conv11)")
    with torch.device("meta"):
        encoder = DGCNNPartSeg(**_encoder_arguments(layout, weights))
        table = parts_table(_columns(weights["conv7.0.weight"]), _rows(weights["conv11.weight"]))
        head = PartHead(
            encoder.point_features,
            encoder.features,
            len(table.categories),
            len(table),
            widths=[_rows(weights[f"conv{i}.0.weight"]) for i in (8, 9, 10)],
            category_dims=_rows(weights["conv7.0.weight"]),
        )
        segmenter = Segmenter(encoder, head, table)
    segmenter.origin = _filled(path, layout, weights, beside, segmenter, labels=True)
    return segmenter


def load_published_classifier(path: Path) -> Classifier:
    """The classification network in a file of published weights, in eval mode on the CPU.

    Its k and `origin` as of `load_published`; the categories are ModelNet40's or ScanObjectNN's where there are as
    many, otherwise they are numbered.

    Args:
        path: of a state dict with the published names, `linear1` to `linear3` among them.

    Raises:
        UsageError: as for `load_published`, or the file holds another network.
    """
    weights, beside, layout = _read(path)
    _require(path, layout, weights, "dgcnn", "a classification head (linear1 to linear3)")
    with torch.device("meta"):
        encoder = DGCNN(**_encoder_arguments(layout, weights))
        names = category_names(_rows(weights["linear3.weight"]))
        widths = [_rows(weights[f"linear{i}.weight"]) for i in (1, 2)]
        classifier = Classifier(encoder, ClassHead(encoder.features, len(names), widths), names)
    classifier.origin = _filled(path, layout, weights, beside, classifier, labels=True)
    return classifier


def _read(path: Path) -> tuple[dict[str, Tensor], list[str], Layout]:
    weights, beside = read_weights(path)
    layout = layout_of(weights.keys())
    if layout is None:
        raise UsageError(f"{path} holds another network ({_listed(sorted(weights))}); known are {NETWORKS}")
    return weights, beside, layout


def _require(path: Path, layout: Layout, weights: Mapping[str, Tensor], kind: str, what: str) -> None:
    """Refuse a file without a head for labels, or with a part of one."""
    if layout.kind != kind or not layout.labels.keys() & weights.keys():
        raise UsageError(f"{path} holds the {layout.what}, without {what}; load_encoder takes it as an encoder")
    _check_keys(path, layout, weights, labels=True)


def _check_keys(path: Path, layout: Layout, weights: Mapping[str, Tensor], labels: bool) -> None:
    names = weights.keys()
    problems = {
        "missing": sorted(layout.required(names, labels) - names),
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


def _encoder_arguments(layout: Layout, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the encoder is built with, as wide as the weights."""
    if layout.width_key is None:
        return {"name": "resnet50"}
    crosspoint = layout.kind == "dgcnn" and f"{HEAD}0.weight" in weights
    return {"k": CROSSPOINT_K if crosspoint else layout.k, "emb_dims": _rows(weights[layout.width_key])}


def _config(layout: Layout, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config of a tower as wide as the weights."""
    encoder = _encoder_arguments(layout, weights)
    emb_dims = encoder.get("emb_dims", 2048)
    hidden, out = weights.get(f"{HEAD}0.weight"), weights.get(f"{HEAD}3.weight")
    head = None
    if hidden is not None and out is not None:
        widths = {
            "in_dims": 2 * emb_dims if layout.kind == "dgcnn" else emb_dims,
            "hidden_dims": _rows(hidden),
            "out_dims": _rows(out),
        }
        head = widths | {"bias": f"{HEAD}0.bias" in weights}
    return {"kind": layout.kind, "encoder": encoder, "head": head}


def _rows(weight: Tensor) -> int:
    return len(weight) if weight.ndim and weight.numel() else 1


def _columns(weight: Tensor) -> int:
    return weight.shape[1] if weight.ndim > 1 and weight.numel() else 1


def _filled(
    path: Path, layout: Layout, weights: Mapping[str, Tensor], beside: Sequence[str], network: nn.Module, labels: bool
) -> dict[str, Any]:
    """Load the weights by the network's names, in its shapes (convolutions over one place are matrices) and types.

    Returns:
        Where they came from.
    """
    second = {first: second for second, first in layout.twins.items()}
    wanted = layout.wanted(weights.keys(), labels)
    names = {ours: name if name in weights else second[name] for name, ours in wanted.items()}
    fitted: dict[str, Tensor] = {}
    wrong = []
    for ours, like in network.state_dict().items():
        value = weights[names[ours]]
        if value.shape == (*like.shape, *(1,) * (value.ndim - like.ndim)):
            fitted[ours] = value.reshape(like.shape).to(like.dtype, copy=True)
        else:
            wrong.append(f"{names[ours]} {tuple(value.shape)} instead of {tuple(like.shape)}")
    if wrong:
        raise UsageError(f"{path} does not hold the {layout.what} as published; of another shape: {_listed(wrong)}")
    network.load_state_dict(fitted, assign=True)
    network.eval()
    return {
        "file": path.name,
        "sha256": file_sha256(path),
        "layout": layout.what,
        "keys_not_needed": sorted(weights.keys() - layout.required(weights.keys(), labels)) + list(beside),
    }


def _listed(names: Sequence[str], most: int = 40) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
