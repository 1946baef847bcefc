"""CrossPoint: a point tower and an image tower that meet in one space.

Axis letters: B shapes, V pictures of each, N points, H and W pixels, E width of the joint space.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.config import PretrainConfig, UsageError
from crosspoint3d.config_file import require_at_least
from crosspoint3d.models.dgcnn import DGCNN
from crosspoint3d.models.dgcnn_partseg import DGCNNPartSeg
from crosspoint3d.models.encoders import PointEncoder
from crosspoint3d.models.heads import ProjectionHead
from crosspoint3d.models.image import TimmEncoder, image_encoder
from crosspoint3d.models.pointnet import PointNet
from crosspoint3d.models.pointnet_partseg import PointNetPartSeg
from crosspoint3d.models.tower import Tower, seeded_weights
from crosspoint3d.models.transformer import PointTransformer
from crosspoint3d.ops.across import rows_across

TRANSFORMER_WIDTH = 384
LEAST_TEMPERATURE = 0.01
"""Of a learned temperature: CLIP's bound, logits of at most 100 (arXiv 2103.00020, section 2.5)."""


class Projections(NamedTuple):
    """Where the two augmented clouds and the pictures of every shape lie in the joint space, not normalised.

    `image` is (B, E) for one picture of each shape (or the mean of several), (B, V, E) for V pictures.
    """

    cloud_1: Float[Tensor, "B E"]
    cloud_2: Float[Tensor, "B E"]
    image: Float[Tensor, "B *V E"] | None

    def across(self) -> "Projections":
        """Those of all processes that train together, in their order."""
        image = None if self.image is None else rows_across(self.image)
        return Projections(rows_across(self.cloud_1), rows_across(self.cloud_2), image)

    def of_mean_picture(self) -> "Projections":
        """With the mean of each shape's pictures, in float32 at least, for its picture."""
        if self.image is None or self.image.ndim == 2:
            return self
        wide = torch.promote_types(self.image.dtype, torch.float32)
        return self._replace(image=self.image.mean(1, dtype=wide))

    def detach(self) -> "Projections":
        """The same values without their graph."""
        image = None if self.image is None else self.image.detach()
        return Projections(self.cloud_1.detach(), self.cloud_2.detach(), image)


class CrossPoint(nn.Module):
    """The two towers of CrossPoint (Afham et al., arXiv 2203.00680, figure 2), and the losses' temperature if learned.

    Args:
        point_tower: of clouds.
        image_tower: of pictures.
        temperature: where a learned one starts; None: there is none to learn.
    """

    log_scale: nn.Parameter | None
    """`log(1 / temperature)`, learned as in CLIP (arXiv 2103.00020, section 2.3)."""

    def __init__(self, point_tower: Tower, image_tower: Tower, temperature: float | None = None) -> None:
        super().__init__()
        start = None if temperature is None else nn.Parameter(torch.tensor(-math.log(temperature)))
        self.register_parameter("log_scale", start)
        self.point_tower = point_tower
        self.image_tower = image_tower

    def temperature(self) -> Float[Tensor, ""] | None:
        """The learned temperature with its graph, None where it is fixed."""
        return None if self.log_scale is None else (-self.log_scale).exp()

    def bound_temperature(self) -> None:
        """Bring a learned temperature that an update has carried below 0.01 back to it."""
        if self.log_scale is not None:
            with torch.no_grad():
                self.log_scale.clamp_(max=-math.log(LEAST_TEMPERATURE))

    def forward(self, points: Float[Tensor, "B2 N 3"], images: Float[Tensor, "B *V 3 H W"] | None) -> Projections:
        """Projections for `crosspoint_loss`.

        Args:
            points: 2B clouds: the B first augmentations, then the B second ones, as one batch (one BatchNorm).
            images: an ImageNet-normalised picture of each of the B shapes, (B, 3, H, W), or V of each,
                (B, V, 3, H, W); None leaves the image tower alone.

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
        image = self.image_tower.project(self.image_tower(images.flatten(0, -4)))
        return Projections(cloud_1, cloud_2, image.view(*images.shape[:-3], image.shape[1]))


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
        if isinstance(images, TimmEncoder):
            images.require_size(config.image_size)
        if isinstance(encoder, DGCNNPartSeg):  # the paper's head for it is as wide as the features: 1024-1024-256
            head = ProjectionHead(encoder.features, encoder.features, config.projection_dims, bias=True)
        else:
            head = ProjectionHead.for_clouds(encoder.features, config.projection_dims)
        image_tower = Tower(images, ProjectionHead.for_images(images.features, config.projection_dims))
        if config.freeze_images:
            image_tower.freeze()
        return CrossPoint(
            Tower(encoder, head),
            image_tower,
            config.temperature if config.learn_temperature else None,
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
