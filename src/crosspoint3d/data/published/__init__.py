"""Data sets in the layouts in which their authors publish them, read from a local folder.

`modelnet40:DIR`, `modelnet10:DIR` (`modelnet.py`), `scanobjectnn:DIR[:VARIANT]` (`scanobjectnn.py`) and
`shapenetpart:DIR` (`shapenet_part.py`, with the part of every point). Nothing is downloaded. All give y-up clouds with
their categories, and a record of the files, the orientation assumed and the order of the points.
"""

from crosspoint3d.config import UsageError
from crosspoint3d.data.published.modelnet import read_modelnet
from crosspoint3d.data.published.parts import Published
from crosspoint3d.data.published.scanobjectnn import object_masks, read_scanobjectnn
from crosspoint3d.data.published.shapenet_part import PARTS_PREFIX, PublishedParts, read_shapenet_part

__all__ = [
    "PARTS_PREFIX",
    "PREFIXES",
    "Published",
    "PublishedParts",
    "object_masks",
    "read_modelnet",
    "read_published",
    "read_scanobjectnn",
    "read_shapenet_part",
]

PREFIXES = ("modelnet10:", "modelnet40:", "scanobjectnn:", PARTS_PREFIX)
"""How the names of these data sets begin in `--data`."""


def read_published(spec: str) -> Published:
    """Read a published data set of categories alone, that begins with one of PREFIXES.

    Raises:
        UsageError: a folder or file is missing, broken or of another layout, or train and test have different
            categories; names the file and the layout.
    """
    read = read_scanobjectnn(spec) if spec.startswith("scanobjectnn:") else read_modelnet(spec)
    train, test = (set(part.categories) for part in (read.train, read.test))
    if train and test and train != test:
        sides = {"train": train - test, "test": test - train}
        only = [f"only in {name}: {', '.join(sorted(rest))}" for name, rest in sides.items() if rest]
        raise UsageError(f"--data {spec}: train and test have different categories ({'; '.join(only)})")
    return read
