import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crosspoint3d import losses
from crosspoint3d.losses import crosspoint_loss, nt_xent, smoothed_cross_entropy


def rows(batch: int, width: int, seed: int) -> Tensor:
    return torch.randn(batch, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slow_nt_xent(a: Tensor, b: Tensor, temperature: float) -> float:
    """One anchor and one pair at a time."""
    every = [row / row.norm() for row in [*a, *b]]
    batch, total = len(a), 0.0
    for i, anchor in enumerate(every):
        others = [math.exp(float(anchor @ row) / temperature) for j, row in enumerate(every) if j != i]
        positive = math.exp(float(anchor @ every[(i + batch) % (2 * batch)]) / temperature)
        total -= math.log(positive / sum(others))
    return total / (2 * batch)


@settings(max_examples=30, deadline=None)
@given(batch=st.integers(2, 7), width=st.integers(1, 9), seed=st.integers(0, 999), temperature=st.floats(0.05, 2))
def test_nt_xent_is_the_loop(batch: int, width: int, seed: int, temperature: float) -> None:
    a, b = rows(batch, width, seed), rows(batch, width, seed + 1000)
    assert nt_xent(a, b, temperature).item() == pytest.approx(slow_nt_xent(a, b, temperature), rel=1e-9)


@pytest.mark.parametrize("batch", [2, 5, 64])
def test_all_equal_rows_give_the_log_of_the_choices(batch: int) -> None:
    same = torch.ones(batch, 8)
    assert nt_xent(same, same).item() == pytest.approx(math.log(2 * batch - 1), rel=1e-6)


def test_orthogonal_pairs_in_closed_form() -> None:
    eye = torch.eye(4)
    expected = math.log(math.exp(1 / 0.1) + 6) - 1 / 0.1
    assert nt_xent(eye, 3 * eye).item() == pytest.approx(expected, abs=1e-6)


def test_length_and_order_of_arguments_do_not_matter() -> None:
    a, b = rows(5, 7, 0), rows(5, 7, 1)
    torch.testing.assert_close(nt_xent(a, b), nt_xent(9 * b, 0.01 * a))


def test_gradient_by_finite_differences() -> None:
    a, b = rows(3, 4, 0).requires_grad_(), rows(3, 4, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.2), (a, b))


def test_half_precision_is_computed_in_float32() -> None:
    a, b = rows(16, 32, 0).bfloat16(), rows(16, 32, 1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent(a, b)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, nt_xent(a.float(), b.float()))


def test_large_and_zero_rows_stay_finite() -> None:
    a, b = 1e18 * torch.ones(3, 4), torch.zeros(3, 4)
    a.requires_grad_()
    loss = nt_xent(a, b, 0.01)
    loss.backward()
    assert loss.isfinite() and a.grad is not None and a.grad.isfinite().all()


def test_refusals_name_the_cause() -> None:
    with pytest.raises(ValueError, match="batch of 1 has no negatives"):
        nt_xent(torch.ones(1, 4), torch.ones(1, 4))
    with pytest.raises(ValueError, match=r"\(3, 4\) and b \(3, 5\)"):
        nt_xent(torch.ones(3, 4), torch.ones(3, 5))
    with pytest.raises(ValueError, match="temperature=0"):
        nt_xent(torch.ones(3, 4), torch.ones(3, 4), 0.0)


