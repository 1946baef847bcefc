"""Whether this device computes what the definitions say: `python benchmarks/parity.py --device cuda`; needs no pytest.

Fresh random inputs and weights; results and gradients against the plain definitions in float64 on the same device and
graphs. An error is `|ours - exact| / |exact|` (lengths of vectors; of weights the worst of all tensors). It may be as
large as the limit, or three times what the plain definition has in the same precision: where two neighbours, or the two
sides of LeakyReLU, are closer than rounding, a gradient goes one way or the other, for both. A neighbour search is
judged by its distances, the error as a share of the largest. In deterministic mode two runs must agree in every bit.
Exit status 1 if anything is off.
"""

import copy
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from unittest.mock import patch

import torch
from parity_cases import Case, Cases
from report import machine
from timing import arguments, begin, precision
from torch import Tensor

from crosspoint3d.ops import knn
from crosspoint3d.ops import reference as plain_ops

# Of results, of gradients, of gradients of trunks. One neighbour that rounding chose differently moves thousandths of a
# layer's gradient, and hundredths where it is a maximum over all points.
LIMITS = {"float32": (1e-5, 1e-2, 5e-2), "tf32": (1e-2, 5e-2, 2e-1), "bfloat16": (3e-2, 1e-1, 3e-1)}
DISTANCES = 1e-5
WORSE = 3  # times the plain definition's error


@dataclass(frozen=True)
class Finding:
    """One comparison."""

    name: str
    precision: str
    part: str
    ours: float
    plain: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether ours is near enough; not a number never is."""
        return self.ours <= max(self.limit, WORSE * self.plain)

    def __str__(self) -> str:
        verdict = "" if self.passed else "  FAILED"
        errors = f"{self.ours:10.1e}{self.plain:10.1e}{self.limit:10.0e}"
        return f"{self.name:46}{self.precision:10}{self.part:10}{errors}{verdict}"


def error(got: Tensor, exact: Tensor) -> float:
    """Length of the difference by the length of the exact vector."""
    return float((got.double() - exact).norm() / exact.norm())


def outcome(case: Case, function: Callable[[Any, Tensor], Tensor], module: Any, points: Tensor) -> list[Tensor]:
    """Result, gradient of the points, gradients of the weights, from a random gradient of the result."""
    points = points.detach().clone().requires_grad_()
    weights = list(module.parameters()) if module is not None else []
    graphs = iter(case.graphs)

    def next_graph(_: Tensor, k: int) -> Tensor:
        return next(graphs)

    models = "crosspoint3d.models"
    with patch(f"{models}.dgcnn.knn", next_graph), patch(f"{models}.dgcnn_partseg.knn", next_graph):
        result = function(module, points)
    direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(result)
    with torch.autocast(result.device.type, enabled=False):
        return [result.detach(), *torch.autograd.grad(result, [points, *weights], direction)]


def compare(case: Case, name: str, device: torch.device) -> Iterator[Finding]:
    """Ours and plain against exact, in one precision; bare functions get their input in it."""
    bare = case.module is None
    points = case.points.bfloat16() if bare and name == "bfloat16" else case.points
    exact = outcome(case, case.plain, None if bare else copy.deepcopy(case.module).double(), points.double())
    sides = []
    for function in (case.ours, case.plain):
        with precision(name, device):
            got = outcome(case, function, case.module, points)
        sides.append([error(mine, wanted) for mine, wanted in zip(got, exact, strict=True)])
    ours, plain = sides
    on_result, *on_gradients = LIMITS[name]
    # A bare function gets the very values that exact gets, and has no choice to round.
    on_gradient = on_result if bare else on_gradients[bool(case.graphs)]
    yield Finding(case.name, name, "result", ours[0], plain[0], on_result)
    yield Finding(case.name, name, "d points", ours[1], plain[1], on_gradient)
    if not bare:
        yield Finding(case.name, name, "d weights", max(ours[2:]), max(plain[2:]), on_gradient)


def repeat(case: Case) -> Finding:
    """Two runs in deterministic mode, in which torch also fills new memory with NaN."""
    torch.use_deterministic_algorithms(True)
    try:
        runs = [outcome(case, case.ours, copy.deepcopy(case.module), case.points) for _ in range(2)]
    finally:
        torch.use_deterministic_algorithms(False)
    same = all(torch.equal(first, second) for first, second in zip(*runs, strict=True))
    return Finding(case.name, "float32", "two runs", 0.0 if same else math.inf, 0.0, 0.0)


def search(points: Tensor, k: int, name: str) -> Finding:
    """Distances of what `knn` finds; infinitely wrong if a list does not begin with its point, or repeats one."""
    x = points.double()
    exact = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").square()
    wanted = exact.topk(k, largest=False).values.sort(2).values

    def off(indices: Tensor) -> float:
        return float((exact.gather(2, indices).sort(2).values - wanted).abs().max() / wanted.max())

    indices = knn(points, k)
    ordered = indices.sort(2).values
    itself = torch.equal(indices[:, :, 0], torch.arange(x.shape[1], device=x.device).expand(x.shape[:2]))
    sound = itself and bool((ordered[:, :, 1:] > ordered[:, :, :-1]).all())
    plain = off(plain_ops.knn(points, k))
    return Finding(f"kNN {name}", "float32", "distances", off(indices) if sound else math.inf, plain, DISTANCES)


def searches(cases: Cases) -> Iterator[Finding]:
    """Random points and features; off their centre; an odd number of them, most copies of one."""
    for channels in (3, 64, 128):
        x = cases.random(channels)
        yield search(x, 20, f"d={channels}")
        yield search(x + 10, 40, f"d={channels} k=40, off centre")
        x[:, x.shape[1] // 3 :] = x[:, :1]
        yield search(x[:, :-5], 20, f"d={channels}, copies")


def attempts(cases: Cases, precisions: list[str]) -> Iterator[Finding]:
    """Every finding; what raises is one that failed."""
    yield from searches(cases)
    for case in cases:
        for name in precisions:
            if case.module is None and name == "tf32":
                continue  # no products
            try:
                yield from compare(case, name, cases.device)
            except Exception:
                traceback.print_exc()
                yield Finding(case.name, name, "raised", math.inf, 0.0, 0.0)
        try:
            yield repeat(case)
        except Exception:
            traceback.print_exc()
            yield Finding(case.name, "float32", "raised", math.inf, 0.0, 0.0)


def main() -> None:
    """Compare, print, and fail where something is off."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for the deterministic mode, before CUDA starts
    parser = arguments(__doc__)
    parser.set_defaults(points=1024)
    options = parser.parse_args()
    device = begin(options)
    if device.type == "cpu" and options.precision == ["float32"]:
        options.precision = ["float32", "bfloat16"]
    print(f"{'what':46}{'precision':10}{'part':10}{'ours':>10}{'plain':>10}{'limit':>10}")
    findings = []
    for finding in attempts(Cases(options.points, device, options.seed), options.precision):
        print(finding, flush=True)
        findings.append(finding)
    failed = [finding for finding in findings if not finding.passed]
    if options.json is not None:
        lines = [asdict(finding) | {"passed": finding.passed} for finding in findings]
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine(device), "findings": lines}, indent=1) + "\n")
    print(f"{len(findings) - len(failed)} of {len(findings)} comparisons passed on {machine(device)['gpu'] or device}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
