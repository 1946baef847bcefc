"""A run's folder: who may write into it, and whether a run there can go on."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from crosspoint3d.config import FinetuneConfig, PretrainConfig, UsageError
from crosspoint3d.config_file import load_yaml, save_yaml, to_dict
from crosspoint3d.runtime import atomic
from crosspoint3d.training import checkpoint, metrics

CONFIG = "config.yaml"
SUMMARY = "summary.json"
# What a resumed run may change. Another device draws other augmentations; threads and a compiler round differently.
_FREE = {"resume", "device", "workers", "threads", "log_every", "checkpoint_every", "compile", "out"}


def open_run(config: PretrainConfig) -> int:
    """Claim `config.out` for a run; the number of steps that are already done there (0 for a new run).

    Raises:
        UsageError: the folder is in use and `resume` is off, or the config differs from the one the run began with.
    """
    run = config.out
    check_folder(config)
    done = checkpoint.checkpoint_step(run) if config.resume else None
    if config.resume and done is None:
        sys.stderr.write(f"no checkpoint in {run}: starting at step 0\n")
    if done is None:
        write_config(config)
    metrics.cut(run, done or 0)
    return done or 0


def check_folder(config: PretrainConfig | FinetuneConfig) -> None:
    """Refuse a folder that is in use, and a run that another config began; nothing is written.

    Raises:
        UsageError: see above.
    """
    run = config.out
    if run.exists() and not run.is_dir():
        raise UsageError(f"--out {run} is a file: give a folder")
    if run.is_dir() and any(run.iterdir()) and not config.resume:
        raise UsageError(f"--out {run} exists: give another folder, or --resume to go on with the run in it")
    if config.resume and (run / CONFIG).exists():
        _check_same(config, run / CONFIG)


def write_config(config: PretrainConfig | FinetuneConfig) -> None:
    """Create the folder with the config in it, so that `--config RUN/config.yaml` repeats the run."""
    with atomic(config.out / CONFIG) as path:
        save_yaml(dataclasses.replace(config, resume=False), path)


def finished_steps(config: PretrainConfig) -> int | None:
    """Steps of the finished run in `config.out`; None where there is none that is finished.

    Raises:
        UsageError: it is finished, but the config differs from its own.
    """
    summary = finished_summary(config)
    return None if summary is None else int(summary["steps"])


def finished_summary(config: PretrainConfig | FinetuneConfig) -> dict[str, Any] | None:
    """What summary.json says about the finished run in `config.out`; None where there is none that is finished.

    Raises:
        UsageError: it is finished, but the config differs from its own.
    """
    path = config.out / SUMMARY
    if not path.exists():
        return None
    _check_same(config, config.out / CONFIG)
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return summary


def _check_same(config: PretrainConfig | FinetuneConfig, path: Path) -> None:
    before, now = load_yaml(path, type(config)), to_dict(config)
    differ = [key for key in now if key not in _FREE and before.get(key, now[key]) != now[key]]
    if differ:
        changes = "; ".join(f"{key} was {before[key]!r}, now {now[key]!r}" for key in differ)
        raise UsageError(f"--resume cannot change what decides the result: {changes}")
