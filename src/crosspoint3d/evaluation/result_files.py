"""Results on disk: which folder they go to, result.json, and the tables beside it."""

import json
import sys
from dataclasses import asdict
from itertools import count
from pathlib import Path

from crosspoint3d.config import EvaluateConfig, SegmentationConfig
from crosspoint3d.config_file import to_dict
from crosspoint3d.evaluation.class_tables import class_table, write_class_tables
from crosspoint3d.evaluation.result import Result
from crosspoint3d.runtime import write_json

RESULT = "result.json"
DECIDES_NOTHING = ("encoder", "model", "out", "device", "batch_size", "cache")
"""Options of which one more result in the same run folder makes no other number."""


def result_folder(config: EvaluateConfig | SegmentationConfig, verb: str) -> Path | None:
    """Where the result goes: `--out`, or RUN/evaluation/VERB for a run folder, else nowhere.

    Nothing is lost: where RUN/evaluation/VERB holds the result of other options (another protocol, other data, ...),
    VERB-2, VERB-3, ... is taken, the first that is free or holds a result of the same options.
    """
    if config.out is not None:
        return config.out
    run = Path(config.model if isinstance(config, SegmentationConfig) else config.encoder)
    if not ((run / "encoder").is_dir() and (run / "config.yaml").is_file()):
        return None
    names = (f"{verb}-{number}" if number > 1 else verb for number in count(1))
    return next(folder for name in names if _same_options(folder := run / "evaluation" / name, config))


def _same_options(folder: Path, config: EvaluateConfig | SegmentationConfig) -> bool:
    """Whether a folder has no result, a broken one, one of these options, or one that `pretrain` or --out put there."""
    try:
        recorded = read_result(folder / RESULT).protocol["config"]
    except (OSError, ValueError, TypeError, KeyError):
        return True
    if recorded.get("out") is not None:
        return True
    now = to_dict(config)
    return all(recorded[name] == now[name] for name in now if name in recorded and name not in DECIDES_NOTHING)


def write_result(config: EvaluateConfig | SegmentationConfig, verb: str, result: Result) -> Path | None:
    """Write `result.json`, whole or not at all, and beside it the categories as CSV files where it has any.

    Returns:
        The path of result.json, or None when the result has no folder.
    """
    folder = result_folder(config, verb)
    if folder is None:
        return None
    write_json(folder / RESULT, asdict(result))
    sys.stderr.write(f"written: {folder / 'result.json'}\n")
    write_class_tables(folder, class_table(result.details, len(result.protocol["seeds"])))
    return folder / RESULT


def read_result(path: Path) -> Result:
    """The result that `write_result` wrote."""
    return Result(**json.loads(path.read_text(encoding="utf-8")))
