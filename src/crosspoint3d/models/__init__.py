"""Networks: encoders of clouds and pictures, their heads, and the folders that they are kept in."""

from crosspoint3d.models.class_head import ClassHead
from crosspoint3d.models.classifier import Classifier, build_classifier, has_class_head, save_classifier
from crosspoint3d.models.crosspoint import CrossPoint, Projections, build_crosspoint
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.heads import ProjectionHead
from crosspoint3d.models.image import image_encoder
from crosspoint3d.models.load import has_twin, load_encoder, load_image_encoder, untrained, untrained_image
from crosspoint3d.models.load_labelled import load_classifier, load_segmenter
from crosspoint3d.models.part_head import PartHead
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.pointnet_partseg import PointNetPartSeg
from crosspoint3d.models.resnet import ResNet
from crosspoint3d.models.segmenter import Segmenter, build_segmenter, has_part_head, save_segmenter
from crosspoint3d.models.tower import Tower, load_tower, save_tower
from crosspoint3d.models.transformer import PointTransformer

__all__ = [
    "DGCNN",
    "ClassHead",
    "Classifier",
    "CrossPoint",
    "DGCNNPartSeg",
    "PartHead",
    "PointNet",
    "PointNetPartSeg",
    "PointTransformer",
    "ProjectionHead",
    "Projections",
    "ResNet",
    "Segmenter",
    "Tower",
    "build_classifier",
    "build_crosspoint",
    "build_segmenter",
    "has_class_head",
    "has_part_head",
    "has_twin",
    "image_encoder",
    "load_classifier",
    "load_encoder",
    "load_image_encoder",
    "load_segmenter",
    "load_tower",
    "save_classifier",
    "save_segmenter",
    "save_tower",
    "untrained",
    "untrained_image",
]