def slow_multi_positive(a: Tensor, b: Tensor, temperature: Tensor, past: Tensor) -> Tensor:
    """The docstring's formula, one anchor and one positive at a time; plain numbers of torch, for their gradient."""
    samples, pictures = b.shape[:2]
    unit = [(("a", i), a[i] / a[i].norm()) for i in range(samples)]
    unit += [(("b", i), b[i, v] / b[i, v].norm()) for i in range(samples) for v in range(pictures)]
    old = [row / row.norm() for row in past]

    def mean_over(kind: str) -> Tensor:
        terms = []
        for place, ((own, sample), anchor) in enumerate(unit):
            if own != kind:
                continue
            mine = [row for other, ((name, i), row) in enumerate(unit) if other != place and (name, i) != (own, sample)]
            whole = torch.stack([(anchor @ row / temperature).exp() for row in [*mine, *old]]).sum()
            for (name, i), positive in unit:
                if name != own and i == sample:
                    terms.append(-((anchor @ positive / temperature).exp() / whole).log())
        return torch.stack(terms).mean()

    return (mean_over("a") + mean_over("b")) / 2


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(2, 6),
    pictures=st.integers(1, 4),
    queued=st.integers(0, 5),
    width=st.integers(1, 6),
    seed=st.integers(0, 999),
    temperature=st.floats(0.1, 2),
)
@pytest.mark.parametrize("at_once", [losses.MOST_ROWS_AT_ONCE, 0])
def test_several_positives_and_a_queue_are_the_loop(
    at_once: int, batch: int, pictures: int, queued: int, width: int, seed: int, temperature: float
) -> None:
    a, b = rows(batch, width, seed), rows(batch * pictures, width, seed + 1000).unflatten(0, (batch, pictures))
    past = rows(queued, width, seed + 2000)
    leaves = [part.requires_grad_() for part in (a, b, torch.tensor(temperature, dtype=torch.float64))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "MOST_ROWS_AT_ONCE", at_once)
        loss = nt_xent(*leaves, past if queued else None)
        gradients = torch.autograd.grad(3 * loss, leaves)
    expected = slow_multi_positive(*leaves, past)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-10)
    wanted = torch.autograd.grad(3 * expected, leaves)
    torch.testing.assert_close(gradients, wanted, rtol=1e-7, atol=1e-9)


def test_one_of_several_positives_is_the_plain_loss() -> None:
    a, b, past = rows(5, 7, 0), rows(5, 7, 1), rows(9, 7, 2)
    for others in (None, past):
        assert torch.equal(nt_xent(a, b[:, None], 0.2, others), nt_xent(a, b, 0.2, others))
    assert nt_xent(a, b, 0.2).item() == pytest.approx(slow_nt_xent(a, b, 0.2), rel=1e-9)


def test_equal_positives_and_their_order_change_little_and_nothing() -> None:
    a, b = rows(4, 6, 0), rows(12, 6, 1).unflatten(0, (4, 3))
    torch.testing.assert_close(nt_xent(a, b), nt_xent(a, b[:, [2, 0, 1]]))
    eye = torch.eye(4, dtype=torch.float64)
    # Orthogonal samples, V equal pictures: a cloud has V choices that fit and 3 (1 + V) that do not, a picture one.
    for pictures in (1, 2, 4):
        fits = math.exp(1 / 0.1)
        expected = (math.log(pictures * fits + 3 + 3 * pictures) + math.log(fits + 3 + 3 * pictures)) / 2 - 1 / 0.1
        assert nt_xent(eye, eye[:, None].expand(4, pictures, 4)).item() == pytest.approx(expected, abs=1e-9)


def test_a_queue_counts_as_negatives_of_every_anchor_and_gets_no_gradient() -> None:
    eye, past = torch.eye(5, dtype=torch.float64)[:3], torch.eye(5, dtype=torch.float64)[3:].requires_grad_()
    eye.requires_grad_()
    loss = nt_xent(eye, eye, 0.1, 7 * past)
    assert loss.item() == pytest.approx(math.log(math.exp(1 / 0.1) + 4 + 2) - 1 / 0.1, abs=1e-9)
    loss.backward()
    assert past.grad is None and eye.grad is not None


