"""Curves beside the losses: as logged, left out where nothing was, and on the page."""

import json
import math
from pathlib import Path
from typing import Any

from crosspoint3d.config import ReportConfig
from crosspoint3d.report.pretrained_page import pretrained_page
from crosspoint3d.report.run_curves import run_curves
from tests.report.fake_run import write_run


def rows(count: int) -> list[dict[str, Any]]:
    """Similarities in every row, a probe in every tenth."""
    found: list[dict[str, Any]] = []
    for step in range(1, count + 1):
        row = {"step": step, "epoch": 0, "loss": 4.0, "intra_modal": 2.0, "cross_modal": 2.0, "lr": 1e-3}
        row |= {"pairs_per_s": 9.0, "intra_positive_cosine": step / count, "intra_negative_cosine": 0.25}
        row |= {"cloud_effective_rank": 3.0 + step, "image_effective_rank": math.nan}
        found.append(row | ({"probe_recall@1": 0.5} if step % 10 == 0 else {}))
    return found


def test_lines_are_what_was_logged() -> None:
    similarity, rank, probe = run_curves(rows(40))
    assert [curve.id for curve in (similarity, rank, probe)] == ["plot-similarity", "plot-rank", "plot-probe"]
    assert [line.name for line in similarity.figure.data] == ["two clouds of a shape", "clouds of different shapes"]
    assert list(similarity.figure.data[0].y) == [round(step / 40, 4) for step in range(1, 41)]
    assert [line.name for line in rank.figure.data] == ["clouds"]  # pictures have no finite value
    assert (list(probe.figure.data[0].x), list(probe.figure.data[0].y)) == ([10, 20, 30, 40], [0.5] * 4)


def test_long_runs_are_thinned() -> None:
    similarity, *_ = run_curves(rows(6000))
    assert len(similarity.figure.data[0].x) == 1500


def test_older_runs_have_none() -> None:
    assert run_curves([{"step": 1, "loss": 3.0}]) == []


def test_the_page_draws_them_and_says_what_the_alarm_found(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", None)
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(30)))
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"collapse": "collapse: at step <9>"}))
    page = pretrained_page(ReportConfig(run=run, device="cpu")).html
    for name in ("plot-similarity", "plot-rank", "plot-probe"):
        assert f'id="{name}"' in page and f'"{name}"' in page.split('id="data-charts"')[1]
    assert "collapse: at step &lt;9&gt;" in page
