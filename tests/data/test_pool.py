"""Worker processes: whoever dies takes one shape along, not the run."""

import os
import threading
from typing import Any

import pytest

from crosspoint3d.data import pool
from crosspoint3d.data.rows import RowSettings
from crosspoint3d.data.sources import Candidate

SETTINGS = RowSettings(points=16, views=1, image_size=16, supersample=1, up="y", seed=0)
DEADLY = {"9", "10", "33"}


def deadly_row(candidate: Candidate, settings: RowSettings) -> dict[str, Any]:
    if candidate.id in DEADLY:
        os._exit(7)
    return {"id": candidate.id, "status": "ok"}


def deadly_chunk(candidates: list[Candidate], settings: RowSettings) -> list[dict[str, Any]]:
    return [deadly_row(candidate, settings) for candidate in candidates]


def test_a_shape_that_kills_its_worker_becomes_a_failed_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_chunk", deadly_chunk)
    monkeypatch.setattr(pool, "make_row", deadly_row)
    candidates = [Candidate(str(number), "x") for number in range(50)]
    rows = list(pool.make_rows(candidates, SETTINGS, 2, threading.Event()))
    assert [row["id"] for row in rows] == [candidate.id for candidate in candidates]
    assert {row["id"] for row in rows if row["status"] != "ok"} == DEADLY
    assert all(row["status"].startswith("worker process died") for row in rows if row["status"] != "ok")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_request_leaves_the_first_rows(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_chunk", deadly_chunk)
    monkeypatch.setattr(pool, "make_row", deadly_row)
    stop = threading.Event()
    rows = []
    for row in pool.make_rows([Candidate(str(number), "x") for number in range(100, 400)], SETTINGS, workers, stop):
        rows.append(row)
        if len(rows) == 5:
            stop.set()
    assert [row["id"] for row in rows] == [str(number) for number in range(100, 100 + len(rows))]
    assert 5 <= len(rows) < 100
