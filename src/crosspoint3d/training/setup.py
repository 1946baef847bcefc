"""What a pre-training run is built from, with every option checked first."""

import torch
from torch import nn

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.data.order import DrawOrder
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.models.crosspoint import CrossPoint, build_crosspoint
from crosspoint3d.models.tower import Tower
from crosspoint3d.ops.across import processes
from crosspoint3d.ops.synchronised import synchronise
from crosspoint3d.training.excluded import training_rows
from crosspoint3d.training.grad_cache import chunk_sizes
from crosspoint3d.training.probes import split_rows
from crosspoint3d.training.trackers import check_trackers


def build_model(config: PretrainConfig, device: torch.device) -> CrossPoint:
    """The model of a config on a device, ready to train; `config.compile` compiles its image encoder.

    Raises:
        UsageError: the image encoder's name is unknown, or it cannot be compiled or synchronised here.
    """
    model = build_crosspoint(config).to(device).train()
    if processes() > 1:
        synchronise(model)
    if config.compile and config.cross_weight:
        _compile_images(config, model.image_tower, device)
    return model


def _compile_images(config: PretrainConfig, tower: Tower, device: torch.device) -> None:
    """Compile the encoder in place, so that its keys stay, and try it on a batch as it will come."""
    encoder = tower.encoder
    buffers = [buffer.clone() for buffer in encoder.buffers()]
    size = chunk_sizes(config.batch_size // processes(), config.chunk)[0]
    pictures = torch.zeros(size, 3, config.image_size, config.image_size, device=device)
    if device.type == "cuda":
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    try:
        encoder.compile()
        with torch.random.fork_rng(devices=[]):
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                features = encoder(pictures)
            torch.autograd.backward(features.sum())
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"--compile: torch.compile failed on {config.image_encoder} ({type(error).__name__}: {reason}); "
            "install a C++ compiler (and Python's headers), or leave --compile out"
        ) from error
    encoder.zero_grad(set_to_none=True)
    with torch.no_grad():
        for buffer, before in zip(encoder.buffers(), buffers, strict=True):
            buffer.copy_(before)


def build_optimizer(config: PretrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Adam (decay added to the gradient, as published) or AdamW over all weights, as one kernel where there is one."""
    optimizer = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    return optimizer(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=fused or None)


def draw_order(config: PretrainConfig, tables: list[ShapeTable]) -> DrawOrder:
    """The order in which the training rows of the tables are seen: status ok, split train or none, not excluded.

    With `probe_every` the shapes that probes look at are left out.

    Raises:
        UsageError: a table has no such row or too few points, or the batch is larger than all of them.
    """
    if config.encoder.startswith("dgcnn") and config.k > config.points:
        raise UsageError(f"--k {config.k} is more than --points {config.points}")
    rows = training_rows(tables, config.exclude)
    if config.probe_every:
        rows, _ = split_rows(tables, rows, config.seed)
    for path, mine, table in zip(config.data, rows, tables, strict=True):
        if not len(mine):
            raise UsageError(f"--data {path}: none to train on: status ok, split train or empty, not in --exclude")
        if config.points > table.points:
            raise UsageError(f"--points {config.points}: the table {path} holds {table.points} points a shape")
    for name in ("points", "image_size"):
        sizes = {table.settings.get(name) for table in tables}
        if len(sizes) > 1:
            flag = name.replace("_", "-")
            raise UsageError(f"--data: the tables were prepared with different --{flag} {sizes}; prepare them with one")
    if config.weights and len(config.weights) != len(tables):
        raise UsageError(f"--weights has {len(config.weights)} numbers for {len(tables)} tables: give one a table")
    order = DrawOrder(rows, config.batch_size, config.weights, config.seed)
    if not order.steps:
        shapes = sum(len(mine) for mine in rows)
        raise UsageError(f"--batch-size {config.batch_size} is more than the {shapes} shapes to train on")
    return order


def validate(config: PretrainConfig, world: int = 1) -> None:
    """Refuse values that cannot work in `world` processes before anything is written.

    Raises:
        UsageError: names the option, its value and what would work.
    """
    least = {
        "batch_size": 2,
        "epochs": 1,
        "k": 1,
        "points": 0,
        "image_size": 16,
        "emb_dims": 1,
        "projection_dims": 1,
    }
    least |= dict.fromkeys(
        ("grad_clip", "weight_decay", "warmup", "workers", "threads", "seed", "log_every", "probe_every"), 0
    )
    require_at_least(config, least | {"max_steps": 1})
    share = config.batch_size // world
    if config.batch_size % world or share < 2:
        raise UsageError(
            f"--batch-size {config.batch_size} is that of all {world} processes: give a multiple of {world}, "
            f"at least {2 * world}"
        )
    if config.chunk and not 2 <= config.chunk <= share:
        whose = f"--batch-size {config.batch_size}" if world == 1 else f"each process's share of the batch, {share}"
        raise UsageError(f"--chunk {config.chunk}: give 0 (the whole batch) or 2 to {whose}")
    for name in ("temperature", "lr", "width", "checkpoint_every"):
        if not getattr(config, name) > 0:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: must be above 0")
    if config.warmup >= 1:
        raise UsageError(f"--warmup {config.warmup}: a share of the steps, below 1")
    if not config.data:
        raise UsageError("--data: give at least one table made by prepare")
    if min(config.intra_weight, config.cross_weight) < 0 or config.intra_weight == config.cross_weight == 0:
        raise UsageError("--intra-weight and --cross-weight: both at least 0, and one above it")
    if config.weights and min(config.weights) <= 0:
        raise UsageError(f"--weights {config.weights}: every share must be above 0")
    check_trackers(config)
