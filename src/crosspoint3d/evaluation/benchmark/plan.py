"""What a benchmark file asks for, checked as a whole before anything is computed."""

import dataclasses
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosspoint3d.config import BenchmarkConfig, EvaluateConfig, Protocol, UsageError
from crosspoint3d.evaluation.benchmark.sources import data_paths, encoder_paths, has_pictures
from crosspoint3d.evaluation.benchmark.verbs import label, verb_and_options
from crosspoint3d.evaluation.plain_values import entries, mapping, near, read_yaml, refuse_twice, typed
from crosspoint3d.evaluation.published_numbers import DATASETS, PublishedNumber, dataset_of, published_rows
from crosspoint3d.evaluation.verbs import VERBS

OF_FLAGS = ("device", "batch_size", "cache")
"""Options that a flag of the command line may set, too."""
COMMON = ("seeds", "points", "limit", *OF_FLAGS)  # no k: not every encoder has graphs
"""Options that may stand at the top of the file, for all evaluations."""
TOP = ("data", "dataset", "protocols", "encoders", "evaluations", *COMMON)
OF_ENCODERS = ("k", "batch_size")
WITHHELD = ("encoder", "out", "protocol", "untrained")
"""Options of an evaluation that the benchmark sets itself."""
GIVEN = "the benchmark file"


@dataclass(frozen=True)
class Encoder:
    """A row: its name, the encoder, options for it alone, and what is published of it.

    `published` is the name of a row of the built-in numbers, or numbers by the name of the evaluation.
    """

    name: str
    encoder: str
    options: dict[str, Any]
    published: str | dict[str, PublishedNumber]


