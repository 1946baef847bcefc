"""The exact and fast core of DGCNN; `reference` holds the plain definitions it is tested against."""

from crosspoint3d.ops.edge_conv import EdgeConv
from crosspoint3d.ops.edge_conv2 import TwoLayerEdgeConv
from crosspoint3d.ops.knn import knn
from crosspoint3d.ops.pool import PooledLinear

__all__ = ["EdgeConv", "PooledLinear", "TwoLayerEdgeConv", "knn"]
