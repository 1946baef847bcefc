"""The collapse alarm: projections that no longer tell shapes apart, told from what a run has logged.

A contrastive run can fail without an error: all shapes fall on one point of the joint space, or on a few directions
of it (Jing et al., arXiv 2110.09348). The loss then stays near ln(2B - 1), which looks like a slow start.
"""

import math
from typing import Any

PATIENCE = 20
"""Logged steps in a row that must look collapsed."""
LEAST_STEPS = 50
"""Steps at least before the first one that counts: networks as they are drawn put all shapes close together."""
MOST_COSINE = 0.95
"""Mean cosine of different shapes above which they count as one."""
_KINDS = {"cloud": ("clouds", "intra_negative_cosine"), "image": ("pictures", "cross_negative_cosine")}


class CollapseAlarm:
    """Watches logged rows; its `note` is filled once, after `PATIENCE` rows in a row that look collapsed.

    A row looks collapsed when the mean cosine of different shapes is above `MOST_COSINE`, or the effective rank below
    the square root of what it can be: 4 for a batch of 16, where runs that learn have 10 to 12 and one that a learning
    rate of 1 ruined has 3. A function of the rows alone: a resumed run shows it the rows before and is where it was.

    Args:
        most_rank: the highest effective rank that a row can have: the least of the shapes looked at, the width of the
            joint space and the widths before it.
        after: steps that are not judged: warm-up, and 50 at least.
    """

    def __init__(self, most_rank: int, after: int) -> None:
        self.bound = math.sqrt(most_rank)
        self.after = max(after, LEAST_STEPS)
        self.note = ""
        self._seen = dict.fromkeys(_KINDS, 0)

    def see(self, row: dict[str, Any]) -> bool:
        """Look at one row of metrics.jsonl; True when it sets the alarm off. Rows without similarities are passed."""
        if self.note or row["step"] <= self.after:
            return False
        for kind, (shapes, cosine_name) in _KINDS.items():
            rank, cosine = row.get(f"{kind}_effective_rank"), row.get(cosine_name)
            if rank is None or cosine is None:
                continue
            self._seen[kind] = self._seen[kind] + 1 if rank < self.bound or cosine > MOST_COSINE else 0
            if self._seen[kind] >= PATIENCE:
                self.note = (
                    f"collapse: at step {row['step']}, for {PATIENCE} logged steps, the projections of {shapes} no "
                    f"longer tell shapes apart (effective rank {rank:.2f}, alarm below {self.bound:.2f}; mean cosine "
                    f"of different shapes {cosine:.3f}, alarm above {MOST_COSINE}). Try a lower --lr, a longer "
                    "--warmup, --grad-clip 1, a larger --batch-size or a lower --temperature, and look whether the "
                    "shapes of --data differ at all"
                )
                return True
        return False
