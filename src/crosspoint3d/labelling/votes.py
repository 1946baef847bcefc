"""From the answers at sampled points to every face of a mesh or every point of a cloud.

Axis letters: M faces or points to label, S sampled points, Q parts of the shape's category, F faces.
"""

import numpy as np
from jaxtyping import Float32, Int32, Int64
from scipy.sparse import coo_array
from scipy.spatial import cKDTree

NEAREST = 3


def spread(
    places: Float32[np.ndarray, "M 3"],
    points: Float32[np.ndarray, "S 3"],
    index: Int64[np.ndarray, " S"],
    probabilities: Float32[np.ndarray, "S Q"],
) -> Float32[np.ndarray, "M Q"]:
    """Mean probabilities of the sampled points that belong to each place; rows sum to 1.

    A place without a sampled point takes the mean of the three nearest ones, each weighed by its inverse distance.

    Args:
        places: the points of a cloud, or the centres of faces.
        points: sampled points.
        index: the place that each sampled point belongs to.
        probabilities: of the parts at each sampled point.
    """
    counts = np.bincount(index, minlength=len(places))
    sums = [np.bincount(index, weights=column, minlength=len(places)) for column in probabilities.T]
    votes: np.ndarray = (np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        nearest = min(NEAREST, len(points))
        distance, neighbour = cKDTree(points).query(places[empty], np.arange(1, nearest + 1))
        weight = 1.0 / np.maximum(distance, 1e-9 * max(float(distance.max()), 1e-30))
        weight /= weight.sum(axis=1, keepdims=True)
        votes[empty] = np.einsum("mk,mkq->mq", weight, probabilities[neighbour])
    return votes


def face_centres(vertices: Float32[np.ndarray, "V 3"], faces: Int32[np.ndarray, "F 3"]) -> Float32[np.ndarray, "F 3"]:
    """The mean of each face's corners."""
    centres: np.ndarray = vertices[faces].mean(axis=1, dtype=np.float64).astype(np.float32)
    return centres


def smooth(
    votes: Float32[np.ndarray, "F Q"],
    vertices: Float32[np.ndarray, "V 3"],
    faces: Int32[np.ndarray, "F 3"],
    rounds: int,
) -> Float32[np.ndarray, "F Q"]:
    """Let every face agree with those across its edges: a mean in which its own vote counts three times; rows sum to 1.

    Vertices at one position are one, so that seams of texture or material do not separate faces; loose pieces stay
    apart.

    Args:
        votes: probabilities of the parts.
        vertices: of the mesh.
        faces: their indices.
        rounds: how often; 0 returns the votes unchanged.
    """
    if rounds == 0:
        return votes
    _, position = np.unique(vertices, axis=0, return_inverse=True)
    corners = np.sort(position.reshape(-1).astype(np.int64)[faces], axis=1)
    pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    _, edge = np.unique(pairs[:, 0] * len(vertices) + pairs[:, 1], return_inverse=True)
    owner = np.tile(np.arange(len(faces)), 3)
    bounds = coo_array((np.ones(len(edge)), (edge, owner)), shape=(int(edge.max()) + 1, len(faces))).tocsr()
    wide = votes.astype(np.float64)
    for _ in range(rounds):
        wide = bounds.T @ (bounds @ wide)
        wide /= wide.sum(axis=1, keepdims=True)
    smoothed: np.ndarray = wide.astype(np.float32)
    return smoothed
