import numpy as np
import pytest
import torch

from crosspoint3d.config import UsageError
from crosspoint3d.evaluation.features import subsample
from crosspoint3d.evaluation.part_predictions import STRETCH, part_probabilities, predict_parts, with_points
from crosspoint3d.models import Segmenter
from tests.evaluation.part_fakes import TABLE, ByHeight, shapes, small_segmenter


def probabilities(network: Segmenter, count: int = 5, **options: object) -> np.ndarray:
    split = shapes(count, 12, 4)
    settings = {"batch_size": 3, "device": "cpu"} | options
    batches = part_probabilities(network, split.points, split.categories, **settings)  # type: ignore[arg-type]
    return torch.cat(list(batches)).numpy()


@pytest.mark.parametrize("restrict", [True, False])
def test_probabilities_are_the_softmax_of_the_logits(restrict: bool) -> None:
    network, split = small_segmenter(), shapes(5, 12, 4)
    with torch.inference_mode():
        logits = network(torch.from_numpy(split.points), torch.from_numpy(split.categories)).double().numpy()
    if restrict:
        logits[~np.broadcast_to(TABLE.allowed()[split.categories][:, None], logits.shape)] = -np.inf
    expected = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    found = probabilities(network, restrict=restrict)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    answers = predict_parts(network, split, batch_size=3, device="cpu", restrict=restrict)
    assert answers.dtype == np.int16
    np.testing.assert_array_equal(answers, found.argmax(axis=2))


def test_restricted_answers_are_parts_of_the_category_and_free_ones_need_not_be() -> None:
    split = shapes(6, 40, 0)
    network = ByHeight(elsewhere=5.0)
    kept = predict_parts(network, split, batch_size=4, device="cpu")
    np.testing.assert_array_equal(kept, split.parts)
    free = predict_parts(network, split, batch_size=4, device="cpu", restrict=False)
    allowed = TABLE.allowed()[split.categories[:, None], free]
    assert not allowed.any()
    assert network.sizes == [4, 2, 4, 2] and not network.training


def test_equal_parts_are_answered_by_the_lower_id() -> None:
    split = shapes(3, 7, 0)
    constant = predict_parts(ByHeight(weight=0.0, elsewhere=0.0), split, batch_size=2, device="cpu")
    assert [set(row) for row in constant.tolist()] == [{0}, {1}, {2}]
    free = predict_parts(ByHeight(weight=0.0, elsewhere=0.0), split, batch_size=2, device="cpu", restrict=False)
    assert (free == 0).all()


@pytest.mark.parametrize("votes", [1, 3])
def test_the_batch_size_decides_nothing(votes: int) -> None:
    network = small_segmenter()
    one, all_at_once = (probabilities(network, 7, votes=votes, batch_size=size, seed=5) for size in (1, 7))
    np.testing.assert_allclose(one, all_at_once, atol=1e-6)
    np.testing.assert_allclose(one.sum(axis=2), 1, atol=1e-5)


def test_votes_are_means_over_the_cloud_and_stretched_copies_by_the_seed() -> None:
    network = ByHeight()
    seen: list[torch.Tensor] = []
    forward = network.forward

    def watched(points: torch.Tensor, category: torch.Tensor, generator: None = None) -> torch.Tensor:
        seen.append(points.clone())
        return forward(points, category)

    network.forward = watched  # type: ignore[method-assign]
    found = probabilities(network, 3, votes=4, seed=1)
    clouds = torch.from_numpy(shapes(3, 12, 4).points)
    factors = torch.stack(seen) / clouds
    assert torch.equal(seen[0], clouds) and len(seen) == 4
    assert (factors - factors[:, :, :1]).abs().max() < 1e-4, "one factor an axis"
    drawn = factors[1:, :, 0].reshape(-1)
    assert drawn.min() > STRETCH[0] - 1e-4 and drawn.max() < STRETCH[1] + 1e-4 and len(set(drawn.tolist())) == 27
    single = [probabilities(ByHeight(), 3)]
    for copy in seen[1:]:
        batches = part_probabilities(ByHeight(), copy.numpy(), shapes(3, 12, 4).categories, batch_size=3, device="cpu")
        single.append(torch.cat(list(batches)).numpy())
    np.testing.assert_allclose(found, np.mean(single, axis=0), atol=1e-6)
    np.testing.assert_array_equal(found, probabilities(ByHeight(), 3, votes=4, seed=1))
    assert not np.array_equal(found, probabilities(ByHeight(), 3, votes=4, seed=2))


def test_autocast_and_gradients_stay_out() -> None:
    network = small_segmenter()
    expected = probabilities(network)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(probabilities(network), expected)
    split = shapes(2, 8, 0)
    (batch,) = part_probabilities(network, split.points, split.categories, batch_size=2, device="cpu")
    assert not batch.requires_grad and batch.dtype == torch.float32


def test_refusals_name_the_cause() -> None:
    with pytest.raises(UsageError, match=r"not finite \(first: shape number 0\)"):
        probabilities(ByHeight(weight=float("nan")))
    with pytest.raises(ValueError, match="votes=0 and batch_size=3"):
        probabilities(small_segmenter(), votes=0)


def test_labels_go_with_their_points_into_a_subset() -> None:
    split = shapes(6, 30, 0)
    subset = with_points(split, 11, 4)
    np.testing.assert_array_equal(subset.points, subsample(split.points, 11, 4))
    for row in range(6):
        places = [np.flatnonzero((split.points[row] == point).all(axis=1)).item() for point in subset.points[row]]
        assert len(set(places)) == 11
        np.testing.assert_array_equal(subset.parts[row], split.parts[row, places])
    assert with_points(split, 30, 4) is split and subset.ids == split.ids
    for count in (0, 31):
        with pytest.raises(UsageError, match=f"--points {count}: the clouds have 30 points"):
            with_points(split, count, 0)
