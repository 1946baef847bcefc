"""The point transformer, the encoder that looks at patches of a cloud, and every patch at all others.

Axis letters: B clouds, N points, G patches (tokens), W width of tokens, D width of the features of clouds, L of those
of points.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.models.patches import PatchEmbedding, interpolation
from crosspoint3d.ops.checks import check_clouds

LEVELS = 3


class Block(nn.Module):
    """A pre-norm transformer block (Vaswani et al., arXiv 1706.03762; Dosovitskiy et al., arXiv 2010.11929, eq. 2-3).

    Args:
        width: W.
        heads: of the attention; divides the width. The hidden layer is four times as wide.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, tokens: Float[Tensor, "B G W"]) -> Float[Tensor, "B G W"]:
        """Tokens that have looked at each other."""
        x = tokens + self.attention(self.norm1(tokens))
        result: Tensor = x + self.narrow(F.gelu(self.wide(self.norm2(x))))
        return result

    def attention(self, x: Float[Tensor, "B G W"]) -> Float[Tensor, "B G W"]:
        """`softmax(Q K^T / sqrt(W / heads)) V` in each head, side by side through one more linear map."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        seen = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.projection(seen.transpose(1, 2).flatten(2))
        return result


class PointTransformer(nn.Module):
    """A plain transformer on patches, as Point-BERT (arXiv 2111.14819) and Point-MAE (Pang et al., arXiv 2203.06604).

    Patches become tokens (`PatchEmbedding`); the embedding of their places is added before every block; a LayerNorm
    after the last. Features of clouds are the maximum and the mean over tokens, which leaves no use for the papers'
    class token. There is no dropout and no stochastic depth: evaluation and training differ by BatchNorm alone, which
    only the patch embedding has. By default 22 million weights, in the sizes of the papers.

    Args:
        patches: G, spread by farthest point sampling from the point that is farthest from the cloud's mean.
        patch_points: nearest points of the centre that make a patch, the centre itself included.
        width: W.
        depth: blocks.
        heads: of the attention.

    Attributes:
        features: D, twice the width.
        point_features: L, 3 coordinates and the tokens of (up to) three blocks.
        least_points: that a cloud must have.

    Raises:
        ValueError: an argument is below 1, or the heads do not divide the width.
    """

    def __init__(
        self, patches: int = 64, patch_points: int = 32, width: int = 384, depth: int = 12, heads: int = 6
    ) -> None:
        super().__init__()
        if min(patches, patch_points, width, depth, heads) < 1 or width % heads:
            raise ValueError(
                f"PointTransformer: {patches=}, {patch_points=}, {width=}, {depth=}, {heads=} must be positive, and "
                "the width a multiple of the heads"
            )
        self.width = width
        self.heads = heads
        self.features = 2 * width
        self.levels = sorted({-(-depth * third // LEVELS) for third in range(1, LEVELS + 1)})
        self.point_features = 3 + len(self.levels) * width
        self.least_points = max(patches, patch_points)
        self.embedding = PatchEmbedding(patches, patch_points, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        for module in (*self.blocks.modules(), *self.embedding.position):
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def config(self) -> dict[str, Any]:
        """Constructor arguments that build the same network."""
        return {
            "patches": self.embedding.patches,
            "patch_points": self.embedding.patch_points,
            "width": self.width,
            "depth": len(self.blocks),
            "heads": self.heads,
        }

    def layers(self) -> list[nn.Module]:
        """What learns at a rate of its own where rates fall layer by layer: the embedding, then the blocks."""
        *blocks, last = self.blocks
        return [self.embedding, *blocks, nn.ModuleList([last, self.norm])]

    def forward(self, points: Float[Tensor, "B N 3"], per_point: bool = False) -> Float[Tensor, "B ..."]:
        """Features (B, 2 * width), `[max ; mean]` over tokens, of clouds that are centred, of radius 1 and y up.

        Args:
            points: clouds.
            per_point: return the features (B, N, L) of points instead: the coordinates, and the tokens after a third,
                two thirds and all of the blocks (as Point-MAE labels parts), each through the last LayerNorm, from the
                three nearest patches by inverse squared distance (`interpolation`).

        Raises:
            ValueError: points have another shape, a cloud has fewer than `least_points`, or in training mode all clouds
                together have one point in one patch, of which BatchNorm can take no variance.
        """
        levels, centres = self._levels(points)
        return self._at_points(points, levels, centres) if per_point else self._pooled(levels[-1])

    def local(self, points: Float[Tensor, "B N 3"]) -> tuple[Float[Tensor, "B N L"], Float[Tensor, "B D"]]:
        """The features of points and of clouds, both that `forward` gives."""
        levels, centres = self._levels(points)
        return self._at_points(points, levels, centres), self._pooled(levels[-1])

    def _levels(self, points: Tensor) -> tuple[list[Tensor], Tensor]:
        check_clouds(type(self).__name__, points)
        if points.shape[1] < self.least_points:
            raise ValueError(
                f"PointTransformer: clouds of {points.shape[1]} points, but it makes {self.embedding.patches} patches "
                f"of {self.embedding.patch_points} points; give {self.least_points} points or more, or train one with "
                "fewer patches and patch_points"
            )
        tokens, positions, centres = self.embedding(points)
        levels = []
        for number, block in enumerate(self.blocks, start=1):
            tokens = block(tokens + positions)
            if number in self.levels:
                levels.append(tokens)
        return levels, centres

    def _pooled(self, tokens: Tensor) -> Tensor:
        last = self.norm(tokens)
        return torch.cat([last.amax(1), last.mean(1)], dim=1)

    def _at_points(self, points: Tensor, levels: list[Tensor], centres: Tensor) -> Tensor:
        tokens = torch.cat([self.norm(level) for level in levels], dim=2)
        return torch.cat([points, interpolation(points, centres) @ tokens], dim=2)
