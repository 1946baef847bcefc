import subprocess
import sys
import threading

import pytest
import torch

from crosspoint3d.ops import threads
from crosspoint3d.ops.threads import in_parallel


@pytest.fixture(params=["torch's threads", "a pool"])
def three_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    if request.param == "a pool":
        monkeypatch.setattr(threads, "_gomp_parallel", lambda: None)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 1001])
def test_every_number_is_in_one_piece(count: int) -> None:
    seen: list[tuple[int, int]] = []
    in_parallel(lambda start, stop: seen.append((start, stop)), count)
    assert len(seen) <= 3
    assert sorted(i for start, stop in seen for i in range(start, stop)) == list(range(count))


@pytest.mark.usefixtures("three_threads")
def test_pieces_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=30)
    in_parallel(lambda start, stop: meeting.wait() and None, 3)


@pytest.mark.usefixtures("three_threads")
def test_an_error_in_any_piece_is_raised_after_all_have_run() -> None:
    seen: list[int] = []

    def task(start: int, stop: int) -> None:
        seen.append(start)
        if start == 2:
            raise KeyError("piece 2")

    with pytest.raises(KeyError, match="piece 2"):
        in_parallel(task, 3)
    assert sorted(seen) == [0, 1, 2]


def test_one_thread_needs_no_others() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    seen: list[threading.Thread] = []
    in_parallel(lambda start, stop: seen.append(threading.current_thread()), 100)
    torch.set_num_threads(before)
    assert seen == [threading.current_thread()]


@pytest.mark.skipif(sys.platform != "linux", reason="torch's OpenMP is entered on Linux only")
def test_torchs_own_threads_are_found() -> None:
    assert threads._gomp_parallel() is not None


def test_a_forked_child_can_work() -> None:
    """Threads do not survive a fork; DataLoader workers on Linux may be forked."""
    code = (
        "import os, sys, torch, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from crosspoint3d.ops import knn\n"
        "torch.set_num_threads(2)\n"
        "expected = knn(torch.arange(24.).reshape(1, 8, 3), 2)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    torch.set_num_threads(1)\n"
        "    os._exit(int(not torch.equal(knn(torch.arange(24.).reshape(1, 8, 3), 2), expected)))\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
