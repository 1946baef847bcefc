"""What the wrappers of the Triton kernels launch compiles for a GPU, of which none is needed for that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton", minversion="3.3", reason="no Triton, or one that compiles by other means")

# Runs where nothing is interpreted: a launch compiles the kernel for its arguments, and prints its shared memory.
COMPILE = """
import sys
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

TYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "int64": "i64", "int32": "i32", "uint8": "u8"}
OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion")
done = set()

def compile_for(self, *args, grid, warmup=False, **keywords):
    options = {name: keywords.pop(name) for name in OPTIONS if name in keywords}
    values = {**dict(zip(self.arg_names, args)), **keywords}
    signature, constants, aligned = {}, {}, {}
    for i, parameter in enumerate(self.params):
        value = values[parameter.name]
        if parameter.is_constexpr or (isinstance(value, int) and value == 1):
            signature[parameter.name], constants[parameter.name] = "constexpr", value
            continue
        if isinstance(value, torch.Tensor):
            signature[parameter.name], multiple = "*" + TYPES[str(value.dtype).removeprefix("torch.")], True
        elif isinstance(value, int):
            signature[parameter.name], multiple = "i32", value % 16 == 0
        else:
            signature[parameter.name], multiple = "fp32", False
        if multiple:
            aligned[(i,)] = [["tt.divisibility", 16]]
    key = (self.__name__, str(signature), str(constants), str(aligned))
    if key in done:
        return
    done.add(key)
    source = triton.compiler.ASTSource(self, signature, constants, aligned)
    kernel = triton.compile(source, target=GPUTarget("cuda", int(sys.argv[1]), 32), options=options)
    assert kernel.asm["ptx"]
    print(self.__name__, kernel.metadata.shared)

JITFunction.run = compile_for

def knn(clouds, count, channels, k, dtype=torch.float32):
    from crosspoint3d.ops import cuda_knn
    cuda_knn.knn(torch.empty(clouds, count, channels, dtype=dtype), k)

def edges(clouds, count, channels, k, dtype=torch.float32):
    from crosspoint3d.ops import cuda_edges
    ab, gradient = (torch.empty(clouds, count, n * channels, dtype=dtype) for n in (2, 1))
    indices = torch.zeros(clouds, count, k, dtype=torch.int64)
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic)
        out, winner = cuda_edges.edge_max(ab, indices, 0.2)
        cuda_edges.edge_max_backward(gradient, out, winner, indices, 0.2)
        cuda_edges.neighbour_sum(gradient, indices)
        cuda_edges.neighbour_sum_backward(gradient, indices)

exec(sys.argv[2])
"""


def compiled(capability: int, launches: str, cache: Path) -> dict[str, int]:
    """The most shared memory of each kernel that the launches compile, in bytes."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(cache)
    command = [sys.executable, "-c", COMPILE, str(capability), launches]
    output = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert output.returncode == 0, output.stderr[-2000:]
    kernels: dict[str, int] = {}
    for name, shared in map(str.split, output.stdout.splitlines()):
        kernels[name] = max(kernels.get(name, 0), int(shared))
    return kernels


def test_kernels_of_dgcnn_compile_for_a_hopper_gpu(tmp_path: Path) -> None:
    kernels = compiled(90, "knn(4, 2048, 64, 20); edges(4, 2048, 256, 20)", tmp_path)
    assert {"_round", "_bound", "_collect", "_rank", "_sum", "_max"} < set(kernels)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 89, 90, 100])
def test_any_shape_compiles_and_fits(capability: int, tmp_path: Path) -> None:
    launches = [f"knn(4, {n}, {c}, {k})" for n, c, k in ((2048, 3, 20), (2048, 128, 40), (999, 200, 64), (50, 5, 1))]
    launches += [f"knn(2, 1000, {c}, 20, torch.{kind})" for c, kind in ((64, "bfloat16"), (128, "float16"))]
    launches += [f"edges(2, 1000, {c}, 40, torch.{kind})" for c, kind in ((3, "float32"), (64, "bfloat16"))]
    kernels = compiled(capability, "; ".join(launches), tmp_path)
    assert max(kernels.values()) <= 99 * 1024  # what the smaller GPUs of these generations have
