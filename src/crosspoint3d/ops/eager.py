"""Functions that `torch.compile` leaves alone."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def eager(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` as it is, also inside `torch.compile`: what `torch.compiler.disable` does.

    That loads the compiler, a second of work, when a function is decorated; here only where it is loaded already.
    """
    disabled: list[Callable[P, R]] = []

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        if "torch._dynamo" not in sys.modules:
            return function(*args, **options)
        if not disabled:
            import torch

            torch._dynamo.decorators.skip(call)
            disabled.append(torch.compiler.disable(function))  # type: ignore[no-untyped-call]
        return disabled[0](*args, **options)

    call._torchdynamo_disable = True  # type: ignore[attr-defined]
    return call
