"""The collapse alarm: set off by rows that stay collapsed, by nothing else, and the same after a resume."""

from typing import Any

import numpy as np
import pytest

from crosspoint3d.training.collapse import LEAST_STEPS, PATIENCE, CollapseAlarm

HEALTHY = {"cloud_effective_rank": 9.0, "intra_negative_cosine": 0.1, "image_effective_rank": 8.0}
HEALTHY |= {"cross_negative_cosine": 0.0}


def rows(count: int, **changes: float) -> list[dict[str, Any]]:
    return [HEALTHY | changes | {"step": step} for step in range(1, count + 1)]


@pytest.mark.parametrize(
    ("changes", "shapes"),
    [
        ({"cloud_effective_rank": 1.2}, "clouds"),
        ({"intra_negative_cosine": 0.99}, "clouds"),
        ({"image_effective_rank": 0.0}, "pictures"),
        ({"cross_negative_cosine": 0.97}, "pictures"),
    ],
)
def test_it_goes_off_once_after_warm_up_and_patience(changes: dict[str, float], shapes: str) -> None:
    alarm = CollapseAlarm(most_rank=16, after=100)
    fired = [row["step"] for row in rows(300, **changes) if alarm.see(row)]
    assert fired == [100 + PATIENCE]
    assert f"projections of {shapes}" in alarm.note and f"step {fired[0]}" in alarm.note and "--lr" in alarm.note


def test_healthy_rows_old_rows_and_early_rows_leave_it_quiet() -> None:
    alarm = CollapseAlarm(most_rank=16, after=0)
    collapsed = rows(LEAST_STEPS, cloud_effective_rank=1.0, intra_negative_cosine=1.0)
    old = [{"step": step, "loss": 1.0} for step in range(LEAST_STEPS, 200)]
    later = [row for row in rows(400) if row["step"] >= 200]
    assert not any(alarm.see(row) for row in collapsed + old + later)
    assert alarm.note == ""


def test_one_good_row_starts_the_count_again() -> None:
    alarm = CollapseAlarm(most_rank=16, after=0)
    for row in rows(1000):
        bad = row["step"] % PATIENCE
        assert not alarm.see(row | ({"cloud_effective_rank": 1.0} if bad else {}))


def test_a_run_without_pictures_is_judged_by_its_clouds() -> None:
    alarm = CollapseAlarm(most_rank=16, after=0)
    only = [
        {name: value for name, value in row.items() if "image" not in name and "cross" not in name} for row in rows(200)
    ]
    assert not any(alarm.see(row) for row in only)
    assert any(alarm.see(row | {"cloud_effective_rank": 1.0}) for row in only)


def test_a_resumed_run_is_where_it_was() -> None:
    generator = np.random.default_rng(0)
    seen = [row | {"cloud_effective_rank": float(generator.uniform(1, 4.05))} for row in rows(200)]
    whole, resumed = CollapseAlarm(16, 0), CollapseAlarm(16, 0)
    fired = [whole.see(row) for row in seen]
    for cut in (10, LEAST_STEPS + 5, 150):
        resumed = CollapseAlarm(16, 0)
        for row in seen[:cut]:
            resumed.see(row)
        assert [resumed.see(row) for row in seen[cut:]] == fired[cut:]
        assert resumed.note == whole.note


@pytest.mark.parametrize("batch", [2, 4, 32, 512])
def test_the_bound_lies_between_one_direction_and_all(batch: int) -> None:
    assert 1 < CollapseAlarm(most_rank=batch, after=0).bound < batch / 2 + 1
