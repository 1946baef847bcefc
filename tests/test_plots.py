import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.plots import COLORS, GREY, category_styles, learning_rate_figure, losses_figure, map_figure


def rows(count: int, **more: object) -> list[dict[str, object]]:
    return [
        {"step": i + 1, "loss": 5.0 + math.sin(i), "intra_modal": 2.0, "cross_modal": 3.0, "lr": 1e-3 / (i + 1)} | more
        for i in range(count)
    ]


def test_each_term_has_its_values_and_their_moving_average() -> None:
    figure = losses_figure(rows(100), batch_size=16)
    shown = {trace.name: trace for trace in figure.data if trace.showlegend is not False}
    assert list(shown) == ["total", "cloud and cloud", "cloud and picture", "a term that guesses"]
    values = [5.0 + math.sin(i) for i in range(100)]
    slow = [np.mean(values[max(0, i - 2) : i + 3]) for i in range(100)]
    np.testing.assert_allclose(shown["total"].y, slow, atol=1e-4)
    np.testing.assert_allclose(figure.data[0].y, values, atol=1e-4)
    assert set(shown["a term that guesses"].y) == {round(math.log(31), 4)}


@pytest.mark.parametrize("gone", [None, math.nan])
def test_a_term_without_values_is_left_out(gone: float | None) -> None:
    figure = losses_figure(rows(10, cross_modal=gone))
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == ["total", "cloud and cloud"]


def test_missing_values_leave_gaps_and_valid_json() -> None:
    logged = rows(120)
    logged[7]["loss"] = math.nan
    figure = losses_figure(logged)
    assert figure.data[0].y[7] is None and figure.data[1].y[7] is not None
    assert "NaN" not in figure.to_json()


def test_long_runs_are_thinned() -> None:
    figure = losses_figure(rows(20_000))
    assert len(figure.data[0].x) < 3000 and figure.data[0].x[0] == 1


def test_the_learning_rate_is_drawn_as_logged() -> None:
    figure = learning_rate_figure(rows(5))
    np.testing.assert_allclose(figure.data[0].y, [1e-3 / (i + 1) for i in range(5)], rtol=1e-4)


def test_styles_differ_and_go_to_the_most_frequent() -> None:
    names = [f"c{i:02}" for i in range(69) for _ in range(70 - i)]
    styles = category_styles([*names, None])
    assert list(styles) == [f"c{i:02}" for i in range(len(COLORS))]
    assert len({style.color for style in styles.values()}) == len(COLORS) and GREY not in COLORS


@given(st.lists(st.sampled_from([None, *(f"c{i}" for i in range(40))]), min_size=1, max_size=80))
def test_every_shape_is_on_the_map_once_with_its_category(categories: list[str | None]) -> None:
    coordinates = np.random.default_rng(0).uniform(-1, 1, (len(categories), 2))
    figure = map_figure(coordinates, categories)
    styles = category_styles(categories)
    seen = []
    for trace in figure.data:
        for row, x, y in zip(trace.customdata, trace.x, trace.y, strict=True):
            seen.append(row)
            assert (x, y) == (round(coordinates[row, 0], 4), round(coordinates[row, 1], 4))
            assert trace.name == (categories[row] if categories[row] in styles else "")
    assert sorted(seen) == list(range(len(categories)))
    low, high = figure.layout.xaxis.range
    assert low < coordinates[:, 0].min() and coordinates[:, 0].max() < high
    json.loads(figure.to_json())
