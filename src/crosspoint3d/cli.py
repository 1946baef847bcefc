"""The command line: verb -> config class -> function, imported only when called."""

import contextlib
import dataclasses
import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_origin

from crosspoint3d import __version__, config
from crosspoint3d.address import address_of, is_url, refuse_secrets
from crosspoint3d.config_file import load_yaml
from crosspoint3d.flags import as_flags, join_repeated, words_given


class Verb(NamedTuple):
    """A verb's config class and the function that takes it, as `module:function`."""

    config_class: type
    function: str


VERBS = {
    "prepare": Verb(config.PrepareConfig, "data.prepare:prepare"),
    "inspect": Verb(config.InspectConfig, "data.inspect:inspect"),
    "pretrain": Verb(config.PretrainConfig, "training.pretrain:pretrain"),
    "sweep": Verb(config.SweepConfig, "training.sweep:sweep"),
    "evaluate linear": Verb(config.LinearConfig, "evaluation.linear_probe:linear"),
    "evaluate knn": Verb(config.KnnConfig, "evaluation.knn:knn"),
    "evaluate few-shot": Verb(config.FewShotConfig, "evaluation.few_shot:few_shot"),
    "evaluate retrieval": Verb(config.RetrievalConfig, "evaluation.retrieval:retrieval"),
    "evaluate label-fraction": Verb(config.LabelFractionConfig, "evaluation.label_fraction:label_fraction"),
    "evaluate cluster": Verb(config.ClusterConfig, "evaluation.cluster:cluster"),
    "evaluate robustness": Verb(config.RobustnessConfig, "evaluation.robustness:robustness"),
    "evaluate benchmark": Verb(config.BenchmarkConfig, "evaluation.benchmark:benchmark"),
    "evaluate repeat": Verb(config.RepeatConfig, "evaluation.repeat:repeat"),
    "evaluate segmentation": Verb(config.SegmentationConfig, "evaluation.segmentation:segmentation"),
    "finetune segment": Verb(config.FinetuneSegmentConfig, "training.finetune_segment:finetune_segment"),
    "finetune classify": Verb(config.FinetuneClassifyConfig, "training.finetune_classify:finetune_classify"),
    "segment": Verb(config.SegmentConfig, "labelling.segment:segment"),
    "classify": Verb(config.ClassifyConfig, "labelling.classify:classify"),
    "download": Verb(config.DownloadConfig, "data.download:download"),
    "convert": Verb(config.ConvertConfig, "models.convert:convert"),
    "report": Verb(config.ReportConfig, "report:report"),
    "demo": Verb(config.DemoConfig, "demo:demo"),
}

GROUPS = {name.split()[0] for name in VERBS if " " in name}


def main(arguments: list[str] | None = None) -> None:
    """Run one verb and exit: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one verb; the exit code."""
    asked = not arguments or arguments[-1] in ("-h", "--help")
    if asked and (len(arguments) < 2 or (arguments[0] in GROUPS and len(arguments) == 2)):
        print(_help())
        return 0 if arguments else 2
    if arguments == ["--version"]:
        print(__version__)
        return 0
    try:
        name, rest = _split(arguments)
        verb = VERBS[name]
        parsed = parse(name, rest)
        _check_urls(name, parsed)
        module, function = verb.function.split(":")
        with _plain_warnings():
            result = getattr(importlib.import_module(f"crosspoint3d.{module}"), function)(parsed)
    except (config.UsageError, config.RunError) as error:
        print(f"crosspoint3d: {error}", file=sys.stderr)
        return 2 if isinstance(error, config.UsageError) else 1
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        print(f"crosspoint3d: {error.strerror or error}{place}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("crosspoint3d: interrupted", file=sys.stderr)
        return 130
    if os.environ.get("RANK", "0") == "0":  # of several processes (torchrun) the first one speaks
        print(result)
    return getattr(result, "exit_code", 0)


def _check_urls(name: str, parsed: Any) -> None:
    """No secrets in them; and only tables lie on object stores: a folder of the name `s3:` is what nobody wants."""
    for value in vars(parsed).values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, str | Path):
                refuse_secrets(each)
    out = getattr(parsed, "out", None)
    if name != "prepare" and isinstance(out, Path) and is_url(out):
        raise config.UsageError(f"--out {address_of(out)}: only tables lie on object stores; give a folder")


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings as one line for a user, without the place in the code."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"crosspoint3d: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _help() -> str:
    title = f"crosspoint3d {__version__}: unlabelled 3D shapes in, a trained and measured 3D encoder out"
    lines = [title, "", "verbs:"]
    width = max(map(len, VERBS)) + 2
    lines += [f"  {name:{width}}{(verb.config_class.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items()]
    lines += ["", "crosspoint3d VERB --help lists a verb's options; --config FILE.yaml sets any of them, flags win."]
    return "\n".join(lines)


def _split(arguments: list[str]) -> tuple[str, list[str]]:
    for words in (2, 1):
        if (name := " ".join(arguments[:words])) in VERBS:
            return name, arguments[words:]
    group = arguments[0] if arguments[0] in GROUPS else ""
    wanted = " ".join(arguments[:2]) if group else arguments[0]
    known = [name for name in VERBS if name.startswith(f"{group} ")] if group else list(VERBS)
    close = [] if wanted == group else difflib.get_close_matches(wanted, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
    raise config.UsageError(f"no verb {wanted!r}; {hint}")


def parse(name: str, arguments: list[str]) -> Any:
    """A verb's config from its defaults, then `--recipe`, then `--config FILE.yaml`, then the flags; the last one wins.

    Values of the file go through the parser of the flags. With `--resume` the run folder's config.yaml is the file.
    Exits with code 2 and a message on wrong flags, 0 on `--help`.
    """
    import tyro

    config_class = VERBS[name].config_class
    arguments = join_repeated(config_class, arguments)
    given = words_given(config_class, arguments)
    values: dict[str, Any] = {}
    if given.get("config") == []:
        raise config.UsageError("--config: expected a YAML file after it")
    if "config" in given:
        values = load_yaml(Path(given["config"][0]), config_class)
        at = arguments.index("--config")
        del arguments[at : at + 2]
    elif "resume" in given and given.get("out"):
        previous = Path(given["out"][0]) / "config.yaml"
        values = load_yaml(previous, config_class) if previous.is_file() else {}
    if config_class is config.PretrainConfig:
        recipe = (given.get("recipe") or [values.get("recipe", "default")])[0]
        values = config.RECIPES.get(str(recipe), {}) | values
    file_flags = as_flags(config_class, {key: value for key, value in values.items() if key not in given})
    _mark_positional(config_class)
    return tyro.cli(
        config_class,
        args=arguments + file_flags,
        prog=f"crosspoint3d {name}",
        description=f"{config_class.__doc__} --config FILE.yaml sets any of the options; flags win.",
    )


def _mark_positional(config_class: type) -> None:
    """Tell tyro which fields are positional; only this module knows the parser."""
    import tyro

    for f in dataclasses.fields(config_class):
        if not f.metadata.get("positional"):
            continue
        if get_origin(f.type) is not Annotated:  # the field's object is shared with the class it came from
            f.type = Annotated[f.type, tyro.conf.Positional, tyro.conf.arg(metavar=f.name.upper())]
        config_class.__annotations__[f.name] = f.type
