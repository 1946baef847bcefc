"""Tiny sweeps: a table of 20 shapes, networks of a few channels, three steps without pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from crosspoint3d.training.sweep import __main__ as child
from crosspoint3d.training.sweep.processes import Task
from tests.data.tables import example_table

BASE: dict[str, Any] = {
    "width": 0.125,
    "emb_dims": 16,
    "k": 4,
    "points": 16,
    "image_encoder": "resnet18",
    "image_size": 32,
    "cross_weight": 0.0,
    "batch_size": 4,
    "max_steps": 3,
    "device": "cpu",
}


def write_sweep(folder: Path, **changes: Any) -> Path:
    """A sweep file of k = 4 and 5 by two seeds over a new table; `changes` replace keys, None removes one."""
    if not (folder / "table").exists():
        example_table(folder / "table", 20)
    content: dict[str, Any] = {"base": BASE | {"data": str(folder / "table")}, "grid": {"k": [4, 5]}, "seeds": 2}
    content |= {"evaluate": [{"knn": {"seeds": 1}}]}
    content = {name: value for name, value in (content | changes).items() if value is not None}
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def in_this_process(
    tasks: Sequence[Task],
    slots: Sequence[dict[str, str]],
    *,
    begun: Callable[[int], None],
    ended: Callable[[int, int], None],
    lock: int | None = None,
) -> bool:
    """What `run_tasks` does, one after the other and without processes."""
    for number, task in enumerate(tasks):
        begun(number)
        ended(number, child.main(Path(task.command[-1])))
    return True
