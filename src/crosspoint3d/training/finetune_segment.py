"""`finetune segment`: part labels on points from a pre-trained encoder."""

from collections.abc import Sequence

import torch

from crosspoint3d import runtime
from crosspoint3d.config import FinetuneSegmentConfig
from crosspoint3d.data.loaded import OWN_VAL
from crosspoint3d.data.part_clouds import load_part_clouds
from crosspoint3d.data.part_labels import PartClouds
from crosspoint3d.evaluation.metrics import mean_scores, summaries
from crosspoint3d.evaluation.part_predictions import with_points
from crosspoint3d.evaluation.part_tables import write_part_tables
from crosspoint3d.evaluation.protocol import picked
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.segment_results import PartAnswers, most_frequent_parts, save_examples, segment_details
from crosspoint3d.models.load_labelled import load_segmenter
from crosspoint3d.training.finetune_outcome import Outcome, best_seed, read_answers
from crosspoint3d.training.finetune_record import finetune_record, require_same_clouds
from crosspoint3d.training.finetune_run import FinetuneResult, finish, finished_run, run_seeds, validate
from crosspoint3d.training.finetune_shared import keep_network, with_settled_points
from crosspoint3d.training.segment_task import MODEL, labelled_shapes, segment_task


def finetune_segment(config: FinetuneSegmentConfig) -> FinetuneResult:
    """Train a part segmentation network on labelled shapes and measure it on test shapes; all lands in `config.out`.

    Every seed draws its labelled shapes (and the split, where the data has none), its fresh weights and all else that
    is random; every seed's network is kept, and the one that did best where the epoch was chosen is RUN's.

    Raises:
        UsageError: an option has an impossible value, the folder is in use, or data or encoder cannot be used.
        RunError: the loss is no longer finite, a checkpoint cannot be written (the last good state is kept), or
            `--resume` finds other shapes than those that a finished seed was trained on.
    """
    validate(config)
    clouds = load_part_clouds(config.data, seed=0, categories=config.categories)
    available = min(split.points.shape[1] for split in (clouds.train, clouds.val, clouds.test) if len(split))
    config = with_settled_points(config, available)
    if finished := finished_run(config):
        return finished
    device = runtime.pick_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)

    same = not clouds.record["split_drawn"] and clouds.record["val"]["from"] == OWN_VAL

    def clouds_of(seed: int) -> PartClouds:
        if seed == 0 or same:
            return clouds
        return load_part_clouds(config.data, seed=seed, categories=config.categories)

    def check(outcome: Outcome) -> None:
        own = clouds_of(outcome.seed)
        require_same_clouds(outcome, own.train.points, own.test.points)

    outcomes = run_seeds(config, lambda seed: segment_task(config, clouds_of(seed), seed, device), check)
    if isinstance(outcomes, str):
        return FinetuneResult(str(config.out), stopped=outcomes)

    answers, chance = [], []
    for seed in range(config.seeds):
        own = clouds_of(seed)
        test = with_points(own.test, config.points, seed)
        answers.append(PartAnswers(test, read_answers(config, seed)["predicted"]))
        chance.append(most_frequent_parts(labelled_shapes(config, own, seed), test, own.table))
    best = best_seed(outcomes)
    keep_network(config, best, MODEL, load_segmenter)
    save_examples(config.out / "examples.npz", answers[best], clouds.table)
    details = segment_details(answers, clouds.table)
    write_part_tables(config.out, details)
    result = Result(
        evaluation="segment",
        scores=summaries([outcome.scores for outcome in outcomes]),
        untrained={},
        chance=mean_scores(chance),
        protocol=finetune_record(
            config,
            outcomes,
            data=own.record,
            picked=picked(config.points, clouds.test.points.shape[1]),
            notes=_notes(config, clouds),
        ),
        details=details,
    )
    return finish(config, outcomes, result)


def _notes(config: FinetuneSegmentConfig, clouds: PartClouds) -> Sequence[str]:
    if config.protocol == "paper" and len(clouds.val):
        return [f"the {len(clouds.val)} validation shapes are trained on too, as published"]
    if config.labels < 1 and len(clouds.val):
        return [f"the epoch was chosen on all {len(clouds.val)} validation shapes: their labels are beside --labels"]
    return []
