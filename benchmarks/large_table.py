"""What a table of many rows costs before the first step: `python benchmarks/large_table.py --rows 1000000`.

Writes a table of that many rows (16 points and a picture of one byte each), in pieces, and measures in a fresh process
for every part: its CPU seconds, and the most memory above that of an open table. Parts: the index of the training rows
(one row in ten is of the test split, one in a hundred failed), the same with a list of 1,000 ids to exclude, the rows
that probes look at, the fingerprint that resuming compares, the first batch, and a batch in the middle of 100 epochs.
`times_100_million` extrapolates what grows with the number of rows. `--store FOLDER` keeps the table for another run,
`--reads` counts what a batch of 256 reads with `--consecutive` 1 and 16 (rows of `--row-bytes`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crosspoint3d import runtime
from crosspoint3d.data.order import DrawOrder
from crosspoint3d.data.permutation import hashed, key_of, permuted
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.training.excluded import training_rows
from crosspoint3d.training.probe_shapes import some_labelled, split_rows

PARTS = ("index", "exclude", "probes", "fingerprint", "first_batch", "middle_batch")
POINTS, PIECE, HUNDRED_MILLION = 16, 100_000, 10**8


def write(path: Path, rows: int, picture_bytes: int = 1) -> None:
    """A table of `rows` rows, a piece at a time."""
    import lance

    schema = ShapeTable.create(path, points=POINTS, settings={"image_size": 32}).dataset.schema
    generator = np.random.default_rng(0)

    def pieces() -> Any:
        for start in range(0, rows, PIECE):
            count = min(PIECE, rows - start)
            at = np.arange(start, start + count)
            points = generator.normal(size=count * POINTS * 3).astype(np.float16)
            columns: dict[str, Any] = {
                "id": pa.array([f"category/shape-{row:09d}/model.obj" for row in at.tolist()]),
                "category": pa.array(np.char.add("category-", (at % 50).astype(str))),
                "split": pa.array(np.where(at % 10 == 9, "test", "train")),
                "status": pa.array(np.where(at % 100 == 50, "no faces", "ok")),
                "points": pa.FixedSizeListArray.from_arrays(pa.array(points), POINTS * 3),
                "views": pa.ListArray.from_arrays(
                    np.arange(count + 1, dtype=np.int32),
                    pa.FixedSizeBinaryArray.from_buffers(
                        pa.binary(picture_bytes), count, [None, pa.py_buffer(generator.bytes(count * picture_bytes))]
                    ).cast(pa.binary()),
                ),
            }
            columns["source"] = columns["id"]
            arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    lance.write_dataset(pa.RecordBatchReader.from_batches(schema, pieces()), str(path), mode="append")


def part(name: str, path: Path) -> dict[str, float]:
    """One part in this process: CPU seconds and MiB above an open table."""
    table = ShapeTable(path)
    rows = training_rows([table], None) if name not in ("index", "exclude") else ()
    order = DrawOrder(rows, 32, (), 0)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "listed.txt"
        listed.write_text("\n".join(table.take(np.arange(0, len(table), max(1, len(table) // 1000)), ["id"])["id"]))
        before = start_of_memory()
        began = time.process_time()
        if name in ("index", "exclude"):
            rows = training_rows([table], listed if name == "exclude" else None)
        elif name == "probes":
            some_labelled([table], split_rows([table], rows, 0)[0], 0)
        elif name == "fingerprint":
            order.fingerprint()
        else:
            step = 50 * order.steps + order.steps // 2 if name == "middle_batch" else 0
            next(order.from_step(step, step + 1))
        seconds = time.process_time() - began
    return {"seconds": seconds, "mib": memory("VmHWM") - before, "index_mib": rows[0].nbytes / 2**20}


def start_of_memory() -> float:
    """MiB of this process; the most that it takes is counted from here (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> float:
    """MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def rates(path: Path) -> dict[str, float]:
    """Million places or draws a second on one core."""
    (rows,) = training_rows([ShapeTable(path)], None)
    order, key, places = (
        DrawOrder((rows,), 1024, (), 0),
        hashed(key_of(0), np.zeros(1, dtype=np.int64)),
        np.arange(4096),
    )
    small = DrawOrder((rows,), 32, (), 0)
    asked = permuted(places, len(rows), key)

    def rate(function: Any, count: int) -> float:
        function()
        began, calls = time.process_time(), 0
        while time.process_time() - began < 0.5:
            function()
            calls += 1
        return calls * count / (time.process_time() - began) / 1e6

    return {
        "permutation": rate(lambda: permuted(places, HUNDRED_MILLION, key), 4096),
        "index": rate(lambda: rows[asked], 4096),
        "draws_of_batch_1024": rate(lambda: deque(order.from_step(0, 64), 0), 64 * 1024),
        "draws_of_batch_32": rate(lambda: deque(small.from_step(0, 2048), 0), 2048 * 32),
        "draws_of_one_batch_32_alone": rate(lambda: deque(small.from_step(9, 10), 0), 32),
    }


def reads(folder: Path, rows: int, row_bytes: int) -> dict[str, Any]:
    """Reads of a batch of 256 rows whose pictures have `row_bytes` bytes, drawn one by one and 16 together."""
    write(folder / "wide", rows, row_bytes)
    found = {}
    for consecutive in (1, 4, 16):
        table = ShapeTable(folder / "wide")
        order = DrawOrder(training_rows([table], None), 256, (), 0, consecutive)
        table.take([0], ["points", "views"])
        counts = []
        for batch in order.from_step(0, 4):
            table.dataset.io_stats_incremental()
            table.take([draw.row for draw in batch], ["points", "views"])
            counts.append(table.dataset.io_stats_incremental())
        found[f"consecutive_{consecutive}"] = {
            "reads_a_batch": float(np.mean([count.read_iops for count in counts])),
            "mib_a_batch": float(np.mean([count.read_bytes for count in counts]) / 2**20),
        }
    return found


def main() -> None:
    """Measure, print, and write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--store", type=Path, help="folder to keep the table in; else it is deleted")
    parser.add_argument("--reads", type=int, default=0, metavar="ROWS", help="count reads in a table of so many rows")
    parser.add_argument("--row-bytes", type=int, default=50_000)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="file to write settings, machine and numbers to")
    parser.add_argument("--quick", action="store_true", help="20,000 rows, to see that it runs")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(part(options.part, options.store)))
        return
    rows = 20_000 if options.quick else options.rows
    with tempfile.TemporaryDirectory() as temporary:
        path = (options.store or Path(temporary)) / f"table-{rows}"
        began = time.monotonic()
        if not path.exists():
            write(path, rows)
        result: dict[str, Any] = {"rows": rows, "written_in_s": time.monotonic() - began}
        for name in PARTS:
            command = [sys.executable, __file__, "--part", name, "--store", str(path)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            scale = 1 if name.endswith("batch") else HUNDRED_MILLION / rows
            found["times_100_million"] = {"seconds": found["seconds"] * scale, "index_mib": found["index_mib"] * scale}
            result[name] = found
        result["million_a_second"] = rates(path)
        if options.reads:
            result["reads"] = reads(Path(temporary), options.reads, options.row_bytes)
    print(json.dumps(result, indent=1))
    if options.json:
        record = {"result": result, "environment": runtime.environment()}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
