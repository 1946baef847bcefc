"""`evaluate repeat`: run an evaluation again from the record beside its numbers, and say what is different."""

import dataclasses
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosspoint3d.config import RepeatConfig, SegmentationConfig, UsageError
from crosspoint3d.evaluation.plain_values import typed
from crosspoint3d.evaluation.result import Result
from crosspoint3d.evaluation.result_files import read_result
from crosspoint3d.evaluation.segmentation import segmentation
from crosspoint3d.evaluation.verbs import VERBS, function

KNOWN = (*VERBS, "segmentation")
TRAININGS = ("segment", "classify")
"""Results of `crosspoint3d finetune`."""


@dataclass(frozen=True)
class Repetition:
    """A result and its repetition.

    Attributes:
        recorded, repeated: the two results.
        circumstances: what is not the same though it could matter: name, then both values.
        differences: of each score, the untrained twin's too, the largest one between the values of single seeds; None
            where one has it only.
        tolerance: up to which scores count as repeated.
    """

    recorded: Result
    repeated: Result
    circumstances: dict[str, tuple[Any, Any]]
    differences: dict[str, float | None]
    tolerance: float

    @property
    def exit_code(self) -> int:
        """0 where every score was repeated."""
        return int(not all(d is not None and d <= self.tolerance for d in self.differences.values()))

    def __str__(self) -> str:
        lines = [f"{self.recorded.evaluation}, {self.recorded.protocol['mode']} protocol, repeated from its record", ""]
        width = max(len(name) for name in self.differences)
        for name, difference in self.differences.items():
            old, new = (_scores(result).get(name) for result in (self.recorded, self.repeated))
            cells = [f"{score['mean']:.6f}" if score else "missing".rjust(8) for score in (old, new)]
            apart = "" if difference is None else f"largest difference of a seed {difference:.2g}"
            lines.append("  ".join([name.ljust(width), *cells, apart]))
        lines += [f"not the same: {name}: {old} then, {new} now" for name, (old, new) in self.circumstances.items()]
        return "\n".join([*lines, "NOT REPEATED" if self.exit_code else "repeated"])


def repeat(config: RepeatConfig) -> Repetition:
    """Run the evaluation of a `result.json` again, with the config in its record.

    Paths in the record are as they were given: relative ones hold in the folder of the first run. `encoder` (of
    `segmentation` its model) and `data` say where things lie now; hashes in the record tell whether they are the same.

    Raises:
        UsageError: the file is no result, or the evaluation cannot be run.
    """
    file = config.result / "result.json" if config.result.is_dir() else config.result
    recorded = _read(file)
    kind, run = _verb(recorded.evaluation)
    values = _options(recorded, kind, file)
    options = {f.name for f in dataclasses.fields(kind)}
    if "cache" in options:
        values["cache"] = config.cache
    elif config.cache:
        raise UsageError(f"--cache: evaluate {recorded.evaluation} keeps no features; leave it out")
    network = "encoder" if "encoder" in options else "model"
    given = {network: config.encoder, "data": config.data, "device": config.device}
    values |= {name: value for name, value in given.items() if value}
    values["out"] = config.out or file.parent / "repeated"
    if values["out"].resolve() == file.parent.resolve():
        raise UsageError(f"--out {config.out}: the recorded result is there; choose another folder")
    repeated = run(kind(**values))
    return Repetition(
        recorded, repeated, _circumstances(recorded, repeated), _differences(recorded, repeated), config.tolerance
    )


def _verb(evaluation: str) -> tuple[type, Callable[[Any], Result]]:
    """The config class and the function of an evaluation in `KNOWN`."""
    if evaluation in VERBS:
        return VERBS[evaluation].config_class, function(evaluation)
    return SegmentationConfig, segmentation


def _read(file: Path) -> Result:
    try:
        result = read_result(file)
        found = result.evaluation in KNOWN and isinstance(result.protocol["config"], dict)
        _matters(result)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; give a result.json that `crosspoint3d evaluate` wrote") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{file} is no result of `crosspoint3d evaluate`: {error!r}") from error
    if result.evaluation in TRAININGS:
        raise UsageError(
            f"{file} is of a training: repeat it by `crosspoint3d finetune {result.evaluation} --config "
            f"{file.parent / 'config.yaml'} --out OTHER`"
        )
    if not found:
        raise UsageError(f"{file}: evaluation {result.evaluation!r} is unknown; known are {', '.join(KNOWN)}")
    return result


def _options(recorded: Result, kind: type, file: Path) -> dict[str, Any]:
    """The recorded config as values of `kind`, checked; an option that this version does not have is a usage error."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in recorded.protocol["config"].items():
        if name not in hints:
            raise UsageError(f"{file}: option {name} is unknown here: version {recorded.protocol['version']} wrote it")
        values[name] = () if value == [] else typed(value, hints[name], f"{file}: config, {name}")
    for f in dataclasses.fields(kind):
        if f.default is dataclasses.MISSING and f.name not in values:
            raise UsageError(f"{file}: config: {f.name} is missing")
    return values


def _scores(result: Result) -> dict[str, dict[str, Any]]:
    """The scores of the encoder and of its untrained twin."""
    return result.scores | {f"untrained {name}": score for name, score in result.untrained.items()}


def _circumstances(recorded: Result, repeated: Result) -> dict[str, tuple[Any, Any]]:
    old, new = _matters(recorded), _matters(repeated)
    return {name: (old[name], new[name]) for name in old if old[name] != new[name]}


def _matters(result: Result) -> dict[str, Any]:
    protocol, packages = result.protocol, result.protocol["environment"]["packages"]
    return {
        "protocol": protocol["mode"],
        "split": protocol["data"].get("split_sha256"),
        "clouds": [entry.get("clouds_sha256") for entry in protocol["encoders"]],
        "encoder": protocol["encoder_sha256"],
        "k": protocol["k"],
        "points": protocol["points"],
        "package": protocol["version"],
        "code": protocol.get("code_sha256"),
        "torch": packages["torch"],
        "scikit-learn": packages["scikit-learn"],
        "device": protocol["device"],
    }


def _differences(recorded: Result, repeated: Result) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    both = _scores(recorded), _scores(repeated)
    for name in dict.fromkeys([*both[0], *both[1]]):
        old, new = (scores.get(name, {}).get("values", []) for scores in both)
        alike = old and len(old) == len(new)
        found[name] = max(abs(a - b) for a, b in zip(old, new, strict=True)) if alike else None
    return found
