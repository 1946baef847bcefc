"""The reliability diagram of a classifier as a PNG: how often answers of each confidence are right."""

import math
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crosspoint3d.evaluation.calibration import Calibration
from crosspoint3d.runtime import atomic

INK, MUTED, LINE = "#1c2733", "#667383", "#e6e9ee"
RIGHT, OVER, UNDER = "#2f6db3", "#f2c4a4", "#8fcaa6"


def draw_reliability(path: Path, found: Calibration, shapes: int, title: str) -> None:
    """Accuracy against confidence, bin by bin, over a histogram of the confidences (Guo et al. 2017, figure 1).

    Every bin's accuracy has its 95 % interval, so that a bin of few shapes is not taken for more than it is.

    Args:
        path: of the PNG; is replaced whole or not at all.
        found: the calibration.
        shapes: how many it was measured on.
        title: says which.

    Raises:
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(5.4, 6.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    width = 0.94 * (found.bins[0].high - found.bins[0].low)
    for label, colour in (("share that is right", RIGHT), ("too confident by", OVER), ("too cautious by", UNDER)):
        top.bar([0], [0], 0, color=colour, label=label)
    for part in found.bins:
        if part.confidence is None or part.accuracy is None:
            continue
        middle, gap = (part.low + part.high) / 2, part.confidence - part.accuracy
        top.bar([middle], [part.accuracy], width, color=RIGHT, zorder=2)
        top.bar([middle], [gap], width, bottom=part.accuracy, color=OVER if gap > 0 else UNDER, zorder=3)
        top.plot([middle, middle], wilson(part.accuracy, part.count), color=INK, linewidth=1.1, zorder=5)
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=4)
    top.plot([], [], color=INK, linewidth=1.1, label="95 % interval")
    top.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, frameon=False, fontsize=8, labelcolor=INK,
        handlelength=1.0, columnspacing=1.0, borderpad=0.2,
    )  # fmt: skip
    top.set_ylim(0, 1)
    top.set_ylabel("accuracy", color=MUTED)
    low.bar([(part.low + part.high) / 2 for part in found.bins], [part.count for part in found.bins], width,
            color="#b9c1cb", zorder=2)  # fmt: skip
    low.set_ylabel("shapes", color=MUTED)
    low.set_xlabel("confidence", color=MUTED)
    low.set_xlim(0, 1)
    for axes in (top, low):
        axes.tick_params(length=0, labelcolor=MUTED, labelsize=9)
        axes.grid(axis="y", color=LINE, zorder=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(LINE)
    figure.suptitle(title, x=0.02, ha="left", fontsize=12, color=INK)
    top.set_title(
        f"{shapes:,} shapes · {100 * found.accuracy:.1f} % right · mean confidence {100 * found.confidence:.1f} % · "
        f"calibration error {100 * found.ece:.1f} %",
        loc="left", fontsize=8.5, color=MUTED, pad=24, x=-0.02,
    )  # fmt: skip
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", facecolor="white")


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` trials (Wilson 1927)."""
    z = 1.959964
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return middle - half, middle + half
