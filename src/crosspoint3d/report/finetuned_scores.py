"""The numbers of a fine-tuning in words: what each score means, what was trained, and each seed's training."""

from dataclasses import dataclass
from typing import Any

from crosspoint3d.evaluation.result import Result
from crosspoint3d.report.finetuned_run import FinetunedRun, SeedRun
from crosspoint3d.report.record import Card, duration, network_name
from crosspoint3d.report.rows import Row, label_of, percent, score_row

MEANINGS = {
    "instance_miou": (
        "Instance mIoU",
        "Mean over the test shapes. A shape's IoU is the mean over its category's parts of: points that are and are "
        "called this part, divided by points that are or are called it; a part neither there nor named counts 1.",
    ),
    "class_miou": (
        "Class mIoU",
        "The same, averaged within each category first: a category with few shapes counts as much as one with many.",
    ),
    "part_accuracy": ("Point accuracy", "Share of all test points that are given their part: large parts weigh most."),
    "mean_part_accuracy": (
        "Mean part accuracy",
        "Share of a part's points that are given it, averaged over the parts: small parts count as much as large ones.",
    ),
    "overall_accuracy": ("Accuracy", "Share of the test shapes that are given their category."),
    "mean_class_accuracy": (
        "Mean class accuracy",
        "The same, averaged within each category first: a category with few shapes counts as much as one with many.",
    ),
    "expected_calibration_error": (
        "Calibration error",
        "How far confidence is from the share of right answers: the mean of their difference over bins of confidence, "
        "each as heavy as it has answers. The smaller the better.",
    ),
}
HEADLINES = (
    "instance_miou", "class_miou", "part_accuracy", "overall_accuracy", "mean_class_accuracy",
    "expected_calibration_error",
)  # fmt: skip
"""Scores that have a card."""
MODES = {
    "full": "encoder and head trained from {encoder}",
    "frozen": "head trained on the frozen encoder {encoder}",
    "scratch": "trained from fresh weights of the architecture of {encoder}",
}


@dataclass(frozen=True)
class ScoreLine:
    """A score with what it means, and its value for each seed where there are several."""

    row: Row
    meaning: str
    values: str


@dataclass(frozen=True)
class Training:
    """One seed's training in words."""

    seed: int
    epochs: str
    kept: str
    chosen: str
    test: str
    time: str
    best: bool


def finetuned_cards(run: FinetunedRun) -> list[Card]:
    """The main numbers of a fine-tuning."""
    shown = []
    for name in HEADLINES:
        score = run.result.scores.get(name) if run.result else None
        if run.result and score:
            chance, many = run.result.chance.get(name), score["n"] > 1
            lines = [f"mean of {score['n']} seeds"] * many
            lines += [] if chance is None else [f"chance {percent(chance)}"]
            spread = f"± {100 * score['ci95']:.1f}" if many else ""
            shown.append(Card(MEANINGS[name][0], percent(score["mean"]), lines, spread=spread))
    if not run.result:
        shown.append(Card("Scores", "–", ["the run is not finished"]))
    return [*shown, *_labels_card(run), _training_card(run)]


def finetuned_subtitle(run: FinetunedRun) -> str:
    """What was trained on what, in one line."""
    table = run.network.get("parts_table")
    if run.kind == "segment":
        words = ["Part segmentation"]
        if isinstance(table, dict) and isinstance(table.get("names"), list):
            words = [f"Part segmentation: {len(table['names'])} parts of {len(table.get('categories', []))} categories"]
    else:
        names = run.network.get("categories")
        words = [f"Classification into {len(names)} categories" if isinstance(names, list) else "Classification"]
    encoder = run.network.get("encoder")
    if isinstance(encoder, dict):
        words.append(network_name(str(encoder.get("kind", "encoder")), encoder))
    origin = MODES.get(str(run.config.get("mode")), "from {encoder}")
    words.append(origin.format(encoder=run.config.get("encoder", "an encoder that is not recorded")))
    words.append(f"labels of {run.config.get('data', 'data that is not recorded')}")
    return " · ".join(words)


def score_lines(result: Result) -> list[ScoreLine]:
    """All scores of a result, in its order."""
    lines = []
    for name, score in result.scores.items():
        label, meaning = label_and_meaning(name)
        values = ", ".join(f"{100 * value:.1f}" for value in score.get("values", [])) if score["n"] > 1 else ""
        lines.append(ScoreLine(score_row(result, name, "", label), meaning, values))
    return lines


def label_and_meaning(name: str) -> tuple[str, str]:
    """A score's name for readers, and what it says (empty where nobody wrote it down)."""
    return MEANINGS.get(name, (label_of(name), ""))


def trainings(run: FinetunedRun) -> list[Training]:
    """Each seed's training."""
    return [_training(run, seed) for seed in run.seeds]


def _training(run: FinetunedRun, seed: SeedRun) -> Training:
    score, outcome = run.chosen_by, seed.outcome
    split, epochs, values = seed.validations(score)
    kept = seed.kept_after(score)
    place = min(range(len(epochs)), key=lambda i: abs(epochs[i] - kept)) if epochs and kept is not None else None
    test, done = _score(outcome, score), outcome.get("epochs")
    if done is None and seed.metrics:
        done = f"{seed.metrics[-1]['step'] / seed.steps_per_epoch:.0f} so far"
    return Training(
        seed=seed.seed,
        epochs="?" if done is None else str(done),
        kept="?" if kept is None else f"{kept:.0f}",
        chosen="last epoch" if place is None else f"{percent(values[place])} on {split}",
        test=test,
        time=duration(outcome["seconds"]) if isinstance(outcome.get("seconds"), int | float) else "not finished",
        best=len(run.seeds) > 1 and run.summary.get("best_seed") == seed.seed,
    )


def _score(outcome: dict[str, Any], name: str) -> str:
    scores = outcome.get("scores")
    value = scores.get(name) if isinstance(scores, dict) else None
    return percent(value) if isinstance(value, int | float) else "–"


def _labels_card(run: FinetunedRun) -> list[Card]:
    share = run.config.get("labels")
    if not isinstance(share, int | float):
        return []
    records = (seed.outcome.get("record") for seed in run.seeds)
    counts = [record.get("labelled") for record in records if isinstance(record, dict)]
    words = [f"{count['shapes']:,} of {count['of']:,} train shapes" for count in counts[:1] if isinstance(count, dict)]
    if share < 1 and len(run.seeds) > 1:
        words.append("drawn anew for every seed")
    return [Card("Labels used", f"{100 * share:g} %", words)]


def _training_card(run: FinetunedRun) -> Card:
    seconds = run.summary.get("seconds")
    kept = [value for seed in run.seeds if (value := seed.kept_after(run.chosen_by)) is not None]
    epochs = [f" of {seed.outcome['epochs']}" for seed in run.seeds if "epochs" in seed.outcome][:1]
    lines = [f"{len(run.seeds)} seeds"] * (len(run.seeds) > 1)
    lines += [
        f"kept epoch{'s' * (len(kept) > 1)} {', '.join(f'{value:.0f}' for value in kept)}{''.join(epochs)}"
    ] * bool(kept)
    chosen = {split for seed in run.seeds if (split := seed.validations(run.chosen_by)[0])}
    lines += [f"best on {'validation' if split == 'val' else 'test'} shapes" for split in sorted(chosen)]
    return Card("Training time", duration(seconds) if isinstance(seconds, int | float) else "?", lines)
