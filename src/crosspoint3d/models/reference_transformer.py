"""Plain definition of the point transformer on the weights of ours: the formulas of its papers, patch by patch.

Axis letters: B clouds, N points, G patches, K points of a patch, D width of the features of clouds, L of those of
points.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.models.patches import PatchEmbedding
from crosspoint3d.models.transformer import Block, PointTransformer
from crosspoint3d.ops.reference import farthest_points


def local(
    model: PointTransformer, points: Float[Tensor, "B N 3"], training: bool
) -> tuple[Float[Tensor, "B N L"], Float[Tensor, "B D"]]:
    """The features of points and of clouds that `PointTransformer` gives; the model is left as it is."""
    tokens, centres = _tokens(model.embedding, points, training)
    first, _, last = model.embedding.position
    positions = last(F.gelu(first(centres)))
    levels = []
    for number, block in enumerate(model.blocks, start=1):
        assert isinstance(block, Block)
        tokens = _block(block, tokens + positions)
        if number in model.levels:
            levels.append(model.norm(tokens))
    distance = (points[:, :, None] - centres[:, None]).square().sum(3)
    least, nearest = distance.topk(min(3, distance.shape[2]), dim=2, largest=False)
    weights = 1 / (least + 1e-8)
    weights = weights / weights.sum(2, keepdim=True)
    cloud = torch.arange(len(points), device=points.device)[:, None, None]
    wide = torch.cat(levels, dim=2)[cloud, nearest]
    per_point = torch.cat([points, (weights[..., None] * wide).sum(2)], dim=2)
    return per_point, torch.cat([levels[-1].max(1).values, levels[-1].mean(1)], dim=1)


def _tokens(embedding: PatchEmbedding, points: Tensor, training: bool) -> tuple[Tensor, Tensor]:
    """Tokens and centres; a patch's maximum is put before each of its points, 512 channels in, as published."""
    centres = []
    for cloud in points:
        start = int((cloud - cloud.mean(0)).square().sum(1).argmax())
        centres.append(cloud[farthest_points(cloud, embedding.patches, start)])
    middles = torch.stack(centres)
    distance = (middles[:, :, None] - points[:, None]).square().sum(3)
    members = distance.topk(embedding.patch_points, dim=2, largest=False).indices
    row = torch.arange(len(points), device=points.device)[:, None, None]
    x = embedding.first.linear(points[row, members] - middles[:, :, None])
    x = embedding.second(F.relu(_batch_norm(x, embedding.first.norm, training)))
    x = torch.cat([x.max(2, keepdim=True).values.expand_as(x), x], dim=3)
    x = embedding.fourth(F.relu(_batch_norm(embedding.third(x), embedding.norm, training)))
    return x.max(2).values, middles


def _block(block: Block, tokens: Tensor) -> Tensor:
    """Pre-norm attention, written out head by head, and the two linear maps."""
    seen = []
    parts = [torch.chunk(part, block.heads, dim=2) for part in torch.chunk(block.qkv(block.norm1(tokens)), 3, dim=2)]
    for query, key, value in zip(*parts, strict=True):
        share = torch.softmax(query @ key.mT / query.shape[2] ** 0.5, dim=2)
        seen.append(share @ value)
    tokens = tokens + block.projection(torch.cat(seen, dim=2))
    result: Tensor = tokens + block.narrow(F.gelu(block.wide(block.norm2(tokens))))
    return result


def _batch_norm(x: Tensor, norm: nn.BatchNorm1d, training: bool) -> Tensor:
    """BatchNorm over all rows; the running statistics stay as they are."""
    assert norm.running_mean is not None and norm.running_var is not None
    before = norm.running_mean.clone(), norm.running_var.clone()
    rows = F.batch_norm(x.flatten(0, -2), *before, norm.weight, norm.bias, training, eps=norm.eps)
    return rows.reshape(x.shape)
