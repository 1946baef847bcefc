"""Sequential minimal optimisation of one binary support vector machine, compiled.

Solves what libsvm solves, to the same tolerance, from the same start, by the rule WSS 2 of Fan, Chen and Lin, "Working
set selection using second order information for training support vector machines" (JMLR 6, 2005), without shrinking.

The dual is written in signed coefficients b, one a shape: maximise sum_k y_k b_k - b' K b / 2, where sum_k b_k = 0 and
y_k b_k is in [0, C]. Its gradient v_k = y_k - (K b)_k is the target less the decision before the intercept. At the
optimum no shape whose b may rise has a larger v than one whose b may fall; a step moves b from one to another such.

Axis letters: N shapes of the Gram matrix, S shapes of the problem, M values of C.
"""

from typing import no_type_check

import numpy as np

from crosspoint3d.compiled import njit_cached

TOLERANCE = 1e-3
"""The largest violation of the optimum, as `SVC` has it."""
CURVATURE = 1e-12
"""Least curvature along a step: equal shapes have none."""
NEVER = -np.inf
BITS = np.int64(2**63 - 1)
compiled = njit_cached()


@compiled
@no_type_check
def solve(gram, shapes, positive, costs, max_iter):
    """Machines of one pair of categories, one for each C.

    Args:
        gram: (N, N) products of all shapes with each other, float32 or float64.
        shapes: (S,) which of them take part, those of the first category first.
        positive: how many belong to the first category.
        costs: (M,) values of C.
        max_iter: steps after which to stop in any case.

    Returns:
        Signed coefficients (M, S) float64; intercepts (M,): a decision is `coefficients @ products + intercept`, for
        the first category where it is positive; whether each came to an end (M,); steps taken (M,).
    """
    n = len(shapes)
    coefficients, intercepts = np.zeros((len(costs), n)), np.empty(len(costs))
    converged, steps = np.zeros(len(costs), np.bool_), np.zeros(len(costs), np.int64)
    # Rows are filled when first needed: few shapes of a pair ever are.
    rows, inverses, known = np.empty((n, n), np.float32), np.empty((n, n), np.float32), np.zeros(n, np.bool_)
    diagonal = np.empty(n)
    for k in range(n):
        diagonal[k] = gram[shapes[k], shapes[k]]
    low, high = np.zeros(n), np.zeros(n)
    v, gains, rise, fall = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for trial in range(len(costs)):
        b = coefficients[trial]
        low[positive:], high[:positive] = -costs[trial], costs[trial]
        v[:positive], v[positive:] = 1, -1
        rise[:positive], rise[positive:] = 0, NEVER
        fall[:positive], fall[positive:] = NEVER, 0
        largest = _largest_sum(v, rise)
        while True:
            i = _last_sum(v, rise, largest)
            _fill(gram, shapes, diagonal, i, rows, inverses, known)
            violation, best = _gains(v, fall, inverses[i], largest, gains)
            converged[trial] = violation < TOLERANCE
            if converged[trial] or steps[trial] >= max_iter:
                break
            j = _last(gains, best)
            _fill(gram, shapes, diagonal, j, rows, inverses, known)
            curvature = max(diagonal[i] + diagonal[j] - 2 * np.float64(rows[i, j]), CURVATURE)
            room_i, room_j = high[i] - b[i], b[j] - low[j]
            step, both = min((v[i] - v[j]) / curvature, room_i, room_j), b[i] + b[j]
            if step == room_i:
                b[i], b[j] = high[i], max(both - high[i], low[j])
            elif step == room_j:
                b[i], b[j] = min(both - low[j], high[i]), low[j]
            else:
                b[i], b[j] = b[i] + step, b[j] - step
            for k in (i, j):
                rise[k] = 0 if b[k] < high[k] else NEVER
                fall[k] = 0 if b[k] > low[k] else NEVER
            largest = _move(v, rise, rows[i], rows[j], step)
            steps[trial] += 1
        intercepts[trial] = _intercept(v, rise, fall, largest)
    return coefficients, intercepts, converged, steps


@compiled
@no_type_check
def _fill(gram, shapes, diagonal, i, rows, inverses, known):
    if not known[i]:
        source, row, inverse = gram[shapes[i]], rows[i], inverses[i]
        for k in range(len(shapes)):
            row[k] = source[shapes[k]]
        for k in range(len(shapes)):
            curvature = diagonal[i] + diagonal[k] - 2 * np.float64(row[k])
            inverse[k] = 1 / (curvature if curvature > CURVATURE else CURVATURE)
        known[i] = True


@compiled
@no_type_check
def _intercept(v, rise, fall, largest):
    count, total, smallest = 0, 0.0, -NEVER
    for k in range(len(v)):
        smallest = min(smallest, v[k] - fall[k])
        if rise[k] == 0 and fall[k] == 0:
            count += 1
            total += v[k]
    return total / count if count else (largest + smallest) / 2


# Maxima are taken over the bits of the numbers, as integers in the same order: LLVM runs those over vectors, but not
# maxima of floats. Of equals the last is found, as in libsvm, so that both take the same steps.


@compiled
@no_type_check
def _largest_sum(v, rise):
    still = np.zeros(len(v), np.float32)
    return _move(v, rise, still, still, 0.0)


@compiled
@no_type_check
def _move(v, rise, row_i, row_j, step):
    most = -BITS
    for k in range(len(v)):
        v[k] -= step * (np.float64(row_i[k]) - np.float64(row_j[k]))
        bits = np.float64(v[k] + rise[k]).view(np.int64)
        most = max(most, bits ^ (bits >> 63 & BITS))
    return np.int64(most ^ (most >> 63 & BITS)).view(np.float64)


@compiled
@no_type_check
def _gains(v, fall, inverse, largest, gains):
    furthest, best = np.int64(0), np.int64(0)
    for k in range(len(v)):
        difference = largest - v[k] + fall[k]
        difference = difference if difference > 0 else 0.0
        gains[k] = difference * difference * np.float64(inverse[k])
        furthest = max(furthest, np.float64(difference).view(np.int64))
        best = max(best, np.float64(gains[k]).view(np.int64))
    return np.int64(furthest).view(np.float64), np.int64(best).view(np.float64)


@compiled
@no_type_check
def _last(values, value):
    found = -1
    for k in range(len(values)):
        found = max(found, k if values[k] == value else -1)
    return found


@compiled
@no_type_check
def _last_sum(v, rise, value):
    found = -1
    for k in range(len(v)):
        found = max(found, k if v[k] + rise[k] == value else -1)
    return found
