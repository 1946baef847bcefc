"""Configs as YAML files, as plain values for records, and the check of lower bounds that every verb makes."""

import dataclasses
import difflib
import math
from pathlib import Path
from typing import Any

import yaml

from crosspoint3d.address import address_of
from crosspoint3d.config import UsageError


def to_dict(config: Any) -> dict[str, Any]:
    """The config as plain values (paths and URLs as strings), ready for YAML or JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return address_of(value)
        if isinstance(value, tuple | list):
            return [plain(item) for item in value]
        return value

    return {f.name: plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def save_yaml(config: Any, path: Path) -> None:
    """Write every field of a config, so that `--config path` repeats the run."""
    path.write_text(yaml.safe_dump(to_dict(config), sort_keys=False), encoding="utf-8")


def load_yaml(path: Path, config_class: type) -> dict[str, Any]:
    """The values a YAML file sets for a config class.

    Raises:
        UsageError: the file is missing, is not a mapping, or has a key that the class has no field for.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"--config {path}: expected one `name: value` a line, got {type(values).__name__}")
    names = [f.name for f in dataclasses.fields(config_class)]
    for key in values:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, 1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"
            raise UsageError(f"--config {path}: unknown key {key!r}; {hint}")
    return values


def require_at_least(config: Any, least: dict[str, int]) -> None:
    """Refuse fields below their lower bound; None passes.

    Raises:
        UsageError: names the flag, its value and the bound.
    """
    for name, bound in least.items():
        value = getattr(config, name)
        if value is not None and value < bound:
            raise UsageError(f"--{name.replace('_', '-')} {value}: must be at least {bound}")


def require_finite(config: Any) -> None:
    """Refuse NaN and infinity, which pass or fail comparisons by chance.

    Raises:
        UsageError: names the flag and the value.
    """
    for name, value in to_dict(config).items():
        for number in value if isinstance(value, list) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise UsageError(f"--{name.replace('_', '-')} {number}: must be a finite number")
