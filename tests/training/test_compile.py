"""`torch.compile` on the towers and through a run, in processes without the suite's type checks, which hinder it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.data.tables import example_table


def run(code: str, *arguments: str) -> None:
    command = [sys.executable, "-c", code, *arguments]  # no -W error: the tracer warns of parts of its own
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


IMAGES = """
import sys, torch
from crosspoint3d.models.heads import ProjectionHead
from crosspoint3d.models.resnet import ResNet
from crosspoint3d.models.tower import Tower

torch.manual_seed(0)
name, backend = sys.argv[1:]
encoder = ResNet(name)
tower = Tower(encoder, ProjectionHead.for_images(encoder.features, 16))
pictures = torch.randn(4, 3, 48, 48).requires_grad_()
compiled = torch.compile(lambda x: tower.project(tower(x)), backend=backend, fullgraph=True)
for training in (True, False):
    tower.train(training)
    for precision in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision):
            expected, result = tower.project(tower(pictures)), compiled(pictures)
        near = 0.3 if precision else 1e-4
        torch.testing.assert_close(result, expected, rtol=near, atol=near)
        assert torch.autograd.grad(result.float().sum(), pictures)[0].isfinite().all()
"""

CLOUDS = """
import torch
from crosspoint3d.models import DGCNN, PointNet

torch.manual_seed(0)
points = torch.randn(3, 40, 3)
for encoder in (DGCNN(5, 16, 0.125), PointNet(16), PointNet(16, t_nets=True)):
    compiled = torch.compile(encoder, backend="eager")
    for training in (True, False):
        encoder.train(training)
        before = [buffer.clone() for buffer in encoder.buffers()]
        expected = encoder(points)
        gradients = torch.autograd.grad(expected.square().sum(), list(encoder.parameters()))
        after = [buffer.clone() for buffer in encoder.buffers()]
        for buffer, value in zip(encoder.buffers(), before):
            buffer.data.copy_(value)
        result = compiled(points)
        torch.testing.assert_close(result, expected)
        torch.testing.assert_close(torch.autograd.grad(result.square().sum(), list(encoder.parameters())), gradients)
        torch.testing.assert_close(list(encoder.buffers()), after)
"""

RUN = """
import json, sys
from pathlib import Path
from torch import nn
from safetensors.torch import load_file
from crosspoint3d import cli

table, out, backend, chunk = sys.argv[1:]
if backend != "inductor":
    module_compile = nn.Module.compile
    nn.Module.compile = lambda module: module_compile(module, backend=backend)
words = ["pretrain", "--data", table, "--width", "0.125", "--emb-dims", "16", "--k", "4", "--points", "16"]
words += ["--image-encoder", "resnet18", "--image-size", "32", "--batch-size", "5", "--chunk", chunk, "--device", "cpu"]
losses, states = [], []
for flags in ([], ["--compile"]):
    run = Path(out) / "-".join(["run", *flags])
    assert cli.run([*words, "--out", str(run), "--max-steps", "2", *flags]) == 0
    losses.append([json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()])
    states.append(load_file(run / "image_encoder" / "model.safetensors"))
assert all(abs(one - two) < 0.02 * two for one, two in zip(*losses)), losses
assert list(states[0]) == list(states[1])
assert cli.run([*words, "--out", str(run), "--max-steps", "2", "--compile", "--resume"]) == 0
"""


@pytest.mark.parametrize(
    ("name", "backend"), [("resnet18", "aot_eager"), pytest.param("resnet50", "eager", marks=pytest.mark.slow)]
)
def test_the_image_tower_is_one_graph(name: str, backend: str) -> None:
    run(IMAGES, name, backend)


def test_compiled_point_encoders_give_the_same_values() -> None:
    run(CLOUDS)


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_run_is_the_same_run_with_the_same_keys(backend: str, tmp_path: Path) -> None:
    example_table(tmp_path / "table", 20)
    run(RUN, str(tmp_path / "table"), str(tmp_path), backend, "3")
