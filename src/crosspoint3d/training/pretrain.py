"""CrossPoint pre-training (Afham et al., CVPR 2022, arXiv 2203.00680): build, loop, evaluate, save."""

import json
import math
import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from crosspoint3d import runtime
from crosspoint3d.config import MOST_POINTS_BY_DEFAULT, PretrainConfig, RunError
from crosspoint3d.data.pairs import DrawOrder, load_pairs
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.losses import CrossPointLoss
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.models.tower import save_tower
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training.held_out import held_out_retrieval
from crosspoint3d.training.run_folder import SUMMARY, finished_steps, open_run
from crosspoint3d.training.schedule import learning_rate
from crosspoint3d.training.setup import build_model, build_optimizer, draw_order, validate
from crosspoint3d.training.step import Outcome, train_step


@dataclass(frozen=True)
class PretrainResult:
    """How a run ended; `RUN/summary.json` holds the same for a finished one.

    Attributes:
        run: the run folder. steps: steps done in all. total: steps of the schedule.
        loss: the last one logged. seconds: time of this call, which may be the last of several.
        pairs_per_s: throughput of this call. stopped: whether Ctrl-C or SIGTERM ended it early.
        held_out: picture-to-shape recall@1 among shapes of the test split, and what chance gives; None without any.
    """

    run: str
    steps: int
    total: int
    loss: float
    seconds: float
    pairs_per_s: float
    stopped: bool = False
    held_out: dict[str, float] | None = None
    note: str = ""

    @property
    def exit_code(self) -> int:
        """0, or 130 when the run was interrupted."""
        return 130 if self.stopped else 0

    def __str__(self) -> str:
        if self.note:
            return f"{self.run}: {self.note}"
        if self.stopped:
            return f"{self.run}: stopped at step {self.steps} of {self.total}; go on with --out {self.run} --resume"
        speed = f"{self.seconds:.0f} s, {self.pairs_per_s:.1f} pairs/s"
        text = f"{self.run}: {self.steps} steps, loss {self.loss:.3f}, {speed}"
        if self.held_out:
            recall, chance, shapes = (self.held_out[name] for name in ("recall@1", "chance", "shapes"))
            text += f"\n  held-out picture to shape recall@1 {recall:.1%} (chance {chance:.2%}, {shapes:.0f} shapes)"
        return text


def pretrain(config: PretrainConfig) -> PretrainResult:
    """Train a point and an image encoder on the tables of `config.data`; everything lands in `config.out`.

    Raises:
        UsageError: an option has an impossible value, or the run folder is in use.
        RunError: the loss is no longer finite, or a checkpoint cannot be written; the last good state is kept.
    """
    validate(config)
    tables = [ShapeTable(path) for path in config.data]
    fewest = min(table.points for table in tables)
    config = replace(config, points=config.points or min(MOST_POINTS_BY_DEFAULT, fewest))
    if config.resume and (finished := finished_steps(config)) is not None:
        note = "this run is finished; nothing to do"
        return PretrainResult(str(config.out), finished, finished, math.nan, 0.0, 0.0, note=note)
    device = runtime.pick_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    order = draw_order(config, tables)
    total = min(config.epochs * order.steps, config.max_steps or math.inf)

    model = build_model(config, device)
    optimizer = build_optimizer(config, model)
    start = open_run(config)
    if start:
        checkpoint.load_checkpoint(config.out, model, optimizer, order.fingerprint())
    else:
        checkpoint.save_checkpoint(config.out, model, optimizer, 0, order.fingerprint())
    result = _loop(config, model, optimizer, tables, order, start, int(total), device)
    if not result.stopped:
        _save(config, model, tables)
        _write_summary(config, result)
        result = replace(result, held_out=held_out_retrieval(config, tables))
        _write_summary(config, result)
    return result


def _loop(
    config: PretrainConfig,
    model: CrossPoint,
    optimizer: torch.optim.Optimizer,
    tables: list[ShapeTable],
    order: DrawOrder,
    start: int,
    total: int,
    device: torch.device,
) -> PretrainResult:
    log_every = config.log_every or (1 if total < 1000 else 20)
    began = logged = time.monotonic()
    step = logged_step = start
    loss_value = next((row["loss"] for row in reversed(metrics.read(config.out))), math.nan)
    batches = load_pairs(tables, order.from_step(start, total), workers=config.workers, pin=device.type == "cuda")
    bar = tqdm(total=total, initial=start, unit="step", desc="pretrain", disable=None)
    with runtime.stop_requests() as stop, closing(bar):
        batch = next(batches, None)
        while batch is not None:
            lr = learning_rate(step, total, peak=config.lr, warmup=config.warmup)
            outcome = train_step(config, model, optimizer, batch, step, lr)
            step += 1
            batch = next(batches, None)  # read while the device works
            _require_finite(config, step, outcome, lr)
            if step % log_every == 0 or step == total:
                now = time.monotonic()
                loss_value = outcome.loss.total.item()
                speed = config.batch_size * (step - logged_step) / (now - logged)
                logged, logged_step = now, step
                metrics.append(config.out, _row(step, order.steps, outcome.loss, lr, speed))
                bar.set_postfix(loss=f"{loss_value:.3f}", pairs_per_s=f"{speed:.1f}", refresh=False)
            bar.update()
            if stop.is_set() or step % config.checkpoint_every == 0 or step == total:
                checkpoint.save_checkpoint(config.out, model, optimizer, step, order.fingerprint())
            if stop.is_set() and step < total:
                break
    seconds = time.monotonic() - began
    speed = config.batch_size * (step - start) / max(seconds, 1e-9)
    return PretrainResult(str(config.out), step, total, loss_value, seconds, speed, stopped=step < total)


def _require_finite(config: PretrainConfig, step: int, outcome: Outcome, lr: float) -> None:
    """Wait for a step's outcome and refuse one that ruined the weights."""
    loss, norm = torch.stack([outcome.loss.total, outcome.gradient_norm.to(outcome.loss.total.dtype)]).tolist()
    if not math.isfinite(loss) or not math.isfinite(norm):
        kept = checkpoint.checkpoint_step(config.out)
        raise RunError(
            f"step {step}: loss {loss}, gradient norm {norm}, learning rate {lr:.2g}. "
            f"The state of step {kept} is kept in {config.out / checkpoint.FILE}; "
            f"start a new run with a lower --lr, or with --grad-clip"
        )


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
