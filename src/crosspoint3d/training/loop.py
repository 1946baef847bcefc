"""The loop of pre-training: read, update, agree, log, save, in every process of a team alike."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch
from tqdm import tqdm

from crosspoint3d import runtime
from crosspoint3d.config import PretrainConfig, RunError
from crosspoint3d.data.order import DrawOrder
from crosspoint3d.data.pairs import Pairs, load_pairs
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training.checkpoint_writer import CheckpointWriter
from crosspoint3d.training.distributed import Team
from crosspoint3d.training.gradient_sum import GradientSum
from crosspoint3d.training.negative_queue import NegativeQueue
from crosspoint3d.training.pretrain_result import PretrainResult
from crosspoint3d.training.run_log import RunLog
from crosspoint3d.training.schedule import learning_rate
from crosspoint3d.training.step import Outcome, train_step


@dataclass(frozen=True)
class Training:
    """What a run trains, on what, for how many steps in all (`total`), and where its state goes."""

    config: PretrainConfig
    tables: list[ShapeTable]
    order: DrawOrder
    total: int
    model: CrossPoint
    optimizer: torch.optim.Optimizer
    queue: NegativeQueue
    team: Team
    writer: CheckpointWriter


def train(training: Training, start: int) -> PretrainResult:
    """Go from step `start` to the last, or to the one after which a process is asked to stop.

    Raises:
        RunError: the loss is no longer finite, shapes cannot be read, or a checkpoint cannot be written; the last good
            state is kept.
    """
    config, team, total, writer = training.config, training.team, training.total, training.writer
    order, model = training.order, training.model
    log = RunLog(
        config, training.tables, steps=order.steps, start=start, total=total, device=team.device, writes=team.first
    )
    began = logged = time.monotonic()
    step = logged_step = start
    loss_value = next((row["loss"] for row in reversed(metrics.read(config.out))), math.nan)
    loaded = load_pairs(
        training.tables,
        order.from_step(start, total, team.place.rank, team.size),
        workers=config.workers,
        device=team.device,
        views=config.views if config.cross_weight else 0,
        pictures=config.pictures,
    )
    batches = log.timed(loaded)
    failure: RunError | None = None
    gradients = GradientSum(model) if team.size > 1 else None
    bar = tqdm(total=total, initial=start, unit="step", desc="pretrain", disable=None if team.first else True)
    with runtime.stop_requests(launched=team.size > 1) as stop, writer, closing(bar), log, closing(loaded):
        batch = next(batches, None)
        while batch is not None:
            lr = learning_rate(step, total, peak=config.lr, warmup=config.warmup)
            outcome = train_step(config, model, training.optimizer, batch, step, lr, gradients, training.queue)
            step += 1
            batch, failure = _next(batches)
            stopping = _agree(training, step, outcome, lr, stop.is_set() or failure is not None)
            writer.check()
            if log.due(step):
                now = time.monotonic()
                loss_value = outcome.loss.total.item()
                speed = config.batch_size * (step - logged_step) / (now - logged)
                row = _row(step, order.steps, outcome, lr, speed)
                probed = log.write(row, outcome.gradient_norm.item(), outcome.projections, model)
                logged, logged_step = now + probed, step
                bar.set_postfix(loss=f"{loss_value:.3f}", pairs_per_s=f"{speed:.1f}", refresh=False)
            bar.update()
            if team.first and (stopping or step % config.checkpoint_every == 0 or step == total):
                writer.save(step)
            if stopping and step < total:
                break
    if step < total:
        team.agree(False)  # what the first process writes is on disk before any other leaves with an error
    if failure is not None:
        raise RunError(f"{failure} (the state of step {step} is saved: go on with --resume)") from failure
    seconds = time.monotonic() - began
    speed = config.batch_size * (step - start) / max(seconds, 1e-9)
    stopped = step < total
    result = PretrainResult(str(config.out), step, total, loss_value, seconds, speed, stopped, processes=team.size)
    return replace(result, collapse=log.collapse)


def _next(batches: Iterator[Pairs]) -> tuple[Pairs | None, RunError | None]:
    """The next batch, or why it cannot be read: the step that is done is saved before the run ends with that."""
    try:
        return next(batches, None), None
    except RunError as error:
        return None, error


def _agree(training: Training, step: int, outcome: Outcome, lr: float, stop: bool) -> bool:
    """Wait for a step's outcome and refuse one that ruined the weights; whether any process was asked to stop."""
    loss, norm = torch.stack([outcome.loss.total, outcome.gradient_norm.to(outcome.loss.total.dtype)]).tolist()
    stopping, ruined = training.team.agree(stop, not math.isfinite(loss) or not math.isfinite(norm))
    if ruined:
        kept = training.team.from_first(training.writer.kept_step)
        raise RunError(
            f"step {step}: loss {loss}, gradient norm {norm}, learning rate {lr:.2g}. "
            f"The state of step {kept} is kept in {training.config.out / checkpoint.FOLDER}; "
            f"start a new run with a lower --lr, or with --grad-clip"
        )
    return stopping


def _row(step: int, steps_per_epoch: int, outcome: Outcome, lr: float, speed: float) -> dict[str, Any]:
    loss = outcome.loss
    learned = {} if outcome.temperature is None else {"temperature": outcome.temperature.item()}
    return {
        "step": step,
        "epoch": (step - 1) // steps_per_epoch,
        "loss": loss.total.item(),
        "intra_modal": loss.intra_modal.item(),
        "cross_modal": loss.cross_modal.item() if loss.cross_modal.isfinite() else None,
        "lr": lr,
        "pairs_per_s": speed,
    } | learned
