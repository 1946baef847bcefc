import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC

from crosspoint3d.evaluation.smo import TOLERANCE, solve

MAX_ITER = 100_000


def two_classes(
    first: int, second: int, *, width: int = 6, spread: float = 1.0, scale: float = 1.0, repeats: int = 1, seed: int = 0
) -> np.ndarray:
    """Centred features, those of the first category first; each shape `repeats` times."""
    generator = np.random.default_rng(seed)
    offset = np.repeat([1.0, -1.0], [first, second])[:, None] / np.sqrt(width)
    features = np.repeat(offset + spread * generator.normal(size=(first + second, width)), repeats, axis=0)
    features -= features.mean(axis=0)
    return scale * features


def machine(gram: np.ndarray, positive: int, c: float) -> tuple[np.ndarray, float, bool]:
    coefficients, intercepts, converged, _ = solve(gram, np.arange(len(gram)), positive, np.array([c]), MAX_ITER)
    return coefficients[0], float(intercepts[0]), bool(converged[0])


def rounded(gram: np.ndarray) -> np.ndarray:
    """The products that both solvers see: float32, the diagonal aside, which enters the curvature alone."""
    return gram.astype(np.float32).astype(np.float64)


def libsvm(gram: np.ndarray, positive: int, c: float) -> tuple[np.ndarray, float]:
    """Signed coefficients and intercept; decisions are positive for the first category."""
    labels = (np.arange(len(gram)) >= positive).astype(int)
    model = SVC(kernel="precomputed", C=c, max_iter=MAX_ITER).fit(gram, labels)
    coefficients = np.zeros(len(gram))
    coefficients[model.support_] = -model.dual_coef_[0]
    return coefficients, -float(model.intercept_[0])


def targets(gram: np.ndarray, positive: int) -> np.ndarray:
    return np.where(np.arange(len(gram)) < positive, 1.0, -1.0)


def objective(gram: np.ndarray, positive: int, b: np.ndarray) -> float:
    return float(targets(gram, positive) @ b - b @ gram @ b / 2)


def inside(b: np.ndarray, c: float) -> int:
    return int(((np.abs(b) > 0) & (np.abs(b) < c)).sum())


problems = st.fixed_dictionaries(
    {
        "first": st.integers(1, 40),
        "second": st.integers(1, 40),
        "width": st.sampled_from([1, 3, 60]),
        "spread": st.sampled_from([0.1, 1.0, 5.0]),
        "repeats": st.sampled_from([1, 1, 3]),
        "seed": st.integers(0, 10**6),
    }
)


@settings(max_examples=60, deadline=None)
@given(problem=problems, exponent=st.integers(-6, 8), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_the_solution_is_optimal_within_the_tolerance(problem: dict, exponent: int, scale: float) -> None:
    features = two_classes(**problem, scale=scale)
    gram = rounded(features @ features.T)
    positive = problem["first"] * problem["repeats"]
    c = 10.0**exponent / np.trace(gram) * len(gram)
    b, _, converged = machine(gram, positive, c)
    y = targets(gram, positive)
    assert ((y * b >= 0) & (y * b <= c)).all()
    assert abs(b.sum()) <= 1e-9 * np.abs(b).sum()
    if not converged:  # overlapping and a huge C
        return
    v = y - gram @ b
    rises, falls = np.where(y > 0, b < c, b < 0), np.where(y > 0, b > 0, b > -c)
    rounding = 1e-9 * np.abs(gram).max() * np.abs(b).sum()
    assert v[rises].max() - v[falls].min() <= TOLERANCE + rounding


@settings(max_examples=60, deadline=None)
@given(problem=problems, exponent=st.integers(-6, 2), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_objective_and_decisions_are_those_of_libsvm(problem: dict, exponent: int, scale: float) -> None:
    features = two_classes(**problem, scale=scale)
    gram = rounded(features @ features.T)
    positive = problem["first"] * problem["repeats"]
    c = 10.0**exponent / np.trace(gram) * len(gram)
    b, intercept, converged = machine(gram, positive, c)
    plain, other = libsvm(gram, positive, c)
    assert converged
    # The dual is concave: what one solution can lack is bounded by its violation and the way to the other.
    bound = TOLERANCE * np.abs(b - plain).sum() / 2 + 1e-9 * np.abs(b).sum()
    assert abs(objective(gram, positive, b) - objective(gram, positive, plain)) <= bound
    assert np.abs(gram @ (b - plain)).max() < 0.03
    # Without a coefficient inside its bounds an interval of intercepts is optimal; rounding may take libsvm into it.
    if inside(b, c) == inside(plain, c):
        assert abs(intercept - other) < 0.03


@pytest.mark.parametrize("counts", [(1, 1), (1, 30), (20, 30), (5, 5)])
def test_equal_shapes_give_a_constant_answer_as_in_libsvm(counts: tuple[int, int]) -> None:
    gram = np.zeros((sum(counts), sum(counts)))
    b, intercept, converged = machine(gram, counts[0], 2.0)
    assert converged
    assert np.abs(b).sum() == pytest.approx(2 * 2.0 * min(counts))
    assert intercept == pytest.approx(libsvm(gram, counts[0], 2.0)[1])


def test_two_shapes_in_closed_form() -> None:
    gram = np.array([[4.0, -2.0], [-2.0, 1.0]])  # at 2 and -1 on a line: the normal is 2/3, the middle 1/2
    b, intercept, _ = machine(gram, 1, 10.0)
    assert b == pytest.approx([2 / 9, -2 / 9])
    assert intercept == pytest.approx(-1 / 3)
    b, intercept, _ = machine(gram, 1, 0.1)  # bounded: the intercept is in the middle of what it may be
    assert b == pytest.approx([0.1, -0.1])
    assert intercept == pytest.approx(((1 - 0.6) + (-1 + 0.3)) / 2)


def test_values_of_c_and_chosen_shapes_are_as_many_problems() -> None:
    features = two_classes(40, 50, spread=2.0)
    gram = (features @ features.T).astype(np.float32)
    generator = np.random.default_rng(1)
    chosen = np.concatenate([generator.permutation(40)[:20], 40 + generator.permutation(50)[:30]])
    cs = np.array([100.0, 0.01, 1.0])
    together = solve(gram, chosen, 20, cs, MAX_ITER)
    inner = np.ascontiguousarray(gram[np.ix_(chosen, chosen)])
    for trial, c in enumerate(cs):
        alone = solve(inner, np.arange(50), 20, np.array([c]), MAX_ITER)
        for one, other in zip(together, alone, strict=True):
            assert np.array_equal(one[trial], other[0])


def test_float32_and_float64_products_give_one_machine() -> None:
    features = two_classes(40, 50, spread=2.0)
    gram = (features @ features.T).astype(np.float32)
    found = [machine(gram.astype(kind), 40, 1.0)[0] for kind in (np.float32, np.float64)]
    assert np.array_equal(*found)


def test_it_stops_after_as_many_steps_as_allowed() -> None:
    features = two_classes(40, 50, spread=5.0)
    coefficients, _, converged, steps = solve(features @ features.T, np.arange(90), 40, np.array([1e4, 1e-9]), 50)
    assert converged.tolist() == [False, True]
    assert steps[0] == 50
    assert steps[1] < 50
    assert np.abs(coefficients[0]).sum() > 0
