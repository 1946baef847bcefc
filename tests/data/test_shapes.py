from collections import Counter, defaultdict

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.shapes import CATEGORIES, PARTS, parts_table, procedural_shape

COUNT = 20 * len(CATEGORIES)
# What makes a shape one of its category: parts that (nearly) all of them have.
ALWAYS = {
    "airplane": ("fuselage", "wing", "tail", "window"),
    "bed": ("mattress", "frame", "pillow", "blanket"),
    "bench": ("seat", "leg"),
    "bookshelf": ("frame", "shelf"),
    "bottle": ("body", "neck"),
    "bowl": ("body",),
    "cabinet": ("body",),
    "car": ("body", "window", "roof", "wheel", "light"),
    "chair": ("seat", "back", "leg"),
    "desk": ("top", "drawer"),
    "guitar": ("body", "neck", "head", "peg", "bridge", "string"),
    "knife": ("blade", "handle"),
    "lamp": ("base", "pole", "shade"),
    "laptop": ("base", "key", "screen", "lid"),
    "monitor": ("screen", "frame", "base"),
    "mug": ("body", "handle"),
    "plant": ("pot", "soil"),
    "rocket": ("body", "nose", "fin", "nozzle"),
    "ship": ("hull", "deck"),
    "sofa": ("base", "cushion", "back"),
    "stool": ("seat", "leg"),
    "table": ("top", "leg"),
    "truck": ("cab", "cargo", "wheel", "window"),
    "vase": ("body", "neck"),
}


@pytest.fixture(scope="module")
def shapes() -> dict[str, list[Mesh]]:
    by_category: dict[str, list[Mesh]] = defaultdict(list)
    for index in range(COUNT):
        mesh, category = procedural_shape(index)
        by_category[category].append(mesh)
    return by_category


def areas(mesh: Mesh) -> np.ndarray:
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2


def assert_closed(faces: np.ndarray) -> None:
    """Every directed edge occurs once, and so does its opposite: closed and wound one way."""
    edges = Counter(tuple(edge) for face in faces.tolist() for edge in zip(face, face[1:] + face[:1], strict=True))
    assert set(edges.values()) == {1}
    assert all((b, a) in edges for a, b in edges)


def test_at_least_18_categories_and_parts_fit_a_byte() -> None:
    assert len(CATEGORIES) >= 18
    assert len(set(CATEGORIES)) == len(CATEGORIES)
    assert len(set(PARTS)) == len(PARTS) <= 255


def test_parts_table_splits_the_part_ids_by_category() -> None:
    table = parts_table()
    assert list(table) == list(CATEGORIES)
    assert sorted(i for ids in table.values() for i in ids) == list(range(len(PARTS)))
    assert all(PARTS[i][0] == category for category, ids in table.items() for i in ids)


@pytest.mark.parametrize("index", [0, 1, 23, 24, 1000, 10**9])
def test_same_seed_and_index_give_the_same_bytes(index: int) -> None:
    (first, name), (second, again) = procedural_shape(index, 7), procedural_shape(index, 7)
    assert name == again
    for field in ("vertices", "faces", "corner_colors", "parts"):
        assert getattr(first, field).tobytes() == getattr(second, field).tobytes()


def test_a_shape_does_not_depend_on_the_ones_before_it() -> None:
    alone = procedural_shape(5, 3)[0]
    for index in range(5):
        procedural_shape(index, 3)
    assert alone.vertices.tobytes() == procedural_shape(5, 3)[0].vertices.tobytes()


def test_another_seed_gives_another_series() -> None:
    names = {seed: [procedural_shape(index, seed)[1] for index in range(24)] for seed in (0, 1)}
    assert names[0] != names[1]
    chairs = [next(m for m, c in (procedural_shape(i, seed) for i in range(24)) if c == "chair") for seed in (0, 1)]
    assert chairs[0].vertices.tobytes() != chairs[1].vertices.tobytes()


@pytest.mark.parametrize("seed", [0, 11])
@pytest.mark.parametrize("block", [0, 1, 40])
def test_every_block_holds_every_category_once(block: int, seed: int) -> None:
    size = len(CATEGORIES)
    names = [procedural_shape(index, seed)[1] for index in range(block * size, (block + 1) * size)]
    assert sorted(names) == sorted(CATEGORIES)
    assert names != [procedural_shape(index, seed)[1] for index in range((block + 1) * size, (block + 2) * size)]


