"""Any Python callable `points -> features` as an encoder, named `module:function`.

Axis letters: B clouds, N points, D features.
"""

import functools
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.config import UsageError

SPEC = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class CallableEncoder(nn.Module):
    """Somebody's function from clouds to features: no projection head and, unless it is a module, no known weights.

    Args:
        spec: `module:function`. The module is imported, which runs it, from the working folder or the Python path; the
            function (or module, or any object with a call) takes a float32 tensor (B, N, 3) on the device of the
            evaluation, and returns a tensor or array (B, D).

    Attributes:
        features: D as it was in the last call; 0 before.

    Raises:
        UsageError: the module cannot be imported, or has no such callable.
    """

    def __init__(self, spec: str) -> None:
        super().__init__()
        module, _, name = spec.partition(":")
        try:
            found = functools.reduce(getattr, name.split("."), _import(module))
        except AttributeError as error:
            raise UsageError(f"encoder {spec}: {error}") from error
        if not callable(found) or isinstance(found, type):
            raise UsageError(f"encoder {spec} is {found!r}; expected a function or an instance that takes points")
        self.spec = spec
        self.function: Callable[[Tensor], Any] = found
        self.features = 0

    def config(self) -> dict[str, Any]:
        """Not to be had.

        Raises:
            UsageError: always: an encoder folder holds a known architecture.
        """
        raise UsageError(f"encoder {self.spec} cannot be kept in an encoder folder; keep its module")

    def forward(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B D"]:
        """Features (B, D) of clouds that are centred, of radius 1 and y up.

        Raises:
            UsageError: the callable returned something else.
        """
        result = self.function(points)
        rows = torch.from_numpy(result) if isinstance(result, np.ndarray) else result
        if not isinstance(rows, Tensor) or rows.ndim != 2 or len(rows) != len(points) or rows.is_complex():
            shape = tuple(rows.shape) if isinstance(rows, Tensor) else ""
            raise UsageError(
                f"encoder {self.spec} returned {type(result).__name__} {shape} for clouds {tuple(points.shape)}; "
                f"expected a tensor or array ({len(points)}, D)"
            )
        self.features = rows.shape[1]
        return rows.float().to(points.device)


def _import(module: str) -> Any:
    """Import a module, the working folder first, as `python -m` has it."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except Exception as error:  # importing runs the module, which can raise anything
        raise UsageError(f"encoder {module}:...: importing {module} failed: {error!r}") from error
    finally:
        if here in sys.path:
            sys.path.remove(here)
