"""Which kernels a tensor can use."""

from contextlib import AbstractContextManager
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor


@lru_cache
def _has_kernels(device: torch.device) -> bool:
    new_enough = torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 0)
    return new_enough and find_spec("triton") is not None


def runs_numba(values: Tensor) -> bool:
    """Whether numba kernels take these values: of 32 or 64 bits, on the CPU."""
    return values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64)


def runs_triton(values: Tensor) -> bool:
    """Whether Triton kernels take these values: of 32 or 16 bits, on an NVIDIA GPU, Ampere or later."""
    return values.is_cuda and values.dtype != torch.float64 and _has_kernels(values.device)


def device_of(values: Tensor) -> AbstractContextManager[None]:
    """Kernels launched inside run on the device of the values, be it not the current one."""
    return torch.cuda.device_of(values)  # type: ignore[no-untyped-call]
