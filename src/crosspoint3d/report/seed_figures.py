"""Interactive figures of a fine-tuning: loss and validation score of every seed, and how confidence meets accuracy."""

from collections.abc import Sequence

import plotly.graph_objects as go

from crosspoint3d.evaluation.calibration import Calibration
from crosspoint3d.plots import COLORS, MUTED, base_figure
from crosspoint3d.report.finetuned_run import SeedRun

BEFORE, AFTER = "#b3791f", "#2f6db3"
MOST_PLACES = 400
"""Places of a line; longer trainings are averaged over several epochs."""


def seed_color(place: int) -> str:
    """The colour of a seed by its place among the seeds."""
    return COLORS[place % len(COLORS)]


def loss_figure(seeds: Sequence[SeedRun]) -> go.Figure:
    """Mean loss of each epoch, one line a seed."""
    figure = base_figure("loss", "epoch")
    for place, seed in enumerate(seeds):
        epochs = [(row["epoch"], row["loss"]) for row in seed.metrics if isinstance(row.get("loss"), int | float)]
        width = 1 + max((epoch for epoch, _ in epochs), default=0) // MOST_PLACES
        sums: dict[int, tuple[float, int]] = {}
        for epoch, loss in epochs:
            total, count = sums.get(epoch // width, (0.0, 0))
            sums[epoch // width] = total + loss, count + 1
        figure.add_scatter(
            x=[(group + 1) * width for group in sums], y=[round(total / count, 4) for total, count in sums.values()],
            mode="lines" if len(sums) > 1 else "markers", name=f"seed {seed.seed}",
            line={"color": seed_color(place), "width": 2}, hovertemplate="%{y:.3f}",
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    return figure


def validation_figure(seeds: Sequence[SeedRun], score: str, label: str) -> go.Figure:
    """The score that picks the epoch along the training, one line a seed, a ring around the epoch that was kept."""
    figure = base_figure(f"{label}, %", "epoch")
    for place, seed in enumerate(seeds):
        split, epochs, values = seed.validations(score)
        if not epochs:
            continue
        color, shown = seed_color(place), [round(100 * value, 2) for value in values]
        figure.add_scatter(
            x=epochs, y=shown, mode="lines+markers" if len(epochs) < 60 else "lines", name=f"seed {seed.seed}",
            line={"color": color, "width": 2}, marker={"size": 5},
            hovertemplate=f"%{{y:.1f}} % ({'validation' if split == 'val' else 'test'})",
        )  # fmt: skip
        kept = seed.kept_after(score)
        nearest = min(range(len(epochs)), key=lambda i: abs(epochs[i] - (kept or 0.0)))
        figure.add_scatter(
            x=[epochs[nearest]], y=[shown[nearest]], mode="markers", name="kept", hoverinfo="skip",
            marker={"symbol": "circle-open", "size": 15, "color": color, "line": {"width": 2.6}},
        )  # fmt: skip
    return figure


def reliability_figure(before: Calibration | None, after: Calibration) -> go.Figure:
    """Share of right answers against confidence: where it lies on the diagonal, confidence can be believed.

    Args:
        before: at temperature 1; None where nothing was changed.
        after: at the temperature that was fitted. The area of a disc is the number of answers.
    """
    figure = base_figure("right, %", "confidence, %")
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", name="confidence equal to accuracy", hoverinfo="skip",
        line={"color": MUTED, "width": 1.2, "dash": "dot"},
    )  # fmt: skip
    for name, found, color in (
        ("as trained", before, BEFORE),
        ("fitted temperature" if before else "as trained", after, AFTER),
    ):
        if found is None:
            continue
        kept = [(part.confidence, part.accuracy, part.count) for part in found.bins if part.confidence is not None]
        most = max((count for *_, count in kept), default=1)
        figure.add_scatter(
            x=[round(100 * confidence, 2) for confidence, _, _ in kept],
            y=[None if accuracy is None else round(100 * accuracy, 2) for _, accuracy, _ in kept],
            mode="lines+markers", name=name, line={"color": color, "width": 2},
            marker={"size": [round(5 + 17 * (count / most) ** 0.5, 1) for *_, count in kept], "opacity": 0.8},
            text=[f"{count} answers" for *_, count in kept],
            hovertemplate="confidence %{x:.0f} %: %{y:.0f} % right, %{text}",
        )  # fmt: skip
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(range=[-3, 105], dtick=20, showgrid=True, constrain="domain")
    figure.update_yaxes(range=[-4, 106], dtick=20)
    return figure
