import pytest
import torch

from crosspoint3d.ops import EdgeConv, knn
from crosspoint3d.ops.checks import check_graph, debug_checks


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_debug_mode_names_sample_and_point(bad: float) -> None:
    points = torch.randn(3, 20, 3, generator=torch.Generator().manual_seed(0))
    indices = knn(points, 4)
    points[1, 7, 2] = bad
    with debug_checks():
        with pytest.raises(ValueError, match=r"knn: sample 1 .* at point 7"):
            knn(points, 4)
        with pytest.raises(ValueError, match=r"EdgeConv: sample 1 .* at point 7"):
            EdgeConv(3, 8)(points, indices)
        with debug_checks(False):
            knn(points, 4)
    knn(points, 4)


@pytest.mark.parametrize("bad", [-1, 20])
def test_an_index_out_of_range_is_named(bad: int) -> None:
    points = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0))
    indices = knn(points, 4)
    indices[1, 3, 2] = bad
    with pytest.raises(ValueError, match=f"EdgeConv: index {bad} must be between 0 and 19"):
        EdgeConv(3, 8)(points, indices)


def test_neighbours_of_other_points_are_refused() -> None:
    points = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0))
    indices = knn(points, 4)
    with pytest.raises(ValueError, match=r"EdgeConv: indices \(1, 20, 4\) do not belong to points \(2, 20, 3\)"):
        check_graph("EdgeConv", points, indices[:1])
    with pytest.raises(ValueError, match=r"indices \(2, 10, 4\)"):
        check_graph("EdgeConv", points, indices[:, :10])


def test_devices_must_agree() -> None:
    points = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="points are on cpu, indices on meta; move them to one device"):
        EdgeConv(3, 8)(points, knn(points, 4).to("meta"))


def test_no_neighbours_at_all_are_refused() -> None:
    points = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"indices \(2, 10, 0\) name no neighbours; k must be at least 1"):
        EdgeConv(3, 8).eval()(points, torch.zeros(2, 10, 0, dtype=torch.int64))
