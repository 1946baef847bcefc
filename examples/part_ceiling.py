"""How well positions alone tell the parts of a data set apart: a bound that hardly any network passes.

    python examples/part_ceiling.py procedural:800 --points 1024

Every point is given the part of its nearest neighbour among as many other points of the very same shape, whose true
parts are known. What this cannot tell is thinner than the points lie apart, or shares its place with another part.
"""

import argparse

import numpy as np
from scipy.spatial import cKDTree

from crosspoint3d.data.part_clouds import load_part_clouds
from crosspoint3d.evaluation.part_scores import category_table, part_scores

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", help="data set with part labels: shapenetpart:DIR, a table or procedural:COUNT")
parser.add_argument("--points", type=int, default=1024, help="points to label, and as many whose parts are known")
parser.add_argument("--seed", type=int, default=0, help="draws the points")
arguments = parser.parse_args()

data = load_part_clouds(arguments.data, seed=0)
splits = [split for split in (data.train, data.val, data.test) if len(split)]
most = min(split.points.shape[1] for split in splits) // 2
if not 1 <= arguments.points <= most:
    parser.error(f"--points {arguments.points}: choose 1 to {most:,}, half the points of a shape")
generator = np.random.default_rng(arguments.seed)
answers, truths = [], []
for split in splits:
    for points, parts in zip(split.points, split.parts, strict=True):
        order = generator.permutation(len(points))
        asked, known = order[: arguments.points], order[arguments.points : 2 * arguments.points]
        _, nearest = cKDTree(points[known]).query(points[asked])
        answers.append(parts[known][nearest])
        truths.append(parts[asked])
labels = np.stack(answers), np.stack(truths), np.concatenate([split.categories for split in splits]), data.table
for name, score in part_scores(*labels).items():
    print(f"{name:20}{100 * score:6.1f} %")
rows = category_table(*labels)
for row in sorted(rows, key=lambda row: -row["iou"]):
    print(f"  {row['name']:20}{100 * row['iou']:6.1f} %  {row['shapes']} shapes")
