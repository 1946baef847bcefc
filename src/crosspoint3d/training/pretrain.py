"""CrossPoint pre-training (Afham et al., CVPR 2022, arXiv 2203.00680): build, loop, evaluate, save."""

import json
import math
import time
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from crosspoint3d import runtime
from crosspoint3d.config import MOST_POINTS_BY_DEFAULT, PretrainConfig, RunError, UsageError
from crosspoint3d.data.order import DrawOrder, share_of
from crosspoint3d.data.pairs import load_pairs
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.losses import CrossPointLoss
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.models.tower import save_tower
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training.distributed import Team, place_from_environment, team
from crosspoint3d.training.gradient_sum import GradientSum
from crosspoint3d.training.held_out import held_out_retrieval
from crosspoint3d.training.pretrain_result import PretrainResult
from crosspoint3d.training.run_folder import SUMMARY, finished_steps, open_run
from crosspoint3d.training.run_log import RunLog
from crosspoint3d.training.schedule import learning_rate
from crosspoint3d.training.setup import build_model, build_optimizer, draw_order, validate
from crosspoint3d.training.step import Outcome, train_step


def pretrain(config: PretrainConfig) -> PretrainResult:
    """Train a point and an image encoder on the tables of `config.data`; everything lands in `config.out`.

    Started by torchrun, this is one of several processes: each trains on its share of every batch and the first writes.

    Raises:
        UsageError: an option has an impossible value, or the run folder is in use.
        RunError: the loss is no longer finite, a checkpoint cannot be written, or another process failed; the last good
            state is kept.
    """
    place = place_from_environment()
    validate(config, place.world)
    with team(place, config.device) as together:
        return _pretrain(config, together)


def _pretrain(config: PretrainConfig, team: Team) -> PretrainResult:
    tables = [ShapeTable(path) for path in config.data]
    fewest = min(table.points for table in tables)
    config = replace(config, points=config.points or min(MOST_POINTS_BY_DEFAULT, fewest))
    if config.resume and (finished := team.from_first(lambda: finished_steps(config))) is not None:
        note = "this run is finished; nothing to do"
        return PretrainResult(str(config.out), finished, finished, math.nan, 0.0, 0.0, note=note)
    if config.threads:
        torch.set_num_threads(config.threads)
    order = draw_order(config, tables)
    team.check_same("training shapes", order.fingerprint())
    total = min(config.epochs * order.steps, config.max_steps or math.inf)

    model = build_model(config, team.device)
    optimizer = build_optimizer(config, model)
    start = team.from_first(lambda: _open(config, model, optimizer, order, team))
    team.share_state(model, optimizer)
    result = _loop(config, model, optimizer, tables, order, start, int(total), team)
    if not result.stopped:
        result = replace(result, held_out=team.from_first(lambda: _finish(config, model, tables, result)))
    return result


def _open(
    config: PretrainConfig, model: CrossPoint, optimizer: torch.optim.Optimizer, order: DrawOrder, team: Team
) -> int:
    """Begin or go on with the run folder; the number of steps that are done."""
    start = open_run(config)
    if not start:
        _checkpoint(config, model, optimizer, 0, order, team)
        return 0
    saved = checkpoint.load_checkpoint(config.out, model, optimizer, order.fingerprint())
    if (before := saved.get("processes", 1)) != team.size:
        raise UsageError(
            f"--resume: {config.out} was trained by {before} processes, now there are {team.size}; their number "
            f"decides the views that are drawn: start {before} again, or a new run"
        )
    return start


def _checkpoint(
    config: PretrainConfig,
    model: CrossPoint,
    optimizer: torch.optim.Optimizer,
    step: int,
    order: DrawOrder,
    team: Team,
) -> None:
    more = {"processes": team.size}
    checkpoint.save_checkpoint(config.out, model, optimizer, step, order.fingerprint(), more)


def _finish(
    config: PretrainConfig, model: CrossPoint, tables: list[ShapeTable], result: PretrainResult
) -> dict[str, float] | None:
    """Save the encoders, then measure them on held-out shapes; the summary is written before and after."""
    _save(config, model, tables)
    _write_summary(config, result)
    held_out = held_out_retrieval(config, tables)
    _write_summary(config, replace(result, held_out=held_out))
    return held_out


