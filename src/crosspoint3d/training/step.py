"""One update of CrossPoint: views of every shape, both towers, the loss, its gradient, the optimizer."""

import math
from contextlib import nullcontext
from itertools import accumulate
from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from crosspoint3d.config import PretrainConfig
from crosspoint3d.data.pairs import Pairs
from crosspoint3d.losses import CrossPointLoss, crosspoint_loss
from crosspoint3d.models.crosspoint import CrossPoint, Projections
from crosspoint3d.ops.across import counted_once, equal_shares, process
from crosspoint3d.runtime import generator_for
from crosspoint3d.training.grad_cache import cached_backward, chunk_sizes
from crosspoint3d.training.gradient_sum import GradientSum
from crosspoint3d.training.negative_queue import NegativeQueue
from crosspoint3d.training.seeded import seeded
from crosspoint3d.transforms import augment_images, augment_points, subsample, to_grey


class Outcome(NamedTuple):
    """What a step measured, on its device; nothing waits for it until a value is asked for."""

    loss: CrossPointLoss
    gradient_norm: Float[Tensor, ""]
    projections: Projections
    temperature: Float[Tensor, ""] | None
    """Of the loss, where it is learned."""


def train_step(
    config: PretrainConfig,
    model: CrossPoint,
    optimizer: torch.optim.Optimizer,
    batch: Pairs,
    step: int,
    lr: float,
    gradients: GradientSum | None = None,
    queue: NegativeQueue | None = None,
) -> Outcome:
    """One update, on the model's device, with `config.at_once` shapes in the networks.

    Every random number is a function of `config.seed`, `step` and the chunk's number. Of several processes each comes
    with an equal share of the batch, in order, and numbers its chunks on from the one before it; the loss is that of
    the whole batch in each, and so are gradients and weights. A BatchNorm then sees `config.chunk` shapes of each.

    Args:
        config: of the run.
        model: in training mode, synchronised where there are several processes.
        optimizer: of the model.
        batch: this process's share.
        step: number of the update, from 0.
        lr: learning rate.
        gradients: of the model; needed where there are several processes.
        queue: of earlier steps; this one's projections are put in after it.
    """
    device = next(model.parameters()).device
    points = batch.points.to(device, non_blocking=True)
    images = None
    if config.cross_weight and batch.images is not None:
        images = batch.images.squeeze(1).to(device, non_blocking=True)
    sizes = chunk_sizes(len(points), config.at_once(len(points)))
    ends = list(accumulate(sizes))

    def forward(number: int) -> Projections:
        chunk = slice(ends[number] - sizes[number], ends[number])
        generator = generator_for(config.seed, step, process() * len(sizes) + number, device=device)
        clouds, pictures = views(config, points[chunk], None if images is None else images[chunk], generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            projections: Projections = model(clouds, pictures)
        return projections.of_mean_picture() if config.view_loss == "mean" else projections

    seen: list[Projections] = []
    past = None if queue is None else queue.past()
    learned = model.temperature()

    def objective(projections: Projections) -> CrossPointLoss:
        everybodys = projections.across()
        seen.append(everybodys.detach())
        return crosspoint_loss(
            *everybodys,
            temperature=config.temperature if learned is None else counted_once(learned),
            intra_weight=config.intra_weight,
            cross_weight=config.cross_weight,
            past=past,
        )

    optimizer.zero_grad(set_to_none=True)
    last = nullcontext if gradients is None else gradients.summed
    with seeded(config.seed, step, device, process()), equal_shares():
        if len(sizes) > 1:
            loss = cached_backward(model, forward, len(sizes), objective, last)
        else:
            loss = objective(forward(0))
            with last():
                torch.autograd.backward(loss.total)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip or math.inf)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    model.bound_temperature()
    if queue is not None:
        queue.push(seen[-1])
    detached = CrossPointLoss(*(term.detach() for term in loss))
    return Outcome(detached, norm.detach(), seen[-1], None if learned is None else learned.detach())


def views(
    config: PretrainConfig,
    points: Float32[Tensor, "B P 3"],
    images: UInt8[Tensor, "B *V 3 H W"] | None,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "B2 N 3"], Float[Tensor, "B *V 3 S S"] | None]:
    """What the networks see: 2B augmented clouds (each shape's first ones, then its second ones) and its pictures.

    Every picture is augmented by itself, also where a shape has several.
    """
    subsets = subsample(points.repeat(2, 1, 1), config.points, generator)
    clouds = augment_points(subsets, config.augmented_by, generator, config.without)
    if images is None:
        return clouds, None
    each = images.flatten(0, -4)
    each = to_grey(each) if config.pictures == "grey" else each
    pictures = augment_images(each, config.image_size, config.augmented_by, generator, config.without)
    if pictures.is_cuda:
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    return clouds, pictures.view(*images.shape[:-3], *pictures.shape[1:])
