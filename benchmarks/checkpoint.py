"""What checkpoints cost a run, with the full-size networks: DGCNN (k = 20) and ResNet-50 with heads, and Adam.

    python benchmarks/checkpoint.py --step-ms 250 5000 --json checkpoint.json
    python benchmarks/checkpoint.py --device cuda --step-ms 100 --folder /scratch

- `copy_s`: what a training waits for at a checkpoint, a copy of the state in host memory (median; the first copy, which
  takes the memory from the system, is that of step 0).
- `write_s`: from the start of that copy to the safe file: checksums, synchronisation with the disk, removal of the
  fourth oldest. The training goes on meanwhile, but shares cores and memory: `lost_s` is by how much matrix products on
  the same device fall behind their usual pace until the file is there.
- `share`: copy and lost seconds as a share of --every steps of --step-ms (benchmarks/pretrain_step.py measures them).
- `start_s`, `resumed_start_s`: from the call of `pretrain` to its first update on a small prepared table, for a new run
  (which writes its first checkpoint) and with --resume (which checks and reads the newest); `resume_overhead_s` is what
  the latter takes more, `fall_back_s` the same where the newest one is cut short.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pretrain_step import now

from crosspoint3d import runtime
from crosspoint3d.config import PrepareConfig, PretrainConfig
from crosspoint3d.data.prepare import prepare
from crosspoint3d.training import checkpoint, loop
from crosspoint3d.training.checkpoint_files import newest_first
from crosspoint3d.training.checkpoint_writer import CheckpointWriter
from crosspoint3d.training.pretrain import pretrain
from crosspoint3d.training.setup import build_model, build_optimizer

TARGETS = {"share": 0.01, "resume s": 10.0}
QUICK: dict[str, Any] = {"width": 0.125, "emb_dims": 64, "image_encoder": "resnet18"}


class Begun(Exception):  # noqa: N818
    """The first update of a run was reached."""


def trained(config: PretrainConfig, device: torch.device) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """The networks and their optimizer after one update, so that it has its whole state."""
    model = build_model(config, device)
    optimizer = build_optimizer(config, model)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    return model, optimizer


def work_of(device: torch.device) -> Callable[[], float]:
    """Seconds of a matrix product of some ten milliseconds."""
    side = 16384 if device.type == "cuda" else 1536
    left = torch.randn(side, side, device=device)

    def work() -> float:
        began = now(device)
        left @ left
        return now(device) - began

    return work


def measure_saves(config: PretrainConfig, repeats: int, every: int) -> dict[str, float]:
    """Medians of the copy, of the whole write, and of what other work loses meanwhile."""
    device = runtime.pick_device(config.device)
    model, optimizer = trained(config, device)
    work = work_of(device)
    copies, writes, losses = [], [], []
    with CheckpointWriter(config.out, model, optimizer, "rows") as writer:
        for number in range(repeats + 1):
            usual = statistics.median(work() for _ in range(20))
            began = now(device)
            writer.save((number + 1) * every)
            copied = now(device)
            spent = []
            while writer.busy:
                spent.append(work())
            written = now(device)
            if number:
                copies.append(copied - began)
                writes.append(written - began)
                losses.append(max(0.0, sum(spent) - usual * len(spent)))
    size = newest_first(config.out / checkpoint.FOLDER)[0].stat().st_size
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "mb": round(size / 1e6, 1),
        "copy_s": round(statistics.median(copies), 4),
        "write_s": round(statistics.median(writes), 4),
        "lost_s": round(statistics.median(losses), 4),
    }


def seconds_to_first_update(config: PretrainConfig) -> float:
    """From the call of `pretrain` until it would make its first update."""

    def reached(*_: Any, **__: Any) -> None:
        raise Begun

    update, loop.train_step = loop.train_step, reached  # type: ignore[assignment]
    began = time.perf_counter()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            pretrain(config)
    except Begun:
        return time.perf_counter() - began
    finally:
        loop.train_step = update
    raise RuntimeError("the run made no update")


def measure_starts(config: PretrainConfig, repeats: int, folder: Path) -> dict[str, float]:
    """Medians of the start of a new run, of one that goes on, and of one whose newest checkpoint is broken."""
    prepare(PrepareConfig("procedural:16", folder / "table", points=256, views=1, image_size=32, workers=1))
    new, resumed, fallen = [], [], []
    for number in range(repeats + 1):
        run = replace(
            config, data=(folder / "table",), out=folder / f"run-{number}", points=128, batch_size=2, max_steps=9
        )
        new.append(seconds_to_first_update(run))
        model, optimizer = trained(run, runtime.pick_device(run.device))
        begun = torch.load(run.out / "checkpoint" / "step-00000000.pt", weights_only=True)
        beside = {name: begun[name] for name in ("processes", "order", "queue")}
        for step in (3, 6):
            checkpoint.save_checkpoint(run.out, model, optimizer, step, begun["rows"], beside)
        run = replace(run, resume=True)
        resumed.append(seconds_to_first_update(run))
        newest = newest_first(run.out / checkpoint.FOLDER)[0]
        with newest.open("r+b") as file:
            file.truncate(newest.stat().st_size // 2)
        fallen.append(seconds_to_first_update(run))
        for path in newest_first(run.out / checkpoint.FOLDER):
            path.unlink()
    start, resume, fall_back = (statistics.median(values[1:]) for values in (new, resumed, fallen))
    return {
        "start_s": round(start, 3),
        "resumed_start_s": round(resume, 3),
        "resume_overhead_s": round(resume - start, 3),
        "fall_back_s": round(fall_back - start, 3),
    }


def main() -> None:
    """Measure, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--step-ms", type=float, nargs="+", default=[250], help="milliseconds of a step, as measured")
    parser.add_argument("--folder", type=Path, help="where to write, on the disk to be measured")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write settings, machine and numbers to")
    parser.add_argument("--quick", action="store_true", help="small networks, to see that it runs; no targets")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        out = Path(folder) / "saves"
        out.mkdir()
        config = PretrainConfig(data=(Path("none"),), out=out, device=options.device, optimizer="adam")
        config = replace(config, **QUICK) if options.quick else config
        result: dict[str, Any] = measure_saves(config, options.repeats, options.every)
        for path in newest_first(out / checkpoint.FOLDER):
            path.unlink()
        result |= measure_starts(config, options.repeats, Path(folder))
    waits = result["copy_s"] + result["lost_s"]
    result["share"] = {f"{ms:g} ms": round(waits / (options.every * ms / 1000), 6) for ms in options.step_ms}
    for name, value in result.items():
        print(f"{name:20}{value!s:>14}")
    if not options.quick:
        found = {"share": max(result["share"].values()), "resume s": result["resumed_start_s"]}
        for name, most in TARGETS.items():
            print(f"{name}: {found[name]} ({'met' if found[name] < most else 'missed'}: below {most})")
    if options.json:
        settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
        record = {"settings": settings, "result": result, "environment": runtime.environment()}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
