"""CrossPoint: a point tower and an image tower that meet in one space.

Axis letters: B shapes, N points, H and W pixels, E width of the joint space.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.encoders import PointEncoder
from crosspoint3d.models.heads import ProjectionHead
from crosspoint3d.models.image import image_encoder
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.pointnet_partseg import PointNetPartSeg
from crosspoint3d.models.tower import Tower, seeded_weights
from crosspoint3d.models.transformer import PointTransformer
from crosspoint3d.ops.across import rows_across

TRANSFORMER_WIDTH = 384


class Projections(NamedTuple):
    """Where the two augmented clouds and the picture of every shape lie in the joint space, not normalised."""

    cloud_1: Float[Tensor, "B E"]
    cloud_2: Float[Tensor, "B E"]
    image: Float[Tensor, "B E"] | None

    def across(self) -> "Projections":
        """Those of all processes that train together, in their order."""
        image = None if self.image is None else rows_across(self.image)
        return Projections(rows_across(self.cloud_1), rows_across(self.cloud_2), image)

    def detach(self) -> "Projections":
        """The same values without their graph."""
        image = None if self.image is None else self.image.detach()
        return Projections(self.cloud_1.detach(), self.cloud_2.detach(), image)


class CrossPoint(nn.Module):
    """The two towers of CrossPoint (Afham et al., arXiv 2203.00680, figure 2)."""

    def __init__(self, point_tower: Tower, image_tower: Tower) -> None:
        super().__init__()
        self.point_tower = point_tower
        self.image_tower = image_tower

    def forward(self, points: Float[Tensor, "B2 N 3"], images: Float[Tensor, "B 3 H W"] | None) -> Projections:
        """Projections for `crosspoint_loss`.

        Args:
            points: 2B clouds: the B first augmentations, then the B second ones, as one batch (one BatchNorm).
            images: an ImageNet-normalised picture of each of the B shapes, or None to leave the image tower alone.

        Raises:
            ValueError: the number of clouds is odd, or is not twice that of the pictures.
        """
        if len(points) % 2 or (images is not None and len(points) != 2 * len(images)):
            pictures = "" if images is None else f" and {len(images)} pictures"
            raise ValueError(f"CrossPoint: {len(points)} clouds{pictures}; needs two clouds for each picture")
        clouds = self.point_tower.project(self.point_tower(points))
        cloud_1, cloud_2 = clouds.chunk(2)
        if images is None:
            return Projections(cloud_1, cloud_2, None)
        return Projections(cloud_1, cloud_2, self.image_tower.project(self.image_tower(images)))


def build_crosspoint(config: PretrainConfig) -> CrossPoint:
    """The model that a config describes, with weights drawn from `config.seed`; the global generators stay untouched.

    Raises:
        UsageError: the image encoder's name is unknown, or the transformer's options do not fit each other.
        ValueError: a width or k is below 1.
    """
    with seeded_weights(config.seed):
        encoder: PointEncoder
        if config.encoder == "dgcnn":
            encoder = DGCNN(config.k, config.emb_dims, config.width)
        elif config.encoder == "dgcnn-partseg":
            encoder = DGCNNPartSeg(config.k, config.emb_dims)
        elif config.encoder == "pointnet-partseg":
            encoder = PointNetPartSeg(config.emb_dims)
        elif config.encoder == "transformer":
            encoder = point_transformer(config)
        else:
            encoder = PointNet(config.emb_dims)
        images = image_encoder(config.image_encoder)
        if isinstance(encoder, DGCNNPartSeg):  # the paper's head for it is as wide as the features: 1024-1024-256
            head = ProjectionHead(encoder.features, encoder.features, config.projection_dims, bias=True)
        else:
            head = ProjectionHead.for_clouds(encoder.features, config.projection_dims)
        return CrossPoint(
            Tower(encoder, head),
            Tower(images, ProjectionHead.for_images(images.features, config.projection_dims)),
        )


def point_transformer(config: PretrainConfig) -> PointTransformer:
    """The transformer of a config: `width` times 384 channels, rounded to a multiple of 8 in every head.

    Raises:
        UsageError: a size is below 1, or the clouds have fewer points than it needs.
    """
    require_at_least(config, dict.fromkeys(("patches", "patch_points", "depth", "heads"), 1))
    for name in ("patches", "patch_points"):
        size = getattr(config, name)
        if config.points and size > config.points:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} {size} is more than --points {config.points}; give fewer")
    channels = 8 * max(1, round(TRANSFORMER_WIDTH * config.width / (8 * config.heads)))
    return PointTransformer(config.patches, config.patch_points, config.heads * channels, config.depth, config.heads)
