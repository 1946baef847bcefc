"""How right and how sure a classifier is: on the shapes themselves where they are labelled, else on its test split.

Axis letters: N shapes, C categories.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from crosspoint3d.evaluation.calibration import Calibration, calibration
from crosspoint3d.labelling.categories import match_category
from crosspoint3d.labelling.reliability import draw_reliability
from crosspoint3d.labelling.row_file import read_rows

FIGURE, RECORD = "calibration.png", "calibration.json"
LEAST = 20
"""Labelled shapes from which on a figure of their own says something."""


def judge(rows: Path, probabilities: Path, names: Sequence[str], model: Path, out: Path) -> list[str]:
    """Draw `calibration.png` and say in words what is known.

    Args:
        rows: the answers, with the shapes' own categories.
        probabilities: of all categories, with the same ids.
        names: of the network's categories.
        model: folder of the network, or the run that it is in.
        out: where the figure goes.

    Returns:
        Lines for the summary: accuracy on labelled shapes, which calibration the figure shows.
    """
    table, labels = _labelled(rows, probabilities, names)
    lines = []
    if len(labels):
        right = int((table.argmax(axis=1) == labels).sum())
        lines.append(
            f"shapes that come with a category the model knows: {len(labels)}, of them right: {right} "
            f"({100 * right / len(labels):.1f} %)"
        )
    if len(labels) >= LEAST:
        found = calibration(table, labels)
        draw_reliability(out / FIGURE, found, len(labels), "Calibration on these shapes")
        told = f"mean confidence {100 * found.confidence:.1f} %, calibration error {100 * found.ece:.1f} % ({FIGURE})"
        return [*lines, told]
    recorded = _recorded(model)
    if recorded is None:
        return [*lines, "no calibration figure: the shapes have no categories, and the model records none of its own"]
    count = sum(part.count for part in recorded.bins)
    draw_reliability(out / FIGURE, recorded, count, "Calibration on the model's own test split")
    return [*lines, f"on the model's own test split: calibration error {100 * recorded.ece:.1f} % ({FIGURE})"]


def _labelled(
    rows: Path, probabilities: Path, names: Sequence[str]
) -> tuple[Float64[np.ndarray, "N C"], Int64[np.ndarray, " N"]]:
    """Probabilities and true categories of the shapes whose own category the network knows."""
    known = {row["id"]: match_category(row["category"] or None, names) for row in read_rows(rows)}
    labels, table = [], []
    for row in read_rows(probabilities):
        label = known.pop(row["id"], None)  # each once: a run that was killed may have left a row twice
        if label is not None:
            labels.append(label)
            table.append([float(row[f"p:{name}"]) for name in names])
    return np.array(table, np.float64).reshape(-1, len(names)), np.array(labels, np.int64)


def _recorded(model: Path) -> Calibration | None:
    """What `finetune classify` measured on its test split, beside the network."""
    for path in (model / "classifier" / RECORD, model / RECORD):
        if path.is_file():
            try:
                return Calibration.from_dict(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, TypeError, KeyError):
                return None
    return None