def _loop(
    config: PretrainConfig,
    model: CrossPoint,
    optimizer: torch.optim.Optimizer,
    tables: list[ShapeTable],
    order: DrawOrder,
    start: int,
    total: int,
    team: Team,
) -> PretrainResult:
    log = RunLog(config, tables, steps=order.steps, start=start, total=total, device=team.device, writes=team.first)
    began = logged = time.monotonic()
    step = logged_step = start
    loss_value = next((row["loss"] for row in reversed(metrics.read(config.out))), math.nan)
    draws = share_of(order.from_step(start, total), team.place.rank, team.size)
    batches = log.timed(load_pairs(tables, draws, workers=config.workers, pin=team.device.type == "cuda"))
    gradients = GradientSum(model) if team.size > 1 else None
    bar = tqdm(total=total, initial=start, unit="step", desc="pretrain", disable=None if team.first else True)
    with runtime.stop_requests(launched=team.size > 1) as stop, closing(bar), log:
        batch = next(batches, None)
        while batch is not None:
            lr = learning_rate(step, total, peak=config.lr, warmup=config.warmup)
            outcome = train_step(config, model, optimizer, batch, step, lr, gradients)
            step += 1
            batch = next(batches, None)  # read while the device works
            stopping = _agree(config, step, outcome, lr, stop.is_set(), team)
            if log.due(step):
                now = time.monotonic()
                loss_value = outcome.loss.total.item()
                speed = config.batch_size * (step - logged_step) / (now - logged)
                row = _row(step, order.steps, outcome.loss, lr, speed)
                probed = log.write(row, outcome.gradient_norm.item(), outcome.projections, model)
                logged, logged_step = now + probed, step
                bar.set_postfix(loss=f"{loss_value:.3f}", pairs_per_s=f"{speed:.1f}", refresh=False)
            bar.update()
            if team.first and (stopping or step % config.checkpoint_every == 0 or step == total):
                _checkpoint(config, model, optimizer, step, order, team)
            if stopping and step < total:
                break
    seconds = time.monotonic() - began
    speed = config.batch_size * (step - start) / max(seconds, 1e-9)
    stopped = step < total
    result = PretrainResult(str(config.out), step, total, loss_value, seconds, speed, stopped, processes=team.size)
    return replace(result, collapse=log.collapse)


def _agree(config: PretrainConfig, step: int, outcome: Outcome, lr: float, stop: bool, team: Team) -> bool:
    """Wait for a step's outcome and refuse one that ruined the weights; whether any process was asked to stop."""
    loss, norm = torch.stack([outcome.loss.total, outcome.gradient_norm.to(outcome.loss.total.dtype)]).tolist()
    stopping, ruined = team.agree(stop, not math.isfinite(loss) or not math.isfinite(norm))
    if ruined:
        kept = team.from_first(lambda: checkpoint.checkpoint_step(config.out))
        raise RunError(
            f"step {step}: loss {loss}, gradient norm {norm}, learning rate {lr:.2g}. "
            f"The state of step {kept} is kept in {config.out / checkpoint.FOLDER}; "
            f"start a new run with a lower --lr, or with --grad-clip"
        )
    return stopping


def _row(step: int, steps_per_epoch: int, loss: CrossPointLoss, lr: float, speed: float) -> dict[str, Any]:
    return {
        "step": step,
        "epoch": (step - 1) // steps_per_epoch,
        "loss": loss.total.item(),
        "intra_modal": loss.intra_modal.item(),
        "cross_modal": loss.cross_modal.item() if loss.cross_modal.isfinite() else None,
        "lr": lr,
        "pairs_per_s": speed,
    }


def _save(config: PretrainConfig, model: CrossPoint, tables: list[ShapeTable]) -> None:
    names = ", ".join(Path(table.path).name for table in tables)
    trained_on = {"data": names, "recipe": config.recipe, "seed": config.seed}
    save_tower(model.point_tower, config.out / "encoder", trained_on)
    if config.cross_weight:
        save_tower(model.image_tower, config.out / "image_encoder", trained_on)


def _write_summary(config: PretrainConfig, result: PretrainResult) -> None:
    summary = asdict(result) | {"environment": runtime.environment()}
    with runtime.atomic(config.out / SUMMARY) as path:
        path.write_text(json.dumps(summary, indent=1), encoding="utf-8")
