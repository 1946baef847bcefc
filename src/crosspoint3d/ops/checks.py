"""Checks of what goes into the core: those of shapes always, those that read every value in debug mode."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

_enabled = os.environ.get("CROSSPOINT3D_DEBUG", "0") not in ("", "0")


@contextmanager
def debug_checks(enabled: bool = True) -> Iterator[None]:
    """Inside, `knn` and the edge convolutions refuse values that are not finite and indices out of range anywhere.

    The environment variable `CROSSPOINT3D_DEBUG=1` does so everywhere. Off by default: on a GPU every check waits.
    """
    global _enabled
    before, _enabled = _enabled, enabled
    try:
        yield
    finally:
        _enabled = before


def check_clouds(name: str, points: Tensor) -> None:
    """Refuse what is not clouds (B, N, 3).

    Raises:
        ValueError: another shape; says what would work.
    """
    if points.ndim == 3 and points.shape[2] == 3:
        return
    remedy = ""
    if points.ndim == 3 and points.shape[1] == 3:
        remedy = "; give points.transpose(1, 2)"
    elif points.ndim == 2 and points.shape[1] == 3:
        remedy = "; give points[None] for a single cloud"
    raise ValueError(f"{name}: points of shape {tuple(points.shape)}, but clouds are (clouds, points, 3){remedy}")


def check_finite(name: str, points: Tensor) -> None:
    """In debug mode, name the first sample and point whose values are not all finite.

    Raises:
        ValueError: there is one.
    """
    if not _enabled or bool(points.isfinite().all()):
        return
    sample, point = (~points.isfinite()).any(2).nonzero()[0].tolist()
    raise ValueError(
        f"{name}: sample {sample} holds a value that is not finite, at point {point}: {points[sample, point].tolist()}"
        "; clean or drop the cloud"
    )


def check_graph(name: str, points: Tensor, indices: Tensor) -> None:
    """Refuse neighbours that do not belong to these points.

    Raises:
        ValueError: another device, other numbers of clouds or points, or an index out of range (the last on the CPU
            and in debug mode).
    """
    if points.device != indices.device:
        raise ValueError(f"{name}: points are on {points.device}, indices on {indices.device}; move them to one device")
    if points.shape[:2] != indices.shape[:2]:
        raise ValueError(
            f"{name}: indices {tuple(indices.shape)} do not belong to points {tuple(points.shape)}; both begin with "
            "clouds, then points"
        )
    if not indices.shape[2]:
        raise ValueError(f"{name}: indices {tuple(indices.shape)} name no neighbours; k must be at least 1")
    if indices.numel() and (_enabled or indices.device.type == "cpu"):
        low, high = (int(value) for value in indices.aminmax())
        if low < 0 or high >= points.shape[1]:
            wrong = low if low < 0 else high
            raise ValueError(f"{name}: index {wrong} must be between 0 and {points.shape[1] - 1}")
