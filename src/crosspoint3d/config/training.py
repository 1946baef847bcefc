"""Options of `prepare` and `pretrain`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from crosspoint3d.config.common import Device


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
    depth: bool = False
    """Keep a depth picture beside every view (for pretrain --pictures depth)."""
    part_labels: str = "auto"
    """Labels of faces or points: auto takes what is found, required refuses shapes without, none; or their folder."""
    parts: Path | None = None
    """YAML or JSON, for each category its parts: [name of label 0, name of label 1, ...] or {label: name}."""
    workers: int = 0
    """Processes; 0 means one a core (of the Ray cluster, where an address is given)."""
    engine: Literal["pool", "ray"] = "pool"
    """What makes rows: processes of this machine, or Ray (extra ray), on this machine or a cluster; the same table."""
    address: str = ""
    """Ray cluster to use: auto, HOST:PORT or ray://HOST:10001; empty starts one on this machine for this run."""
    seed: int = 0
    """Decides points, cameras and procedural shapes."""
    retry_failed: bool = False
    """Try shapes again that failed in an earlier run."""
    drop_duplicates: bool = False
    """Refuse shapes with exactly the geometry of one before; otherwise they are kept and counted."""


@dataclass(frozen=True)
class PretrainConfig:
    """Train a point encoder and an image encoder without labels (CrossPoint)."""

    data: tuple[Path, ...]
    """Tables made by prepare."""
    out: Path
    """Run folder to create."""
    recipe: Literal["default", "paper"] = "default"
    """Augmentations and default values: paper is the published set, default a milder one."""
    augmentation: Literal["recipe", "default", "paper", "none"] = "recipe"
    """Augmentations apart from the other values of --recipe; none leaves the random choice of points and view."""
    without: tuple[str, ...] = ()
    """Augmentations left out: scale, turn, translate, jitter, drop of clouds; crop, colour, grey, flip of pictures."""
    weights: tuple[float, ...] = ()
    """Share of each table in a batch, in the order of --data; empty means by size."""
    consecutive: int = 1
    """Neighbouring rows of a table that are drawn together: 16 reads far less often, from batches less mixed."""
    exclude: Path | None = None
    """Text file of shape ids, one a line, that are not trained on (near-duplicates of shapes to be tested)."""
    encoder: Literal["dgcnn", "pointnet", "dgcnn-partseg", "pointnet-partseg", "transformer"] = "dgcnn"
    """Point encoder; the -partseg ones are trunks of part segmentation networks (DGCNN's published with k = 40)."""
    emb_dims: int = 1024
    """Width of the point encoder's last layer (pointnet-partseg's paper: 2048); DGCNN's features are twice as wide."""
    width: float = 1.0
    """Multiplies the widths of DGCNN's four edge convolutions (64, 64, 128, 256), or the transformer's (384)."""
    k: int = 20
    """Neighbours in DGCNN's graphs."""
    patches: int = 64
    """Patches of the transformer, spread by farthest point sampling."""
    patch_points: int = 32
    """Points of each of the transformer's patches, the nearest to its centre."""
    depth: int = 12
    """Blocks of the transformer."""
    heads: int = 6
    """Heads of the transformer's attention."""
    image_encoder: str = "resnet50"
    """resnet18, resnet34, resnet50 or timm:NAME (extra timm)."""
    image_weights: str = "scratch"
    """scratch, pretrained (timm's own), or weights to begin with: a run, an image encoder's folder, a ResNet's file."""
    freeze_images: bool = False
    """Leave the image encoder as it begins; its projection head learns."""
    pictures: Literal["colour", "grey", "depth"] = "colour"
    """What the image encoder sees; depth needs tables made with prepare --depth."""
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
    learn_temperature: bool = False
    """Learn it as a weight, one for both losses, from --temperature on and never below 0.01."""
    views: int = 1
    """Pictures of each shape in a step."""
    view_loss: Literal["mean", "multi-positive"] = "mean"
    """Of several pictures: CMID with the mean of their projections, or with each of them as a positive."""
    queue: int = 0
    """Shapes of the last steps whose projections are further negatives of both losses; 0 means none."""
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
    accumulate: int = 1
    """The same by number: the batch goes through the networks in this many equal parts, instead of --chunk."""
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
    tensorboard: bool = False
    """Mirror metrics.jsonl to event files in RUN/tensorboard (extra tensorboard)."""
    wandb: str = ""
    """Mirror metrics.jsonl to this Weights & Biases project (extra wandb; WANDB_MODE=offline keeps it on this disk)."""
    probe_every: int = 0
    """Epochs between probes on a tenth of the train shapes, which is then not trained on; 0 means none."""
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

    @property
    def augmented_by(self) -> Literal["default", "paper", "none"]:
        """The set of augmentations: that of the recipe, unless `augmentation` names another."""
        return self.recipe if self.augmentation == "recipe" else self.augmentation

    def at_once(self, share: int) -> int:
        """Shapes in the networks at once, of `share` shapes that one process has of a batch."""
        return self.chunk or share // self.accumulate


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
