"""What a pre-training run is built from, with every option checked first."""

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from crosspoint3d.address import address_of
from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.config_file import require_at_least, require_finite
from crosspoint3d.data.order import DrawOrder
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.models.crosspoint import LEAST_TEMPERATURE, CrossPoint, build_crosspoint
from crosspoint3d.models.image_weights import check_image_weights, load_image_weights
from crosspoint3d.models.tower import Tower
from crosspoint3d.ops.across import processes
from crosspoint3d.ops.synchronised import synchronise
from crosspoint3d.training.excluded import training_rows
from crosspoint3d.training.grad_cache import chunk_sizes
from crosspoint3d.training.probe_shapes import split_rows
from crosspoint3d.training.trackers import check_trackers
from crosspoint3d.transforms import images as picture_steps
from crosspoint3d.transforms import points as cloud_steps


def build_model(config: PretrainConfig, device: torch.device) -> CrossPoint:
    """The model of a config on a device, ready to train; `config.compile` compiles its image encoder.

    Raises:
        UsageError: the image encoder's name is unknown, it cannot be compiled or synchronised here, or the weights that
            it should begin with cannot be had.
    """
    model = build_crosspoint(config)
    if config.cross_weight:
        load_image_weights(model.image_tower, config.image_weights)
    model = model.to(device).train()
    if processes() > 1:
        synchronise(model, leave=model.image_tower.encoder if model.image_tower.frozen else None)
    if config.compile and config.cross_weight:
        _compile_images(config, model.image_tower, device)
    return model


def _compile_images(config: PretrainConfig, tower: Tower, device: torch.device) -> None:
    """Compile the encoder in place, so that its keys stay, and try it on a batch as it will come."""
    encoder = tower.encoder
    buffers = [buffer.clone() for buffer in encoder.buffers()]
    share = config.batch_size // processes()
    size = config.views * chunk_sizes(share, config.at_once(share))[0]
    pictures = torch.zeros(size, 3, config.image_size, config.image_size, device=device)
    if device.type == "cuda":
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    try:
        encoder.compile()
        with torch.random.fork_rng(devices=[]):
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                features = tower(pictures)
            if features.requires_grad:
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
    """Adam (decay added to the gradient, as published) or AdamW over the weights that learn, as one kernel if it can.

    A learned temperature does not decay.
    """
    optimizer = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    learning = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    temperature = learning.pop("log_scale", None)
    groups: list[dict[str, Any]] = [{"params": list(learning.values())}]
    if temperature is not None:
        groups.append({"params": [temperature], "weight_decay": 0.0})
    return optimizer(groups, lr=config.lr, weight_decay=config.weight_decay, fused=fused or None)


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
    for path, mine, table in zip(map(address_of, config.data), rows, tables, strict=True):
        if not len(mine):
            raise UsageError(f"--data {path}: none to train on: status ok, split train or empty, not in --exclude")
        if config.points > table.points:
            raise UsageError(f"--points {config.points}: the table {path} holds {table.points} points a shape")
    if config.pictures == "depth" and config.cross_weight:
        for path, table in zip(map(address_of, config.data), tables, strict=True):
            if not table.has("depth"):
                raise UsageError(
                    f"--pictures depth: the table {path} holds no depth pictures; prepare it anew with --depth"
                )
    for name in ("points", "image_size"):
        sizes = {table.settings.get(name) for table in tables}
        if len(sizes) > 1:
            flag = name.replace("_", "-")
            raise UsageError(f"--data: the tables were prepared with different --{flag} {sizes}; prepare them with one")
    if config.weights and len(config.weights) != len(tables):
        raise UsageError(f"--weights has {len(config.weights)} numbers for {len(tables)} tables: give one a table")
    order = DrawOrder(rows, config.batch_size, config.weights, config.seed, config.consecutive)
    if not order.steps:
        shapes = sum(len(mine) for mine in rows)
        raise UsageError(f"--batch-size {config.batch_size} is more than the {shapes} shapes to train on")
    _check_objective(config, tables, sum(len(mine) for mine in rows))
    for path, (start, end) in zip(map(address_of, config.data), pairwise(order.ends), strict=True):
        if start == end:
            raise UsageError(f"--weights {config.weights}: none of the {order.ends[-1]} shapes an epoch is of {path}")
    return order


