"""A YAML file of plain values, read so that no mistake passes: keys given twice or unknown, values of other types."""

import difflib
import math
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Union

import yaml

from crosspoint3d.config import UsageError


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key that stands twice in one mapping, which YAML would let win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value} stands twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The plain values of a YAML file.

    Raises:
        UsageError: it is missing, is not YAML, or has a key twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path} is not YAML as it is needed: {error}") from error


def near(word: object, known: Iterable[str]) -> str:
    """A hint for a word that is not known: the nearest known one, or all of them."""
    names = list(known)
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(word).lower(), lower, 1)
    return f"did you mean {lower[close[0]]!r}?" if close else f"known: {', '.join(names)}"


def mapping(value: Any, place: str, known: Iterable[str], needed: Iterable[str] = ()) -> dict[str, Any]:
    """`value` as a mapping with known keys.

    Raises:
        UsageError: it is none, a key is not known, or a needed one is missing; names the place in the file.
    """
    names = list(known)
    if not isinstance(value, dict):
        raise UsageError(f"{place}: expected `name: value` lines ({', '.join(names)}), got {value!r}")
    for key in value:
        if key not in names:
            raise UsageError(f"{place}: unknown key {key!r}; {near(key, names)}")
    for name in needed:
        if name not in value:
            raise UsageError(f"{place}: {name} is missing")
    return dict(value)


def entries(value: Any, place: str) -> list[Any]:
    """`value` as a list with something in it.

    Raises:
        UsageError: it is none, or empty; names the place in the file.
    """
    if not isinstance(value, list) or not value:
        raise UsageError(f"{place}: expected a list (lines that begin with -), got {value!r}")
    return value


def refuse_twice(names: Iterable[str], place: str) -> None:
    """Refuse a name that stands twice.

    Raises:
        UsageError: names it and its place in the file.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UsageError(f"{place}: {name!r} stands twice; each needs a name or options of its own")
        seen.add(name)


def typed(value: Any, annotation: Any, place: str) -> Any:
    """`value` as a field with this annotation takes it: whole numbers become floats, lists become tuples.

    Args:
        value: from the file.
        annotation: str, int, float, bool, Path, a Literal, `tuple[X, ...]`, or a union of these with None.
        place: in the file.

    Raises:
        UsageError: the value is of another type; says which one is expected.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (annotation,) = (argument for argument in arguments if argument is not type(None))
        return typed(value, annotation, place)
    if origin is Literal:
        if value not in arguments:
            raise UsageError(f"{place}: {value!r}; {near(value, [str(argument) for argument in arguments])}")
        return value
    if origin is tuple:
        return tuple(typed(item, arguments[0], place) for item in entries(value, place))
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if annotation is float and isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{place}: expected a finite number, got {value}")
    if annotation is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, annotation) or (isinstance(value, bool) and annotation is not bool):
        raise UsageError(f"{place}: expected {_WORDS.get(annotation, annotation.__name__)}, got {value!r}")
    return value


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}
