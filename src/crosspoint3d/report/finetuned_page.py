"""The page about a fine-tuned run: scores, categories, shapes beside the truth, training, weights, record."""

import contextlib
from pathlib import Path
from typing import Any

from crosspoint3d.config import FinetuneClassifyConfig, FinetuneSegmentConfig
from crosspoint3d.evaluation.calibration import Calibration
from crosspoint3d.evaluation.class_tables import class_table
from crosspoint3d.evaluation.result import Result
from crosspoint3d.report import record
from crosspoint3d.report.category_bars import category_bars, parts_by_category
from crosspoint3d.report.class_examples import class_examples
from crosspoint3d.report.evaluations import Chart, confusion_chart, evaluation_of
from crosspoint3d.report.finetuned_run import EXAMPLES, FinetunedRun, Kind, read_finetuned
from crosspoint3d.report.finetuned_scores import (
    finetuned_cards,
    finetuned_subtitle,
    label_and_meaning,
    score_lines,
    trainings,
)
from crosspoint3d.report.part_examples import part_examples
from crosspoint3d.report.render import Page, render
from crosspoint3d.report.rows import percent
from crosspoint3d.report.scores import score_table
from crosspoint3d.report.sections import Missing
from crosspoint3d.report.seed_figures import loss_figure, reliability_figure, seed_color, validation_figure

CONFIGS = {"segment": FinetuneSegmentConfig, "classify": FinetuneClassifyConfig}
WEIGHTS = {
    "taken": "taken from the encoder",
    "new": "newly initialised",
    "not_needed": "in the encoder's file, not needed",
}


def finetuned_page(path: Path, kind: Kind) -> Page:
    """The page of the fine-tuning in a folder, finished or not."""
    run = read_finetuned(path, kind)
    unfinished = Missing(
        "The run is not finished: go on with it.", f"crosspoint3d finetune {kind} … --out {path} --resume"
    )
    draw = part_examples if kind == "segment" else class_examples
    examples = draw(run.path / EXAMPLES) if run.result else unfinished
    others = [
        (
            evaluation_of(f"other-{place}", folder, result, open_classes=False),
            score_lines(result) * (not result.untrained),
        )
        for place, (folder, result) in enumerate(run.results.items())
    ]
    training = _training_charts(run)
    classes = _class_charts(run.result) if run.result else []
    charts = [*training, *classes, *(chart for part, _ in others for chart in [*part.curves, *part.classes])]
    page = render(
        "finetuned.html",
        run=run,
        name=run.path.resolve().name,
        subtitle=finetuned_subtitle(run),
        cards=finetuned_cards(run),
        unfinished=None if run.result else unfinished,
        table=score_table(kind, run.result) if run.result else None,
        lines=score_lines(run.result) if run.result else [],
        bars=category_bars(run.result) if run.result else [],
        parts=parts_by_category(run.result.details) if run.result else {},
        classes=classes,
        examples=examples,
        trainings=trainings(run),
        chosen_by=label_and_meaning(run.chosen_by)[0],
        training=training,
        colors=[seed_color(place) for place in range(len(run.seeds))],
        weights=_weights(run),
        others=others,
        charts={chart.id: chart.figure for chart in charts},
        config=record.config_entries(run.config, CONFIGS[kind]),
        environment=record.environment_entries(run.summary),
        problems=run.problems,
    )
    missing = [part for part in (None if run.result else unfinished, examples) if isinstance(part, Missing)]
    shown = 0 if isinstance(examples, Missing) else sum(len(group) for group in examples.values())
    return Page(page, shown, [part.command or part.reason for part in missing] + list(run.problems))


def _training_charts(run: FinetunedRun) -> list[Chart]:
    if not any(seed.metrics for seed in run.seeds):
        return []
    label = label_and_meaning(run.chosen_by)[0]
    charts = [Chart("training-loss", "Training loss, mean of each epoch", loss_figure(run.seeds), 300)]
    splits = {split for seed in run.seeds if (split := seed.validations(run.chosen_by)[0])}
    if splits:
        where = "validation" if "val" in splits else "test"
        figure = validation_figure(run.seeds, run.chosen_by, label)
        charts.append(Chart("training-validation", f"{label} on {where} shapes; ringed: the epoch kept", figure, 300))
    return charts


def _class_charts(result: Result) -> list[Chart]:
    """Of classification: the confusion matrix, and how confidence meets accuracy."""
    table = class_table(result.details, max(1, len(result.protocol.get("seeds", []))))
    charts = [confusion_chart("classes", table)] if table else []
    found = _calibrations(result.details)
    if found:
        after = found["after"]
        before = found["before"] if found.get("before", after) != after else None
        changed = f" at the fitted temperature, {percent(before.ece)} as trained" if before else ", as trained"
        words = f"Expected calibration error {percent(after.ece)}{changed}; the answers of all seeds together."
        figure = reliability_figure(before, after)
        charts.append(Chart("reliability", "How far confidence can be believed", figure, 400, words))
    return charts


def _calibrations(details: dict[str, Any]) -> dict[str, Calibration]:
    """The measured calibrations by `before` and `after`; empty where there is no `after`."""
    described = details.get("calibration")
    found = {}
    for when, values in described.items() if isinstance(described, dict) else ():
        with contextlib.suppress(KeyError, TypeError):
            found[str(when)] = Calibration.from_dict(values)
    return found if "after" in found else {}


def _weights(run: FinetunedRun) -> list[tuple[str, list[str]]]:
    """Names of weights by where they come from, in words."""
    lists = [(words, run.weights.get(name)) for name, words in WEIGHTS.items()]
    known = [(words, [str(key) for key in keys]) for words, keys in lists if isinstance(keys, list)]
    return [(words, keys) for words, keys in known if keys or words != WEIGHTS["not_needed"]]
