"""Test shapes that a classifier is sure about, wrongly and rightly, drawn as clouds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crosspoint3d.report.finetuned_run import read_examples
from crosspoint3d.report.pictures import data_uri, draw_cloud
from crosspoint3d.report.rows import percent
from crosspoint3d.report.sections import Missing
from crosspoint3d.report.shapes import DEFAULT_POSE

SIZE = 240
MARGIN = 1.03
KINDS = {"wrong": "Surest and wrong", "right": "Surest and right, of different categories"}


@dataclass(frozen=True)
class ClassExample:
    """A test shape: its category, what it is taken for, how surely, and its picture."""

    id: str
    truth: str
    predicted: str
    confidence: str
    uri: str


def class_examples(path: Path) -> dict[str, list[ClassExample]] | Missing:
    """The shapes of a run's examples.npz by kind (`KINDS`); a Missing where there are none."""
    arrays = read_examples(path)
    if isinstance(arrays, Missing):
        return arrays
    try:
        names = arrays["category_names"].tolist()
        drawn = [(kind, _example(arrays, row, names)) for row, kind in enumerate(arrays["kinds"].tolist())]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return Missing(f"{path.name} does not hold what it should: {error!r}")
    found = {title: [example for own, example in drawn if own == kind] for kind, title in KINDS.items()}
    shown = {title: examples for title, examples in found.items() if examples}
    return shown or Missing(f"{path.name} holds no shape")


def _example(arrays: dict[str, np.ndarray], row: int, names: list[str]) -> ClassExample:
    points = arrays["points"][row].astype(np.float32)
    pose = np.array(DEFAULT_POSE, np.float32)
    return ClassExample(
        id=str(arrays["ids"][row]),
        truth=names[int(arrays["truth"][row])],
        predicted=names[int(arrays["predicted"][row])],
        confidence=percent(float(arrays["probability"][row])),
        uri=data_uri(draw_cloud(points, pose, size=SIZE, radius=MARGIN)),
    )
