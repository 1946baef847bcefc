"""One frozen dataclass a verb: every option, its default and one line of help.

Imports neither torch nor the command-line library. The string under a field is its help text.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Protocol = Literal["clean", "paper"]
MOST_POINTS_BY_DEFAULT = 1024


class UsageError(ValueError):
    """The caller asked for something that cannot be: exit code 2. Names the argument, the value and a remedy."""


class RunError(RuntimeError):
    """A run could not be finished, its arguments being right: exit code 1. Says what is kept and how to go on."""


@dataclass(frozen=True)
class PrepareConfig:
    """Turn a folder of meshes or scans into a ShapeTable: sampled points and rendered views, one row a shape."""

    source: str = field(metadata={"positional": True})
    """A folder, a text file listing one path a line, or procedural:COUNT[:SEED]."""
    out: Path
    """Table to create or to go on with."""
    points: int = 2048
    """Points sampled from each surface."""
    views: int = 12
    """Pictures rendered of each shape."""
    image_size: int = 224
    """Width and height of a picture in pixels."""
    supersample: Literal[1, 2, 3] = 2
    """Samples a pixel, along each side."""
    up: Literal["x", "y", "z"] = "y"
    """Axis that points up in the files (glTF always says y)."""
    labels: Path | None = None
    """CSV with the columns path, category and split (the last two optional); paths relative to SOURCE."""
    workers: int = 0
    """Processes; 0 means one a core."""
    seed: int = 0
    """Decides points, cameras and procedural shapes."""
    retry_failed: bool = False
    """Try shapes again that failed in an earlier run."""


@dataclass(frozen=True)
class PretrainConfig:
    """Train a point encoder and an image encoder without labels (CrossPoint)."""

    data: tuple[Path, ...]
    """Tables made by prepare."""
    out: Path
    """Run folder to create."""
    recipe: Literal["default", "paper"] = "default"
    """Augmentations and default values: paper is the published set, default a milder one."""
    weights: tuple[float, ...] = ()
    """Share of each table in a batch, in the order of --data; empty means by size."""
    encoder: Literal["dgcnn", "pointnet", "dgcnn-partseg"] = "dgcnn"
    """Point encoder; dgcnn-partseg is the trunk of the part segmentation network (published with k = 40)."""
    emb_dims: int = 1024
    """Width of the point encoder's last layer; DGCNN's features are twice as wide."""
    width: float = 1.0
    """Multiplies the widths of DGCNN's four edge convolutions (64, 64, 128, 256)."""
    k: int = 20
    """Neighbours in DGCNN's graphs."""
    image_encoder: str = "resnet50"
    """resnet18, resnet34, resnet50 or timm:NAME (extra timm)."""
    image_size: int = 224
    """Pictures are resized to this many pixels."""
    projection_dims: int = 256
    """Width of the joint space."""
    intra_weight: float = 1.0
    """Weight of IMID, the agreement of a cloud with itself; 0 leaves CMID only."""
    cross_weight: float = 1.0
    """Weight of CMID, the agreement of clouds with pictures; 0 leaves IMID only."""
    temperature: float = 0.1
    """Temperature of the contrastive losses."""
    points: int = 0
    """Points of each cloud, drawn anew at every step; 0 means 1,024, or all where a table holds fewer."""
    epochs: int = 100
    """Passes over the data."""
    max_steps: int | None = None
    """Stop the schedule after this many steps; none means epochs decide."""
    batch_size: int = 32
    """Shapes a step."""
    chunk: int = 0
    """Shapes in the networks at once: less memory, each chunk with batch statistics of its own; 0 means the batch."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    """Adam adds weight decay to the gradient, AdamW applies it to the weights."""
    lr: float = 1e-3
    """Peak learning rate."""
    weight_decay: float = 1e-4
    """Weight decay."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises from zero."""
    grad_clip: float = 5.0
    """Largest gradient norm; 0 switches clipping off."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs the networks under autocast; neighbours, edges and the loss stay float32."""
    compile: bool = False
    """Compile the image encoder with torch.compile: a slow start, faster steps; needs a C++ compiler."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    log_every: int = 0
    """Steps between lines of metrics.jsonl; 0 means every step in runs under 1,000 steps, else every 20."""
    workers: int = 0
    """Processes that read data; 0 reads in threads of the main process."""
    device: Device = "auto"
    """Where to train; auto takes CUDA or MPS when present."""
    threads: int = 0
    """CPU threads; 0 leaves torch's choice."""
    seed: int = 0
    """Decides weights, order, views and augmentations."""
    resume: bool = False
    """Go on from the run folder's checkpoint."""


