"""The two passes over edges that EdgeConv is made of, differentiable, by the fastest kernels that the device has.

Axis letters: B clouds, N points, C or O channels, k neighbours.
"""

from types import ModuleType
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from crosspoint3d.ops import cpu_edges, fallback_edges
from crosspoint3d.ops.devices import runs_numba, runs_triton
from crosspoint3d.ops.eager import eager


def _kernels(values: Tensor, indices: Tensor) -> ModuleType:
    if runs_numba(values):
        return cpu_edges
    if runs_triton(values) and indices.shape[2] <= 256:
        from crosspoint3d.ops import cuda_edges

        return cuda_edges
    return fallback_edges


class _NeighbourSum(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(indices)
        total: Tensor = _kernels(values, indices).neighbour_sum(values, indices)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (indices,) = ctx.saved_tensors
        return _kernels(gradient, indices).neighbour_sum_backward(gradient, indices), None


class _EdgeMax(Function):
    @staticmethod
    def forward(ctx: Any, ab: Tensor, indices: Tensor, slope: float) -> Tensor:
        out, winner = _kernels(ab, indices).edge_max(ab, indices, slope, ctx.needs_input_grad[0])
        ctx.save_for_backward(out, winner, indices)
        ctx.slope = slope
        result: Tensor = out
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        out, winner, indices = ctx.saved_tensors
        kernels = _kernels(gradient, indices)
        return kernels.edge_max_backward(gradient, out, winner, indices, ctx.slope), None, None


@eager
def neighbour_sum(values: Float[Tensor, "B N C"], indices: Int64[Tensor, "B N k"]) -> Float[Tensor, "B N C"]:
    """Sum of the values of every point's neighbours."""
    total: Tensor = _NeighbourSum.apply(values, indices)  # type: ignore[no-untyped-call]
    return total


@eager
def edge_max(ab: Float[Tensor, "B N O2"], indices: Int64[Tensor, "B N k"], slope: float) -> Float[Tensor, "B N O"]:
    """`leaky_relu(max over j of a_j + b_i)` for `[a | b]` side by side.

    Of equal neighbours the first gets the gradient.

    Args:
        ab: a, then b, (B, N, 2O).
        indices: neighbours (B, N, k).
        slope: of LeakyReLU for negative values, above 0: the gradient is read off the result's sign.
    """
    out: Tensor = _EdgeMax.apply(ab, indices, slope)  # type: ignore[no-untyped-call]
    return out


def neighbour_sum_gradient(gradient: Float[Tensor, "B N C"], indices: Int64[Tensor, "B N k"]) -> Float[Tensor, "B N C"]:
    """What flows back to the values of `neighbour_sum`: every point gathers from those whose neighbour it is."""
    result: Tensor = _kernels(gradient, indices).neighbour_sum_backward(gradient, indices)
    return result
