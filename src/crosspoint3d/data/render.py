"""Views of a shape: pictures, depth and silhouettes by a z-buffer on the CPU, one thread a call.

The work is done by numba kernels: `raster` finds what each sample sees, `crease` gives smooth normals, `shading` the
colours, `splats` draws clouds.
"""

from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from crosspoint3d.data.crease import crease_normals
from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.raster import draw_faces, project
from crosspoint3d.data.shading import shade_faces
from crosspoint3d.data.splats import splat_painter
from crosspoint3d.data.texture import texel_density, texture_levels
from crosspoint3d.geometry import HALF_ANGLE_TANGENT, camera_matrix, face_areas, ring_poses

CREASE_COSINE = float(np.cos(np.radians(40.0)))
_FARTHEST = 1e6
# Light directions in camera axes: key from the upper left, fill from the right, and the view direction itself.
_LIGHTS = np.array([[-0.45, 0.65, 0.62], [0.85, 0.05, 0.52], [0.0, 0.0, 1.0]])
_LIGHTS /= np.linalg.norm(_LIGHTS, axis=1, keepdims=True)


def render_views(
    mesh: Mesh,
    views: int = 12,
    *,
    image_size: int = 224,
    seed: int = 0,
    poses: Float[np.ndarray, "V 3"] | None = None,
    mode: Literal["color", "depth", "silhouette"] = "color",
    supersample: int = 2,
    frame: tuple[Float[np.ndarray, " 3"], float] | None = None,
) -> UInt8[np.ndarray, "V H H 3"] | Float32[np.ndarray, "V H H"] | Bool[np.ndarray, "V H H"]:
    """Render a shape from several sides on a white background.

    Args:
        mesh: a shape with faces, or a point cloud (drawn as shaded balls).
        views: number of pictures; poses come from `ring_poses(views, default_rng(seed))`.
        image_size: width and height in pixels.
        seed: decides the poses.
        poses: azimuth, elevation (rad) and distance of every camera, instead of `views` and `seed`.
        mode: color gives sRGB pictures; depth the distance along the view axis of the nearest sample of each pixel,
            in units of the frame, inf where there is nothing; silhouette whether any sample of the pixel is covered.
        supersample: samples a pixel along each side.
        frame: centre and scale that take vertices to the space of the poses, `(vertices - centre) / scale`; by default
            the shape's bounding sphere becomes the unit sphere, which just fits the picture.

    Returns:
        Pictures, depths or silhouettes, one for each view. The same input gives the same bytes.

    Raises:
        ValueError: vertices that are none or not finite, faces that point outside the vertices, or an argument out of
            its range.
    """
    _check(mesh, views, image_size, supersample, mode)
    if poses is None:
        poses = ring_poses(views, np.random.default_rng(seed))
    frame = _bounding_frame(mesh) if frame is None else frame
    color = mode == "color"
    pictures, depths = _render(mesh, poses, image_size, supersample, frame, color=color, depth=not color)
    if color:
        return pictures
    return depths if mode == "depth" else np.isfinite(depths)


def render_with_depth(
    mesh: Mesh,
    poses: Float[np.ndarray, "V 3"],
    *,
    image_size: int,
    supersample: int,
    frame: tuple[Float[np.ndarray, " 3"], float],
) -> tuple[UInt8[np.ndarray, "V H H 3"], Float32[np.ndarray, "V H H"]]:
    """The pictures and the depths that `render_views` gives one after the other, from one z-buffer.

    Raises:
        ValueError: as of `render_views`.
    """
    _check(mesh, len(poses), image_size, supersample, "color")
    return _render(mesh, poses, image_size, supersample, frame, color=True, depth=True)


