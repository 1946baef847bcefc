"""A file that is still coming: its bytes, and beside them in FILE.json which version of the server's file it is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class State:
    """What is known of a partial file.

    Attributes:
        validator: ETag or Last-Modified of the server's file; None if it has no version to ask for.
        length: bytes of the whole file; None if the server does not say.
        complete: whether all of it is here.
    """

    validator: str | None = None
    length: int | None = None
    complete: bool = False


def read_state(part: Path) -> State:
    """What is known of a partial file; nothing, where the record is missing or unreadable."""
    try:
        values = json.loads(_beside(part).read_text(encoding="utf-8"))
        validator, length = values["validator"], values["length"]
        return State(validator and str(validator), length and int(length), values["complete"] is True)
    except (OSError, ValueError, TypeError, KeyError):
        return State()


def write_state(part: Path, state: State) -> None:
    """Record what is known of a partial file."""
    _beside(part).write_text(json.dumps(asdict(state)), encoding="utf-8")


def size(part: Path) -> int:
    """Bytes that are here; 0 without a file."""
    return part.stat().st_size if part.exists() else 0


def discard(part: Path) -> None:
    """Delete a partial or wrong file and what is known of it."""
    part.unlink(missing_ok=True)
    _beside(part).unlink(missing_ok=True)


def _beside(part: Path) -> Path:
    return part.with_name(part.name + ".json")
