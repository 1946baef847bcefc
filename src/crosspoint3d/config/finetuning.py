"""Options of `finetune segment`, `finetune classify`, `segment` and `classify`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from crosspoint3d.config.common import Device, Protocol


@dataclass(frozen=True)
class FinetuneConfig:
    """What both kinds of fine-tuning need."""

    encoder: str
    """Run or encoder folder, published .pth, or random:NAME with a name that pretrain's --encoder takes."""
    data: str
    """Labelled data: a table, a published data set's folder such as shapenetpart:DIR, or procedural:COUNT[:SEED]."""
    out: Path
    """Run folder to create."""
    mode: Literal["full", "frozen", "scratch"] = "full"
    """full trains encoder and head, frozen the head alone, scratch the same network from fresh weights."""
    head: Literal["auto", "linear", "light", "published"] = "auto"
    """Head on the features; auto is linear when frozen, published for the networks that have one, else light."""
    labels: float = 1.0
    """Share of the train shapes whose labels are used, stratified by category, one each at least."""
    protocol: Protocol = "clean"
    """clean picks the epoch on the validation split and reads test once; paper picks the best test epoch."""
    seeds: int = 1
    """Trainings with seeds 0 to this number less one; scores are their mean."""
    epochs: int = 100
    """Passes over the labelled shapes in whole batches: what a pass leaves over is not seen in it, as published."""
    min_steps: int = 0
    """Steps at least: with few labels an epoch is a few steps, and passes are added until there are so many."""
    batch_size: int = 16
    """Shapes a step."""
    points: int = 0
    """Points of each cloud, drawn anew at every step; 0 means 1,024, or all where the data holds fewer."""
    k: int | None = None
    """Neighbours in DGCNN's graphs; by default as trained."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """SGD with momentum 0.9, or AdamW."""
    lr: float = 1e-3
    """Peak learning rate; --layer-decay lowers the encoder's (published: 0.1 with SGD)."""
    layer_decay: float = 1.0
    """Factor on the learning rate from one layer of the encoder to the one before it; 1 trains all alike."""
    weight_decay: float = 1e-4
    """Weight decay."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises from zero; then half a cosine."""
    final_lr: float = 0.0
    """Share of the peak learning rate that the cosine ends at (published: 0.01)."""
    label_smoothing: float = 0.2
    """Probability mass spread over the other labels."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced weighs labels by the inverse root of their frequency in the labelled shapes."""
    augment: Literal["none", "shift", "turn"] = "shift"
    """shift stretches (2/3 to 3/2 an axis) and moves (0.2), as DGCNN; turn also rotates about y and jitters."""
    votes: int = 1
    """Stretched copies of a test cloud whose probabilities are averaged (1: the cloud as it is; usual: 10)."""
    validate_every: int = 1
    """Epochs between validations."""
    grad_clip: float = 5.0
    """Largest gradient norm; 0 switches clipping off."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs the networks under autocast; neighbours, edges and the loss stay float32."""
    device: Device = "auto"
    """Where to train; auto takes CUDA or MPS when present."""
    threads: int = 0
    """CPU threads; 0 leaves torch's choice."""
    resume: bool = False
    """Go on from the run folder's checkpoint."""


@dataclass(frozen=True)
class FinetuneSegmentConfig(FinetuneConfig):
    """Train part labels on points from a pre-trained encoder, and measure them (instance and class mIoU)."""

    loss_over: Literal["all", "category"] = "all"
    """Parts that compete in the loss: all (published; better with few labels), or those of the shape's category."""
    categories: tuple[str, ...] = ()
    """Categories to take from the data; by default all."""


@dataclass(frozen=True)
class FinetuneClassifyConfig(FinetuneConfig):
    """Train categories of shapes from a pre-trained encoder, and measure them (accuracy, calibration)."""


@dataclass(frozen=True)
class UseConfig:
    """What both verbs that label shapes need."""

    model: str = field(metadata={"positional": True})
    """Run folder of finetune, the folder of a trained network, or published weights."""
    shapes: tuple[str, ...] = field(metadata={"positional": True})
    """Files, folders, tables, shapenetpart:DIR or procedural:COUNT[:SEED]."""
    out: Path
    """Folder to create, or to go on with."""
    points: int = 0
    """Points of each cloud; 0 means as trained."""
    up: Literal["x", "y", "z"] = "y"
    """Axis that points up in the files (glTF always says y)."""
    k: int | None = None
    """Neighbours in DGCNN's graphs; by default as trained."""
    votes: int = 1
    """Stretched copies of a cloud whose probabilities are averaged."""
    batch_size: int = 16
    """Clouds a forward pass."""
    seed: int = 0
    """Decides the points that are sampled."""
    device: Device = "auto"
    """Where to compute."""
    resume: bool = False
    """Keep what an earlier run wrote and label only the shapes it did not reach."""


@dataclass(frozen=True)
class SegmentConfig(UseConfig):
    """Label the parts of shapes: coloured PLY and PNG, labels of points as NPZ, and of a mesh's faces."""

    category: str = ""
    """Category of all shapes; by default each one's own (table, folder name), else the one that fits best."""
    draws: int = 4
    """Clouds sampled from a mesh, or taken from a large cloud, at most; fewer where they already cover it."""
    smooth: int = 1
    """Rounds in which the faces of a mesh agree with those across their edges; 0 for none."""
    pictures: bool = True
    """Write a PNG of each shape, and a page of all."""


@dataclass(frozen=True)
class ClassifyConfig(UseConfig):
    """Name the categories of shapes: a CSV of classes and probabilities, and a calibration figure."""

    top: int = 3
    """Classes listed for each shape."""


@dataclass(frozen=True)
class SegmentationConfig:
    """Measure a trained part segmentation network on labelled shapes: instance and class mIoU."""

    model: str
    """Run folder of finetune segment, the folder of a trained network, or published weights with conv7 to conv11."""
    data: str
    """shapenetpart:DIR (any set in its layouts), a table with parts, or procedural:COUNT[:SEED]."""
    out: Path | None = None
    """Folder for result.json; by default RUN/evaluation/segmentation, and nothing is written for bare weights."""
    protocol: Protocol = "clean"
    """clean answers with parts of the shape's category only; paper with any part."""
    split: Literal["test", "val", "train"] = "test"
    """Shapes to score."""
    categories: tuple[str, ...] = ()
    """Categories to take from the data; by default all."""
    seeds: int = 1
    """Seeds 0 to this number less one: point subset and voting."""
    points: int = 0
    """Points of each cloud; 0 means as trained, or 2,048 for published weights."""
    k: int | None = None
    """Neighbours in DGCNN's graphs; by default as trained."""
    votes: int = 1
    """Stretched copies of a cloud whose probabilities are averaged."""
    batch_size: int = 16
    """Clouds a forward pass."""
    device: Device = "auto"
    """Where to compute."""
