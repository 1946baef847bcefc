"""How fast one thread renders: `python benchmarks/render.py [FOLDER] [--count 100]`.

Prints pictures a second and milliseconds a mesh for 12 views at 128 and 224 pixels with 2x2 supersampling, and the
parts of a prepared row beside them (reading, sampling 2,048 points, JPEG at quality 90). FOLDER is searched for mesh
files, of which COUNT are drawn with a fixed seed; without it spheres of 1,000 to 64,000 faces are rendered. CPU time
of this process, after a warm-up that compiles the kernels.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.meshes import MESH_SUFFIXES, read_mesh
from crosspoint3d.data.render import render_views
from crosspoint3d.geometry import normalise, sample_surface

VIEWS = 12


def sphere(faces: int) -> Mesh:
    """A sphere of about this many faces as a soup, the way many files store it."""
    rings = int((faces / 4) ** 0.5)
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1), indexing="ij")
    grid = np.stack([np.sin(theta) * np.cos(phi), np.cos(theta), np.sin(theta) * np.sin(phi)], axis=-1)
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    corners = np.concatenate([np.stack([a, b, c], 2).reshape(-1, 3), np.stack([a, c, d], 2).reshape(-1, 3)])
    return Mesh(corners.astype(np.float32), np.arange(len(corners), dtype=np.int32).reshape(-1, 3))


def timed(total: dict[str, float], name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a function and add its CPU seconds to the total under this name."""
    start = time.process_time()
    result = function(*args, **options)
    total[name] = total.get(name, 0.0) + time.process_time() - start
    return result


def encode(pictures: np.ndarray) -> list[bytes]:
    """Every picture as JPEG of quality 90."""
    encoded = []
    for picture in pictures:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=90)
        encoded.append(buffer.getvalue())
    return encoded


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()

    total: dict[str, float] = {}
    if options.folder is None:
        meshes = [sphere(faces) for faces in (1_000, 4_000, 16_000, 64_000)]
    else:
        paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in MESH_SUFFIXES)
        picks = np.random.default_rng(0).permutation(len(paths))[: options.count]
        read_mesh(paths[picks[0]])
        meshes = [timed(total, "read", read_mesh, paths[pick]) for pick in picks]
    render_views(meshes[0], 1, image_size=32)

    for mesh in meshes:
        points, _, _ = timed(total, "sample", sample_surface, mesh.vertices, mesh.faces, 2048, np.random.default_rng(0))
        _, *frame = normalise(points)
        pictures = timed(total, "render 128", render_views, mesh, VIEWS, image_size=128, frame=tuple(frame))
        timed(total, "encode 128", encode, pictures)
        timed(total, "render 224", render_views, mesh, VIEWS, image_size=224, frame=tuple(frame))

    faces = [len(mesh.faces) for mesh in meshes]
    print(f"{len(meshes)} meshes, faces: mean {np.mean(faces):.0f}, median {np.median(faces):.0f}, most {max(faces)}")
    for name, seconds in total.items():
        line = f"{name:12}{1e3 * seconds / len(meshes):8.2f} ms a mesh"
        if name.startswith("render"):
            line += f"{VIEWS * len(meshes) / seconds:10.0f} pictures/s"
        print(line)
    row = sum(seconds for name, seconds in total.items() if name != "render 224")
    print(f"{len(meshes) / row:.1f} meshes/s a core: read, sample, {VIEWS} views at 128 px, JPEG")


if __name__ == "__main__":
    main()
