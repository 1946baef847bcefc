"""Options of `evaluate VERB`; what every evaluation needs stands in `EvaluateConfig`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from crosspoint3d.config.common import Device, Protocol


@dataclass(frozen=True)
class EvaluateConfig:
    """What every evaluation needs."""

    encoder: str
    """Run or encoder folder, published .pth, onnx:FILE, module:function, or random:NAME (pretrain's --encoder)."""
    data: str
    """Table, modelnet40:DIR (or 10), scanobjectnn:DIR[:VARIANT], clouds:A.h5,B.h5, procedural:COUNT, images:DIR."""
    out: Path | None = None
    """Folder for result.json; by default RUN/evaluation/NAME, and nothing is written for a bare encoder."""
    protocol: Protocol = "clean"
    """clean chooses everything on the training split; paper repeats the published procedure."""
    seeds: int = 5
    """Seeds 0 to this number less one: point subset, folds, episodes, a drawn split, untrained weights."""
    points: int = 0
    """Points of each cloud; 0 means 1,024, or all where the data holds fewer."""
    k: int | None = None
    """Neighbours in DGCNN's graphs; by default as trained."""
    device: Device = "auto"
    """Where to compute features."""
    batch_size: int = 32
    """Clouds a forward pass."""
    limit: float = 1.0
    """Share of the shapes to use, stratified by category."""
    cache: bool = True
    """Read and keep features of clouds in $CROSSPOINT3D_CACHE, or ~/.cache/crosspoint3d/features."""
    untrained: bool = True
    """Score the same network with fresh weights beside it."""


@dataclass(frozen=True)
class LinearConfig(EvaluateConfig):
    """Linear SVM on frozen features: train on the train split, score on the test split."""


@dataclass(frozen=True)
class KnnConfig(EvaluateConfig):
    """Nearest neighbours on frozen features: a vote of the most similar train shapes."""

    neighbours: int = 0
    """Train shapes that vote; 0 chooses on the train split (clean) or takes 20 (paper)."""


@dataclass(frozen=True)
class FewShotConfig(EvaluateConfig):
    """A classifier on frozen features of a few labelled shapes (or pictures) a category, over random episodes."""

    n_way: int = 5
    """Categories an episode."""
    k_shot: int = 10
    """Labelled shapes a category."""
    n_query: int = 20
    """Shapes a category to classify."""
    episodes: int = 10
    """Episodes a seed."""
    classifier: Literal["svm", "prototype", "logistic"] = "svm"
    """svm as published; prototype is the nearest category mean; logistic is logistic regression."""
    queries: Literal["auto", "train", "test"] = "auto"
    """Split that the queries come from; auto is test (clean) or train (paper), never a shape of the support."""


@dataclass(frozen=True)
class RetrievalConfig(EvaluateConfig):
    """Search among the shapes of the test split: shape to shape, picture to shape, shape to picture."""

    search: Literal["all", "shapes", "pictures"] = "all"
    """shapes is shape to shape by category, pictures is between pictures and shapes; all is what the data allows."""
    views: int = 1
    """Pictures of each shape that are used as queries (the first ones of its row)."""


@dataclass(frozen=True)
class LabelFractionConfig(EvaluateConfig):
    """Linear SVM on frozen features when only a share of the train shapes is labelled."""

    fractions: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    """Shares of the train shapes, within each category (one shape at least)."""


@dataclass(frozen=True)
class ClusterConfig(EvaluateConfig):
    """k-means on frozen features of the test split, against the categories."""

    clusters: int = 0
    """Clusters to look for; 0 means as many as there are categories."""


@dataclass(frozen=True)
class RobustnessConfig(EvaluateConfig):
    """Linear SVM trained on clean clouds, scored on damaged and turned ones."""

    corruptions: tuple[str, ...] = ()
    """Which ones (rotate_z, so3, jitter, drop, fewer, partial, scale, outliers), or none; empty means all."""
    test_shapes: int = 0
    """Test shapes to use, stratified by category; 0 means all."""
    transfer: tuple[str, ...] = ()
    """Other data with the same categories whose test split is scored too, such as scanobjectnn:DIR:PB_T50_RS."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """Several encoders by several evaluations, from a YAML file, in one table with paired tests."""

    file: Path = field(metadata={"positional": True})
    """YAML file: data, encoders and evaluations."""
    out: Path
    """Folder for the table (CSV, HTML, JSON) and for every result; results that are there already are kept."""
    device: Device = "auto"
    """Where to compute features."""
    batch_size: int = 32
    """Clouds a forward pass."""
    cache: bool = True
    """Read and keep features of clouds in $CROSSPOINT3D_CACHE, or ~/.cache/crosspoint3d/features."""


@dataclass(frozen=True)
class RepeatConfig:
    """Run an evaluation again from its result.json and compare every score."""

    result: Path = field(metadata={"positional": True})
    """A result.json, or the folder it is in."""
    encoder: str = ""
    """Where the encoder, or the model of segmentation, lies now; by default where the record says."""
    data: str = ""
    """Where the data lies now; by default where the record says."""
    out: Path | None = None
    """Folder for the new result.json; by default `repeated` beside the old one."""
    device: Literal["", "auto", "cpu", "cuda", "mps"] = ""
    """Where to compute features; by default as recorded."""
    cache: bool = False
    """Read and keep features in the cache; a repetition computes them anew unless told otherwise."""
    tolerance: float = 1e-6
    """Largest difference of a score that still counts as repeated."""
