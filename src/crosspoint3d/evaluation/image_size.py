"""The size and the kind of the pictures that an image encoder was trained with."""

from pathlib import Path
from typing import Literal

from crosspoint3d.config import PretrainConfig
from crosspoint3d.config_file import load_yaml
from crosspoint3d.models.folder import CONFIG, read_config


def image_size(encoder: str) -> int:
    """Pixels a side: what the run's config.yaml says, or the default where no run is near.

    Args:
        encoder: a run folder, the folder of its image encoder, or published weights.

    Raises:
        UsageError: config.yaml is not that of a run.
    """
    folder = Path(encoder)
    places = [folder, folder.parent] if folder.name == "image_encoder" else [folder]
    for path in (place / "config.yaml" for place in places):
        if path.is_file():
            return int(load_yaml(path, PretrainConfig).get("image_size", PretrainConfig.image_size))
    return PretrainConfig.image_size


def pictures_of(encoder: str) -> Literal["colour", "grey", "depth"]:
    """The pictures that its config.json says it needs; colour where it says nothing, as published weights.

    Args:
        encoder: a run folder, the folder of its image encoder, or published weights.

    Raises:
        UsageError: config.json is broken.
    """
    for folder in (Path(encoder) / "image_encoder", Path(encoder)):
        if (folder / CONFIG).is_file():
            kind = read_config(folder).get("pictures")
            return "grey" if kind == "grey" else "depth" if kind == "depth" else "colour"
    return "colour"