def _check_objective(config: PretrainConfig, tables: list[ShapeTable], shapes: int) -> None:
    for path, table in zip(map(address_of, config.data), tables, strict=True):
        held = table.settings.get("views", config.views)
        if config.views > max(held, 1) and config.cross_weight:
            raise UsageError(f"--views {config.views}: the table {path} holds {held} pictures a shape")
    most = shapes - config.batch_size
    if config.queue > most:
        raise UsageError(
            f"--queue {config.queue}: with {shapes} shapes to train on and --batch-size {config.batch_size} give at "
            f"most {most}, or a shape would soon be its own negative"
        )


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
        "accumulate": 1,
    }
    least |= dict.fromkeys(
        ("grad_clip", "weight_decay", "warmup", "workers", "threads", "seed", "log_every", "probe_every"), 0
    )
    require_at_least(config, least | {"max_steps": 1, "views": 1, "queue": 0, "consecutive": 1})
    require_finite(config)
    share = config.batch_size // world
    if config.batch_size % world or share < 2:
        raise UsageError(
            f"--batch-size {config.batch_size} is that of all {world} processes: give a multiple of {world}, "
            f"at least {2 * world}"
        )
    if share % config.consecutive:
        raise UsageError(
            f"--consecutive {config.consecutive}: give a divisor of each process's share of the batch, {share}"
        )
    whose = f"--batch-size {config.batch_size}" if world == 1 else f"each process's share of the batch, {share}"
    if config.chunk and config.accumulate > 1:
        raise UsageError(f"--accumulate {config.accumulate} with --chunk {config.chunk}: they say the same, give one")
    if config.accumulate > 1 and (share % config.accumulate or share // config.accumulate < 2):
        fitting = [parts for parts in range(2, share // 2 + 1) if share % parts == 0]
        remedy = f"give {', '.join(map(str, fitting[-8:]))}" if fitting else "leave it out"
        raise UsageError(f"--accumulate {config.accumulate}: {remedy}, for equal parts of 2 or more of {whose}")
    if config.chunk and not 2 <= config.chunk <= share:
        raise UsageError(f"--chunk {config.chunk}: give 0 (the whole batch) or 2 to {whose}")
    for name in ("temperature", "lr", "width", "checkpoint_every"):
        if not getattr(config, name) > 0:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: must be above 0")
    if config.learn_temperature and config.temperature < LEAST_TEMPERATURE:
        raise UsageError(
            f"--temperature {config.temperature}: with --learn-temperature it is at least {LEAST_TEMPERATURE}"
        )
    if config.warmup >= 1:
        raise UsageError(f"--warmup {config.warmup}: a share of the steps, below 1")
    if not config.data:
        raise UsageError("--data: give at least one table made by prepare")
    if min(config.intra_weight, config.cross_weight) < 0 or config.intra_weight == config.cross_weight == 0:
        raise UsageError("--intra-weight and --cross-weight: both at least 0, and one above it")
    if config.weights and min(config.weights) <= 0:
        raise UsageError(f"--weights {config.weights}: every share must be above 0")
    _check_augmentations(config)
    if config.cross_weight and not config.resume:
        check_image_weights(config.image_encoder, config.image_weights)
    check_trackers(config)


def _check_augmentations(config: PretrainConfig) -> None:
    every = cloud_steps.STEPS + picture_steps.STEPS
    used = {
        "default": every,
        "paper": tuple(name for name in every if name not in ("crop", "grey")),
        "none": (),
    }[config.augmented_by]
    for name in config.without:
        if name not in every:
            raise UsageError(f"--without {name}: known are {', '.join(every)}")
        if name not in used:
            has = f"it has {', '.join(used)}" if used else "it has none at all"
            raise UsageError(f"--without {name}: the augmentation {config.augmented_by} does not use it; {has}")
