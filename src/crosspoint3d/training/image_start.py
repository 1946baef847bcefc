"""What a run's image encoder began with: noted in the run folder, so that a run that goes on needs the source no more.

The weights themselves, frozen ones too, are in every checkpoint.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from crosspoint3d.config import PretrainConfig, RunError, UsageError
from crosspoint3d.models.image import TimmEncoder
from crosspoint3d.models.image_weights import SCRATCH
from crosspoint3d.models.tower import Tower
from crosspoint3d.runtime import write_json
from crosspoint3d.training import checkpoint
from crosspoint3d.training.run_folder import check_folder

FILE = "image_weights.json"


def begun_with(config: PretrainConfig) -> dict[str, Any] | None:
    """Where the weights came from that a run which goes on began with; None where weights are still to be loaded.

    Raises:
        RunError: the note is gone, or no checkpoint can be read.
        UsageError: there never was a note, because another config began the run.
    """
    if config.image_weights == SCRATCH or not config.cross_weight or not config.resume:
        return None
    if not checkpoint.checkpoint_step(config.out):
        return None
    if (noted := read_note(config.out)) is None:
        check_folder(config)  # a run that began with fresh weights has no note: that --image-weights changed is said
        raise RunError(f"{config.out / FILE}, which says what the run began with, is gone: start a new run")
    return noted


def read_note(run: Path) -> dict[str, Any] | None:
    """What a run's image encoder began with; None for fresh weights.

    Raises:
        RunError: the note cannot be read.
    """
    try:
        noted: dict[str, Any] = json.loads((run / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{run / FILE}, which says what the run began with, cannot be read: {error}") from error
    return noted


def without_source(config: PretrainConfig) -> PretrainConfig:
    """The config of the same networks, whose weights come from a checkpoint."""
    return replace(config, image_weights=SCRATCH)


def go_on(tower: Tower, noted: dict[str, Any]) -> None:
    """Give a tower that a checkpoint fills what is not among its weights."""
    tower.began_with = noted
    if isinstance(tower.encoder, TimmEncoder) and "mean" in noted:
        tower.encoder.expect(noted["mean"], noted["std"])


def note_start(config: PretrainConfig, tower: Tower) -> None:
    """Write what the encoder begins with into the run folder; warn of random weights that will not learn.

    Raises:
        UsageError: the run began with other weights from the same place.
    """
    if config.freeze_images and config.image_weights == SCRATCH and config.cross_weight:
        sys.stderr.write(
            "crosspoint3d: warning: --freeze-images with --image-weights scratch: the image encoder keeps its random "
            "weights, which serves a comparison only\n"
        )
    if tower.began_with is None:
        return
    before, sha256 = read_note(config.out), tower.began_with["sha256"]
    if before is not None and before["sha256"] != sha256:
        raise UsageError(
            f"--image-weights {config.image_weights}: other weights than those that {config.out} began with "
            f"(SHA-256 {sha256[:12]}, was {before['sha256'][:12]}): start a new run"
        )
    write_json(config.out / FILE, tower.began_with)
