"""An encoder of clouds in an ONNX file, run by onnxruntime (extra `export`).

Axis letters: B clouds, N points, D features.
"""

import hashlib
import importlib
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crosspoint3d.config import UsageError


class OnnxEncoder(nn.Module):
    """A network of which only the function is known: features, no projection head, no training, on the CPU.

    Args:
        path: an ONNX file with one input (B, N, 3), float32; its first output (B, D) are the features.

    Attributes:
        features: D as the file declares it; 0 where it does not.
        file_sha256: of the file, in 32 bytes, so that a hash of the state says which network it was.

    Raises:
        UsageError: onnxruntime is not installed, or the file is missing, broken, or takes something else.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            onnxruntime = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise UsageError(f"encoder onnx:{path} needs onnxruntime: pip install 'crosspoint3d[export]'") from error
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"encoder onnx:{path}: {error.strerror}; expected an ONNX file") from error
        try:
            self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no class in common
            raise UsageError(f"encoder onnx:{path}: onnxruntime cannot read it: {_first_line(error)}") from error
        self.path = path
        inputs, output = self.session.get_inputs(), self.session.get_outputs()[0]
        taken = ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in inputs)
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not _takes_clouds(inputs[0].shape):
            raise UsageError(f"encoder onnx:{path} takes {taken}; expected one input of clouds (B, N, 3), float32")
        self.input, self.output = inputs[0], output
        self.features = next((size for size in output.shape[1:2] if isinstance(size, int)), 0)
        digest = torch.tensor(list(hashlib.sha256(content).digest()), dtype=torch.uint8)
        self.register_buffer("file_sha256", digest)

    def config(self) -> dict[str, Any]:
        """Not to be had.

        Raises:
            UsageError: always: an encoder folder holds weights, of which there are none.
        """
        raise UsageError(f"encoder onnx:{self.path} cannot be kept in an encoder folder; keep the file itself")

    def forward(self, points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B D"]:
        """Features (B, D) of clouds that are centred, of radius 1 and y up, on the device of the points.

        Raises:
            UsageError: the network cannot take so many clouds or points, or returns no features.
        """
        given = points.detach().float().cpu().contiguous().numpy()
        try:
            result = self.session.run([self.output.name], {self.input.name: given})[0]
        except Exception as error:  # onnxruntime's errors have no class in common
            raise UsageError(
                f"encoder onnx:{self.path}, whose input is {self.input.shape}, cannot take clouds of shape "
                f"{given.shape} (--batch-size, --points): {_first_line(error)}"
            ) from error
        if result.ndim != 2 or len(result) != len(points):
            raise UsageError(f"encoder onnx:{self.path} returned {result.shape}; expected ({len(points)}, D)")
        return torch.from_numpy(result).float().to(points.device)


def _takes_clouds(shape: list[int | str | None]) -> bool:
    return len(shape) == 3 and (shape[2] == 3 or not (isinstance(shape[2], int) or shape[1] == 3))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