@pytest.mark.parametrize(("index", "seed"), [(-1, 0), (0, -1)])
def test_negative_index_or_seed_is_refused(index: int, seed: int) -> None:
    with pytest.raises(ValueError, match=f"index {index} and seed {seed}"):
        procedural_shape(index, seed)


@pytest.mark.parametrize("category", CATEGORIES)
def test_meshes_are_sound(shapes: dict[str, list[Mesh]], category: str) -> None:
    ids = set(parts_table()[category])
    for mesh in shapes[category]:
        assert mesh.parts is not None and mesh.corner_colors is not None
        assert np.isfinite(mesh.vertices).all()
        assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
        assert (areas(mesh) > 0).all()
        assert 100 <= len(mesh.faces) <= 4000
        assert mesh.parts.dtype == np.uint8 and len(mesh.parts) == len(mesh.faces)
        assert set(mesh.parts.tolist()) <= ids
        assert mesh.corner_colors.dtype == np.uint8 and mesh.corner_colors.shape == (len(mesh.faces), 3, 3)
        extent = np.ptp(mesh.vertices, axis=0)
        assert 0.75 < extent.max() < 1.3
        assert np.abs(mesh.vertices).max() < 0.8


@pytest.mark.parametrize("category", CATEGORIES)
def test_parts_are_there(shapes: dict[str, list[Mesh]], category: str) -> None:
    present = [{PARTS[i][1] for i in np.unique(mesh.parts).tolist()} for mesh in shapes[category]]
    for part in ALWAYS[category]:
        assert np.mean([part in parts for parts in present]) >= (0.6 if part == "handle" else 0.95), part


def test_no_part_is_never_used() -> None:
    seen: set[int] = set()
    for index in range(60 * len(CATEGORIES)):
        seen |= set(np.unique(procedural_shape(index, 1)[0].parts).tolist())
        if len(seen) == len(PARTS):
            return
    raise AssertionError(f"unused: {[PARTS[i] for i in range(len(PARTS)) if i not in seen]}")


@pytest.mark.parametrize("category", CATEGORIES)
def test_categories_have_variety(shapes: dict[str, list[Mesh]], category: str) -> None:
    meshes = shapes[category]
    structures = {(len(mesh.faces), tuple(np.unique(mesh.parts).tolist())) for mesh in meshes}
    assert len(structures) >= 8
    extents = np.stack([np.ptp(mesh.vertices, axis=0) for mesh in meshes])
    relative = extents.std(axis=0) / extents.mean(axis=0)
    assert relative.max() > 0.08
    colours = {tuple(mesh.corner_colors[0, 0].tolist()) for mesh in meshes if mesh.corner_colors is not None}
    assert len(colours) >= 10


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_component_is_closed_and_wound_outwards(shapes: dict[str, list[Mesh]], category: str) -> None:
    for mesh in shapes[category][:5]:
        assert_closed(mesh.faces)
        edges = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        size = len(mesh.vertices)
        graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size))
        count, label = connected_components(graph, directed=False)
        corners = mesh.vertices.astype(np.float64)[mesh.faces]
        # Volumes about each component's own centre: thin pieces far from the origin would drown in rounding.
        centres = np.stack([np.bincount(label, mesh.vertices[:, axis]) for axis in range(3)], 1)
        centres /= np.bincount(label)[:, None]
        owner = label[mesh.faces[:, 0]]
        corners -= centres[owner][:, None]
        volume = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
        assert (np.bincount(owner, volume, minlength=count) > 0).all()


@pytest.mark.parametrize("category", CATEGORIES)
def test_nothing_floats_far_away(shapes: dict[str, list[Mesh]], category: str) -> None:
    """Boxes around the connected pieces, grown by 4 % of the shape, form one cluster."""
    for mesh in shapes[category]:
        size = len(mesh.vertices)
        edges = mesh.faces[:, [0, 1, 1, 2]].reshape(-1, 2)
        graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size))
        count, label = connected_components(graph, directed=False)
        low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
        np.minimum.at(low, label, mesh.vertices)
        np.maximum.at(high, label, mesh.vertices)
        touch = (low[:, None] - 0.02 <= high[None] + 0.02).all(-1)
        clusters, _ = connected_components(coo_matrix(touch & touch.T), directed=False)
        assert clusters == 1
