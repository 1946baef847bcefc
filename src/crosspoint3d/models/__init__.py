"""Networks: encoders of clouds and pictures, their projection heads, and the folders that they are kept in."""

from crosspoint3d.models.crosspoint import CrossPoint, Projections, build_crosspoint
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.heads import ProjectionHead
from crosspoint3d.models.image import image_encoder
from crosspoint3d.models.load import has_twin, load_encoder, load_image_encoder, untrained, untrained_image
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.resnet import ResNet
from crosspoint3d.models.tower import Tower, load_tower, save_tower

__all__ = [
    "DGCNN",
    "CrossPoint",
    "DGCNNPartSeg",
    "PointNet",
    "ProjectionHead",
    "Projections",
    "ResNet",
    "Tower",
    "build_crosspoint",
    "has_twin",
    "image_encoder",
    "load_encoder",
    "load_image_encoder",
    "load_tower",
    "save_tower",
    "untrained",
    "untrained_image",
]
