"""The files of one labelled shape: ID.npz, ID.ply and ID.png, and its row of shapes.csv."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from crosspoint3d.data.part_labels import PartsTable
from crosspoint3d.geometry import face_areas
from crosspoint3d.labelling.part_answers import PartAnswer
from crosspoint3d.labelling.pictures import LegendEntry, labelled_picture
from crosspoint3d.labelling.ply_file import write_labelled_ply
from crosspoint3d.labelling.votes import face_centres, smooth, spread
from crosspoint3d.runtime import atomic

COLUMNS = (
    "id", "source", "category", "category_from", "fit", "faces", "points", "confidence", "parts", "note",
)  # fmt: skip


def write_labels(
    answer: PartAnswer,
    *,
    out: Path,
    table: PartsTable,
    colours: UInt8[np.ndarray, "Q 3"],
    rounds: int,
    pictures: bool,
) -> dict[str, Any]:
    """Write the labels of one shape.

    `ID.npz` holds `points` (in the coordinates of the file), `parts` (global ids, int16) and `probabilities` (of that
    answer, float16), `category` and, for a mesh, `point_faces`, `face_parts` and `face_probabilities`, in the order of
    the triangles of `ID.ply`. A cloud has a label for each of its points, in the order of its file. Where the file has
    polygons, labels are those of the triangles they are cut into.

    Args:
        answer: probabilities at the sampled points.
        out: folder of all labels.
        table: of the network's parts.
        colours: of all parts.
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
        picture = labelled_picture(upright, painted, category, legend)
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


def _beside(out: Path, name: str, suffix: str) -> Path:
    return out / f"{name}{suffix}"
