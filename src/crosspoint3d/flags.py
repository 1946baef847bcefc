"""Words of a command line and the fields of a config class that they set, before the parser sees them."""

import dataclasses
from typing import Any, get_origin


def join_repeated(config_class: type, arguments: list[str]) -> list[str]:
    """`--data A --data B` becomes `--data A B`, `--name=value` becomes `--name value`, underscores become hyphens.

    A flag of one value that is given twice keeps the last one; `--data` keeps both, so that the parser can refuse them.
    """
    lists = {f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(config_class) if get_origin(f.type) is tuple}
    groups: dict[str, list[str]] = {"": []}
    current = ""
    for argument in arguments:
        if argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            current = flag.replace("_", "-")
            repeated = groups.setdefault(current, [])
            if current not in {"--data", *lists}:
                repeated.clear()
            repeated.extend([value] if equals else [])
        else:
            groups[current].append(argument)
    return groups.pop("") + [word for flag, values in groups.items() for word in (flag, *values)]


def words_given(config_class: type, arguments: list[str]) -> dict[str, list[str]]:
    """The fields that flags set, with their words; words that no flag takes set the positional fields in turn."""
    kinds = {f.name: f for f in dataclasses.fields(config_class)}
    positional = [name for name, f in kinds.items() if f.metadata.get("positional")]
    given: dict[str, list[str]] = {}
    current: str | None = None
    for argument in arguments:
        if argument.startswith("--"):
            current = argument[2:].replace("-", "_")
            current = current.removeprefix("no_") if current not in kinds else current
            given[current] = []
            if current in kinds and kinds[current].type is bool:
                current = None
        elif current is not None or positional:
            name = current or positional.pop(0)
            given.setdefault(name, []).append(argument)
            if name not in kinds or get_origin(kinds[name].type) is not tuple:
                current = None
    return given


def as_flags(config_class: type, values: dict[str, Any]) -> list[str]:
    """Values of fields as the words that would set them, those of positional fields first."""
    flags: list[str] = []
    places: list[str] = []
    for f in dataclasses.fields(config_class):
        if f.name not in values:
            continue
        value, flag = values[f.name], f"--{f.name.replace('_', '-')}"
        words = [str(item) for item in (value if isinstance(value, list | tuple) else [value])]
        if f.metadata.get("positional"):
            places += words
        elif f.type is bool and isinstance(value, bool):
            flags.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            flags += [flag, *words]
    return places + flags
