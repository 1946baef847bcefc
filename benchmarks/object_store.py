"""What a table on an object store costs: requests and bytes to make it, to open it, and for each batch read from it.

    python benchmarks/object_store.py --json object_store.json
    python benchmarks/object_store.py --quick

Run from the root of the repository (PYTHONPATH=.). A local S3-compatible server counts; numbers of requests and bytes
are those of any store, times are not measured. Sixteen procedural shapes of 2,048 points with 12 pictures of 224 px,
again and again up to 1,024 rows, in commits of 256; batches of 32 shapes in random order.
"""

import argparse
import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from crosspoint3d.config import PrepareConfig
from crosspoint3d.data.prepare import COMMIT_ROWS, prepare
from crosspoint3d.data.table import ShapeTable
from tests.data.object_store import ObjectStore, serve

BATCH = 32
DRAWN = 16
WHOLE = {"rows": 1024, "points": 2048, "views": 12, "image_size": 224}
QUICK = {"rows": 300, "points": 256, "views": 12, "image_size": 64}


def spent(store: ObjectStore) -> dict[str, Any]:
    """What was asked since the last time."""
    asked, received = list(store.requests), list(store.received)
    store.requests.clear()
    store.received.clear()
    kinds = Counter("LIST" if "list-type" in each.path else each.method for each in asked)
    return {"requests": dict(kinds), "bytes_out": sum(each.sent for each in asked), "bytes_in": sum(received)}


def batches(store: ObjectStore, table: ShapeTable, columns: list[str], count: int) -> dict[str, Any]:
    """The mean of `count` random batches, after one that reads what is kept of every file."""
    order = np.random.default_rng(0).permutation(table.select())
    table.take(order, columns[:1])
    spent(store)
    for number in range(count):
        table.take(np.resize(np.roll(order, -BATCH * number), BATCH), columns)
    found = spent(store)
    asked = sum(found["requests"].values())
    return {
        "columns": columns,
        "requests_a_batch": asked / count,
        "bytes_a_batch": found["bytes_out"] / count,
        "bytes_a_shape": found["bytes_out"] / count / BATCH,
    }


def fill(url: str, rows: int, workers: int, sizes: dict[str, int]) -> None:
    """A table of `rows` shapes in commits as of `prepare`: a few procedural ones, again and again."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(PrepareConfig(f"procedural:{DRAWN}", Path(folder) / "table", workers=workers, **sizes))
        drawn = ShapeTable(Path(folder) / "table")
        taken = drawn.take(np.arange(DRAWN), drawn.dataset.schema.names)
    table = ShapeTable.create(url, points=sizes["points"], settings=drawn.settings)
    for start in range(0, rows, COMMIT_ROWS):
        numbers = range(start, min(rows, start + COMMIT_ROWS))
        rows_now = [{name: taken[name][i % DRAWN] for name in taken} | {"id": f"shape/{i}"} for i in numbers]
        for i, row in zip(numbers, rows_now, strict=True):  # no two alike, or Lance would store them once
            row["views"] = [view + np.random.default_rng(i).bytes(64) for view in row["views"]]
        table.append(rows_now)


def main() -> None:
    """Make a table, read from it, and say what was asked of the store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sizes = dict(QUICK if given.quick else WHOLE)
    rows = sizes.pop("rows")
    serving = serve()
    store = next(serving)
    os.environ.update(store.environment())
    url = f"s3://{store.bucket()}/table"
    fill(url, rows, given.workers, sizes)
    found: dict[str, Any] = {"rows": rows, **sizes, "write": spent(store)}
    found["stored_bytes_a_shape"] = found["write"]["bytes_in"] / rows
    table = ShapeTable(url)
    found["open"] = spent(store)
    encoded = sum(len(view) for row in table.take(range(min(rows, 64)), ["views"])["views"] for view in row)
    found["picture_bytes"] = encoded / min(rows, 64) / sizes["views"]
    fresh = ShapeTable(url)
    spent(store)
    fresh.take(np.arange(BATCH), ["points", "views"])
    found["first_batch"] = spent(store)
    for columns in (["points"], ["points", "views"], ["views"]):
        found["+".join(columns)] = batches(store, ShapeTable(url), columns, 8)
    text = json.dumps(found, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
    serving.close()


if __name__ == "__main__":
    main()