@pytest.mark.parametrize("at_once", [losses.MOST_ROWS_AT_ONCE, 0])
def test_gradient_of_a_learned_temperature_by_finite_differences(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MOST_ROWS_AT_ONCE", at_once)
    one, two, past = rows(3, 4, 0).requires_grad_(), rows(3, 4, 1).requires_grad_(), rows(5, 4, 4)
    image, temperature = rows(6, 4, 2).unflatten(0, (3, 2)).requires_grad_(), torch.tensor(0.3, dtype=torch.float64)

    def total(one: Tensor, two: Tensor, image: Tensor, temperature: Tensor) -> Tensor:
        queue = (past[:2], past[2:4], past[:4].unflatten(0, (2, 2)))
        return crosspoint_loss(one, two, image, temperature=temperature, cross_weight=0.5, past=queue).total

    assert torch.autograd.gradcheck(total, (one, two, image, temperature.requires_grad_()))


def test_a_temperature_as_a_tensor_is_the_number() -> None:
    one, two, image = rows(4, 6, 0), rows(4, 6, 1), rows(8, 6, 2).unflatten(0, (4, 2))
    heat = torch.tensor(0.25, dtype=torch.float64)  # a power of two: divisions are exact
    number, tensor = (crosspoint_loss(one, two, image, temperature=value) for value in (0.25, heat))
    torch.testing.assert_close(number, tensor, rtol=0, atol=0)


@pytest.mark.parametrize("pictures", [1, 3])
def test_crosspoint_loss_takes_the_queue_of_each_term(pictures: int) -> None:
    one, two, image = rows(4, 6, 0), rows(4, 6, 1), rows(4 * pictures, 6, 2).unflatten(0, (4, pictures))
    old_one, old_two, old = rows(5, 6, 3), rows(5, 6, 4), rows(5 * pictures, 6, 5).unflatten(0, (5, pictures))
    loss = crosspoint_loss(one, two, image, temperature=0.2, past=(old_one, old_two, old))
    heat = torch.tensor(0.2, dtype=torch.float64)
    clouds = torch.cat([old_one, old_two])
    torch.testing.assert_close(loss.intra_modal, slow_multi_positive(one, two[:, None], heat, clouds))
    mixed = torch.cat([(old_one + old_two) / 2, old.flatten(0, 1)])
    torch.testing.assert_close(loss.cross_modal, slow_multi_positive((one + two) / 2, image, heat, mixed))
    alone = crosspoint_loss(one, two, None, temperature=0.2, cross_weight=0.0, past=(old_one, old_two, None))
    torch.testing.assert_close(alone.total, loss.intra_modal)


def test_shapes_of_several_positives_are_checked() -> None:
    with pytest.raises(ValueError, match=r"a has shape \(3, 4\) and b \(2, 5, 4\); .* \(B, V, D\)"):
        nt_xent(torch.ones(3, 4), torch.ones(2, 5, 4))
    with pytest.raises(ValueError, match=r"b \(3, 0, 4\)"):
        nt_xent(torch.ones(3, 4), torch.ones(3, 0, 4))


def test_crosspoint_loss_uses_the_mean_of_unnormalised_projections() -> None:
    one, two, image = rows(4, 6, 0), 5 * rows(4, 6, 1), rows(4, 6, 2)
    loss = crosspoint_loss(one, two, image, temperature=0.2, intra_weight=2.0, cross_weight=0.5)
    assert loss.intra_modal.item() == pytest.approx(slow_nt_xent(one, two, 0.2))
    assert loss.cross_modal.item() == pytest.approx(slow_nt_xent((one + two) / 2, image, 0.2))
    torch.testing.assert_close(loss.total, 2 * loss.intra_modal + 0.5 * loss.cross_modal)


@pytest.mark.parametrize(("intra", "cross"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_term_of_weight_zero_is_reported_without_gradient(intra: float, cross: float) -> None:
    one, two, image = (rows(4, 6, seed).requires_grad_() for seed in range(3))
    loss = crosspoint_loss(one, two, image, intra_weight=intra, cross_weight=cross)
    both = crosspoint_loss(one, two, image)
    torch.testing.assert_close(loss.intra_modal, both.intra_modal)
    torch.testing.assert_close(loss.cross_modal, both.cross_modal)
    kept, silent = (loss.cross_modal, loss.intra_modal) if cross else (loss.intra_modal, loss.cross_modal)
    assert kept.requires_grad and not silent.requires_grad
    loss.total.backward()
    assert (image.grad is None) == (cross == 0)


def test_without_pictures() -> None:
    one, two = rows(4, 6, 0), rows(4, 6, 1)
    loss = crosspoint_loss(one, two, None, cross_weight=0.0)
    assert loss.cross_modal.isnan() and torch.equal(loss.total, loss.intra_modal)
    with pytest.raises(ValueError, match="needs image projections"):
        crosspoint_loss(one, two, None)


@pytest.mark.parametrize(("intra", "cross"), [(0.0, 0.0), (-1.0, 2.0)])
def test_weights_that_make_no_loss(intra: float, cross: float) -> None:
    one = rows(4, 6, 0)
    with pytest.raises(ValueError, match=f"intra_weight={intra} and cross_weight={cross}"):
        crosspoint_loss(one, one, one, intra_weight=intra, cross_weight=cross)


def slow_smoothed(logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None) -> float:
    """One item and one label at a time, as the published code spells it: a full distribution over the labels."""
    total = mass = 0.0
    count = logits.shape[-1]
    for row, label in zip(logits.reshape(-1, count), labels.reshape(-1).tolist(), strict=True):
        whole = sum(math.exp(value) for value in row.tolist())
        weight = 1.0 if weights is None else float(weights[label])
        for c, value in enumerate(row.tolist()):
            wanted = 1 - smoothing if c == label else smoothing / (count - 1)
            total -= weight * wanted * math.log(math.exp(value) / whole)
        mass += weight
    return total / mass


@settings(max_examples=30, deadline=None)
@given(
    items=st.sampled_from([(1,), (5,), (2, 4), (2, 1, 3)]),
    count=st.integers(2, 9),
    smoothing=st.floats(0, 0.99),
    weighted=st.booleans(),
    seed=st.integers(0, 999),
)
def test_smoothed_cross_entropy_is_the_loop(
    items: tuple[int, ...], count: int, smoothing: float, weighted: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(*items, count, dtype=torch.float64, generator=generator)
    labels = torch.randint(count, items, generator=generator)
    weights = torch.rand(count, dtype=torch.float64, generator=generator) + 0.1 if weighted else None
    expected = slow_smoothed(logits, labels, smoothing, weights)
    assert smoothed_cross_entropy(logits, labels, smoothing, weights).item() == pytest.approx(expected, rel=1e-9)


def test_smoothed_cross_entropy_without_smoothing_is_cross_entropy() -> None:
    logits, labels = 5 * rows(8, 4, 0), torch.arange(8) % 4
    weights = torch.tensor([0.5, 2.0, 1.0, 0.1], dtype=torch.float64)
    for given_weights in (None, weights):
        expected = torch.nn.functional.cross_entropy(logits, labels, given_weights)
        torch.testing.assert_close(smoothed_cross_entropy(logits, labels, 0.0, given_weights), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_smoothed_cross_entropy_is_probability_less_the_wanted_one(weighted: bool) -> None:
    logits, labels = (2 * rows(6, 5, 3)).reshape(2, 3, 5).requires_grad_(), torch.tensor([[0, 1, 4], [2, 2, 3]])
    weights = torch.tensor([1.0, 0.2, 3.0, 0.5, 2.0], dtype=torch.float64) if weighted else None
    smoothed_cross_entropy(logits, labels, 0.2, weights).backward()
    wanted = torch.full((2, 3, 5), 0.2 / 4, dtype=torch.float64).scatter(2, labels[..., None], 0.8)
    shares = torch.ones(2, 3, dtype=torch.float64) if weights is None else weights[labels]
    expected = (logits.detach().softmax(2) - wanted) * (shares / shares.sum())[..., None]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, expected)
    assert torch.autograd.gradcheck(lambda z: smoothed_cross_entropy(z, labels, 0.2, weights), (logits,))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_only_allowed_labels_compete(smoothing: float) -> None:
    logits = (3 * rows(4, 6, 5)).requires_grad_()
    allowed = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]]).bool()
    labels = torch.tensor([1, 2, 4, 5])
    loss = smoothed_cross_entropy(logits, labels, smoothing, allowed=allowed)
    alone = [
        smoothed_cross_entropy(row[mine][None], mine.nonzero()[:, 0].eq(label).nonzero()[0], smoothing)
        for row, mine, label in zip(logits[:3], allowed[:3], labels[:3], strict=True)
    ]
    torch.testing.assert_close(loss, torch.stack(alone).sum() / 4)  # the fourth has a single label: no loss
    loss.backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    assert not logits.grad[~allowed].any() and not logits.grad[3].any() and logits.grad[:3].any()


def test_smoothed_cross_entropy_is_float32_under_autocast_and_bears_large_logits() -> None:
    logits, labels = (10 * rows(64, 50, 1)).bfloat16(), torch.arange(64) % 50
    weights = torch.linspace(0.5, 2, 50)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = smoothed_cross_entropy(logits, labels, 0.2, weights)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, smoothed_cross_entropy(logits.float(), labels, 0.2, weights))
    huge = 1e30 * torch.eye(4).requires_grad_()
    smoothed_cross_entropy(huge, torch.arange(4)).backward()
    assert smoothed_cross_entropy(huge, torch.arange(4)).isfinite()


def test_smoothed_cross_entropy_refusals_name_the_cause() -> None:
    some = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"\(3, 1\); it needs one item and two labels"):
        smoothed_cross_entropy(torch.ones(3, 1), some)
    with pytest.raises(ValueError, match=r"\(0, 4\); it needs one item"):
        smoothed_cross_entropy(torch.ones(0, 4), some[:0])
    with pytest.raises(ValueError, match=r"smoothing=1.0 must be from 0 to below 1"):
        smoothed_cross_entropy(torch.ones(3, 4), some, 1.0)
