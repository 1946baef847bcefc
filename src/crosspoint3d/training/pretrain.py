"""CrossPoint pre-training (Afham et al., CVPR 2022, arXiv 2203.00680): build, loop, evaluate, save."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import torch

from crosspoint3d import runtime
from crosspoint3d.config import MOST_POINTS_BY_DEFAULT, PretrainConfig, UsageError
from crosspoint3d.data.order import VERSION as ORDER
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.models.crosspoint import CrossPoint
from crosspoint3d.models.tower import save_tower
from crosspoint3d.training import checkpoint
from crosspoint3d.training.checkpoint_writer import CheckpointWriter
from crosspoint3d.training.distributed import Team, place_from_environment, team
from crosspoint3d.training.held_out import held_out_retrieval
from crosspoint3d.training.image_start import begun_with, go_on, note_start, read_note, without_source
from crosspoint3d.training.loop import Training, train
from crosspoint3d.training.negative_queue import NegativeQueue
from crosspoint3d.training.pretrain_result import PretrainResult
from crosspoint3d.training.run_folder import SUMMARY, finished_steps, open_run
from crosspoint3d.training.setup import build_model, build_optimizer, draw_order, validate


def pretrain(config: PretrainConfig) -> PretrainResult:
    """Train a point and an image encoder on the tables of `config.data`; everything lands in `config.out`.

    Started by torchrun, this is one of several processes: each trains on its share of every batch and the first writes.

    Raises:
        UsageError: an option has an impossible value, or the run folder is in use.
        RunError: the loss is no longer finite, a checkpoint cannot be written, or another process failed; the last good
            state is kept.
    """
    place = place_from_environment()
    validate(config, place.world)
    with team(place, config.device) as together:
        return _pretrain(config, together)


def _pretrain(config: PretrainConfig, team: Team) -> PretrainResult:
    tables = [ShapeTable(path) for path in config.data]
    fewest = min(table.points for table in tables)
    config = replace(config, points=config.points or min(MOST_POINTS_BY_DEFAULT, fewest))
    if config.resume and (finished := team.from_first(lambda: finished_steps(config))) is not None:
        note = "this run is finished; nothing to do"
        return PretrainResult(str(config.out), finished, finished, math.nan, 0.0, 0.0, note=note)
    if config.threads:
        torch.set_num_threads(config.threads)
    order = draw_order(config, tables)
    team.check_same("training shapes", order.fingerprint())
    total = min(config.epochs * order.steps, config.max_steps or math.inf)

    begun = team.from_first(lambda: begun_with(config))
    model = build_model(config if begun is None else without_source(config), team.device)
    if begun is not None:
        go_on(model.image_tower, begun)
    optimizer = build_optimizer(config, model)
    queue = NegativeQueue(config.queue, team.device)
    more = {"processes": team.size, "order": ORDER, "queue": queue.state}
    writer = CheckpointWriter(config.out, model, optimizer, order.fingerprint(), more)
    training = Training(config, tables, order, int(total), model, optimizer, queue, team, writer)
    start = team.from_first(lambda: _open(training))
    team.share_state(model, optimizer, queue)
    result = train(training, start)
    if not result.stopped:
        result = replace(result, held_out=team.from_first(lambda: _finish(config, model, tables, result)))
    return result


def _open(training: Training) -> int:
    """Begin or go on with the run folder; the number of steps that are done."""
    config, model = training.config, training.model
    start = open_run(config)
    if not start:
        note_start(config, model.image_tower)
        training.writer.save(0)
        training.writer.wait()
        return 0
    saved = checkpoint.load_checkpoint(config.out, model, training.optimizer, training.order.fingerprint())
    if saved.get("order", 1) != ORDER:
        raise UsageError(
            f"--resume: {config.out} was begun by an earlier version, whose order of shapes cannot be continued: "
            "start a new run"
        )
    if (before := saved.get("processes", 1)) != training.team.size:
        raise UsageError(
            f"--resume: {config.out} was trained by {before} processes, now there are {training.team.size}; their "
            f"number decides the views that are drawn: start {before} again, or a new run"
        )
    training.queue.load_state_dict(saved.get("queue", {}))
    return start


def _finish(
    config: PretrainConfig, model: CrossPoint, tables: list[ShapeTable], result: PretrainResult
) -> dict[str, float] | None:
    """Save the encoders, then measure them on held-out shapes; the summary is written before and after."""
    _save(config, model, tables)
    _write_summary(config, result)
    held_out = held_out_retrieval(config, tables)
    _write_summary(config, replace(result, held_out=held_out))
    return held_out


def _save(config: PretrainConfig, model: CrossPoint, tables: list[ShapeTable]) -> None:
    names = ", ".join(Path(table.path).name for table in tables)
    trained_on = {"data": names, "recipe": config.recipe, "seed": config.seed}
    save_tower(model.point_tower, config.out / "encoder", trained_on)
    if config.cross_weight:
        seen = {"pictures": config.pictures, "began_with": model.image_tower.began_with, "frozen": config.freeze_images}
        save_tower(model.image_tower, config.out / "image_encoder", trained_on | seen)


def _write_summary(config: PretrainConfig, result: PretrainResult) -> None:
    summary = asdict(result) | {"environment": runtime.environment()}
    if config.cross_weight and (began := read_note(config.out)):
        summary["image_weights"] = began
    with runtime.atomic(config.out / SUMMARY) as path:
        path.write_text(json.dumps(summary, indent=1), encoding="utf-8")
