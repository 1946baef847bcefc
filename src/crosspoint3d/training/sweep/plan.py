"""What a sweep file asks for, checked as a whole before anything is trained."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from crosspoint3d.address import address_of
from crosspoint3d.config import RECIPES, EvaluateConfig, PretrainConfig, SweepConfig, UsageError
from crosspoint3d.evaluation.benchmark.sources import data_paths
from crosspoint3d.evaluation.benchmark.verbs import label, verb_and_options
from crosspoint3d.evaluation.plain_values import entries, mapping, near, read_yaml, refuse_twice, typed
from crosspoint3d.evaluation.seeds import check
from crosspoint3d.evaluation.verbs import VERBS
from crosspoint3d.training.sweep.options import names_of, option, options
from crosspoint3d.training.sweep.possible import setting_key

TOP = ("base", "grid", "runs", "seeds", "evaluate", "data", "baseline")
SET_HERE = ("out", "seed", "resume")
"""Options of pretrain that the sweep sets itself."""
WITHHELD = ("encoder", "out", "untrained")
"""The same of evaluations."""
UNNAMED = ("seeds", "device", "batch_size", "cache")
"""Options of an evaluation that are not part of its name."""
RUN = "run"
SEEDS = 3


@dataclass(frozen=True)
class Setting:
    """A row of the table.

    Attributes:
        name: as the table and --baseline know it.
        varied: the columns that tell the rows apart: the name of its entry of `runs`, and options of `grid`.
        config: of its runs, but for seed and folder.
        key: equal for two settings that must train to the same weights.
    """

    name: str
    varied: dict[str, str]
    config: PretrainConfig
    key: str


@dataclass(frozen=True)
class Evaluation:
    """What every run is measured by; `config` is without the encoder."""

    verb: str
    label: str
    config: EvaluateConfig


@dataclass(frozen=True)
class Plan:
    """Everything that a sweep file asks for; `baseline` is the setting that the others are compared with."""

    file: Path
    settings: list[Setting]
    seeds: tuple[int, ...]
    evaluations: list[Evaluation]
    baseline: Setting


def read_plan(config: SweepConfig) -> Plan:
    """Read and check a sweep file; its relative paths are relative to the working directory.

    Raises:
        UsageError: the file is missing or malformed, a key, option or evaluation is not known, a value is of another
            type or impossible for pretrain, two settings are the same, or a file is missing. Names the place.
    """
    file = config.file
    values = mapping(read_yaml(file), str(file), TOP, ("base", "evaluate"))
    if config.jobs < 1:
        raise UsageError(f"--jobs {config.jobs}: must be at least 1")
    seeds = _seeds(values.get("seeds", SEEDS), f"{file}: seeds")
    settings = _settings(config, values)
    device = config.device if config.device != "auto" else settings[0].config.device
    data = values.get("data", _only_table(settings))
    evaluations = [
        _evaluation(entry, data, device, f"{file}: evaluate, entry {number}")
        for number, entry in enumerate(entries(values["evaluate"], f"{file}: evaluate"), 1)
    ]
    refuse_twice((evaluation.label for evaluation in evaluations), f"{file}: evaluate")
    names = {setting.name: setting for setting in settings}
    baseline = values.get("baseline", settings[0].name)
    if baseline not in names:
        raise UsageError(f"{file}: baseline: no row {baseline!r}; {near(baseline, names)}")
    return Plan(file, settings, seeds, evaluations, names[baseline])


def _seeds(value: Any, place: str) -> tuple[int, ...]:
    if isinstance(value, list):
        seeds: tuple[int, ...] = typed(value, tuple[int, ...], place)
        refuse_twice(map(str, seeds), place)
    else:
        count = typed(value, int, place)
        if count < 1:
            raise UsageError(f"{place}: {count}; give how many (at least 1), or a list of seeds")
        seeds = tuple(range(count))
    return seeds


def _settings(config: SweepConfig, values: dict[str, Any]) -> list[Setting]:
    """Every entry of `runs` by every point of `grid`, in the order of the file."""
    file, known = config.file, names_of(PretrainConfig, SET_HERE)
    base = _overrides(values["base"], known, f"{file}: base")
    grid = {
        name: _alternatives(name, given, f"{file}: grid, {name}")
        for name, given in mapping(values.get("grid") or {}, f"{file}: grid", known).items()
    }
    runs = _runs(values["runs"], known, list(grid), f"{file}: runs") if values.get("runs") else {"": {}}
    settings: list[Setting] = []
    for (run, overrides), point in product(runs.items(), product(*(found.items() for found in grid.values()))):
        varied = {RUN: run} if run else {}
        shown = {name: text for name, (text, _) in zip(grid, point, strict=True) if len(grid[name]) > 1}
        name = ", ".join([*varied.values(), *(f"{option}={text}" for option, text in shown.items())]) or "base"
        chosen = base | overrides | {name: value for name, (_, value) in zip(grid, point, strict=True)}
        if config.device != "auto":
            chosen["device"] = config.device
        settings.append(_setting(name, varied | shown, chosen, f"{file}: {name}"))
    keys: dict[str, str] = {}
    for setting in settings:
        if setting.key in keys:
            raise UsageError(f"{file}: {keys[setting.key]!r} and {setting.name!r} are the same setting; remove one")
        keys[setting.key] = setting.name
    return settings


def _setting(name: str, varied: dict[str, str], chosen: dict[str, Any], place: str) -> Setting:
    values = RECIPES.get(chosen.get("recipe", "default"), {}) | chosen
    if "data" not in values:
        raise UsageError(f"{place}: data is missing, under base or under grid: a table made by prepare")
    config = PretrainConfig(**values, out=Path())
    return Setting(name, varied, config, setting_key(config, place))


def _overrides(value: Any, known: Iterable[str], place: str) -> dict[str, Any]:
    return options(mapping(value if value is not None else {}, place, known), PretrainConfig, place)


def _alternatives(name: str, given: Any, place: str) -> dict[str, Any]:
    """The values of an option by the words for them."""
    hints = {f.name: f.type for f in dataclasses.fields(PretrainConfig)}
    values = [option(value, hints[name], place) for value in entries(given, place)]
    words = [_words(value) for value in values]
    refuse_twice(words, place)
    return dict(zip(words, values, strict=True))


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(map(_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _runs(value: Any, known: list[str], taken: list[str], place: str) -> dict[str, dict[str, Any]]:
    runs: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(entries(value, place), 1):
        here = f"{place}, entry {number}"
        values = mapping(entry, here, ("name", *known), ("name",))
        name = typed(values.pop("name"), str, f"{here}, name").strip()
        if not name or name in runs:
            raise UsageError(f"{here}, name: {name!r} is {'empty' if not name else 'there already'}; give another")
        for option_name in values:
            if option_name in taken:
                raise UsageError(f"{here} ({name}): {option_name} stands under grid, too; leave it out at one place")
        runs[name] = _overrides(values, known, f"{here} ({name})")
    return runs


def _only_table(settings: list[Setting]) -> str | None:
    tables = {setting.config.data for setting in settings}
    only = next(iter(tables))
    return address_of(only[0]) if len(tables) == 1 and len(only) == 1 else None


def _evaluation(entry: Any, data: Any, device: str, place: str) -> Evaluation:
    verb, given = verb_and_options(entry, place)
    place = f"{place} ({verb})"
    config_class = VERBS[verb].config_class
    values = mapping(given if given is not None else {}, place, names_of(config_class, WITHHELD))
    if "data" not in values and data is None:
        raise UsageError(f"{place}: data is missing, here or at the top of the file: what to measure on")
    chosen = options({"data": data, "device": device} | values, config_class, place)
    config = config_class(encoder="", untrained=False, **chosen)
    try:
        check(config)
        for spec in (config.data, *getattr(config, "transfer", ())):
            data_paths(spec)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error
    own = {name: value for name, value in values.items() if name not in UNNAMED}
    return Evaluation(verb, label(verb, own), config)


def with_seed(setting: Setting, seed: int, run: Path) -> PretrainConfig:
    """The config of one run; whatever is in its folder is gone on with."""
    return replace(setting.config, seed=seed, out=run, resume=run.is_dir() and any(run.iterdir()))
