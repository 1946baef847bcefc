"""Which categories and parts are hard to segment: from `Result.details` to lines and CSV files."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crosspoint3d.evaluation.class_tables import HARDEST, number
from crosspoint3d.runtime import atomic

TABLES = {
    "per_category": ("per_category.csv", ("name", "shapes", "iou", "ci95", "point_accuracy")),
    "per_part": ("per_part.csv", ("name", "category", "iou")),
}


def lowest_lines(details: dict[str, Any], seeds: int) -> list[str]:
    """The categories with the lowest mean IoU as lines for a terminal; none where `details` has no IoUs."""
    rows = details.get("per_category", [])
    known = [row for row in rows if row["iou"] is not None]
    lowest = sorted(known, key=lambda row: (row["iou"], row["name"]))[:HARDEST]
    if len(known) < 2:
        return []
    width = max(len(row["name"]) for row in lowest)
    heading = f"lowest mIoU of {len(known)} categories" + f" (means over {seeds} seeds)" * (seeds > 1)
    return [heading] + [
        f"  {row['name'].ljust(width)}  {100 * row['iou']:5.1f} % of {number(float(row['shapes']))}, "
        f"{100 * row['point_accuracy']:.1f} % of the points right"
        for row in lowest
    ]


def write_part_tables(folder: Path, details: dict[str, Any]) -> None:
    """Write per_category.csv and per_part.csv, whole or not at all; a value that there is none of stays empty."""
    for name, (file, columns) in TABLES.items():
        with atomic(folder / file) as temporary:
            temporary.write_text(_csv(columns, details[name]), encoding="utf-8")


def _csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row[column] for column in columns]
        writer.writerow(["" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in values])
    return text.getvalue()
