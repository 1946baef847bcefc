"""The picture in the README: two procedural shapes of every category. `python examples/procedural_shapes.py`."""

import numpy as np
from PIL import Image

from crosspoint3d.data import procedural_shape, render_views
from crosspoint3d.data.shapes import CATEGORIES

SIZE, COLUMNS, SEED = 160, 12, 3
POSE = np.array([[np.radians(-35), np.radians(22), 3.0]], dtype=np.float32)  # azimuth, elevation, distance

# Every block of len(CATEGORIES) shapes holds each category once.
shapes = [procedural_shape(index, SEED) for index in range(2 * len(CATEGORIES))]
shapes.sort(key=lambda shape: CATEGORIES.index(shape[1]))
tiles = [render_views(mesh, poses=POSE, image_size=SIZE, supersample=3)[0] for mesh, _ in shapes]
rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
Image.fromarray(np.concatenate(rows)).save("shapes.png", optimize=True)
