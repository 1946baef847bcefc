"""The keys of published weights: which network a file holds, what each key is called here, and which are not needed.

CrossPoint (arXiv 2203.00680), STRL (arXiv 2109.00179) and the PyTorch DGCNN that both train share their names. A
BatchNorm appears there twice, by a name of its own (`bn1`) and inside the layer (`conv1.1`): twins, the same tensors.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass

import torch

from crosspoint3d.models.resnet import ResNet

HEAD = "inv_head."
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Layout:
    """A published network.

    Attributes:
        what: its name in messages.
        kind: of the encoder, as in config.json.
        keys: published key -> key of our encoder.
        labels: published key -> key of our head for labels (`PartHead`, `ClassHead`), which an encoder does not need.
        twins: second name of a tensor -> its first name, which is in `keys` or in `labels`.
        width_key: the weight whose first axis is the encoder's `emb_dims`; None where the width is fixed.
        k: neighbours in the graphs of the published network; None where there are none.
    """

    what: str
    kind: str
    keys: Mapping[str, str]
    labels: Mapping[str, str]
    twins: Mapping[str, str]
    width_key: str | None
    k: int | None

    def known(self, names: Set[str]) -> frozenset[str]:
        """Which of these keys such a file may hold."""
        known = self.labels.keys() | self.keys.keys() | self.twins.keys() | head_keys(names).keys()
        return frozenset(names & known)

    def wanted(self, names: Set[str], labels: bool) -> dict[str, str]:
        """Published key -> key of our network: the encoder and its head, for labels or for projections."""
        head = self.labels if labels else head_keys(names)
        keys = {name: f"encoder.{ours}" for name, ours in self.keys.items()}
        return keys | {name: f"head.{ours}" for name, ours in head.items()}

    def required(self, names: Set[str], labels: bool = False) -> frozenset[str]:
        """The keys that a file with these keys must hold: of twins both, or one side throughout.

        Args:
            names: the file's keys.
            labels: the head for labels is wanted, not that for projections.
        """
        required = set(self.wanted(names, labels))
        first = {name for name in self.twins.values() if name in required}
        second = {name for name, other in self.twins.items() if other in required}
        if second & names:
            required |= second
            if not first & names:
                required -= first
        return frozenset(required)


def head_keys(names: Set[str]) -> dict[str, str]:
    """Published key -> key of `ProjectionHead`, with biases where the file has any; empty without a head."""
    if not any(name.startswith(HEAD) for name in names):
        return {}
    keys = _renamed({f"{HEAD}0": "linear1", f"{HEAD}3": "linear2"}, {f"{HEAD}1": "norm"})
    biases = {f"{HEAD}0.bias": "linear1.bias", f"{HEAD}3.bias": "linear2.bias"}
    return keys | biases if biases.keys() & names else keys


def layout_of(names: Set[str]) -> Layout | None:
    """The network that these keys fit best, fewest missing and unknown; None when there is none of its keys."""
    candidates = [_classification(), _part_segmentation(), _image()]
    best = min(candidates, key=lambda layout: len(layout.required(names) - names) + len(names - layout.known(names)))
    return best if any(not name.startswith(HEAD) for name in best.known(names)) else None


def _named(module: str, ours: str) -> dict[str, str]:
    return {f"{module}.{name}": f"{ours}.{name}" for name in NORM}


def _renamed(weights: Mapping[str, str], norms: Mapping[str, str]) -> dict[str, str]:
    keys = {f"{module}.weight": f"{ours}.weight" for module, ours in weights.items()}
    for module, ours in norms.items():
        keys |= _named(module, ours)
    return keys


def _twins(modules: Mapping[str, str]) -> dict[str, str]:
    return _renamed({}, modules)


def _classification() -> Layout:
    return Layout(
        what="DGCNN classification trunk",
        kind="dgcnn",
        keys=_renamed(
            {f"conv{i}.0": f"conv{i}" for i in range(1, 5)} | {"conv5.0": "conv5.linear"},
            {f"conv{i}.1": f"conv{i}.norm" for i in range(1, 6)},
        ),
        labels=_renamed(
            {"linear1": "hidden.0.linear", "linear2": "hidden.1.linear", "linear3": "last"},
            {"bn6": "hidden.0.norm", "bn7": "hidden.1.norm"},
        )
        | {"linear2.bias": "hidden.1.linear.bias", "linear3.bias": "last.bias"},
        twins=_twins({f"bn{i}": f"conv{i}.1" for i in range(1, 6)}),
        width_key="conv5.0.weight",
        k=20,
    )


def _part_segmentation() -> Layout:
    """Its `transform_net.bn3` and `bn4` are no twins: they follow linear layers, and `conv3.1` has no second name."""
    weights = {
        "transform_net.conv1.0": "transform.edges.first",
        "transform_net.conv2.0": "transform.edges",
        "transform_net.conv3.0": "transform.points.linear",
        "transform_net.linear1": "transform.cloud.0.linear",
        "transform_net.linear2": "transform.cloud.1.linear",
        "transform_net.transform": "transform.matrix",
        "conv1.0": "conv1.first",
        "conv2.0": "conv1",
        "conv3.0": "conv2.first",
        "conv4.0": "conv2",
        "conv5.0": "conv3",
        "conv6.0": "conv4.linear",
    }
    norms = {
        "transform_net.conv1.1": "transform.edges.first.norm",
        "transform_net.conv2.1": "transform.edges.norm",
        "transform_net.conv3.1": "transform.points.norm",
        "transform_net.bn3": "transform.cloud.0.norm",
        "transform_net.bn4": "transform.cloud.1.norm",
        "conv1.1": "conv1.first.norm",
        "conv2.1": "conv1.norm",
        "conv3.1": "conv2.first.norm",
        "conv4.1": "conv2.norm",
        "conv5.1": "conv3.norm",
        "conv6.1": "conv4.norm",
    }
    labels = _renamed(
        {"conv7.0": "category.linear", "conv8.0": "first", "conv9.0": "hidden.0.linear", "conv10.0": "hidden.1.linear"},
        {"conv7.1": "category.norm", "conv8.1": "norm", "conv9.1": "hidden.0.norm", "conv10.1": "hidden.1.norm"},
    ) | {"conv11.weight": "last.weight"}
    twins = {f"bn{i}": f"conv{i}.1" for i in range(1, 11)}
    twins |= {f"transform_net.bn{i}": f"transform_net.conv{i}.1" for i in (1, 2)}
    return Layout(
        what="DGCNN part segmentation network",
        kind="dgcnn-partseg",
        keys=_renamed(weights, norms) | {"transform_net.transform.bias": "transform.matrix.bias"},
        labels=labels,
        twins=_twins(twins),
        width_key="conv6.0.weight",
        k=40,
    )


def _image() -> Layout:
    with torch.device("meta"):
        names = ResNet("resnet50").state_dict()
    return Layout(
        what="CrossPoint image branch (ResNet-50)",
        kind="image",
        keys={f"resnet.{name}": name for name in names},
        labels={},
        twins={},
        width_key=None,
        k=None,
    )
