"""Bars of categories and a table of parts: from `Result.details` to places on a track from 0 to 100."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from crosspoint3d.evaluation.class_tables import class_table, number
from crosspoint3d.evaluation.result import Result


@dataclass(frozen=True)
class CategoryBar:
    """A category: its score from 0 to 100, the ends of its interval (None: there is none), and the words beside it."""

    name: str
    length: float
    interval: tuple[float, float] | None
    score: str
    shapes: str
    more: str


@dataclass(frozen=True)
class PartRow:
    """A part with its IoU from 0 to 100 (None: it never occurs)."""

    name: str
    iou: float | None
    score: str


def category_bars(result: Result) -> list[CategoryBar]:
    """The categories with test shapes, best first; empty where `details` does not hold them.

    Of part segmentation by mean IoU with its interval over the seeds, of classification by accuracy.
    """
    bars = _iou_bars(result.details) or _accuracy_bars(result)
    return sorted(bars, key=lambda bar: (-bar.length, bar.name))


def parts_by_category(details: dict[str, Any]) -> dict[str, list[PartRow]]:
    """IoU of each part over all test points, by category; empty where `details` does not hold it."""
    found: dict[str, list[PartRow]] = {}
    for row in _rows(details, "per_part"):
        iou = _number(row.get("iou"))
        place, words = (None, "–") if iou is None else (_place(iou), f"{100 * iou:.1f} %")
        part = PartRow(str(row.get("name")), place, words)
        found.setdefault(str(row.get("category")), []).append(part)
    return found


def _iou_bars(details: dict[str, Any]) -> list[CategoryBar]:
    bars = []
    for row in _rows(details, "per_category"):
        iou, half, points, shapes = (_number(row.get(name)) for name in ("iou", "ci95", "point_accuracy", "shapes"))
        if iou is None:
            continue
        half = half or 0.0
        bars.append(
            CategoryBar(
                name=str(row.get("name")),
                length=_place(iou),
                interval=(_place(iou - half), _place(iou + half)) if half > 0 else None,
                score=f"{100 * iou:.1f}" + (f" ± {100 * half:.1f}" if half < 1 else " ± over 100") * (half > 0) + " %",
                shapes="?" if shapes is None else number(shapes),
                more="" if points is None else f"{100 * points:.1f} % of its points right",
            )
        )
    return bars


def _accuracy_bars(result: Result) -> list[CategoryBar]:
    table = class_table(result.details, max(1, len(result.protocol.get("seeds", []))))
    bars = []
    for row in table.categories if table else []:
        if row.trained is None:
            continue
        words = f"{number(row.taken_for[1])} taken for {row.taken_for[0]}" if row.taken_for else ""
        bars.append(
            CategoryBar(row.name, _place(row.trained), None, f"{100 * row.trained:.1f} %", number(row.shapes), words)
        )
    return bars


def _rows(details: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = details.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _place(share: float) -> float:
    return round(100 * min(max(share, 0.0), 1.0), 2)
