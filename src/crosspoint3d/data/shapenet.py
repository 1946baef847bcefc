"""The layout in which ShapeNet is handed around for CrossPoint: clouds in one tree, pictures of them in another.

`ShapeNet/SYNSET/MODEL.ply` are clouds of 2,048 points, `ShapeNetRendering/SYNSET/MODEL/rendering/00.png` to `23.png`
pictures of 137 x 137 px with a transparent background, rendered for 3D-R2N2 (Choy et al. 2016, arXiv 1604.00449).
"""

import os
from pathlib import Path

from crosspoint3d.data.candidates import Candidate, Found
from crosspoint3d.data.meshes import is_shape_file
from crosspoint3d.data.shapenet_names import SYNSETS
from crosspoint3d.data.shapenet_pictures import picture_settings

CLOUDS, PICTURES = "ShapeNet", "ShapeNetRendering"
NO_MODEL = "folders of pictures without a model"


def is_published_layout(root: Path) -> bool:
    """Whether a folder holds both trees."""
    return (root / CLOUDS).is_dir() and (root / PICTURES).is_dir()


def find_models(root: Path) -> Found:
    """Every model of the clouds' tree with the folder where its pictures should be.

    Ids are paths below `root`; categories are the names of the synsets, or what else the folder is called. Folders of
    pictures that no model has are counted.
    """
    found = Found(str(root.resolve()))
    for synset in _folders(root / CLOUDS):
        renderings = root / PICTURES / synset
        lonely = set(_folders(renderings))
        for path in sorted((root / CLOUDS / synset).iterdir()):
            if path.name.startswith(".") or not is_shape_file(path):
                found.other[path.suffix.lower() or path.name] += 1
                continue
            lonely.discard(path.stem)
            found.candidates.append(
                Candidate(
                    path.relative_to(root).as_posix(),
                    str(path),
                    SYNSETS.get(synset, synset),
                    pictures=str(renderings / path.stem / "rendering"),
                )
            )
        if lonely:
            found.other[NO_MODEL] += len(lonely)
    for synset in set(_folders(root / PICTURES)) - set(_folders(root / CLOUDS)):
        found.other[NO_MODEL] += len(_folders(root / PICTURES / synset))
    found.settings = picture_settings(Path(candidate.pictures) for candidate in found.candidates if candidate.pictures)
    return found


def _folders(path: Path) -> list[str]:
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