@dataclass(frozen=True)
class Evaluation:
    """A column group: a verb with its options.

    Attributes:
        verb, label, options: which evaluation, its name in the table, and the options that the file gives it.
        protocols: one or both.
        dataset: the published data set that is measured on; None where the data is no such.
        encoders: names of those that it is for; empty means all.
    """

    verb: str
    label: str
    options: dict[str, Any]
    protocols: tuple[Protocol, ...]
    dataset: str | None
    encoders: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Everything that a benchmark file asks for; `options` are the common ones, of the file and of the flags."""

    file: Path
    encoders: list[Encoder]
    evaluations: list[Evaluation]
    options: dict[str, Any]
    flags: dict[str, Any]

    def config(self, encoder: Encoder, evaluation: Evaluation, protocol: Protocol, out: Path | None) -> EvaluateConfig:
        """The config of one cell: flags win over the evaluation's options, these over the encoder's and the common."""
        options = self.options | encoder.options | evaluation.options | self.flags
        everything = evaluation.verb == "retrieval" and options.get("search", "all") == "all"
        if everything and not has_pictures(encoder.encoder):
            options["search"] = "shapes"
        chosen = {"encoder": encoder.encoder, "out": out, "protocol": protocol, "untrained": False}
        return VERBS[evaluation.verb].config_class(**(options | chosen))


def read_plan(config: BenchmarkConfig) -> Plan:
    """Read and check a benchmark file; its relative paths are relative to the working directory.

    Raises:
        UsageError: the file is missing or malformed, a key, verb, option or published row is not known, a value is of
            another type, a name stands twice, or a file is missing. Names the place and what would work.
    """
    file = config.file
    values = mapping(read_yaml(file), str(file), TOP, ("encoders", "evaluations"))
    common = _options(values, EvaluateConfig, COMMON, str(file))
    if "data" in values:
        common["data"] = _data(values["data"], f"{file}: data")
    protocols = _protocols(values.get("protocols", ["clean"]), f"{file}: protocols")
    dataset = _dataset(values.get("dataset"), common.get("data"), f"{file}: dataset")
    evaluations = [
        _evaluation(entry, common, protocols, dataset, f"{file}: evaluations, entry {number}")
        for number, entry in enumerate(entries(values["evaluations"], f"{file}: evaluations"), 1)
    ]
    refuse_twice((evaluation.label for evaluation in evaluations), f"{file}: evaluations")
    labels = [evaluation.label for evaluation in evaluations]
    encoders = [
        _encoder(entry, labels, f"{file}: encoders, entry {number}")
        for number, entry in enumerate(entries(values["encoders"], f"{file}: encoders"), 1)
    ]
    refuse_twice((encoder.name for encoder in encoders), f"{file}: encoders")
    for evaluation in evaluations:
        for name in set(evaluation.encoders) - {encoder.name for encoder in encoders}:
            hint = near(name, [encoder.name for encoder in encoders])
            raise UsageError(f"{file}: evaluations ({evaluation.label}), encoders: {name!r}; {hint}")
    flags = {
        name: getattr(config, name) for name in OF_FLAGS if getattr(config, name) != getattr(BenchmarkConfig, name)
    }
    return Plan(file, encoders, evaluations, common, flags)


def _encoder(entry: Any, labels: list[str], place: str) -> Encoder:
    values = mapping(entry, place, ("name", "encoder", "published", *OF_ENCODERS), ("name", "encoder"))
    name = typed(values["name"], str, f"{place}, name").strip()
    if not name:
        raise UsageError(f"{place}, name: it is empty")
    place = f"{place} ({name})"
    spec = typed(values["encoder"], str, f"{place}, encoder")
    _check_paths(encoder_paths, spec, f"{place}, encoder")
    published = values.get("published", "")
    if isinstance(published, dict):
        published = _own_numbers(name, published, labels, f"{place}, published")
    elif published and published not in published_rows():
        raise UsageError(f"{place}, published: {published!r}; {near(published, published_rows())}")
    return Encoder(name, spec, _options(values, EvaluateConfig, OF_ENCODERS, place), published)


def _own_numbers(encoder: str, values: dict[Any, Any], labels: list[str], place: str) -> dict[str, PublishedNumber]:
    """Per cent by `EVALUATION` (its first score) or `EVALUATION SCORE`; `source` is a text for all of them."""
    source = typed(values.get("source", GIVEN), str, f"{place}, source")
    numbers = {}
    for key, value in values.items():
        if key == "source":
            continue
        matching = [name for name in labels if key == name or str(key).startswith(f"{name} ")]
        if not matching:
            raise UsageError(f"{place}: {key!r} is no evaluation of this file; {near(key, [*labels, 'source'])}")
        name = max(matching, key=len)
        number = typed(value, float, f"{place}, {key}")
        if 0 < number <= 1:
            raise UsageError(f"{place}, {key}: {number:g} looks like a share; give per cent ({100 * number:g})")
        numbers[str(key)] = PublishedNumber(
            encoder, "", name, str(key).removeprefix(name).strip(), number, source, None, "", {}
        )
    return numbers


def _evaluation(
    entry: Any, common: dict[str, Any], protocols: tuple[Protocol, ...], dataset: str | None, place: str
) -> Evaluation:
    verb, given = verb_and_options(entry, place)
    place = f"{place} ({verb})"
    config_class = VERBS[verb].config_class
    names = [f.name for f in dataclasses.fields(config_class) if f.name not in WITHHELD]
    values = mapping(given if given is not None else {}, place, ("protocols", "dataset", "encoders", *names))
    options = _options(values, config_class, [name for name in names if name != "data"], place)
    if "data" in values:
        options["data"] = _data(values["data"], f"{place}, data")
        dataset = None
    elif "data" not in common:
        raise UsageError(f"{place}: data is missing, here or at the top of the file")
    for spec in options.get("transfer", ()):
        _data(spec, f"{place}, transfer")
    data = options.get("data", common.get("data"))
    return Evaluation(
        verb,
        label(verb, {name: value for name, value in options.items() if name not in OF_FLAGS}),
        options,
        _protocols(values.get("protocols", list(protocols)), f"{place}, protocols"),
        _dataset(values.get("dataset"), data, f"{place}, dataset") or dataset,
        typed(values.get("encoders"), tuple[str, ...] | None, f"{place}, encoders") or (),
    )


def _options(values: dict[str, Any], config_class: type, names: Iterable[str], place: str) -> dict[str, Any]:
    hints = typing.get_type_hints(config_class)
    options = {name: typed(values[name], hints[name], f"{place}, {name}") for name in names if name in values}
    for name in ("seeds", "batch_size", "k"):
        if isinstance(options.get(name), int) and options[name] < 1:
            raise UsageError(f"{place}, {name}: {options[name]}; must be at least 1")
    return options


def _protocols(value: Any, place: str) -> tuple[Protocol, ...]:
    protocols: tuple[Protocol, ...] = typed([value] if isinstance(value, str) else value, tuple[Protocol, ...], place)
    refuse_twice(protocols, place)
    return protocols


def _dataset(value: Any, data: str | None, place: str) -> str | None:
    known = dataset_of(data) if data else None
    if value is None:
        return known
    if value not in DATASETS:
        raise UsageError(f"{place}: {value!r}; {near(value, DATASETS)}")
    if known not in (None, value):
        raise UsageError(f"{place}: {value!r}, but the data is {known} (leave it out)")
    return str(value)


def _data(value: Any, place: str) -> str:
    spec: str = typed(value, str, place)
    _check_paths(data_paths, spec, place)
    return spec


def _check_paths(find: Any, spec: str, place: str) -> None:
    try:
        find(spec)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error
