"""Patches of a cloud as tokens, and their features back at the cloud's points.

Axis letters: B clouds, N points, G patches, K points of a patch, W width of tokens.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from crosspoint3d.models.pointwise import PointwiseLinear, normalised
from crosspoint3d.ops.patches import farthest_points, nearest

NARROW, WIDE = 256, 512
NEIGHBOURS, EPSILON = 3, 1e-8


class Patches(NamedTuple):
    """What a transformer reads: a token for each patch, the embedding of its place, and its place."""

    tokens: Float[Tensor, "B G W"]
    positions: Float[Tensor, "B G W"]
    centres: Float[Tensor, "B G 3"]


class PatchEmbedding(nn.Module):
    """Tokens of patches by a small PointNet, as in Point-BERT (Yu et al., arXiv 2111.14819, section 3.1).

    Centres come by farthest point sampling, a patch is its centre's nearest points, relative to the centre. Points pass
    128 and 256 channels; the patch's maximum is put before each, they pass 512 channels and `width`; then the maximum.
    The maximum is the same for all points of a patch and is multiplied once a patch. Places pass 128 channels (GELU).

    Args:
        patches: G.
        patch_points: K.
        width: W.
    """

    def __init__(self, patches: int, patch_points: int, width: int) -> None:
        super().__init__()
        self.patches = patches
        self.patch_points = patch_points
        self.first = PointwiseLinear(3, 128, bias=True)
        self.second = nn.Linear(128, NARROW)
        self.third = nn.Linear(2 * NARROW, WIDE)
        self.norm = nn.BatchNorm1d(WIDE)
        self.fourth = nn.Linear(WIDE, width)
        self.position = nn.Sequential(nn.Linear(3, 128), nn.GELU(), nn.Linear(128, width))

    def forward(self, points: Float[Tensor, "B N 3"]) -> Patches:
        """The patches of clouds, in the order in which their centres were chosen.

        Raises:
            ValueError: a cloud has fewer points than there are patches, or than a patch has.
        """
        centres = taken(points, farthest_points(points, self.patches))
        members = nearest(centres, points, self.patch_points)
        offsets = taken(points, members.flatten(1)).reshape(*members.shape, 3) - centres[:, :, None]
        x = self.second(self.first(offsets))
        on_patch, on_point = torch.split(self.third.weight, NARROW, dim=1)
        x = F.linear(x, on_point) + F.linear(x.amax(2), on_patch, self.third.bias)[:, :, None]
        tokens = self.fourth(F.relu(normalised(x, self.norm))).amax(2)
        return Patches(tokens, self.position(centres), centres)


def taken(points: Float[Tensor, "B N 3"], indices: Int64[Tensor, "B M"]) -> Float[Tensor, "B M 3"]:
    """The points of each cloud with these indices, differentiable."""
    return points.gather(1, indices[:, :, None].expand(-1, -1, 3))


def interpolation(points: Float[Tensor, "B N 3"], centres: Float[Tensor, "B G 3"]) -> Float[Tensor, "B N G"]:
    """Weights with which the features of patches make those of points; each row sums to 1, at most three are not 0.

    Inverse squared distances to the three nearest centres (PointNet++, Qi et al., arXiv 1706.02413, equation 2 with
    p = 2 and k = 3).
    """
    near = nearest(points, centres, min(NEIGHBOURS, centres.shape[1]))
    there = taken(centres, near.flatten(1)).reshape(*near.shape, 3)
    weights = 1 / ((points[:, :, None] - there).square().sum(3) + EPSILON)
    weights = weights / weights.sum(2, keepdim=True)
    rows: Tensor = weights.new_zeros(*points.shape[:2], centres.shape[1]).scatter(2, near, weights)
    return rows
