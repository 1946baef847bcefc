"""The learning rate of a step."""

import math


def learning_rate(step: int, total: int, *, peak: float, warmup: float, floor: float = 0.0) -> float:
    """Linear warm-up, then half a cosine towards `floor * peak` (Loshchilov and Hutter, arXiv 1608.03983).

    Args:
        step: steps done so far, 0 to `total - 1`.
        total: steps of the whole training.
        peak: learning rate at the end of the warm-up.
        warmup: share of the steps in which the rate rises; the first step already moves.
        floor: share of the peak that the cosine falls towards, 0 to 1.

    Returns:
        The rate of this step; above zero for every one of the `total` steps.
    """
    rise = math.ceil(warmup * total)
    if step < rise:
        return peak * (step + 1) / (rise + 1)
    fall = 0.5 * (1 + math.cos(math.pi * (step - rise) / max(total - rise, 1)))
    return peak * (floor + (1 - floor) * fall)
