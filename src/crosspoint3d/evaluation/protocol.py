"""What stands beside every number: how it was made, written as result.json and shown as a table."""

import datetime
import hashlib
import json
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crosspoint3d.config import EvaluateConfig
from crosspoint3d.config_file import to_dict
from crosspoint3d.evaluation.class_tables import class_table, hardest_lines, write_class_tables
from crosspoint3d.evaluation.score_names import by_condition
from crosspoint3d.runtime import atomic, environment, pick_device

NO_TWIN = "untrained: not available for this encoder (its architecture is not known)"
NO_HASH = "the encoder is a Python callable whose weights are not known: nothing here says which ones were used"
NOTHING_RANDOM = (
    "nothing in the trained encoder's scores is random: std is 0, whatever other test shapes might have given"
)


@dataclass(frozen=True)
class Result:
    """One evaluation, as `result.json` holds it.

    Attributes:
        evaluation: linear, few-shot or retrieval.
        scores: of the encoder: name -> mean, std, ci95 (half width of the 95 % t interval), n, values;
            shares are 0 to 1.
        untrained: the same of the same architecture with fresh weights, under the same choices; empty where there is
            no such encoder.
        chance: what guessing scores.
        protocol: everything that decides the numbers.
        details: what is worth keeping beyond the scores (confusion matrices, accuracy of each category).
    """

    evaluation: str
    scores: dict[str, dict[str, Any]]
    untrained: dict[str, dict[str, Any]]
    chance: dict[str, float]
    protocol: dict[str, Any]
    details: dict[str, Any]

    def __str__(self) -> str:
        return format_table(self)


def weights_sha256(tower: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all weights and buffers, whatever file held them."""
    digest = hashlib.sha256()
    for name, value in sorted(tower.state_dict().items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def protocol_record(
    config: EvaluateConfig,
    *,
    data: dict[str, Any],
    encoders: list[dict[str, Any]],
    seconds: float,
    notes: list[str],
    **choices: Any,
) -> dict[str, Any]:
    """The protocol record of an evaluation, plain values only.

    Args:
        config: the config that was run.
        data: the data's own record (name, split and its hash, orientation, notes); of the last seed.
        encoders: one entry a seed: hash, k, feature width and seconds of the encoder and its untrained twin (None where
            it has none).
        seconds: wall time of the whole evaluation.
        notes: sentences a reader of the numbers should know, beside those of the data.
        choices: classifier, scaler, C, episodes, ... as the evaluation has them.
    """
    here = environment()
    trained = [entry["trained"] for entry in encoders]
    return {
        "mode": config.protocol,
        "data": {key: value for key, value in data.items() if key != "notes"},
        "points": {"count": data.get("points_count", config.points), "picked": data.get("points_picked", "")},
        "k": trained[0].get("k"),
        "seeds": list(range(config.seeds)),
        **choices,
        "encoder": config.encoder,
        "encoder_sha256": sorted({entry["sha256"] for entry in trained}),
        "encoders": encoders,
        "config": to_dict(config),
        "command": shlex.join(sys.argv),
        "version": here["packages"]["crosspoint3d"],
        "environment": here,
        "device": str(pick_device(config.device)),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "notes": [*data.get("notes", []), *notes, *_about(encoders, config.untrained)],
    }


def _about(encoders: list[dict[str, Any]], twin: bool) -> list[str]:
    """What is not known about the encoders; `twin`: an untrained one was asked for."""
    without_twin = [entry for entry in encoders if twin and entry.get("untrained", {}) is None]
    without_hash = [entry for entry in encoders if entry["trained"]["sha256"] is None]
    return [NO_TWIN] * bool(without_twin) + [NO_HASH] * bool(without_hash)


def picked(count: int, available: int) -> str:
    """How the points of each cloud were chosen, in words."""
    if count == available:
        return f"all {available} points, nothing drawn"
    return f"{count} of {available} points, drawn at random from the seed"


def result_folder(config: EvaluateConfig, verb: str) -> Path | None:
    """Where the result goes: `--out`, or RUN/evaluation/VERB for a run folder, else nowhere."""
    if config.out is not None:
        return config.out
    run = Path(config.encoder)
    is_run = (run / "encoder").is_dir() and (run / "config.yaml").is_file()
    return run / "evaluation" / verb if is_run else None


def write_result(config: EvaluateConfig, verb: str, result: Result) -> Path | None:
    """Write `result.json`, whole or not at all, and beside it the categories as CSV files where it has any.

    Returns:
        The path of result.json, or None when the result has no folder.
    """
    folder = result_folder(config, verb)
    if folder is None:
        return None
    with atomic(folder / "result.json") as temporary:
        temporary.write_text(json.dumps(asdict(result), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    sys.stderr.write(f"written: {folder / 'result.json'}\n")
    write_class_tables(folder, class_table(result.details, len(result.protocol["seeds"])))
    return folder / "result.json"


def read_result(path: Path) -> Result:
    """The result that `write_result` wrote."""
    return Result(**json.loads(path.read_text(encoding="utf-8")))


def format_table(result: Result) -> str:
    """The result as lines for a terminal: encoder, untrained twin and chance side by side, then the notes."""
    protocol, data = result.protocol, result.protocol["data"]
    counts = [f"{data[key]:,} {word}" for key, word in COUNTS if key in data]
    seeds = len(protocol["seeds"])
    head = f"{result.evaluation} · {data['name']} · {', '.join(counts)}"
    rows: list[tuple[str, ...]] = [("", "encoder", "untrained", "chance")]
    for start, names in by_condition(result.scores).items():
        grouped = len(names) > 1
        rows += [(start, "", "", "")] * grouped
        rows += [("  " + name.removeprefix(start) if grouped else name, *_cells(name, result)) for name in names]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        head,
        f"{protocol['mode']} protocol, {seeds} seed{'s' * (seeds > 1)}, {protocol['points']['picked']}",
        "",
    ]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    if any(score["n"] > 1 for score in result.scores.values()):
        lines += ["", "± is the 95 % confidence interval of the mean"]
    hardest = hardest_lines(class_table(result.details, seeds))
    lines += [""] * bool(hardest) + hardest
    return "\n".join(lines + [f"note: {note}" for note in protocol["notes"]])


COUNTS = (
    ("train_shapes", "train shapes"),
    ("test_shapes", "test shapes"),
    ("shapes", "shapes"),
    ("pictures", "pictures"),
    ("categories", "categories"),
)


def _cells(name: str, result: Result) -> tuple[str, str, str]:
    absent = "not available" if result.protocol["config"].get("untrained", True) else "not asked for"
    twin = _cell(name, result.untrained[name]) if name in result.untrained else absent
    return _cell(name, result.scores[name]), twin, _chance(name, result.chance)


def _cell(name: str, score: dict[str, Any]) -> str:
    factor, unit = (1, "") if name.endswith("rank") else (100, " %")
    spread = f" ± {score['ci95'] * factor:.1f}" if score["n"] > 1 else ""
    return f"{score['mean'] * factor:.1f}{spread}{unit}"


def _chance(name: str, chance: dict[str, float]) -> str:
    return _cell(name, {"mean": chance[name], "n": 1}) if name in chance else ""
