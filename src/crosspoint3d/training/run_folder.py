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
from crosspoint3d.training.run_tables import require_same_tables, write_tables

CONFIG = checkpoint.CONFIG
SUMMARY = "summary.json"
# What a resumed run takes over as it is now given: nothing of it decides a number.
_FREE = {"resume", "out", "workers", "log_every", "checkpoint_every", "tensorboard", "wandb"}
# Taken over too, with a warning: another device draws other augmentations, threads and a compiler round differently.
_ROUNDING = {"device", "threads", "compile"}


def open_run(config: PretrainConfig) -> int:
    """Claim `config.out` for a run; the number of steps that are already done there (0 for a new run).

    Of a run that goes on, metrics.jsonl is cut to the step of the newest checkpoint that can be read, and config.yaml
    gets what has been changed and does not decide the result.

    Raises:
        UsageError: the folder is in use and `resume` is off, it cannot be written, or the config differs from the one
            the run began with in what decides the result.
        RunError: no checkpoint in it can be read, or the tables have changed since.
    """
    run = config.out
    changed = check_folder(config)
    done = checkpoint.checkpoint_step(run) if config.resume else None
    if config.resume and done is None:
        sys.stderr.write(f"no checkpoint in {run}: starting at step 0\n")
    if done is None:
        write_config(config)
        write_tables(run, config.data)
    else:
        require_same_tables(run)
        if done == 0:
            checkpoint.name_unreadable(run)
        if changed:
            write_config(config)
    metrics.cut(run, done or 0)
    return done or 0


def check_folder(config: PretrainConfig | FinetuneConfig) -> list[str]:
    """Refuse a folder that is in use, and a run that another config began; nothing is written.

    Returns:
        The options that a run that goes on takes over with another value; each is said on stderr.

    Raises:
        UsageError: see above.
    """
    run = config.out
    if run.exists() and not run.is_dir():
        raise UsageError(f"--out {run} is a file: give a folder")
    if run.is_dir() and any(run.iterdir()) and not config.resume:
        raise UsageError(f"--out {run} exists: give another folder, or --resume to go on with the run in it")
    if not (config.resume and (run / CONFIG).exists()):
        return []
    taken = _check_same(config, run / CONFIG)
    for key, (then, now) in taken.items():
        apart = "; the result may differ a little from an uninterrupted run's" if key in _ROUNDING else ""
        sys.stderr.write(f"--resume takes over {key}: was {then!r}, now {now!r}{apart}\n")
    return list(taken)


def write_config(config: PretrainConfig | FinetuneConfig) -> None:
    """Create the folder with the config in it, so that `--config RUN/config.yaml` repeats the run.

    Raises:
        UsageError: nothing can be written there.
    """
    try:
        with atomic(config.out / CONFIG) as path:
            save_yaml(dataclasses.replace(config, resume=False), path)
    except OSError as error:
        where = f"--out {config.out} cannot be written ({error.strerror or error})"
        raise UsageError(f"{where}: give a folder on a disk with space that you may write to") from error


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


def _check_same(config: PretrainConfig | FinetuneConfig, path: Path) -> dict[str, tuple[Any, Any]]:
    """Refuse a config that would make another result; the other changes, as option: (then, now).

    An option that the file does not have is newer than the run, which therefore had its default.
    """
    now = to_dict(config)
    before = _defaults(type(config)) | load_yaml(path, type(config))
    differ = {key: (before[key], now[key]) for key in now if key in before and before[key] != now[key]}
    refused = [f"{key} was {then!r}, now {value!r}" for key, (then, value) in differ.items() if _decides(key)]
    if refused:
        raise UsageError(f"--resume cannot change what decides the result: {'; '.join(refused)}")
    return {key: pair for key, pair in differ.items() if key not in ("resume", "out")}


def _decides(key: str) -> bool:
    return key not in _FREE | _ROUNDING


def _defaults(config_class: type) -> dict[str, Any]:
    fields = dataclasses.fields(config_class)
    values = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
