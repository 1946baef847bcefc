"""One candidate becomes one row of a ShapeTable: read or generate, sample, render, encode. Runs in worker processes."""

import hashlib
import io
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from crosspoint3d import geometry
from crosspoint3d.data.dedup import content_hash
from crosspoint3d.data.depth import depth_levels, encode_levels
from crosspoint3d.data.face_labels import read_labels, with_part_ids
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.meshes import MeshError, read_mesh
from crosspoint3d.data.part_names import PartNames
from crosspoint3d.data.render import render_views, render_with_depth
from crosspoint3d.data.shapenet_pictures import Pictures, read_pictures
from crosspoint3d.data.shapes import procedural_shape
from crosspoint3d.data.sources import Candidate
from crosspoint3d.data.table import OK

JPEG_QUALITY = 90


@dataclass(frozen=True)
class RowSettings:
    """What decides a row besides its source; kept with the table so that a second run goes on with the same."""

    points: int
    views: int
    image_size: int
    supersample: int
    up: Literal["x", "y", "z"]
    seed: int
    depth: bool = False
    part_labels: str = "auto"
    names: PartNames | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the table of parts, if any, under `parts_table`."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "names"}
        return values if self.names is None else values | {"parts_table": self.names.to_dict()}


def make_row(candidate: Candidate, settings: RowSettings) -> dict[str, Any]:
    """The finished row, or one whose `status` says why there is none; an exception of one shape never ends the run."""
    row = bare_row(candidate, OK)
    try:
        if candidate.procedural is not None:
            seed, index = candidate.procedural
            mesh, row["category"] = procedural_shape(index, seed)
        else:
            mesh = _read(candidate, settings)
        row["content"] = content_hash(mesh)
        pictures = None
        if candidate.pictures is not None:
            pictures = read_pictures(Path(candidate.pictures), settings.image_size)
            row["notes"] = "; ".join(pictures.refused) or None
        if candidate.procedural is None and not candidate.source.lower().endswith((".gltf", ".glb")):
            mesh = _turn_up(mesh, settings.up)
        return row | _contents(mesh, settings, generator_of(settings.seed, candidate.id), pictures)
    except MeshError as error:
        return row | {"status": str(error)}
    except Exception as error:
        return row | {"status": f"unexpected {type(error).__name__}: {error}"}


def _read(candidate: Candidate, settings: RowSettings) -> Mesh:
    mesh = read_mesh(candidate.source, file_order=candidate.face_labels is not None)
    if settings.part_labels == "none":
        return replace(mesh, parts=None)
    labels = None if candidate.face_labels is None else read_labels(Path(candidate.face_labels))
    mesh = with_part_ids(mesh, labels, candidate.category, settings.names)
    if mesh.parts is None and settings.part_labels == "required":
        raise MeshError("no part labels")
    return mesh


def bare_row(candidate: Candidate, status: str) -> dict[str, Any]:
    """A row without contents: where the shape comes from, and its status."""
    return {
        "id": candidate.id,
        "source": candidate.source,
        "category": candidate.category,
        "split": candidate.split,
        "status": status,
    }


def generator_of(seed: int, name: str) -> np.random.Generator:
    """What draws the points of a shape: the same for the same seed and id, whatever else is read."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def _turn_up(mesh: Mesh, up: Literal["x", "y", "z"]) -> Mesh:
    if up == "y":
        return mesh
    rotation = geometry.up_rotation(up).T
    normals = None if mesh.normals is None else mesh.normals @ rotation
    return replace(mesh, vertices=mesh.vertices @ rotation, normals=normals)


def _contents(
    mesh: Mesh, settings: RowSettings, generator: np.random.Generator, pictures: Pictures | None
) -> dict[str, Any]:
    if mesh.is_cloud:
        chosen = _choose(len(mesh.vertices), settings.points, generator)
        sampled = mesh.vertices[chosen]
        normals = None if mesh.normals is None else mesh.normals[chosen]
        parts = None if mesh.parts is None else mesh.parts[chosen]
        area = None
    else:
        sampled, face, _ = geometry.sample_surface(mesh.vertices, mesh.faces, settings.points, generator)
        normals = geometry.face_normals(mesh.vertices, mesh.faces)[face]
        parts = None if mesh.parts is None else mesh.parts[face]
        area = float(geometry.face_areas(mesh.vertices, mesh.faces).sum())
    points, centre, radius = geometry.normalise(sampled)
    poses: np.ndarray | None
    depths: list[bytes] | None = None
    if pictures is None:
        views, depths, poses = _rendered(mesh, settings, generator, (centre, radius))
    else:
        views, poses = pictures.views, pictures.poses if settings.up == "y" else None
        if poses is not None:
            poses = poses * np.array([1, 1, np.linalg.norm(np.ptp(points, axis=0))], dtype=np.float32)
    contents = {
        "points": points.astype(np.float16),
        "normals": None if normals is None else normals.astype(np.float16),
        "parts": parts,
        "views": [encode(view) for view in views],
        "view_poses": None if poses is None else poses.astype(np.float32),
        "faces": len(mesh.faces),
        "area": area,
    }
    return contents if depths is None else contents | {"depth": depths}


def _rendered(
    mesh: Mesh, settings: RowSettings, generator: np.random.Generator, frame: tuple[np.ndarray, float]
) -> tuple[list[np.ndarray], list[bytes] | None, np.ndarray]:
    """Views, encoded depth pictures where the settings ask for them, and poses."""
    centre, radius = frame
    poses = geometry.ring_poses(settings.views, generator)
    # No point may have hit the outermost tip: the camera steps back until every vertex is in the picture.
    poses[:, 2] *= max(1.0, float(np.linalg.norm(mesh.vertices - centre, axis=1).max()) / radius)
    size, samples = settings.image_size, settings.supersample
    if not settings.depth:
        return list(render_views(mesh, poses=poses, image_size=size, supersample=samples, frame=frame)), None, poses
    views, depths = render_with_depth(mesh, poses, image_size=size, supersample=samples, frame=frame)
    levels = [depth_levels(depth, float(pose[2])) for depth, pose in zip(depths, poses, strict=True)]
    return list(views), [encode_levels(level) for level in levels], poses


def _choose(available: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` different points, or all of them and then repeats when there are fewer."""
    order = generator.permutation(available)
    if available >= count:
        return order[:count]
    return np.concatenate([order, generator.integers(available, size=count - available)])


def encode(view: np.ndarray) -> bytes:
    """An RGB picture as JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(view).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
