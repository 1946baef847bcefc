"""Shapes: reading, rendering, generating, keeping."""

from crosspoint3d.data.mesh import Mesh
from crosspoint3d.data.meshes import MeshError, read_mesh
from crosspoint3d.data.render import render_views
from crosspoint3d.data.shapes import procedural_shape
from crosspoint3d.data.table import ShapeTable

__all__ = ["Mesh", "MeshError", "ShapeTable", "procedural_shape", "read_mesh", "render_views"]
