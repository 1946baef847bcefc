"""Reader processes: the batches of one reader, whoever dies."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from crosspoint3d.config import RunError, UsageError
from crosspoint3d.data.batches import Batch, BatchReader
from crosspoint3d.data.order import Draw
from crosspoint3d.data.readers import Readers
from crosspoint3d.data.table import ShapeTable
from tests.data.tables import example_table
from tests.data.test_batches import png, random_draws, with_pictures

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ShapeTable:
    return example_table(tmp_path_factory.mktemp("data") / "table", 10)


def script(body: str) -> Sequence[str]:
    """A reader process that first runs this."""
    start = "from crosspoint3d.data import readers; from crosspoint3d.data.batches import BatchReader; import os, sys\n"
    return (sys.executable, "-c", f"{start}{body}\nreaders.answer()")


def drawn(count: int) -> list[list[Draw]]:
    return [random_draws([10], 4, seed) for seed in range(count)]


def assert_equal(got: Sequence[Batch], reader: BatchReader, draws: Sequence[list[Draw]]) -> None:
    for one, wanted in zip(got, map(reader.read, draws), strict=True):
        np.testing.assert_array_equal(one.points, wanted.points)
        np.testing.assert_array_equal(one.images, wanted.images)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(("views", "count"), [(0, 1), (2, 2)])
def test_processes_read_what_one_reader_reads(views: int, count: int, table: ShapeTable) -> None:
    reader, draws = BatchReader([table], views=views), drawn(7)
    with closing(Readers(reader, count)) as readers:
        got = list(readers.read(iter(draws)))
        pids = readers.pids
    assert_equal(got, reader, draws)
    assert len(pids) == count and all(map(gone, pids))


def test_more_processes_than_batches_are_not_started(table: ShapeTable) -> None:
    with closing(Readers(BatchReader([table]), 5)) as readers:
        assert len(list(readers.read(iter(drawn(1))))) == 1
        assert len(readers.pids) == 1


def test_a_killed_process_is_replaced_and_nothing_is_lost_or_doubled(
    table: ShapeTable, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, draws = BatchReader([table]), drawn(9)
    with closing(Readers(reader, 2)) as readers:
        batches = readers.read(iter(draws))
        got = [next(batches)]
        victims = readers.pids
        for pid in victims:  # whether idle, reading or writing
            os.kill(pid, signal.SIGKILL)
        got += batches
        assert len(readers.pids) == 2 and not set(readers.pids) & set(victims)
    assert_equal(got, reader, draws)
    written = capfd.readouterr().err
    for number, pid in enumerate(victims):
        assert f"warning: reader {number} (process {pid}) was killed by SIGKILL (out of memory?); another" in written


def test_a_process_that_dies_half_way_through_an_answer(table: ShapeTable, tmp_path: Path) -> None:
    body = (
        f"mark = {str(tmp_path / 'died')!r}\n"
        "fdopen = os.fdopen\n"
        "def opened(*arguments):\n"
        "    file = fdopen(*arguments)\n"
        "    class Half:\n"
        "        def write(self, content):\n"
        "            if len(content) > 200 and not os.path.exists(mark):\n"
        "                open(mark, 'w').close(); file.write(bytes(content)[:100]); file.flush(); os._exit(7)\n"
        "            file.write(content)\n"
        "        def flush(self): file.flush()\n"
        "    return Half()\n"
        "os.fdopen = opened"
    )
    reader, draws = BatchReader([table]), drawn(3)
    with closing(Readers(reader, 1, script(body))) as readers:
        assert_equal(list(readers.read(iter(draws))), reader, draws)
    assert (tmp_path / "died").exists()


def test_a_batch_that_kills_every_reader_ends_the_run(table: ShapeTable, capfd: pytest.CaptureFixture[str]) -> None:
    command = (sys.executable, "-c", "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)")
    text = r"--workers: 3 processes died .*killed by SIGKILL.*fewer --workers"
    with closing(Readers(BatchReader([table]), 2, command)) as readers, pytest.raises(RunError, match=text):
        next(readers.read(iter(drawn(4))))
    assert capfd.readouterr().err.count("another takes its place") == 2


def test_a_reader_that_cannot_start_ends_the_run(table: ShapeTable, capfd: pytest.CaptureFixture[str]) -> None:
    readers = Readers(BatchReader([table]), 1, (sys.executable, "-c", "raise SystemExit(5)"))
    with closing(readers), pytest.raises(RunError, match="ended with exit code 5"):
        next(readers.read(iter(drawn(1))))


def test_errors_arrive_as_they_were_raised(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = with_pictures(tmp_path / "t", [[png(1)], [png(2, size=16)], [b"broken"]])
    body = (
        "read = BatchReader.read\n"
        "def failing(self, draws):\n    return read(self, draws) if draws[0].view < 9 else 1 / 0\n"
        "BatchReader.read = failing"
    )
    wanted = [(1, 0, UsageError, "different sizes"), (2, 0, RunError, "row 2 cannot"), (1, 9, RunError, "a reader fai")]
    with closing(Readers(BatchReader([table]), 1, script(body))) as readers:
        for row, view, kind, text in wanted:
            with pytest.raises(kind, match=text):
                list(readers.read(iter([[Draw(0, 0, view), Draw(0, row, 0)]])))
    assert "another takes its place" not in capfd.readouterr().err


def test_one_batch_a_process_is_asked_for_ahead(table: ShapeTable) -> None:
    asked, count = 0, 2

    def counted() -> Iterator[list[Draw]]:
        nonlocal asked
        for draws in drawn(8):
            asked += 1
            yield draws

    with closing(Readers(BatchReader([table]), count)) as readers:
        for number, _ in enumerate(readers.read(counted()), start=1):
            assert asked == min(8, number + count)


def test_what_a_reader_prints_and_signals_to_all_do_not_disturb(table: ShapeTable) -> None:
    body = (
        "read = BatchReader.read\n"
        "def printed(self, draws):\n    print('noise', flush=True)\n    return read(self, draws)\n"
        "BatchReader.read = printed"
    )
    reader, draws = BatchReader([table]), drawn(6)
    with closing(Readers(reader, 1, script(body))) as readers:
        batches = readers.read(iter(draws))
        got = [next(batches)]
        (pid,) = readers.pids
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        got += batches
        assert readers.pids == [pid]
    assert_equal(got, reader, draws)


def test_readers_end_with_their_parent(table: ShapeTable) -> None:
    readers = Readers(BatchReader([table]), 1)
    batches = readers.read(iter(drawn(4)))
    next(batches)
    process = readers._readers[0].process
    assert process is not None and process.stdin is not None and process.stdout is not None
    process.stdin.close()  # as the system does when the parent dies
    process.stdout.close()
    assert process.wait(20) in (0, 1)
    readers.close()


def test_readers_do_not_load_torch(table: ShapeTable, capfd: pytest.CaptureFixture[str]) -> None:
    body = "import atexit; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))"
    readers = Readers(BatchReader([table]), 1, script(body))
    list(readers.read(iter(drawn(1))))
    process = readers._readers[0].process
    assert process is not None and process.stdin is not None
    process.stdin.close()
    process.wait(20)
    readers.close()
    assert capfd.readouterr().err.strip() == "False"
