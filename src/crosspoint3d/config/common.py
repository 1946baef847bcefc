"""What all configs share: the names of devices and protocols, and the two errors a user sees."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Protocol = Literal["clean", "paper"]
MOST_POINTS_BY_DEFAULT = 1024


class UsageError(ValueError):
    """The caller asked for something that cannot be: exit code 2. Names the argument, the value and a remedy."""


class RunError(RuntimeError):
    """A run could not be finished, its arguments being right: exit code 1. Says what is kept and how to go on."""
