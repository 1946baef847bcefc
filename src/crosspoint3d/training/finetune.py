"""Fine-tuning on labels: one seed's training, from the network as it starts to the weights that are kept.

What differs between part labels and categories is in a `Task`; the loop is the same for both.
"""

import math
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from tqdm import tqdm

from crosspoint3d.config import FinetuneConfig, RunError
from crosspoint3d.training import checkpoint, metrics
from crosspoint3d.training.finetune_step import batch_rows, update
from crosspoint3d.training.parameter_groups import build_optimizer
from crosspoint3d.training.schedule import learning_rate

CHECKPOINT_SECONDS = 60.0
MOST_ROWS = 1000
"""Steps up to which each one is logged; of longer trainings one in 20."""


@dataclass(frozen=True)
class Answers:
    """What a trained network says about the test shapes.

    Attributes:
        scores: shares 0 to 1, by name.
        arrays: what details are made of later, such as the predicted part of every point.
        record: plain values worth keeping, such as a temperature.
    """

    scores: dict[str, float]
    arrays: dict[str, np.ndarray]
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What one seed trains, and on what.

    Attributes:
        model: the network on its device, with submodules `encoder` and `head`.
        shapes: labelled train shapes.
        fingerprint: names these shapes and their labels; a checkpoint of others is refused.
        loss: of a batch, a scalar with its graph: takes row numbers, 0 to shapes - 1, and a generator on the model's
            device that decides points and augmentation. Runs the model as it is (train or eval), under autocast where
            the config says so, and computes the loss in float32.
        score: scores of the model as it is, by name, on the validation or the test shapes.
        validation: where epochs are compared: val (clean), test (paper), or None: the last epoch is kept.
        chosen_by: name of the score that picks the epoch; the larger the better.
        answer: called once, with the kept weights loaded: reads the test shapes.
        save: writes the network into a folder, such as RUN/seed-0 (as `segmenter/` or `classifier/` in it).
        weights: which weights were taken, as `weights_taken` lists them; RUN/weights.json.
        record: plain values about this seed for the protocol record: `encoder` (as `encoder_record`), `clouds_sha256`,
            and what else decides its numbers (labelled and validation shapes, head).
    """

    model: nn.Module
    shapes: int
    fingerprint: str
    loss: Callable[[Int64[np.ndarray, " B"], torch.Generator], Float[Tensor, ""]]
    score: Callable[[Literal["val", "test"]], dict[str, float]]
    validation: Literal["val", "test"] | None
    chosen_by: str
    answer: Callable[[], Answers]
    save: Callable[[Path], None]
    weights: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """How one seed's training went; its model holds the weights that were kept.

    Attributes:
        steps, epochs: done in all.
        kept_after: epochs after which the kept weights were reached.
        validation: scores of that moment; empty where nothing was compared.
        seconds: time of all calls that took part.
    """

    steps: int
    epochs: int
    kept_after: int
    validation: dict[str, float]
    seconds: float


def train(config: FinetuneConfig, task: Task, folder: Path, seed: int, stop: threading.Event) -> Trained | None:
    """Train a task's model, or go on where `folder` has a checkpoint; the model ends with the weights that are kept.

    Every random number is a function of the seed and the step. `folder` gets `metrics.jsonl` and `checkpoint/`.

    Args:
        config: how to train.
        task: what to train.
        folder: of this seed, which exists.
        seed: decides the order of the shapes, their points and augmentation, and dropout.
        stop: when set, the state is saved and the training ends.

    Returns:
        None when it was stopped before its end.

    Raises:
        RunError: the loss is no longer finite, or a checkpoint cannot be written or read.
    """
    steps_per_epoch = max(1, task.shapes // config.batch_size)
    epochs = max(config.epochs, -(-config.min_steps // steps_per_epoch))
    total = epochs * steps_per_epoch
    log_every = 1 if total <= MOST_ROWS else 20
    optimizer = build_optimizer(config, task.model)

    step, best, spent = 0, _Best(), 0.0
    if checkpoint.checkpoint_step(folder) is not None:
        saved = checkpoint.load_checkpoint(folder, task.model, optimizer, task.fingerprint)
        step, best, spent = int(saved["step"]), _Best(**saved["best"]), float(saved["seconds"])
    metrics.cut(folder, step)
    began = saved_at = time.monotonic()
    bar = tqdm(total=total, initial=step, unit="step", desc=f"seed {seed}", disable=None)

    def save() -> None:
        more = {"best": best.state(), "seconds": spent + time.monotonic() - began}
        checkpoint.save_checkpoint(folder, task.model, optimizer, step, task.fingerprint, more)

    with closing(bar):
        while step < total and not stop.is_set():
            epoch, number = divmod(step, steps_per_epoch)
            rows = batch_rows(task.shapes, config.batch_size, seed, epoch, number)
            lr = learning_rate(step, total, peak=config.lr, warmup=config.warmup, floor=config.final_lr)
            at = time.monotonic()
            loss, norm = update(config, task.model, optimizer, partial(task.loss, rows), seed=seed, step=step, lr=lr)
            speed = len(rows) / max(time.monotonic() - at, 1e-9)
            step += 1
            if not (math.isfinite(loss) and math.isfinite(norm)):
                kept = checkpoint.checkpoint_step(folder)
                raise RunError(
                    f"seed {seed}, step {step}: loss {loss}, gradient norm {norm}, learning rate {lr:.2g}. "
                    + (
                        f"The state of step {kept} is kept in {folder / checkpoint.FOLDER}; "
                        if kept is not None
                        else ""
                    )
                    + "start a new run with a lower --lr, or with --grad-clip"
                )
            row = {"step": step, "epoch": epoch, "loss": loss, "lr": lr, "shapes_per_s": speed}
            done, rest = divmod(step, steps_per_epoch)
            validates = rest == 0 and (done % config.validate_every == 0 or done == epochs)
            if validates and task.validation:
                scores = task.score(task.validation)
                row |= {f"{task.validation}/{name}": value for name, value in scores.items()}
                best.consider(task, scores, done)
            if validates or step % log_every == 0:
                metrics.append(folder, row)
                shown = f"{100 * best.scores[task.chosen_by]:.1f}" if best.scores else "-"
                bar.set_postfix({"loss": f"{loss:.3f}", task.chosen_by: shown}, refresh=False)
            bar.update()
            if step == total or time.monotonic() - saved_at >= CHECKPOINT_SECONDS:
                save()
                saved_at = time.monotonic()
    if step < total:
        save()
        return None
    if best.weights:
        task.model.load_state_dict(best.weights)
    task.model.eval()
    return Trained(total, epochs, best.epochs or epochs, best.scores, spent + time.monotonic() - began)


@dataclass
class _Best:
    """The best validation so far, of equal ones the later: scores, after how many epochs, weights on the CPU."""

    scores: dict[str, float] = field(default_factory=dict)
    epochs: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def consider(self, task: Task, scores: dict[str, float], epochs: int) -> None:
        if self.scores and scores[task.chosen_by] < self.scores[task.chosen_by]:
            return
        self.scores, self.epochs = scores, epochs
        self.weights = {name: value.detach().cpu().clone() for name, value in task.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        return {"scores": self.scores, "epochs": self.epochs, "weights": self.weights}
