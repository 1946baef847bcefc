"""The reliability diagram of a classifier as a PNG: how often answers of each confidence are right."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from crosspoint3d.evaluation.calibration import Calibration
from crosspoint3d.runtime import atomic

INK, MUTED, LINE = "#1c2733", "#667383", "#e6e9ee"
RIGHT, OVER, UNDER = "#2f6db3", "#d9722b", "#33935a"


def draw_reliability(path: Path, found: Calibration, shapes: int, title: str) -> None:
    """Accuracy against confidence, bin by bin, over a histogram of the confidences (Guo et al. 2017, figure 1).

    Args:
        path: of the PNG; is replaced whole or not at all.
        found: the calibration.
        shapes: how many it was measured on.
        title: says which.

    Raises:
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(5.4, 5.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    full = [part for part in found.bins if part.confidence is not None and part.accuracy is not None]
    width = found.bins[0].high - found.bins[0].low
    middles = [(part.low + part.high) / 2 for part in full]
    top.bar(middles, [part.accuracy for part in full], 0.94 * width, color=RIGHT, label="share that is right", zorder=2)
    for part, middle in zip(full, middles, strict=True):
        accuracy, confidence = float(part.accuracy or 0), float(part.confidence or 0)
        over = confidence > accuracy
        top.bar(
            [middle], [confidence - accuracy], 0.94 * width, bottom=accuracy, zorder=3,
            color=(OVER if over else UNDER) + "66", edgecolor=OVER if over else UNDER, linewidth=0.8,
        )  # fmt: skip
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=4)
    for colour, words in ((OVER, "too confident by"), (UNDER, "too cautious by")):
        top.bar([0], [0], 0, color=colour + "66", edgecolor=colour, linewidth=0.8, label=words)
    top.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=INK)
    top.set_ylim(0, 1.02)
    top.set_ylabel("accuracy", color=MUTED)
    low.bar([(part.low + part.high) / 2 for part in found.bins], [part.count for part in found.bins], 0.94 * width,
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
        f"{shapes:,} shapes · {found.accuracy:.1%} right · mean confidence {found.confidence:.1%} · "
        f"calibration error {found.ece:.1%}",
        loc="left", fontsize=9, color=MUTED,
    )  # fmt: skip
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", facecolor="white")
