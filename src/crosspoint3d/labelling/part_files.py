"""The files of one labelled shape: ID.npz, ID.ply and ID.png, and its row of shapes.csv.

Axis letters: M faces of a mesh or points of a cloud, R what its file holds of them, Q parts of the shape's category.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int16, Int32, UInt8

from crosspoint3d.geometry import face_areas
from crosspoint3d.labelling.part_answers import PartAnswer
from crosspoint3d.labelling.pictures import LegendEntry, labelled_picture
from crosspoint3d.labelling.ply_file import write_labelled_ply
from crosspoint3d.labelling.votes import face_centres, smooth, spread
from crosspoint3d.parts_table import PartsTable
from crosspoint3d.runtime import atomic

COLUMNS = (
    "id", "source", "category", "category_from", "fit", "faces", "points", "confidence", "parts", "note",
)  # fmt: skip


def write_labels(
    answer: PartAnswer,
    *,
    out: Path,
    table: PartsTable,
    colours: UInt8[np.ndarray, "A 3"],
    rounds: int,
    pictures: bool,
) -> dict[str, Any]:
    """Write the labels of one shape.

    `ID.npz` holds `points` (in the coordinates that `read_mesh` gives), `parts` (global ids, int16), `probabilities`
    (of that answer, float16) and `category`. Of a cloud these are all its points; of a mesh they are sampled, with
    their `point_faces`, and `face_parts` and `face_probabilities` follow the triangles of `ID.ply`. Where the file has
    polygons, or points that are not finite, `file_face_parts` or `file_parts` are the labels of what it holds, in its
    order: a polygon's by a vote of its triangles, and -1 for what has none.

    Args:
        answer: probabilities at the sampled points.
        out: folder of all labels.
        table: of the network's parts.
        colours: of all A parts.
        rounds: of smoothing across the edges of a mesh.
        pictures: whether to draw `ID.png`.

    Returns:
        The shape's row, by COLUMNS.

    Raises:
        OSError: a file cannot be written.
    """
    shape, mesh = answer.shape, answer.shape.mesh
    own = np.array(table.parts[answer.category], np.int16)
    places = mesh.vertices if mesh.is_cloud else face_centres(mesh.vertices, mesh.faces)
    votes = spread(places, shape.points, shape.index, answer.probabilities)
    arrays: dict[str, Any]
    if mesh.is_cloud:
        weight = np.ones(len(votes))
        arrays = {"points": mesh.vertices} | _labels(votes, own, "")
    else:
        weight = face_areas(mesh.vertices, mesh.faces)
        votes = smooth(votes, mesh.vertices, mesh.faces, rounds)
        arrays = {"points": shape.points} | _labels(answer.probabilities, own, "")
        arrays |= {"point_faces": shape.index.astype(np.int32)} | _labels(votes, own, "face_")
    if mesh.owner is not None:
        name = "file_parts" if mesh.is_cloud else "file_face_parts"
        arrays[name] = _in_file(mesh.owner, mesh.in_file, votes, weight, own)
    local = votes.argmax(axis=1)
    shares = np.bincount(local, weights=weight, minlength=len(own)) / weight.sum()
    category = table.categories[answer.category]
    with atomic(_beside(out, shape.place.id, ".npz")) as path, path.open("wb") as file:
        np.savez_compressed(file, category=np.array(category), **arrays)
    painted = colours[own][local]
    write_labelled_ply(_beside(out, shape.place.id, ".ply"), mesh, painted, own[local])
    legend = [LegendEntry(table.names[part], colours[part], float(shares[i])) for i, part in enumerate(own)]
    if pictures:
        normals = None if mesh.normals is None else mesh.normals @ shape.upright.T
        upright = replace(mesh, vertices=mesh.vertices @ shape.upright.T, normals=normals)
        title = f"{category} (best fit)" if answer.found == "fit" else category
        picture = labelled_picture(upright, painted, title, legend)
        with atomic(_beside(out, shape.place.id, ".png")) as path:
            picture.save(path, "PNG")
    return {
        "id": shape.place.id,
        "source": shape.place.candidate.source,
        "category": category,
        "category_from": answer.found,
        "fit": "" if answer.fit is None else f"{answer.fit:.4f}",
        "faces": len(mesh.faces),
        "points": len(arrays["points"]),
        "confidence": f"{float(arrays['probabilities'].mean(dtype=np.float64)):.4f}",
        "parts": "; ".join(f"{entry.name} {entry.share:.4f}" for entry in legend),
        "note": shape.note,
    }


def _labels(probabilities: Float32[np.ndarray, "M Q"], own: Int16[np.ndarray, " Q"], prefix: str) -> dict[str, Any]:
    """The most probable part of each row, of equal ones the lower id, and its probability."""
    return {
        f"{prefix}parts": own[probabilities.argmax(axis=1)],
        f"{prefix}probabilities": probabilities.max(axis=1).astype(np.float16),
    }


def _in_file(
    owner: Int32[np.ndarray, " M"],
    count: int,
    votes: Float32[np.ndarray, "M Q"],
    weight: Float64[np.ndarray, " M"],
    own: Int16[np.ndarray, " Q"],
) -> Int16[np.ndarray, " R"]:
    """Part ids of the `count` faces or points of a file, of which `owner` says whose each triangle or point is."""
    heavy = np.maximum(weight, 1e-12 * weight.max())
    sums = [np.bincount(owner, weights=heavy * column, minlength=count) for column in votes.T]
    parts: np.ndarray = own[np.argmax(sums, axis=0)]
    parts[np.bincount(owner, minlength=count) == 0] = -1
    return parts


def _beside(out: Path, name: str, suffix: str) -> Path:
    return out / f"{name}{suffix}"
