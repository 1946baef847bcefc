"""Options of `sweep`."""

from dataclasses import dataclass, field
from pathlib import Path

from crosspoint3d.config.common import Device


@dataclass(frozen=True)
class SweepConfig:
    """Pre-train a grid of settings by several seeds from a YAML file, evaluate every run, and lay all in one table."""

    file: Path = field(metadata={"positional": True})
    """YAML file: base, grid or runs, seeds and evaluations."""
    out: Path
    """Folder for the runs and the table (CSV, HTML, PNG, JSON); a second start goes on with what is there."""
    jobs: int = 1
    """Runs at a time, each in a process of its own with its share of the cores (and of the GPUs)."""
    device: Device = "auto"
    """Where to train and to evaluate; the file's `device` where this is not given."""
    dry_run: bool = False
    """List what would be run, and stop there."""
