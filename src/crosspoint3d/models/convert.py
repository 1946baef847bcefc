"""`convert`: published weights become an encoder folder whose config records where they came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosspoint3d.config import ConvertConfig, UsageError
from crosspoint3d.models.folder import CARD, CONFIG, WEIGHTS
from crosspoint3d.models.load import settle_k
from crosspoint3d.models.published import load_published
from crosspoint3d.models.tower import save_tower


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        folder: the encoder folder.
        config: kind, arguments and head of the tower.
        origin: file, SHA-256 and layout of the weights, how k was found, and the keys that were left out.
    """

    folder: Path
    config: dict[str, Any]
    origin: dict[str, Any]

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in self.config["encoder"].items())
        head = "with" if self.config["head"] else "without"
        lines = [f"written: {self.folder} ({self.origin['layout']}, {arguments}, {head} projection head)"]
        if left := self.origin["keys_not_needed"]:
            lines.append(f"known and not needed, left out: {', '.join(left)}")
        return "\n".join(lines)


def convert(config: ConvertConfig) -> Converted:
    """Write published weights of CrossPoint, STRL or DGCNN as an encoder folder, which loads back to equal features.

    Raises:
        UsageError: the weights cannot be read or do not fit, `k` does not apply, or there is an encoder in the folder.
    """
    there = [name for name in (WEIGHTS, CONFIG, CARD) if (config.out / name).exists()]
    if there:
        raise UsageError(f"{config.out} already holds {', '.join(there)}; name a new folder")
    tower = load_published(config.weights)
    settle_k(tower, config.k)
    assert tower.origin is not None
    save_tower(tower, config.out, {"origin": tower.origin})
    return Converted(config.out, tower.config(), tower.origin)
