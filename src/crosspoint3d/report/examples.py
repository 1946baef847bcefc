"""What one training step compares: a shape's cloud and pictures, and random augmentations of both."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from crosspoint3d.data.batches import decode
from crosspoint3d.report.pictures import data_uri, draw_cloud, thumbnail
from crosspoint3d.report.shapes import ShownShapes
from crosspoint3d.runtime import generator_for
from crosspoint3d.transforms import augment_images, augment_points, subsample, to_grey
from crosspoint3d.transforms.images import IMAGENET_MEAN, IMAGENET_STD

TILE = 176
MARGIN = 1.06  # balls at the edge of a cloud reach beyond its radius


@dataclass(frozen=True)
class Tile:
    """A picture (data URI) and the words under it."""

    caption: str
    uri: str


@dataclass(frozen=True)
class Example:
    """One training shape."""

    id: str
    category: str | None
    tiles: list[Tile]


def draw_examples(
    shapes: ShownShapes,
    recipe: Literal["default", "paper", "none"],
    *,
    points: int,
    image_size: int,
    seed: int,
    without: tuple[str, ...] = (),
    grey: bool = False,
) -> list[Example]:
    """Each shape's views, an augmented view, its cloud and two augmented clouds, as data URIs.

    Args:
        shapes: what to draw.
        recipe: of the augmentations.
        points: of an augmented cloud, as in training; cut to what the shapes have.
        image_size: of an augmented picture, as in training.
        seed: decides the augmentations, together with the place in the list.
        without: augmentations that were left out.
        grey: the pictures are augmented by their luminance alone.
    """
    examples = []
    for index, (name, category) in enumerate(zip(shapes.ids, shapes.categories, strict=True)):
        generator = generator_for(seed, index)
        tiles = [
            Tile(words, thumbnail(view, TILE))
            for words, view in zip(("view 1", "last view"), shapes.views[index], strict=False)
        ]
        if shapes.views[index]:
            view = _augmented_view(decode(shapes.views[index][0]), recipe, image_size, generator, without, grey)
            tiles.append(Tile("augmented view", data_uri(view)))
        tiles += _clouds(shapes.points[index], shapes.poses[index], recipe, points, generator, without)
        examples.append(Example(name, category, tiles))
    return examples


def _clouds(
    points: np.ndarray,
    pose: np.ndarray,
    recipe: Literal["default", "paper", "none"],
    count: int,
    generator: torch.Generator,
    without: tuple[str, ...],
) -> list[Tile]:
    cloud = torch.from_numpy(points)[None]
    count = min(count, points.shape[0])
    subsets = (subsample(cloud, count, generator) for _ in range(2))
    augmented = [augment_points(subset, recipe, generator, without)[0].numpy() for subset in subsets]
    reach = MARGIN * max(1.0, *(float(np.linalg.norm(one, axis=1).max()) for one in augmented))
    drawn = [("cloud", points, MARGIN)] + [
        (f"augmentation {number + 1}", one, reach) for number, one in enumerate(augmented)
    ]
    return [Tile(words, data_uri(draw_cloud(one, pose, size=TILE, radius=radius))) for words, one, radius in drawn]


def _augmented_view(
    view: np.ndarray,
    recipe: Literal["default", "paper", "none"],
    image_size: int,
    generator: torch.Generator,
    without: tuple[str, ...],
    grey: bool,
) -> np.ndarray:
    batch = torch.from_numpy(np.array(view)).permute(2, 0, 1)[None]
    floats = augment_images(to_grey(batch) if grey else batch, image_size, recipe, generator, without)[0]
    colors = floats * torch.tensor(IMAGENET_STD)[:, None, None] + torch.tensor(IMAGENET_MEAN)[:, None, None]
    picture: np.ndarray = (colors.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return np.ascontiguousarray(picture)
