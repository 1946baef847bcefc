"""List the shapes of a table that are nearly the same surface as shapes of a data set to be tested on.

    python examples/near_duplicates.py TABLE shapenetpart:DIR --out exclude.txt
    crosspoint3d pretrain --data TABLE --exclude exclude.txt --out RUN

Takes about 0.6 seconds a shape of the data set on one core, whatever the size of the table. Where the two have clouds
of different sizes, random points of the larger ones are left out.
"""

import argparse
from pathlib import Path

import numpy as np

from crosspoint3d.data import ShapeTable
from crosspoint3d.data.near_duplicates import SAMPLE, near_duplicates
from crosspoint3d.data.part_clouds import load_part_clouds
from crosspoint3d.evaluation.features import subsample

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("table", help="table made by prepare")
parser.add_argument("data", help="data set with part labels, such as shapenetpart:DIR")
parser.add_argument("--out", type=Path, required=True, help="text file of the ids found")
parser.add_argument("--ratio", type=float, default=1.5, help="largest distance, by that of two samples of one surface")
arguments = parser.parse_args()

table, data = ShapeTable(arguments.table), load_part_clouds(arguments.data, seed=0)
rows = table.select()
ids = table.column("id", rows.tolist())
splits = {name: getattr(data, name) for name in ("train", "val", "test")}
queries = [f"{name}/{query}" for name, split in splits.items() for query in split.ids]
clouds = [table.take(rows, ["points"])["points"], *(split.points for split in splits.values() if len(split))]
sizes = [each.shape[1] for each in clouds]
if min(sizes) < 2 * SAMPLE:
    parser.error(f"table has {sizes[0]} points a shape, data {min(sizes[1:])}: both need {2 * SAMPLE:,} or more")
shapes, *asked = (subsample(each, min(sizes), seed=0) for each in clouds)
found = near_duplicates(shapes, np.concatenate(asked), ratio=arguments.ratio)
nearest: dict[str, tuple[float, str]] = {}
for match in found:
    name, pair = ids[match.shape], (match.ratio, queries[match.query])
    nearest[name] = min(nearest.get(name, pair), pair)
lines = [f"{name}\t{r:.2f}\t{query}\n" for name, (r, query) in sorted(nearest.items())]
arguments.out.write_text("".join(lines), encoding="utf-8")
print(f"{len(nearest)} of {len(ids)} shapes are near-duplicates: {arguments.out}")
