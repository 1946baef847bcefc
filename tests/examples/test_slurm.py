"""The Slurm scripts with stand-ins for its commands: two processes here, stopped, queued again, finished."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.data.tables import example_table
from tests.training.test_distributed_runs import OPTIONS, environment, free_port

SCRIPTS = ROOT / "examples" / "slurm"
SRUN = '#!/bin/bash\nshift\nexec "$@"\n'
SCONTROL = '#!/bin/bash\nif [[ $1 == show ]]; then echo localhost; else echo "$@" >>"$NOTES"; fi\n'


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """An environment in which the commands of Slurm do what they would on one node."""
    commands = tmp_path / "bin"
    commands.mkdir()
    torchrun = f'#!/bin/bash\nexec {sys.executable} -m torch.distributed.run "$@"\n'
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "torchrun": torchrun}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_NNODES": "1", "SLURM_JOB_NODELIST": "localhost", "SLURM_GPUS_ON_NODE": "2"}
    places = {"PATH": f"{commands}:{os.environ['PATH']}", "NOTES": str(tmp_path / "notes"), "PORT": str(free_port())}
    return environment() | job | places


@pytest.mark.slow
def test_a_job_that_is_told_to_stop_saves_queues_itself_again_and_goes_on(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    example_table(tmp_path / "table", 24)
    run = tmp_path / "run"
    options = [*OPTIONS, "--max-steps", "100", "--epochs", "100"]
    command = ["bash", str(SCRIPTS / "pretrain.sh"), "--data", str(tmp_path / "table"), "--out", str(run), *options]
    job = subprocess.Popen(command, env=slurm, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        while not (run / "checkpoint" / "step-00000002.pt").exists():
            assert job.poll() is None, job.communicate()
            time.sleep(0.1)
        job.send_signal(signal.SIGTERM)
        said, _ = job.communicate(timeout=120)
    finally:
        job.kill()
    assert job.returncode == 0, said
    assert (tmp_path / "notes").read_text() == "requeue 7\n"
    assert not (run / "summary.json").exists()

    subprocess.run(command, env=slurm, cwd=ROOT, check=True, timeout=400)
    assert json.loads((run / "summary.json").read_text())["steps"] == 100
    assert (tmp_path / "notes").read_text() == "requeue 7\n"


def test_a_job_that_fails_is_not_queued_again(slurm: dict[str, str], tmp_path: Path) -> None:
    command = ["bash", str(SCRIPTS / "pretrain.sh"), "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    job = subprocess.run(command, env=slurm, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert job.returncode != 0 and "no table at" in job.stdout + job.stderr
    assert not (tmp_path / "notes").exists()
