"""`finetune classify`: categories of shapes from a pre-trained encoder."""

from collections.abc import Sequence

import torch

from crosspoint3d import runtime
from crosspoint3d.config import FinetuneClassifyConfig
from crosspoint3d.data.class_clouds import ClassClouds, deal_labels
from crosspoint3d.data.clouds import load_clouds
from crosspoint3d.data.loaded import OWN_VAL
from crosspoint3d.evaluation.class_tables import class_table, write_class_tables
from crosspoint3d.evaluation.metrics import accuracy_chance, mean_scores, summaries
from crosspoint3d.evaluation.protocol import picked
from crosspoint3d.evaluation.result import Result
from crosspoint3d.labelling.class_judgement import FIGURE, RECORD
from crosspoint3d.labelling.reliability import draw_reliability
from crosspoint3d.models.load_labelled import load_classifier
from crosspoint3d.training.classify_results import ClassAnswers, classify_details, save_examples
from crosspoint3d.training.classify_task import MODEL, classify_task, with_points
from crosspoint3d.training.finetune_outcome import Outcome, best_seed, read_answers
from crosspoint3d.training.finetune_record import finetune_record, require_same_clouds
from crosspoint3d.training.finetune_run import FinetuneResult, finish, finished_run, run_seeds, validate
from crosspoint3d.training.finetune_shared import keep_network, with_settled_points


def finetune_classify(config: FinetuneClassifyConfig) -> FinetuneResult:
    """Train a network that names categories on labelled shapes and measure it on test shapes; all is in `config.out`.

    Every seed draws its labelled shapes (and the split, where the data has none), its fresh weights and all else that
    is random; every seed's network is kept, and the one that did best where the epoch was chosen is RUN's. Clean: its
    probabilities are calibrated on the validation shapes.

    Raises:
        UsageError: an option has an impossible value, the folder is in use, or data or encoder cannot be used.
        RunError: the loss is no longer finite, a checkpoint cannot be written (the last good state is kept), or
            `--resume` finds other shapes than those that a finished seed was trained on.
    """
    validate(config)
    whole = load_clouds(config.data, seed=0)
    fixed = not whole.record["split_drawn"]

    def clouds_of(seed: int) -> ClassClouds:
        clouds = whole if seed == 0 or fixed else load_clouds(config.data, seed=seed)
        return deal_labels(clouds, seed=seed, fraction=config.labels, protocol=config.protocol)

    available = min(whole.train_points.shape[1], whole.test_points.shape[1])
    if whole.val and config.protocol == "clean":
        available = min(available, whole.val.points.shape[1])
    config = with_settled_points(config, available)
    if finished := finished_run(config):
        return finished
    device = runtime.pick_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)

    def check(outcome: Outcome) -> None:
        clouds = clouds_of(outcome.seed)
        require_same_clouds(outcome, clouds.train.points, clouds.test.points)

    outcomes = run_seeds(config, lambda seed: classify_task(config, clouds_of(seed), seed, device), check)
    if isinstance(outcomes, str):
        return FinetuneResult(str(config.out), stopped=outcomes)

    answers, chance = [], []
    for seed in range(config.seeds):
        clouds = clouds_of(seed)
        test = with_points(clouds.test, config.points, seed)
        answers.append(ClassAnswers(test, **read_answers(config, seed)))
        chance.append(accuracy_chance(clouds.train.labels, test.labels))
    best = best_seed(outcomes)
    _keep(config, best, answers[best])
    save_examples(config.out / "examples.npz", answers[best], clouds.categories)
    result = Result(
        evaluation="classify",
        scores=summaries([outcome.scores for outcome in outcomes]),
        untrained={},
        chance=mean_scores(chance),
        protocol=finetune_record(
            config,
            outcomes,
            data=clouds.record,
            picked=picked(config.points, whole.test_points.shape[1]),
            notes=_notes(outcomes),
        ),
        details=classify_details(answers, clouds.categories, same=fixed),
    )
    write_class_tables(config.out, class_table(result.details, config.seeds))
    return finish(config, outcomes, result)


def _keep(config: FinetuneClassifyConfig, seed: int, answers: ClassAnswers) -> None:
    """RUN/classifier with its calibration, and RUN/encoder."""
    keep_network(config, seed, MODEL, load_classifier)
    found = answers.calibration()
    runtime.write_json(config.out / MODEL / RECORD, found.to_dict())
    draw_reliability(config.out / FIGURE, found, len(answers.test), "Calibration on the test split")


def _notes(outcomes: Sequence[Outcome]) -> list[str]:
    """What a reader should know about the shapes that chose, and about the probabilities."""
    notes = []
    for outcome in outcomes:
        labelled, val, temperature = (outcome.record[name] for name in ("labelled", "val", "temperature"))
        if labelled["share"] < 1 and val["from"] == OWN_VAL:
            notes.append(
                f"the epoch was chosen on all {val['shapes']} validation shapes: their labels are beside --labels"
            )
        if temperature["value"] == 1:
            notes.append(f"probabilities are not calibrated: {temperature['from']}")
    return list(dict.fromkeys(notes))
