import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosspoint3d.plots_evaluation import Line, categories_figure, confusion_figure, curve_figure, shortened

COUNTS = np.array([[8, 2, 0], [0, 5, 0], [3, 0, 0]])


def test_the_matrix_is_blue_where_right_orange_where_not_and_empty_where_never() -> None:
    figure = confusion_figure(COUNTS, ["a", "b", "c"], [2, 0, 1])
    (heatmap,) = figure.data
    assert [list(row) for row in heatmap.z] == [[0.0, -1.0, None], [None, 0.8, -0.2], [None, None, 1.0]]
    assert list(heatmap.text[0]) == ["c right<br>0 of 3 (0.0 %)", "c taken for a<br>3 of 3 (100.0 %)", ""]
    assert heatmap.text[1][2] == "a taken for b<br>2 of 10 (20.0 %)"
    assert list(figure.layout.xaxis.ticktext) == list(figure.layout.yaxis.ticktext) == ["c", "a", "b"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1], "the first category is at the top"
    json.loads(figure.to_json())


@settings(max_examples=30)
@given(st.integers(1, 90), st.integers(0, 1000))
def test_every_shape_is_in_the_matrix_once(categories: int, seed: int) -> None:
    counts = np.random.default_rng(seed).poisson(0.3, (categories, categories)).astype(np.int64)
    order = list(range(categories))[::-1]
    figure = confusion_figure(counts, [f"name {i}" for i in order], order)
    rows = np.array([[0.0 if value is None else abs(value) for value in row] for row in figure.data[0].z])
    present = counts[order].sum(axis=1) > 0
    np.testing.assert_allclose(rows.sum(axis=1), present, atol=0.001 * categories)


def test_categories_go_from_hard_to_easy_with_a_stem_between_the_encoders() -> None:
    figure = categories_figure(
        ["a", "b", "c", "d"], [0.5, None, 0.25, 1.0], [0.75, None, None, 0.5], [4.0, 0.0, 8.0, 2.5]
    )
    stems, grey, blue = figure.data
    assert list(figure.layout.xaxis.ticktext) == ["c", "a", "d"]
    assert list(blue.y) == [25.0, 50.0, 100.0] and list(grey.y) == [None, 75.0, 50.0]
    assert list(stems.y) == [25.0, None, None, 50.0, 75.0, None, 100.0, 50.0, None]
    assert blue.text[:2] == ("c: 25.0 % of 8", "a: 50.0 % of 4<br>untrained 75.0 %")
    assert blue.text[2] == grey.text[2] == "d: 100.0 % of 2.5<br>untrained 50.0 %"
    many = categories_figure([f"c{i}" for i in range(200)], [i / 200 for i in range(200)], [None] * 200, [1.0] * 200)
    assert many.data[2].text[0] == "c0: 0.0 % of 1" and len(many.data[2].y) == 80


def test_a_curve_has_intervals_chance_and_clean_lines() -> None:
    figure = curve_figure(
        [1, 10, 100], Line([0.5, None, 0.9], [0.1, 0.0, 0.05]), Line([0.4, 0.5, 0.6], [0.0] * 3),
        chance=[0.1, 0.1, 0.1], clean=(0.95, None), log=True,
    )  # fmt: skip
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces) == ["clean", "chance", "untrained", "trained"]
    assert list(traces["trained"].y) == [50.0, None, 90.0]
    assert list(traces["trained"].error_y.array) == [10.0, 0.0, 5.0]
    assert list(traces["chance"].y) == [10.0, 10.0] and list(traces["clean"].y) == [95.0, 95.0]
    assert figure.layout.xaxis.type == "log"
    low, high = figure.layout.xaxis.range
    assert low < 0 and high > 2 and traces["clean"].x == pytest.approx((10**low, 10**high))
    json.loads(figure.to_json())


def test_levels_may_fall_be_names_be_alone_or_begin_at_zero() -> None:
    line = Line([0.5, 0.4, 0.3], [0.0] * 3)
    low, high = curve_figure([1024, 512, 64], line, log=True).layout.xaxis.range
    assert low > high, "damage grows to the right"
    named = curve_figure(["none", "z", "all"], line)
    assert list(named.layout.xaxis.ticktext) == ["none", "z", "all"] and list(named.data[0].x) == [0, 1, 2]
    assert curve_figure([0, 1, 2], line, log=True).layout.xaxis.type == "linear"
    alone = curve_figure([5], Line([0.5], [0.0]), chance=[None])
    assert alone.layout.xaxis.range[0] < 5 < alone.layout.xaxis.range[1] and len(alone.data) == 1
    varying = curve_figure([1, 2, 3], line, chance=[0.1, 0.2, None])
    assert list(varying.data[0].y) == [10.0, 20.0, None]


@given(st.lists(st.floats(0, 1000).map(lambda x: round(x, 2)), min_size=1, max_size=12, unique=True).map(sorted))
def test_labels_on_the_axis_do_not_run_into_each_other(levels: list[float]) -> None:
    figure = curve_figure(levels, Line([0.5] * len(levels), [0.0] * len(levels)), pixels=170)
    low, high = figure.layout.xaxis.range
    texts = list(figure.layout.xaxis.ticktext)
    assert texts[-1] == f"{levels[-1]:g}" and len(texts) == len(levels)
    ends = [
        (170 * (level - low) / (high - low) - 4 * len(text), 170 * (level - low) / (high - low) + 4 * len(text))
        for level, text in zip(levels, texts, strict=True)
        if text
    ]
    assert all(right <= left for (_, right), (left, _) in pairwise(ends))
    assert all(math.isfinite(place) for end in ends for place in end)


def test_long_names_are_shortened() -> None:
    assert shortened("short") == "short"
    assert len(shortened("x" * 60)) == 22 and shortened("x" * 60).endswith("…")
