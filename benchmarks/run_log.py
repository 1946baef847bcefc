"""What a logged row costs beside a training step: `python benchmarks/run_log.py --json run_log.json`.

Row: memory, similarity statistics, one line of metrics.jsonl (and with --tensorboard an event file). Step:
the recipe's own, on synthetic shapes, as in `pretrain_step.py`. `share` is the row's time by that of the steps between
two rows (--log-every); the target is 1 %. Medians; `waiting` is what timing a batch costs.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from pretrain_step import median_seconds, synthetic

from crosspoint3d import runtime
from crosspoint3d.config import PretrainConfig
from crosspoint3d.models.crosspoint import Projections
from crosspoint3d.training.run_log import RunLog
from crosspoint3d.training.setup import build_model, build_optimizer
from crosspoint3d.training.similarity import similarity
from crosspoint3d.training.step import train_step

QUICK = {"batch_size": 4, "points": 128, "k": 8, "image_encoder": "resnet18", "image_size": 64}
TARGET = 0.01


def measure(config: PretrainConfig, repeats: int, device: torch.device) -> dict[str, Any]:
    """Milliseconds of a step and of a row, and the row's share."""
    batch = synthetic(config, device)
    model = build_model(config, device)
    optimizer = build_optimizer(config, model)
    step = median_seconds(lambda number: train_step(config, model, optimizer, batch, number, 0.0), repeats, device)
    generator = torch.Generator().manual_seed(config.seed)
    rows = [torch.randn(config.batch_size, config.projection_dims, generator=generator).to(device) for _ in range(3)]
    projections = Projections(*rows)
    statistic = median_seconds(lambda _: similarity(projections), 10 * repeats, device)
    values = {"epoch": 0, "loss": 1.0, "intra_modal": 1.0, "cross_modal": 1.0, "lr": 1e-3, "pairs_per_s": 1.0}
    with RunLog(config, [], steps=100, start=0, total=100_000, device=device) as log:
        row = median_seconds(
            lambda number: log.write({"step": number + 1} | values, 1.0, projections, model), 10 * repeats, device
        )
        began = time.perf_counter()
        count = sum(1 for _ in log.timed(iter([batch] * 1000)))
        waiting = (time.perf_counter() - began) / count
    return {
        "step_ms": round(1e3 * step, 3),
        "row_ms": round(1e3 * row, 3),
        "similarity_ms": round(1e3 * statistic, 3),
        "waiting_ms": round(1e3 * waiting, 5),
        "share": (row / config.log_every + waiting) / step,
    }


def main() -> None:
    """Measure, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--image-encoder", default="resnet50")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--log-every", type=int, default=1, help="1 in short runs, 20 in long ones")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tensorboard", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write settings, machine and numbers to")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to see that it runs; no target")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    device = runtime.pick_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    chosen = {name: value for name, value in vars(options).items() if name not in ("repeats", "json", "quick")}
    with tempfile.TemporaryDirectory() as folder:
        config = PretrainConfig(data=(Path("synthetic"),), out=Path(folder), **chosen)
        result = measure(config, options.repeats, device)
    verdict = "no target" if options.quick else "met" if result["share"] < TARGET else "missed"
    print(json.dumps(result | {"target": TARGET, "verdict": verdict}, indent=1))
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name != "json"}
        record = {"settings": settings, "result": result, "environment": runtime.environment()}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
