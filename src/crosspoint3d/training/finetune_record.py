"""The protocol record of a fine-tuning, what decides its numbers in the form of evaluations; and a check against it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from crosspoint3d.config import FinetuneConfig, RunError
from crosspoint3d.evaluation.protocol import TRAINS, arrays_sha256, circumstances
from crosspoint3d.training.finetune_outcome import Outcome

TEST_CHOSE = (
    "the epoch was chosen on the test shapes, as published: the scores hold what that choice gains, and are no measure "
    "of new shapes (--protocol clean chooses on validation shapes)"
)
CHANCE = "chance always gives the most frequent answer (of parts: in the shape's category) among the shapes trained on"
LAST_EPOCH = "there are no validation shapes: the last epoch is kept"


def finetune_record(
    config: FinetuneConfig, outcomes: Sequence[Outcome], *, data: dict[str, Any], picked: str, notes: Sequence[str]
) -> dict[str, Any]:
    """The protocol record, plain values only.

    Args:
        config: as it was run, its points settled.
        outcomes: of every seed. Their records' `encoder` (sha256, k, ...) and `clouds_sha256` go to `encoders`, what is
            left of them to `trainings`.
        data: the data's own record, of the last seed.
        picked: how the points of each cloud were chosen, in words.
        notes: sentences a reader of the numbers should know, beside those of the data.
    """
    encoders = [
        {
            "seed": outcome.seed,
            "clouds_sha256": outcome.record["clouds_sha256"],
            "trained": outcome.record["encoder"],
        }
        for outcome in outcomes
    ]
    return {
        "mode": config.protocol,
        "data": {key: value for key, value in data.items() if key != "notes"},
        "points": {"count": config.points, "picked": picked},
        "k": encoders[0]["trained"]["k"],
        "seeds": [outcome.seed for outcome in outcomes],
        "finetuning": {
            "weights": {
                "full": "encoder and head, from the encoder's weights",
                "frozen": "the head alone; the encoder's weights and statistics stay",
                "scratch": "encoder and head, from fresh weights of the encoder's architecture",
            }[config.mode],
            "optimizer": _optimizer(config),
            "schedule": f"linear warm-up over {config.warmup:g} of the steps, then half a cosine to "
            f"{config.final_lr:g} of the peak",
            "loss": f"cross entropy, smoothing {config.label_smoothing:g}, "
            f"{'balanced' if config.class_weights == 'balanced' else 'no'} label weights",
            "augmentation": config.augment,
            "votes": config.votes,
            "precision": config.precision,
        },
        "trainings": [_training(outcome) for outcome in outcomes],
        "encoder": config.encoder,
        "encoder_sha256": sorted({entry["trained"]["sha256"] for entry in encoders}),
        "encoders": encoders,
        **circumstances(config, seconds=sum(outcome.seconds for outcome in outcomes), places=TRAINS),
        "notes": [*data.get("notes", []), *notes, *_about(config, outcomes)],
    }


def require_same_clouds(outcome: Outcome, train: np.ndarray, test: np.ndarray) -> None:
    """Refuse clouds that are not those of a seed that was finished by an earlier call.

    Raises:
        RunError: the points differ.
    """
    if arrays_sha256(train, test) != outcome.record["clouds_sha256"]:
        raise RunError(
            f"the shapes of --data, or how this version reads them, have changed since seed {outcome.seed} was "
            "trained: start a new run"
        )


def _training(outcome: Outcome) -> dict[str, Any]:
    own = {name: value for name, value in outcome.record.items() if name not in ("encoder", "clouds_sha256")}
    return {
        "seed": outcome.seed,
        "steps": outcome.steps,
        "epochs": outcome.epochs,
        "kept_after_epochs": outcome.kept_after,
        "chosen_on": outcome.chosen_on,
        "chosen_by": outcome.chosen_by,
        "validation": outcome.validation,
        "seconds": round(outcome.seconds, 3),
        **own,
    }


def _optimizer(config: FinetuneConfig) -> str:
    name = "SGD with momentum 0.9" if config.optimizer == "sgd" else "AdamW"
    clip = f"gradient norm clipped at {config.grad_clip:g}" if config.grad_clip else "no clipping"
    decay = f", times {config.layer_decay:g} a layer from the head down" if config.layer_decay != 1 else ""
    return f"{name}, peak learning rate {config.lr:g}{decay}, weight decay {config.weight_decay:g}, {clip}"


def _about(config: FinetuneConfig, outcomes: Sequence[Outcome]) -> list[str]:
    """What a reader should know about chance, how the epoch was chosen and what the training began with."""
    notes = [CHANCE]
    if config.protocol == "paper":
        notes.append(TEST_CHOSE)
    elif any(outcome.chosen_on is None for outcome in outcomes):
        notes.append(LAST_EPOCH)
    if config.mode == "scratch":
        notes.append("from scratch: of --encoder only the architecture is used")
    elif config.encoder.startswith("random:"):
        notes.append("the encoder is itself untrained")
    raised = [outcome for outcome in outcomes if outcome.epochs > config.epochs]
    if raised:
        most = max(outcome.epochs for outcome in raised)
        notes.append(f"--min-steps {config.min_steps} made {most} epochs of {config.epochs}")
    return notes
