"""Pairs as the published code reads them: one PLY and one PNG a sample, augmented on the CPU one by one.

Written from the paper and the description of its code, for `loader.py` to measure against; nothing is taken from it.
"""

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.utils.data import Dataset

from crosspoint3d.data.batches import decode
from crosspoint3d.data.table import ShapeTable
from crosspoint3d.transforms.images import IMAGENET_MEAN, IMAGENET_STD

MEAN = np.array(IMAGENET_MEAN, np.float32)[:, None, None]
STD = np.array(IMAGENET_STD, np.float32)[:, None, None]


def write_files(table: ShapeTable, folder: Path, views: int) -> None:
    """The shapes of a table as NAME.ply (binary float32) and NAME-VIEW.png."""
    folder.mkdir(parents=True)
    for row in table.select():
        taken = table.take([row], ["points", "views"])
        header = f"ply\nformat binary_little_endian 1.0\nelement vertex {table.points}\n"
        header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
        (folder / f"{row:06}.ply").write_bytes(header.encode() + taken["points"][0].astype("<f4").tobytes())
        for view, encoded in enumerate(taken["views"][0][:views]):
            Image.fromarray(decode(encoded)).save(folder / f"{row:06}-{view:02}.png")


def read_ply(path: Path) -> np.ndarray:
    """The vertices of a binary PLY file whose vertices are three float32 and nothing else."""
    with path.open("rb") as file:
        count = 0
        while (line := file.readline().split()) != [b"end_header"]:
            if line[:2] == [b"element", b"vertex"]:
                count = int(line[2])
        return np.frombuffer(file.read(12 * count), "<f4").reshape(count, 3)


class FilePairs(Dataset[tuple[Tensor, ...]]):
    """A cloud and a random picture of it a sample: two augmented copies and an augmented picture, or both as read."""

    def __init__(self, folder: Path, *, augment: bool, image_size: int) -> None:
        self.clouds = sorted(folder.glob("*.ply"))
        self.views = len(list(folder.glob(f"{self.clouds[0].stem}-*.png")))
        self.folder, self.augment, self.image_size = folder, augment, image_size

    def __len__(self) -> int:
        return len(self.clouds)

    def __getitem__(self, number: int) -> tuple[Tensor, ...]:
        path = self.clouds[number]
        points = read_ply(path)
        with Image.open(self.folder / f"{path.stem}-{random.randrange(self.views):02}.png") as file:
            image = file.convert("RGB")
        if not self.augment:
            return torch.from_numpy(points.copy()), torch.from_numpy(np.array(image))
        generator = np.random.default_rng()
        copies = [torch.from_numpy(augmented_cloud(points, generator)) for _ in range(2)]
        return *copies, torch.from_numpy(augmented_picture(image, self.image_size, generator))


def augmented_cloud(points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Normalise, scale, rotate about y, translate, jitter, drop."""
    points = points - points.mean(axis=0)
    points = points / np.linalg.norm(points, axis=1).max()
    points = points * generator.uniform(0.5, 2)
    angle = generator.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    points = points @ np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    points = points + generator.uniform(-0.5, 0.5, 3) * np.ptp(points, axis=0)
    points = points + np.clip(0.01 * generator.standard_normal(points.shape), -0.05, 0.05)
    points[generator.random(len(points)) < generator.uniform(0, 0.875)] = points[0]
    return points.astype(np.float32)


def augmented_picture(image: Image.Image, size: int, generator: np.random.Generator) -> np.ndarray:
    """Resize, brightness, contrast and saturation in random order, mirror, normalise (3, H, W)."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    changes = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
    for place in generator.permutation(3):
        image = changes[place](image).enhance(generator.uniform(0.6, 1.4))
    if generator.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    floats = np.asarray(image, np.float32).transpose(2, 0, 1) / 255
    return np.ascontiguousarray((floats - MEAN) / STD)
