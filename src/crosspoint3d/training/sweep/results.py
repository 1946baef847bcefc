"""Evaluations of a run: measured once, and kept as long as all that decides them is as it was."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from crosspoint3d import __version__
from crosspoint3d.config import EvaluateConfig
from crosspoint3d.config_file import to_dict
from crosspoint3d.evaluation.benchmark.sources import content_hash, data_paths, encoder_paths, state_hash
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import RESULT, read_result
from crosspoint3d.evaluation.verbs import function
from crosspoint3d.runtime import environment, pick_device

ORIGIN = "made_by.json"
NO_DIFFERENCE = ("encoder", "out", "batch_size", "cache")


def kept(verb: str, config: EvaluateConfig) -> Result | None:
    """The result in `config.out`, if config, versions, device, encoder and data are those that it was made with.

    Edits of the package's source between two runs of a long sweep are let pass; the table has a note of them.
    """
    folder = _folder(config)
    try:
        origin = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        return read_result(folder / RESULT) if origin == _origin(verb, config) else None
    except (OSError, ValueError, TypeError):
        return None


def measure(verb: str, config: EvaluateConfig) -> Result:
    """Run an evaluation; what made it is written last, so that a result without that counts for nothing.

    Raises:
        UsageError: the encoder or the data cannot be used.
    """
    folder, origin = _folder(config), _origin(verb, config)
    (folder / ORIGIN).unlink(missing_ok=True)
    result = function(verb)(config)
    (folder / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    return result


def _folder(config: EvaluateConfig) -> Path:
    assert config.out is not None
    return config.out


def _origin(verb: str, config: EvaluateConfig) -> Any:
    """Plain values that are equal for two results that must be equal."""
    values = {name: value for name, value in to_dict(config).items() if name not in NO_DIFFERENCE}
    origin = {
        "version": __version__,
        "packages": environment()["packages"],
        "evaluation": verb,
        "config": values | {"device": str(pick_device(config.device))},
        "encoder_sha256": _encoder_hash(config.encoder, _changed(Path(config.encoder))),
        "data_files_sha256": [state_hash(data_paths(spec)) for spec in (config.data, *getattr(config, "transfer", ()))],
    }
    return json.loads(json.dumps(origin))


@lru_cache(maxsize=4096)
def _encoder_hash(spec: str, changed: int) -> str:
    """Of a run's networks; several evaluations ask for it, and a file is read again only when it changed."""
    return content_hash(path for path in encoder_paths(spec) if path.name != "config.yaml")


def _changed(run: Path) -> int:
    return max((file.stat().st_mtime_ns for file in run.glob("*encoder/*")), default=0)