def _render(
    mesh: Mesh,
    poses: np.ndarray,
    image_size: int,
    supersample: int,
    frame: tuple[np.ndarray, float],
    *,
    color: bool,
    depth: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and depths; none of what is not asked for."""
    centre, scale = frame
    if not (scale > 0 and np.isfinite(scale)):
        raise ValueError(f"frame scale={scale}: must be positive and finite")
    placed = (mesh.vertices.astype(np.float64) - np.asarray(centre, np.float64)) / scale
    placed = np.clip(placed, -_FARTHEST, _FARTHEST).astype(np.float32)
    draw = splat_painter(mesh, placed) if mesh.is_cloud else _face_painter(mesh, placed, color)

    samples = image_size * supersample
    inverse = np.empty((samples, samples), np.float32)
    ids = np.empty((samples, samples), np.int32)
    pictures = np.empty((len(poses) if color else 0, image_size, image_size, 3), np.uint8)
    depths = np.empty((len(poses) if depth else 0, image_size, image_size), np.float32)
    for view, pose in enumerate(poses):
        inverse.fill(0.0)
        ids.fill(-1)
        matrix = camera_matrix(pose)
        lights = _LIGHTS @ matrix[:3, :3].astype(np.float64)
        draw(matrix, lights, inverse, ids, pictures[view] if color else None, supersample)
        if depth:
            nearest = inverse.reshape(image_size, supersample, image_size, supersample).max(axis=(1, 3))
            with np.errstate(divide="ignore"):
                depths[view] = np.float32(1.0) / nearest
    return pictures, depths


def _check(mesh: Mesh, views: int, image_size: int, supersample: int, mode: str) -> None:
    for name, value in (("views", views), ("image_size", image_size)):
        if value < 1:
            raise ValueError(f"{name}={value}: must be at least 1")
    if supersample not in (1, 2, 3, 4):
        raise ValueError(f"supersample={supersample}: choose 1, 2, 3 or 4")
    if mode not in ("color", "depth", "silhouette"):
        raise ValueError(f"mode={mode!r}: choose color, depth or silhouette")
    if len(mesh.vertices) == 0 or not np.isfinite(mesh.vertices).all():
        raise ValueError("vertices: there are none, or some are not finite")
    if not mesh.is_cloud and (mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices)):
        raise ValueError(f"faces: an index lies outside the {len(mesh.vertices)} vertices")
    for name, array, count in (
        ("vertex_colors", mesh.vertex_colors, len(mesh.vertices)),
        ("normals", mesh.normals, len(mesh.vertices)),
        ("corner_colors", mesh.corner_colors, len(mesh.faces)),
        ("uv", mesh.uv, len(mesh.faces)),
        ("texture_index", mesh.texture_index, len(mesh.faces)),
    ):
        if array is not None and len(array) != count:
            raise ValueError(f"{name} has {len(array)} rows: expected {count}")
    if mesh.texture_index is not None and mesh.texture_index.max(initial=-1) >= len(mesh.textures):
        raise ValueError(f"texture_index: a face asks for more than the {len(mesh.textures)} textures")


def _bounding_frame(mesh: Mesh) -> tuple[np.ndarray, float]:
    """Centre of the box around the vertices in use, and the largest distance from it."""
    used = mesh.vertices if mesh.is_cloud else mesh.vertices[np.unique(mesh.faces)]
    used = used.astype(np.float64)
    centre = (used.min(axis=0) + used.max(axis=0)) / 2
    radius = float(np.sqrt(((used - centre) ** 2).sum(axis=1).max()))
    return centre, radius or 1.0


def _face_painter(mesh: Mesh, placed: np.ndarray, shaded: bool) -> Any:
    """Function that draws the mesh's faces as one camera sees them; what all views share is computed here."""
    faces = np.ascontiguousarray(mesh.faces)
    if shaded:
        normals, flat = crease_normals(placed, faces, CREASE_COSINE)
        colors = np.zeros((0, 3, 3), np.uint8)
        if mesh.corner_colors is not None:
            colors = np.ascontiguousarray(mesh.corner_colors)
        elif mesh.vertex_colors is not None:
            colors = mesh.vertex_colors[faces]
        one_color = (colors == colors[:, :1]).all(axis=(1, 2)) if len(colors) else np.ones(len(faces), bool)
        uv, texture_index = np.zeros((0, 3, 2), np.float32), np.zeros(0, np.int16)
        density = np.zeros(0, np.float32)
        if mesh.uv is not None and mesh.texture_index is not None and mesh.textures:
            uv, texture_index = np.ascontiguousarray(mesh.uv), np.ascontiguousarray(mesh.texture_index)
            density = texel_density(mesh, face_areas(placed, faces).astype(np.float32))
            one_color &= texture_index < 0
        texels, levels = texture_levels(mesh.textures)
        flat[(flat == 1) & one_color] = 2

    def draw(
        matrix: np.ndarray, lights: np.ndarray, inverse: np.ndarray, ids: np.ndarray, picture: Any, supersample: int
    ) -> None:
        screen = project(placed, matrix, HALF_ANGLE_TANGENT, inverse.shape[0])
        draw_faces(screen, faces, inverse, ids)
        if picture is not None:
            shade_faces(
                picture,
                supersample,
                ids,
                inverse,
                screen,
                faces,
                normals,
                flat,
                colors,
                uv,
                texture_index,
                texels,
                levels,
                density,
                lights,
                2 * HALF_ANGLE_TANGENT / inverse.shape[0],
            )

    return draw
