"""The least time that counted work takes on this machine, from what it reaches in this process."""

from dataclasses import dataclass, fields

import torch
from timing import fastest


@dataclass(frozen=True)
class Work:
    """Operations and bytes of one call; a multiplication with its addition is two operations."""

    products: float = 0
    """Operations of matrix products in float32, or TF32 where that is allowed."""
    half_products: float = 0
    """Operations of matrix products in half precision."""
    operations: float = 0
    """Operations outside of products, in float32."""
    gathered: float = 0
    """Bytes of rows read or added to in the order of the edges; they fit the cache."""
    streamed: float = 0
    """Bytes read or written one after the other, from and to memory."""

    def __add__(self, other: "Work") -> "Work":
        """Both, one after the other."""
        return Work(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True)
class Ceilings:
    """What one second is enough for, of each kind of work."""

    products: float
    half_products: float
    operations: float
    gathered: float
    streamed: float

    def __str__(self) -> str:
        kinds = ("products", "half_products", "operations")
        flops = ", ".join(f"{kind.replace('_', ' ')} {getattr(self, kind) / 1e12:.3g} TFLOP/s" for kind in kinds)
        return f"{flops}; copies in cache {self.gathered / 1e9:.0f}, in memory {self.streamed / 1e9:.0f} GB/s"

    def seconds(self, work: Work) -> float:
        """The floor: every kind at full speed, one after the other, because each waits for the one before."""
        seconds = [getattr(work, field.name) / getattr(self, field.name) for field in fields(self)]
        return float(sum(seconds))


def _product(size: int, dtype: torch.dtype, device: torch.device) -> float:
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    out = torch.empty_like(a)
    with torch.autocast(device.type, enabled=False):
        return 2 * size**3 / fastest(lambda: torch.mm(a, b, out=out), device)


def _copy(numbers: int, device: torch.device) -> float:
    """Bytes a second, read and written, of a copy of float32."""
    source = torch.randn(numbers, device=device)
    target = torch.empty_like(source)
    return 8 * numbers / fastest(lambda: target.copy_(source), device)


def ceilings(device: torch.device, name: str, quick: bool) -> Ceilings:
    """Measure large square products and copies inside `timing.precision(name)`.

    Copies in cache are of 256 KiB a thread on a CPU, of 16 MiB on CUDA; copies in memory of 256 MiB and 1 GiB. Half
    precision counts as float32 where nothing is computed in it.
    """
    cuda = device.type == "cuda"
    size = 256 if quick else 8192 if cuda else 2048
    cached = 2**22 if cuda else 2**16 * torch.get_num_threads()
    before = torch.get_float32_matmul_precision()
    products = _product(size, torch.float32, device)
    torch.set_float32_matmul_precision("highest")
    operations = _product(size, torch.float32, device)
    torch.set_float32_matmul_precision(before)
    half = cuda or name == "bfloat16"
    return Ceilings(
        products=products,
        half_products=_product(size, torch.bfloat16, device) if half else products,
        operations=operations,
        gathered=_copy(cached, device),
        streamed=_copy(2**20 if quick else 2**28 if cuda else 2**26, device),
    )
