"""Which kernels a tensor can use."""

from contextlib import AbstractContextManager
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor


@lru_cache(maxsize=1)
def _has_triton() -> bool:
    return find_spec("triton") is not None


def runs_triton(values: Tensor) -> bool:
    """Whether Triton kernels take these values: on CUDA, of 32 or 16 bits."""
    return values.is_cuda and values.dtype != torch.float64 and _has_triton()


def device_of(values: Tensor) -> AbstractContextManager[None]:
    """Kernels launched inside run on the device of the values, be it not the current one."""
    return torch.cuda.device_of(values)  # type: ignore[no-untyped-call]
