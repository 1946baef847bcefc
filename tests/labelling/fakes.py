"""Networks that answer by a rule that a test can follow, and shapes for them."""

from pathlib import Path

import numpy as np
import torch
import trimesh

from crosspoint3d.models import Classifier, PointNet, Segmenter, build_classifier, build_segmenter
from crosspoint3d.models.tower import seeded_weights
from crosspoint3d.parts_table import PartsTable

TABLE = PartsTable(("Lamp Stand", "box"), ((0, 1, 2), (3, 4)), ("base", "pole", "shade", "left", "right"))
NAMES = ("ball", "box", "cone")


class BySide(Segmenter):
    """Answers with the category's first part where x < 0, else with its second."""

    def forward(self, points, category, generator=None):
        logits = torch.zeros(*points.shape[:2], len(self.table))
        for row, own in enumerate(category.tolist()):
            first, second = self.table.parts[own][:2]
            left = points[row, :, 0] < 0
            logits[row, left, first] = 20.0
            logits[row, ~left, second] = 20.0
        return logits


def by_side(points: int = 64) -> BySide:
    plain = random_segmenter()
    fake = BySide(plain.encoder, plain.head, TABLE).eval()
    fake.points = points
    return fake


def random_segmenter(seed: int = 0) -> Segmenter:
    with seeded_weights(seed):
        encoder = PointNet(emb_dims=16)
    segmenter = build_segmenter(encoder, TABLE, "light", seed).eval()
    segmenter.points = 32
    return segmenter


class ByHeight(Classifier):
    """`ball` with 3/4 for clouds that are as high as wide, else `box`."""

    def forward(self, points, generator=None):
        reach = points.abs().amax(dim=1)
        round_ = (reach[:, 1] / reach[:, 0] - 1).abs() < 0.2
        return torch.where(round_[:, None], torch.tensor([0.75, 0.2, 0.05]), torch.tensor([0.3, 0.6, 0.1])).log()


def by_height(points: int = 256) -> ByHeight:
    plain = build_classifier(PointNet(emb_dims=16), NAMES, "linear", 0)
    fake = ByHeight(plain.encoder, plain.head, NAMES).eval()
    fake.points = points
    return fake


def two_boxes(subdivided: int = 0) -> trimesh.Trimesh:
    """A box left of the origin and one right of it; corners of the left one may be cut into tiny faces."""
    left, right = trimesh.creation.box([1, 1, 1]), trimesh.creation.box([1, 1, 1])
    left.apply_translation([-1, 0, 0])
    right.apply_translation([1, 0, 0])
    both = trimesh.util.concatenate([left, right])
    for _ in range(subdivided):
        vertices, faces = trimesh.remesh.subdivide(both.vertices, both.faces, face_index=[0, len(both.faces) - 1])
        both = trimesh.Trimesh(vertices, faces, process=False)
    return both


def write_shapes(root: Path) -> Path:
    """Two boxes, a ball, a cloud of few points, a cloud of many, and three files that cannot be read."""
    generator = np.random.default_rng(0)
    for name in ("box", "Lamp-stand", "odd"):
        (root / name).mkdir(parents=True)
    two_boxes(2).export(root / "box" / "a.off")
    trimesh.creation.icosphere(1).export(root / "box" / "a.ply")
    np.save(root / "Lamp-stand" / "few.npy", generator.normal(size=(20, 3)).astype(np.float32))
    np.save(root / "odd" / "many.npy", generator.normal(size=(500, 3)).astype(np.float32))
    (root / "odd" / "empty.obj").write_bytes(b"")
    (root / "odd" / "cut.ply").write_bytes((root / "box" / "a.ply").read_bytes()[:400])
    (root / "box" / "flat.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n")
    (root / "notes.doc").write_text("no shape")
    return root
