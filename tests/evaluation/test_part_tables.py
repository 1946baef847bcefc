import csv
from pathlib import Path

from crosspoint3d.evaluation.part_tables import lowest_lines, write_part_tables

DETAILS = {
    "per_category": [
        {"name": "chair", "shapes": 4, "iou": 0.75, "ci95": 0.0123, "point_accuracy": 0.9},
        {"name": "rare, never", "shapes": 0, "iou": None, "ci95": None, "point_accuracy": None},
        {"name": "motorbike", "shapes": 2.5, "iou": 0.5, "ci95": 0.0, "point_accuracy": 1 / 3},
    ],
    "per_part": [
        {"name": "leg", "category": "chair", "iou": 0.25},
        {"name": "wheel", "category": "motorbike", "iou": None},
    ],
}


def test_lines_begin_with_the_lowest() -> None:
    assert lowest_lines(DETAILS, 1) == [
        "lowest mIoU of 2 categories",
        "  motorbike   50.0 % of 2.5, 33.3 % of the points right",
        "  chair       75.0 % of 4, 90.0 % of the points right",
    ]
    assert lowest_lines(DETAILS, 3)[0] == "lowest mIoU of 2 categories (means over 3 seeds)"
    many = [{"name": f"c{i}", "shapes": 1, "iou": i / 9, "ci95": 0.0, "point_accuracy": 1.0} for i in range(9)]
    assert len(lowest_lines({"per_category": many}, 1)) == 6
    assert lowest_lines({}, 1) == lowest_lines({"per_category": many[:1]}, 1) == []


def test_csv_files_hold_the_same_numbers(tmp_path: Path) -> None:
    write_part_tables(tmp_path, DETAILS)
    rows = list(csv.reader((tmp_path / "per_category.csv").read_text().splitlines()))
    assert rows == [
        ["name", "shapes", "iou", "ci95", "point_accuracy"],
        ["chair", "4", "0.75", "0.0123", "0.9"],
        ["rare, never", "0", "", "", ""],
        ["motorbike", "2.5", "0.5", "0", "0.333333"],
    ]
    parts = list(csv.reader((tmp_path / "per_part.csv").read_text().splitlines()))
    assert parts == [["name", "category", "iou"], ["leg", "chair", "0.25"], ["wheel", "motorbike", ""]]
