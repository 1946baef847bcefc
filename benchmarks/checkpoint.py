"""What checkpoints cost: seconds to save and to load one of the full-size networks, as a share of --every steps.

    python benchmarks/checkpoint.py --step-ms 250 --json checkpoint.json
    python benchmarks/checkpoint.py --device cuda --step-ms 100 --folder /scratch

The networks are those of `pretrain`: DGCNN and ResNet-50 with heads, and AdamW after one update. A save is all that a
run waits for: copies from the device, file, checksums, synchronisation with the disk, removal of the fourth oldest. A
resume is all that --resume does beside building the networks: the newest file is checked and read twice, once for its
step and once for its content; `fall_back_s` is the same with the newest one cut short. benchmarks/pretrain_step.py
measures the milliseconds of a step.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pretrain_step import now

from crosspoint3d import runtime
from crosspoint3d.config import PretrainConfig
from crosspoint3d.training import checkpoint
from crosspoint3d.training.checkpoint_files import newest_first
from crosspoint3d.training.setup import build_model, build_optimizer

TARGETS = {"share of the steps": 0.01, "resume s": 10.0}
QUICK: dict[str, Any] = {"width": 0.125, "emb_dims": 64, "image_encoder": "resnet18"}


def measure(config: PretrainConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Median seconds of a save, a resume and a fall back, and the size of a file."""
    device = runtime.pick_device(config.device)
    model = build_model(config, device)
    optimizer = build_optimizer(config, model)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    step = iter(range(options.every, 10**9, options.every))

    def seconds(work: Callable[[], Any]) -> float:
        began = now(device)
        work()
        return now(device) - began

    def save() -> None:
        checkpoint.save_checkpoint(config.out, model, optimizer, next(step), "rows")

    def resume() -> None:
        checkpoint.checkpoint_step(config.out)
        checkpoint.load_checkpoint(config.out, model, optimizer, "rows")

    def median(work: Callable[[], Any]) -> float:
        return statistics.median(seconds(work) for _ in range(options.repeats))

    for _ in range(3):
        save()
    saved, resumed = median(save), median(resume)
    newest = newest_first(config.out / checkpoint.FOLDER)[0]
    size = newest.stat().st_size
    with newest.open("r+b") as file:
        file.truncate(size // 2)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "mb": round(size / 1e6, 1),
        "save_s": round(saved, 4),
        "resume_s": round(resumed, 4),
        "fall_back_s": round(median(resume), 4),
        "steps_s": options.every * options.step_ms / 1000,
        "share": round(saved / (options.every * options.step_ms / 1000), 5),
    }


def main() -> None:
    """Measure, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--step-ms", type=float, default=250, help="milliseconds of a step, as measured")
    parser.add_argument("--folder", type=Path, help="where to write, on the disk to be measured")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write settings, machine and numbers to")
    parser.add_argument("--quick", action="store_true", help="small networks, to see that it runs; no targets")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        config = PretrainConfig(data=(Path("none"),), out=Path(folder), device=options.device)
        result = measure(replace(config, **QUICK) if options.quick else config, options)
    for name, value in result.items():
        print(f"{name:12}{value:>14}")
    if not options.quick:
        found = {"share of the steps": result["share"], "resume s": max(result["resume_s"], result["fall_back_s"])}
        for name, most in TARGETS.items():
            print(f"{name}: {found[name]} ({'met' if found[name] < most else 'missed'}: below {most})")
    if options.json:
        settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
        record = {"settings": settings, "result": result, "environment": runtime.environment()}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
