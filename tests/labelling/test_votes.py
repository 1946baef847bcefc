"""Votes on faces and points against plain loops."""

import numpy as np
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from crosspoint3d.labelling.votes import face_centres, smooth, spread


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), places=st.integers(1, 40), samples=st.integers(1, 60), parts=st.integers(1, 5))
def test_spread_is_the_mean_of_a_places_points_else_of_its_three_nearest(
    seed: int, places: int, samples: int, parts: int
) -> None:
    generator = np.random.default_rng(seed)
    positions = generator.normal(size=(places, 3)).astype(np.float32)
    points = generator.normal(size=(samples, 3)).astype(np.float32)
    index = generator.integers(places, size=samples)
    probabilities = generator.dirichlet(np.ones(parts), samples).astype(np.float32)
    votes = spread(positions, points, index, probabilities)
    for place in range(places):
        own = np.flatnonzero(index == place)
        if len(own):
            expected = probabilities[own].mean(axis=0)
        else:
            distance = np.linalg.norm(points.astype(np.float64) - positions[place], axis=1)
            nearest = distance.argsort()[:3]
            expected = np.average(probabilities[nearest], axis=0, weights=1 / distance[nearest])
        np.testing.assert_allclose(votes[place], expected, atol=1e-5)
    np.testing.assert_allclose(votes.sum(axis=1), 1, atol=1e-5)


def test_a_place_right_at_a_point_takes_its_answer() -> None:
    points = np.eye(3, dtype=np.float32)
    probabilities = np.eye(3, dtype=np.float32)
    places = np.concatenate([points, points])
    votes = spread(places, points, np.arange(3), probabilities)
    np.testing.assert_allclose(votes[3:], probabilities, atol=1e-6)


def test_smoothing_is_a_mean_over_edges_with_own_votes_three_times() -> None:
    mesh = trimesh.creation.icosphere(1)
    vertices, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)
    votes = np.random.default_rng(0).dirichlet(np.ones(4), len(faces)).astype(np.float32)
    expected = votes.astype(np.float64)
    for _ in range(2):
        before, expected = expected, np.empty_like(expected)
        for face, corners in enumerate(faces):
            neighbours = [o for o, others in enumerate(faces) if len(set(corners) & set(others)) == 2]
            expected[face] = (3 * before[face] + before[neighbours].sum(axis=0)) / (3 + len(neighbours))
    # Every triangle on corners of its own, as STL has it: positions join them, not indices.
    split, loose = vertices[faces].reshape(-1, 3), np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3)
    np.testing.assert_allclose(smooth(votes, vertices, faces, 2), expected, atol=1e-6)
    np.testing.assert_allclose(smooth(votes, split, loose, 2), expected, atol=1e-6)
    assert smooth(votes, vertices, faces, 0) is votes


def test_smoothing_leaves_loose_pieces_apart_and_overrules_one_doubtful_face() -> None:
    ball = trimesh.creation.icosphere(1)
    both = trimesh.util.concatenate([ball, ball.copy().apply_translation([3, 0, 0])])
    vertices, faces = np.asarray(both.vertices, np.float32), np.asarray(both.faces, np.int32)
    side = (face_centres(vertices, faces)[:, 0] > 1.5).astype(int)
    votes = np.eye(2, dtype=np.float32)[side]
    votes[7] = [0.4, 0.6]
    assert (smooth(votes, vertices, faces, 5).argmax(axis=1) == side).all()
