"""How a pre-training run ended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainResult:
    """How a run ended; `RUN/summary.json` holds the same for a finished one.

    Attributes:
        run: the run folder. steps: steps done in all. total: steps of the schedule.
        loss: the last one logged. seconds: time of this call, which may be the last of several.
        pairs_per_s: throughput of this call. stopped: whether Ctrl-C or SIGTERM ended it early.
        held_out: picture-to-shape recall@1 among shapes of the test split, and what chance gives; None without any.
        processes: how many trained together.
        collapse: what the collapse alarm found and what to try; empty when nothing was wrong.
    """

    run: str
    steps: int
    total: int
    loss: float
    seconds: float
    pairs_per_s: float
    stopped: bool = False
    held_out: dict[str, float] | None = None
    processes: int = 1
    note: str = ""
    collapse: str = ""

    @property
    def exit_code(self) -> int:
        """0, or 130 when the run was interrupted."""
        return 130 if self.stopped else 0

    def __str__(self) -> str:
        if self.note:
            return f"{self.run}: {self.note}"
        if self.stopped:
            return f"{self.run}: stopped at step {self.steps} of {self.total}; go on with --out {self.run} --resume"
        speed = f"{self.seconds:.0f} s, {self.pairs_per_s:.1f} pairs/s"
        text = f"{self.run}: {self.steps} steps, loss {self.loss:.3f}, {speed}"
        if self.held_out:
            recall, chance, shapes = (self.held_out[name] for name in ("recall@1", "chance", "shapes"))
            text += f"\n  held-out picture to shape recall@1 {recall:.1%} (chance {chance:.2%}, {shapes:.0f} shapes)"
        return f"{text}\n  {self.collapse}" if self.collapse else text
