"""One process of a distributed run, with a fault: `python -m tests.training.member FAULT COMMAND LINE`.

FAULT is a name, the rank it hits (or `all`) and the step (from 0) at which it does: `kill:1:2`, `kill:all:2`,
`raise:1:2`, `hang:1:2`, `full:0:2` (the disk, from then on), `nan:0:2`, `interrupt:1:2`, `unread:1:2` (the batch after
it, while the first process needs seconds to write), or `none`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from crosspoint3d import cli
from crosspoint3d.config import RunError
from crosspoint3d.training import loop, watch


def main(fault: str, arguments: list[str]) -> int:
    """Run the command line with `train_step` as the fault has it."""
    torch.set_num_threads(1)
    name, rank, at = [*fault.split(":"), "0", "0"][:3]
    train_step = loop.train_step

    def faulty(*given: Any) -> Any:
        outcome = None
        if given[4] == int(at) and rank in (os.environ["RANK"], "all"):
            if name in ("kill", "interrupt", "hang"):
                numbers = {"kill": signal.SIGKILL, "interrupt": signal.SIGTERM, "hang": signal.SIGSTOP}
                os.kill(os.getpid(), numbers[name])
            elif name == "raise":
                raise ValueError("the disk of this machine is on fire")
            elif name == "full":
                torch.save = _no_space
            elif name == "unread":
                loop._next = lambda _: (None, RunError("table t is broken"))
            elif name == "nan":
                outcome = train_step(*given)
                return outcome._replace(gradient_norm=outcome.gradient_norm * torch.nan)
        return train_step(*given)

    loop.train_step = faulty  # type: ignore[assignment]
    if name in ("hang", "unread"):
        watch.INTERVAL, watch.GRACE = 0.5, 2.0
    if name == "unread":
        torch.save = _slowly(torch.save)
    return cli.run(arguments)


def _slowly(save: Callable[..., None]) -> Callable[..., None]:
    def slow(*given: Any) -> None:
        time.sleep(5)
        save(*given)

    return slow


def _no_space(*_: Any) -> None:
    raise OSError(28, "No space left on device")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
