"""What the scripts beside this one print and write: rows of figures, the machine, the date and the commit."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from floor import Ceilings, Work
from timing import Pair, median

ROOT = Path(__file__).resolve().parent.parent
LOAD = [round(value, 2) for value in os.getloadavg()]  # before anything is measured


@dataclass(frozen=True)
class Row:
    """One line of a table, in milliseconds or MiB."""

    what: str
    precision: str
    ours: float
    plain: float | None = None
    ratios: list[float] = field(default_factory=list)
    """Plain by ours, of each turn."""
    target: float | None = None
    """The least ratio wanted."""
    floor: float | None = None
    work: Work | None = None

    @property
    def ratio(self) -> float | None:
        """Plain by ours; of times, the ratio of the medians."""
        return None if self.plain is None else self.plain / self.ours

    @classmethod
    def of_times(
        cls, what: str, precision: str, pair: Pair, target: float | None, work: Work, ceilings: Ceilings
    ) -> "Row":
        """The row of a timed pair."""
        ours, plain = 1e3 * median(pair.ours), 1e3 * median(pair.plain)
        return cls(what, precision, ours, plain, pair.ratios, target, 1e3 * ceilings.seconds(work), work)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def table(rows: Sequence[Row], unit: str) -> str:
    """The rows as text; `x floor` is ours by the floor."""
    lines = [["what", "precision", f"ours {unit}", f"plain {unit}", "ratio", "of turns", "target", "floor", "x floor"]]
    for row in rows:
        spread = f"{min(row.ratios):.3g} to {max(row.ratios):.3g}" if row.ratios else "-"
        above = row.ours / row.floor if row.floor else None
        figures = map(_number, (row.ours, row.plain, row.ratio))
        lines.append([row.what, row.precision, *figures, spread, *map(_number, (row.target, row.floor, above))])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line in lines:
        left = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        text.append("  ".join(left + right))
    return "\n".join(text)


def _output(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _commit() -> str | None:
    """$COMMIT, or git's; with a plus where files differ from it."""
    commit = os.environ.get("COMMIT") or _output("git", "rev-parse", "HEAD")
    changed = not os.environ.get("COMMIT") and _output("git", "status", "--porcelain", "--", "src", "benchmarks")
    return f"{commit}+" if commit and changed else commit


COMMIT = _commit()  # as this process started


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine(device: torch.device) -> dict[str, Any]:
    """Date, commit, hardware and versions, and how busy the machine was."""
    on_cuda = device.type == "cuda"
    driver = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") if on_cuda else None
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": COMMIT,
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if on_cuda else None,
        "driver": driver,
        "cuda": torch.version.cuda if on_cuda else None,
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": LOAD,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("torch", "triton", "numba", "numpy")},
    }


def publish(
    rows: Sequence[Row], unit: str, options: argparse.Namespace, device: torch.device, speeds: dict[str, Ceilings]
) -> None:
    """Print the machine, its speeds and the table; write all of it and the options as JSON where asked."""
    where = machine(device)
    name = where["gpu"] or f"{where['processor']}, {where['threads']} threads"
    versions = ", ".join(f"{package} {version}" for package, version in where["versions"].items() if version)
    print(f"{name}; {versions}; commit {where['commit']}; {where['date']}; load {where['load']}")
    for precision, speed in speeds.items():
        print(f"{precision}: {speed}")
    print(table(rows, unit))
    if options.json is None:
        return
    record = {
        "machine": where,
        "settings": {key: value for key, value in vars(options).items() if key != "json"},
        "speeds": {precision: asdict(speed) for precision, speed in speeds.items()},
        "unit": unit,
        "rows": [asdict(row) | {"ratio": row.ratio} for row in rows],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(record, indent=1) + "\n")
