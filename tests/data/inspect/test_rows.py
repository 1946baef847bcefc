"""Groups of equal values against the plain definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crosspoint3d.data.inspect.rows import repeated


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(0, 2**20))
def test_groups_are_those_of_a_dictionary(values: list[int], seed: int) -> None:
    among = np.flatnonzero(np.random.default_rng(seed).random(len(values)) < 0.8)
    groups: dict[int, list[int]] = {}
    for row in among.tolist():
        if values[row]:
            groups.setdefault(values[row], []).append(row)
    expected = [rows for rows in groups.values() if len(rows) > 1]
    assert [group.tolist() for group in repeated(np.array(values, dtype=np.uint64), among)] == expected
