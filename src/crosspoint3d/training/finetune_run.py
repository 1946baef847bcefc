"""A fine-tuning's run folder: one training a seed, each finished one kept, the best one's network, the result."""

import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crosspoint3d import runtime
from crosspoint3d.config import FinetuneConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import RESULT, read_result
from crosspoint3d.training import checkpoint
from crosspoint3d.training.finetune import Task, train
from crosspoint3d.training.finetune_outcome import (
    OUTCOME,
    Outcome,
    best_seed,
    read_outcome,
    seed_folder,
    write_answers,
)
from crosspoint3d.training.run_folder import SUMMARY, check_folder, finished_summary, write_config
from crosspoint3d.training.weights_taken import require_same_encoder, weights_line

WEIGHTS = "weights.json"


@dataclass(frozen=True)
class FinetuneResult:
    """How a run ended; `RUN/result.json` holds the same scores for a finished one.

    Attributes:
        run: the run folder. result: scores with their record; None for a run that is not finished.
        stopped: where Ctrl-C or SIGTERM ended it, in words; empty if none did.
        weights: as RUN/weights.json.
        note: what else is to be said.
    """

    run: str
    result: Result | None = None
    stopped: str = ""
    weights: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def exit_code(self) -> int:
        """0, or 130 when the run was interrupted."""
        return 130 if self.stopped else 0

    def __str__(self) -> str:
        if self.stopped:
            return f"{self.run}: stopped at {self.stopped}; go on with --out {self.run} --resume"
        lines = [f"{self.run}: {self.note or 'finished'}"]
        if self.result is not None:
            lines = [str(self.result), trained_line(self.result.protocol), weights_line(self.weights), *lines]
        return "\n".join(lines)


def trained_line(protocol: dict[str, Any]) -> str:
    """What was trained on how many shapes, and which epochs were kept, in one line for a terminal."""
    made = protocol["trainings"]
    labelled = ", ".join(dict.fromkeys(str(one["labelled"]["shapes"]) for one in made))
    kept = ", ".join(str(one["kept_after_epochs"]) for one in made)
    how, epochs = f"{protocol['config']['mode']}, {made[0]['head']} head", made[0]["epochs"]
    shapes = f"{labelled} labelled shape{'s' * (labelled != '1')}"
    return f"trained: {how}, {shapes}; kept after {kept} of {epochs} epoch{'s' * (epochs != 1)}"


def validate(config: FinetuneConfig) -> None:
    """Refuse values that cannot work, and a folder that is in use, before anything is read or written.

    Raises:
        UsageError: names the option, its value and what would work.
    """
    least = dict.fromkeys(("seeds", "epochs", "validate_every", "votes", "k"), 1) | {"batch_size": 2}
    least |= dict.fromkeys(("min_steps", "points", "threads", "weight_decay", "grad_clip", "warmup"), 0)
    require_at_least(config, least)
    for name in ("lr", "layer_decay", "labels"):
        if not 0 < getattr(config, name) < math.inf:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: must be above 0")
    for name, words in (("labels", "a share of the train shapes"), ("final_lr", "a share of the peak learning rate")):
        if not 0 <= getattr(config, name) <= 1:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: {words}, up to 1")
    for name, words in (("warmup", "a share of the steps"), ("label_smoothing", "a share of the probability")):
        if not 0 <= getattr(config, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(config, name)}: {words}, 0 to below 1")
    if config.mode == "frozen" and config.layer_decay != 1:
        raise UsageError(f"--layer-decay {config.layer_decay}: a frozen encoder learns at no rate; leave it out")
    if not config.resume:
        check_folder(config)


def finished_run(config: FinetuneConfig) -> FinetuneResult | None:
    """The finished run in `config.out`, where `config.resume` asks for it; None where there is none.

    Raises:
        UsageError: the config differs from the one that the run in it began with.
    """
    if not config.resume:
        return None
    check_folder(config)
    if finished_summary(config) is None:
        return None
    note = "this run is finished; nothing to do"
    return FinetuneResult(str(config.out), read_result(config.out / RESULT), "", read_weights(config.out), note)


def run_seeds(
    config: FinetuneConfig, build: Callable[[int], Task], check: Callable[[Outcome], None]
) -> list[Outcome] | str:
    """Train every seed that is not finished yet, one after another, in RUN/seed-S.

    Args:
        config: with its points settled.
        build: makes a seed's task; nothing is written before the first one is there.
        check: looks at a seed that an earlier call finished; raises where the data is another now.

    Returns:
        One outcome a seed; or, where the run was told to stop, the place in words.

    Raises:
        UsageError: `build` refuses. RunError: see `train`, or the encoder's weights have changed since the run began.
    """
    outcomes: list[Outcome] = []
    if config.resume and not seed_folder(config, 0).exists():
        sys.stderr.write(f"no checkpoint in {config.out}: starting at step 0\n")
    for seed in range(config.seeds):
        if (seed_folder(config, seed) / OUTCOME).exists():
            check(read_outcome(config, seed))
    with runtime.stop_requests() as stop:
        for seed in range(config.seeds):
            folder = seed_folder(config, seed)
            if not (folder / OUTCOME).exists():
                task = build(seed)
                require_same_encoder(config.out / WEIGHTS, task.weights)
                write_config(config)
                folder.mkdir(exist_ok=True)
                runtime.write_json(config.out / WEIGHTS, task.weights)
                trained = train(config, task, folder, seed, stop)
                if trained is None:
                    return f"step {checkpoint.checkpoint_step(folder)} of seed {seed}"
                answers = task.answer()
                task.save(folder)
                write_answers(folder, answers.arrays)
                outcome = Outcome(
                    seed=seed,
                    scores=answers.scores,
                    chosen_on=task.validation,
                    chosen_by=task.chosen_by,
                    record=task.record | answers.record,
                    **asdict(trained),
                )
                runtime.write_json(folder / OUTCOME, asdict(outcome))
                shutil.rmtree(folder / "checkpoint", ignore_errors=True)
            outcomes.append(read_outcome(config, seed))
            if stop.is_set() and seed + 1 < config.seeds:
                return f"the end of seed {seed}"
    return outcomes


def read_weights(run: Path) -> dict[str, Any]:
    """What RUN/weights.json says."""
    weights: dict[str, Any] = json.loads((run / WEIGHTS).read_text(encoding="utf-8"))
    return weights


def finish(config: FinetuneConfig, outcomes: list[Outcome], result: Result) -> FinetuneResult:
    """Write result.json, and summary.json last: with it the run counts as finished."""
    runtime.write_json(config.out / RESULT, asdict(result))
    summary = {
        "steps": sum(outcome.steps for outcome in outcomes),
        "seeds": len(outcomes),
        "seconds": sum(outcome.seconds for outcome in outcomes),
        "best_seed": best_seed(outcomes),
        "scores": {name: score["mean"] for name, score in result.scores.items()},
        "environment": runtime.environment(),
    }
    runtime.write_json(config.out / SUMMARY, summary)
    return FinetuneResult(str(config.out), result, "", read_weights(config.out))
