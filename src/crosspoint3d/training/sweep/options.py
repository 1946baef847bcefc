"""Configs from the plain values of a file, every value checked against its field's type."""

import dataclasses
import types
import typing
from typing import Any, TypeVar, Union

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.plain_values import typed

Config = TypeVar("Config")


def option(value: Any, annotation: Any, place: str) -> Any:
    """`value` as a field with this annotation takes it; what a flag takes once or several times may stand alone.

    Raises:
        UsageError: it is of another type; names the place in the file.
    """
    kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
    if typing.get_origin(annotation) in (Union, types.UnionType) and len(kinds) > 1 and value is not None:
        for kind in kinds[:-1]:
            try:
                return option(value, kind, place)
            except UsageError:
                continue
        return option(value, kinds[-1], place)
    if typing.get_origin(annotation) is tuple:
        if value in ([], ()):
            return ()
        value = list(value) if isinstance(value, list | tuple) else [value]
    return typed(value, annotation, place)


def options(values: dict[str, Any], config_class: type, place: str) -> dict[str, Any]:
    """Every value of a mapping as its field takes it.

    Raises:
        UsageError: see `option`.
    """
    hints = typing.get_type_hints(config_class)
    return {name: option(value, hints[name], f"{place}, {name}") for name, value in values.items()}


def from_plain(config_class: type[Config], values: dict[str, Any], place: str) -> Config:
    """The config that `config_file.to_dict` was called on."""
    return config_class(**options(values, config_class, place))


def names_of(config_class: type, withheld: tuple[str, ...]) -> list[str]:
    """The fields of a config that a file may set."""
    return [f.name for f in dataclasses.fields(config_class) if f.name not in withheld]
