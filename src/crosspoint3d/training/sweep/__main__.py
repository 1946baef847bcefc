"""One run of a sweep in a process of its own: pre-train or go on, then every evaluation that is not there yet.

Run as `python -m crosspoint3d.training.sweep JOB.json`; what became of it is written to JOB.outcome.json.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from crosspoint3d.config import PretrainConfig, RunError, UsageError
from crosspoint3d.evaluation.verbs import VERBS
from crosspoint3d.runtime import atomic
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.training.sweep.job import STOPPED
from crosspoint3d.training.sweep.options import from_plain
from crosspoint3d.training.sweep.results import measure


def main(file: Path) -> int:
    """Do a job; the exit code: 0 done, 1 something failed, 130 stopped with a checkpoint."""
    told = json.loads(file.read_text(encoding="utf-8"))
    outcome: dict[str, Any] = {"trained": "", "evaluations": {}}
    try:
        result = pretrain(from_plain(PretrainConfig, told["train"], str(file)))
        sys.stderr.write(f"{result}\n")
        if result.stopped:
            return STOPPED
    except Exception as error:
        outcome["trained"] = _reason(error)
    else:
        for entry in told["evaluations"]:
            config = from_plain(VERBS[entry["verb"]].config_class, entry["config"], str(file))
            try:
                sys.stderr.write(f"{measure(entry['verb'], config)}\n")
            except Exception as error:  # a full device or a broken file can raise anything; the others go on
                outcome["evaluations"][entry["label"]] = _reason(error)
    with atomic(file.with_suffix(".outcome.json")) as path:
        path.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    return int(bool(outcome["trained"] or outcome["evaluations"]))


def _reason(error: Exception) -> str:
    """One line for the table; what only a developer can read goes to the log."""
    if isinstance(error, UsageError | RunError):
        sys.stderr.write(f"crosspoint3d: {error}\n")
        return str(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(STOPPED)