# In Python, `PretrainConfig(data=..., out=..., **RECIPES["paper"])` is what `--recipe paper` gives.
# What `--recipe NAME` changes before the config file and the flags are read. The published values: Adam, weight decay
# 1e-6, batch 20, k = 15, 2,048 points, 100 epochs, cosine without warm-up or clipping (arXiv 2203.00680 and its code).
RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "recipe": "paper",
        "k": 15,
        "points": 2048,
        "batch_size": 20,
        "optimizer": "adam",
        "weight_decay": 1e-6,
        "warmup": 0.0,
        "grad_clip": 0.0,
    },
}


@dataclass(frozen=True)
class EvaluateConfig:
    """What every evaluation needs."""

    encoder: str
    """Run or encoder folder, published .pth, onnx:FILE, module:function, or random:dgcnn, :pointnet, :dgcnn-partseg."""
    data: str
    """A table, modelnet40:DIR (or 10), scanobjectnn:DIR[:VARIANT], clouds:TRAIN.h5,TEST.h5, procedural:COUNT[:SEED]."""
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


@dataclass(frozen=True)
class LinearConfig(EvaluateConfig):
    """Linear SVM on frozen features: train on the train split, score on the test split."""


@dataclass(frozen=True)
class FewShotConfig(EvaluateConfig):
    """Linear SVM on frozen features of a few labelled shapes a category, over random episodes."""

    n_way: int = 5
    """Categories an episode."""
    k_shot: int = 10
    """Labelled shapes a category."""
    n_query: int = 20
    """Test shapes a category."""
    episodes: int = 10
    """Episodes a seed."""


@dataclass(frozen=True)
class RetrievalConfig(EvaluateConfig):
    """Picture to shape and shape to picture search among the shapes of the test split."""

    views: int = 1
    """Pictures of each shape that are used as queries (the first ones of its row)."""


@dataclass(frozen=True)
class ConvertConfig:
    """Turn published weights (CrossPoint, STRL, DGCNN) into an encoder folder."""

    weights: Path = field(metadata={"positional": True})
    """A .pth, .pt, .ckpt, .t7 or .safetensors file with the published names; nothing in it is unpickled."""
    out: Path = field(metadata={"positional": True})
    """Encoder folder to create."""
    k: int | None = None
    """Neighbours in DGCNN's graphs, which the file does not record; by default as usual for the network."""


@dataclass(frozen=True)
class ReportConfig:
    """Write one self-contained HTML page about a run."""

    run: Path = field(metadata={"positional": True})
    """Run folder."""
    out: Path | None = None
    """HTML file; by default RUN/report.html."""
    shapes: int = 400
    """Shapes on the embedding map."""
    device: Device = "auto"
    """Where to compute features."""
    seed: int = 0
    """Decides which shapes are shown, and the map."""


@dataclass(frozen=True)
class DemoConfig:
    """Procedural shapes, prepare, pretrain, evaluate, report: the whole job in about five minutes on two cores."""

    out: Path = Path("demo-run")
    """Folder for the table, the run and the report."""
    shapes: int = 1200
    """Procedural shapes; a fifth is held out."""
    max_steps: int = 250
    """Training steps."""
    workers: int = 0
    """Processes that prepare shapes; 0 means one a core."""
    device: Device = "auto"
    """Where to train."""
    seed: int = 0
    """Decides everything."""
