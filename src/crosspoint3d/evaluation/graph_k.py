"""How many neighbours an encoder's graphs had in its training, where its files say so."""

from pathlib import Path
from typing import Any

from crosspoint3d.models.folder import CONFIG, read_config


def trained_k(encoder: str) -> int | None:
    """The k that an encoder was trained with.

    Args:
        encoder: as `--encoder` has it.

    Returns:
        The k that a run or encoder folder records. None where nothing is known: published weights record none (nor does
        a folder converted from them by an assumed k), a random encoder was never trained, other encoders have no graph.
    """
    folder = Path(encoder)
    places = [path for path in (folder / "encoder", folder) if (path / CONFIG).is_file()]
    if not places:
        return None
    config = read_config(places[0])
    origin: Any = config.get("origin") or {}
    arguments: Any = config.get("encoder") or {}
    if not isinstance(arguments, dict) or (isinstance(origin, dict) and origin.get("k") == "assumed"):
        return None
    k = arguments.get("k")
    return k if isinstance(k, int) else None
