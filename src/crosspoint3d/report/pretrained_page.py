"""The page about a pre-training run: evaluations, searches, the map of features, losses, examples, record."""

import shlex
from typing import Any, Literal

import numpy as np

from crosspoint3d import models
from crosspoint3d.config import ReportConfig
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.evaluation.features import compute_features, compute_image_features, project, subsample
from crosspoint3d.plots import learning_rate_figure, losses_figure
from crosspoint3d.report import record
from crosspoint3d.report.evaluations import Evaluation, evaluations, further_evaluations
from crosspoint3d.report.examples import Example, draw_examples
from crosspoint3d.report.render import Page, render
from crosspoint3d.report.run import RunRecord, read_run
from crosspoint3d.report.run_curves import run_curves
from crosspoint3d.report.sections import MapSection, Missing, SearchSection, map_section, search_section
from crosspoint3d.report.shapes import ShownShapes, draw_shapes, held_out, open_tables
from crosspoint3d.runtime import pick_device

EXAMPLES = 5
BATCH = 32
DEFAULT_POINTS = 1024


def pretrained_page(config: ReportConfig) -> Page:
    """The page of the pre-training in `config.run`; features are computed once.

    Raises:
        UsageError: the run folder or its encoder is missing.
    """
    run = read_run(config.run)
    tables, problems = open_tables(record.table_paths(run))
    split = held_out(tables)
    generator = np.random.default_rng([config.seed, 0])
    shapes = draw_shapes(tables, split, config.shapes, generator, column=_column(run, tables)) if tables else None
    mapped, searched = _features_sections(config, run, shapes)
    scores = evaluations(run, tables)
    charts = [chart for part in scores if isinstance(part, Evaluation) for chart in [*part.curves, *part.classes]]
    curves = run_curves(run.metrics)
    losses = losses_figure(run.metrics, _whole(run.config.get("batch_size"))) if run.metrics else None
    page = render(
        "pretraining.html",
        run=run,
        name=run.path.resolve().name,
        subtitle=record.subtitle(run),
        cards=record.cards(run),
        scores=scores,
        further=further_evaluations(run, tables),
        charts={part.id: part.figure for part in charts} | {part.id: part.figure for part in curves},
        curves=curves,
        collapse=run.summary.get("collapse"),
        map=mapped,
        search=searched,
        shapes=shapes,
        losses=losses,
        lines=[trace for trace in losses.data if trace.showlegend is not False] if losses else [],
        learning_rate=learning_rate_figure(run.metrics) if run.metrics else None,
        examples=_examples(config, run, tables),
        recipe=run.config.get("recipe", "default"),
        config=record.config_entries(run.config),
        data=[(table.path, record.data_entries(table)) for table in tables],
        environment=record.environment_entries(run.summary),
        timings=record.timing_entries(run, tables),
        problems=[*run.problems, *problems],
        seed=config.seed,
    )
    empty = [part for part in (*scores, mapped, searched) if isinstance(part, Missing)]
    missing = [part.command or part.reason for part in empty] + problems
    return Page(page, len(shapes.ids) if shapes else 0, missing)


def _features_sections(
    config: ReportConfig, run: RunRecord, shapes: ShownShapes | None
) -> tuple[MapSection | Missing, SearchSection | Missing]:
    if shapes is None:
        nothing = Missing("no table of this run could be read, or it holds no shape to show")
        return nothing, nothing
    device = pick_device(config.device)
    tower = models.load_encoder(config.run)
    points = subsample(shapes.points, min(_points(run), shapes.points.shape[1]), config.seed)
    features = compute_features(tower, points, batch_size=BATCH, device=device)
    mapped = map_section(shapes, features, config.seed)
    if run.image_encoder is None:
        pretrain = f"crosspoint3d pretrain --data {_quoted(record.table_paths(run))} --out NEW_RUN --cross-weight 1"
        return mapped, Missing("this run has no image encoder (it was trained without pictures)", pretrain)
    if not shapes.pictured:
        command = "crosspoint3d prepare SOURCE --out TABLE --views 12"
        return mapped, Missing("some of the shapes have no picture", command)
    image_tower = models.load_image_encoder(config.run)
    first = [views[0] for views in shapes.views]
    size = _whole(run.config.get("image_size")) or 224
    grey = run.config.get("pictures") == "grey"
    pictures = compute_image_features(image_tower, first, image_size=size, batch_size=BATCH, device=device, grey=grey)
    generator = np.random.default_rng([config.seed, 1])
    return mapped, search_section(
        shapes, project(tower, features, device=device), project(image_tower, pictures, device=device), generator
    )


def _points(run: RunRecord) -> int:
    """Points of a cloud: as in the retrieval evaluation where there is one, else as in training."""
    for result in run.of_kind("retrieval"):
        if count := _whole(result.protocol.get("points", {}).get("count")):
            return count
    return _whole(run.config.get("points")) or DEFAULT_POINTS


def _examples(config: ReportConfig, run: RunRecord, tables: list[ShapeTable]) -> list[Example]:
    generator = np.random.default_rng([config.seed, 2])
    if not tables:
        return []
    column = _column(run, tables)
    shapes = draw_shapes(tables, "train", EXAMPLES, generator, spread_categories=True, column=column)
    if shapes is None:
        return []
    named = run.config.get("augmentation", "recipe")
    augmented_by = run.config.get("recipe") if named == "recipe" else named
    return draw_examples(
        shapes,
        "paper" if augmented_by == "paper" else "none" if augmented_by == "none" else "default",
        without=tuple(run.config.get("without") or ()),
        grey=run.config.get("pictures") == "grey",
        points=_whole(run.config.get("points")) or DEFAULT_POINTS,
        image_size=_whole(run.config.get("image_size")) or 224,
        seed=config.seed,
    )


def _column(run: RunRecord, tables: list[ShapeTable]) -> Literal["views", "depth"]:
    """Where the pictures are that the run was trained on."""
    wanted = run.config.get("pictures") == "depth" and all(table.has("depth") for table in tables)
    return "depth" if wanted else "views"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _quoted(words: list[str]) -> str:
    return shlex.join(words) or "TABLE"
