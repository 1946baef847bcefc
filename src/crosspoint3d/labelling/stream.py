"""Shapes one after the other, read ahead in threads: the mesh, and the normalised clouds that a network is shown.

Axis letters: M vertices or faces, S sampled points, D draws, V votes, P points of a cloud.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Float32, Int64

from crosspoint3d import geometry
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.meshes import MeshError, read_mesh
from crosspoint3d.data.rows import generator_of
from crosspoint3d.data.shapes import procedural_shape
from crosspoint3d.evaluation.part_predictions import STRETCH
from crosspoint3d.labelling.places import Place

SAMPLES_A_FACE = 4
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Sampling:
    """What decides the clouds of a shape, besides its id.

    Attributes:
        points: of a cloud.
        draws: clouds of a shape at most: as many as give SAMPLES_A_FACE points to a face on average, or show every
            point of a cloud once.
        votes: copies of each draw; all but the first are stretched by U(0.8, 1.25) along each axis.
        up: the axis that points up in files other than glTF.
        seed: with the shape's id it decides the points and the factors.
    """

    points: int
    draws: int
    votes: int
    up: Literal["x", "y", "z"]
    seed: int


@dataclass(frozen=True)
class Shape:
    """One shape and its clouds.

    Attributes:
        place: where it was found.
        mesh: as in the file, up axis included; the points of a table's row or of a published set.
        upright: rotation that makes y point up, `vertices @ upright.T`.
        category: what the table, the folder or the generator calls it.
        points: sampled points in the coordinates of `mesh`, draw by draw.
        index: the face of each sampled point, of a cloud its place among the vertices.
        clouds: normalised, y up; what is averaged over the votes belongs to the points of that draw.
        note: what a user should know about the sampling, or "".
    """

    place: Place
    mesh: Mesh
    upright: Float32[np.ndarray, "3 3"]
    category: str | None
    points: Float32[np.ndarray, "S 3"]
    index: Int64[np.ndarray, " S"]
    clouds: Float32[np.ndarray, "D V P 3"]
    note: str = ""


@dataclass(frozen=True)
class Broken:
    """A shape that cannot be labelled, and why not, in lower case."""

    place: Place
    reason: str


def read_shape(place: Place, sampling: Sampling) -> Shape | Broken:
    """Read and sample one shape; whatever is wrong with it becomes the reason of a `Broken`, never an exception."""
    try:
        mesh, category = _contents(place)
        generator = generator_of(sampling.seed, place.id)
        turned = place.table is None and place.cloud is None and place.candidate.procedural is None
        turned &= not place.candidate.source.lower().endswith((".gltf", ".glb"))
        upright = geometry.up_rotation(sampling.up if turned else "y")
        points, index, note = _sample(mesh, sampling, generator)
        draws = (points @ upright.T).reshape(-1, sampling.points, 3)
        factors = generator.uniform(*STRETCH, (len(draws), sampling.votes, 1, 3)).astype(np.float32)
        factors[:, 0] = 1.0
        clouds = np.stack([geometry.normalise(draw)[0] for draw in draws])[:, None] * factors
        return Shape(place, mesh, upright, category, points, index, clouds, note)
    except MeshError as error:
        return Broken(place, str(error))
    except Exception as error:
        return Broken(place, f"unexpected {type(error).__name__}: {error}")


def in_order(
    pool: Executor, work: Callable[[T], R], items: Iterable[T], ahead: int, stop: threading.Event | None = None
) -> Iterator[R]:
    """`map(work, items)` in a pool, at most `ahead` items before the one asked for.

    When `stop` is set, items that were not asked for yet are dropped; without it everything is done.
    """
    window: deque[Future[R]] = deque()
    for item in items:
        if stop is not None and stop.is_set():
            break
        window.append(pool.submit(work, item))
        if len(window) > ahead:
            yield window.popleft().result()
    while window and not (stop is not None and stop.is_set()):
        yield window.popleft().result()
    for future in window:
        future.cancel()


def batches(
    shapes: Iterable[Shape | Broken], *, clouds: int, most: int, stop: threading.Event, draws: int | None = None
) -> Iterator[list[Shape | Broken]]:
    """Lists of shapes in their order, each until its clouds fill a batch; what is broken goes along.

    Args:
        shapes: are taken as they are needed.
        clouds: of a batch, votes counted.
        most: shapes of a batch, broken ones counted.
        stop: when it is set, shapes that wait for their batch to fill are dropped.
        draws: of each shape that count; None: all.
    """
    batch: list[Shape | Broken] = []
    filled = 0
    for shape in shapes:
        batch.append(shape)
        filled += 0 if isinstance(shape, Broken) else len(shape.clouds[:draws]) * shape.clouds.shape[1]
        if filled >= clouds or len(batch) >= most:
            yield batch
            batch, filled = [], 0
    if not stop.is_set():
        yield batch


def _contents(place: Place) -> tuple[Mesh, str | None]:
    if place.refused is not None:
        raise MeshError(place.refused)
    if place.table is not None:
        points = place.table.take([place.row], ["points"])["points"][0]
        return Mesh(np.asarray(points, np.float32), np.zeros((0, 3), np.int32)), place.candidate.category
    if place.cloud is not None:
        if not np.isfinite(place.cloud).all():
            raise MeshError("points that are not finite")
        return Mesh(place.cloud, np.zeros((0, 3), np.int32)), place.candidate.category
    if place.candidate.procedural is not None:
        seed, index = place.candidate.procedural
        return procedural_shape(index, seed)
    return _read(place.candidate.source), place.candidate.category


def _read(source: str) -> Mesh:
    """Faces in the file's order where it can be told, else grouped by material."""
    try:
        return read_mesh(source, file_order=True)
    except MeshError:
        if not source.lower().endswith(".obj"):
            raise
        return read_mesh(source)


def _sample(
    mesh: Mesh, sampling: Sampling, generator: np.random.Generator
) -> tuple[Float32[np.ndarray, "S 3"], Int64[np.ndarray, " S"], str]:
    count = sampling.points
    if not mesh.is_cloud:
        draws = min(sampling.draws, -(-SAMPLES_A_FACE * len(mesh.faces) // count))
        points, face, _ = geometry.sample_surface(mesh.vertices, mesh.faces, draws * count, generator)
        return points, face, ""
    available = len(mesh.vertices)
    draws = min(sampling.draws, -(-available // count))
    index = np.resize(generator.permutation(available), draws * count).astype(np.int64)
    note = f"{available} points, repeated to {count}" if available < count else ""
    return mesh.vertices[index], index, note
