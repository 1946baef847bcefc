"""The processes of one run (torchrun, or any launcher that sets its variables): how they meet, agree and stop.

Every process runs the same recipe on its share of each batch. The first one alone writes files.
"""

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
import torch.distributed as dist
from torch import Tensor

from crosspoint3d import runtime
from crosspoint3d.config import Device, RunError, UsageError
from crosspoint3d.training.watch import Watch

T = TypeVar("T")
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
TIMEOUT = timedelta(hours=1)  # of waiting for each other: the first process evaluates while the others wait


@runtime_checkable
class HasState(Protocol):
    """What torch's modules and optimizers have in common."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take them over."""


class Place(NamedTuple):
    """This process's number among all, how many there are, and its number on this machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0


def place_from_environment() -> Place:
    """What the launcher says; one process where it says nothing.

    Raises:
        UsageError: variables are missing or not numbers.
    """
    if "RANK" not in os.environ and int_variable("WORLD_SIZE", 1) == 1:
        return Place()
    if missing := [name for name in VARIABLES if name not in os.environ]:
        raise UsageError(
            f"{', '.join(missing)} not set beside WORLD_SIZE or RANK: start with torchrun, or set them all"
        )
    rank, world = int_variable("RANK", 0), int_variable("WORLD_SIZE", 1)
    if not 0 <= rank < world:
        raise UsageError(f"RANK={rank} with WORLD_SIZE={world}: ranks go from 0 to WORLD_SIZE - 1")
    return Place(rank, world, int_variable("LOCAL_RANK", rank))


def int_variable(name: str, default: int) -> int:
    """A number from the environment.

    Raises:
        UsageError: it is none.
    """
    try:
        return int(os.environ.get(name, default))
    except ValueError as error:
        raise UsageError(f"{name}={os.environ[name]!r}: the launcher must set a number") from error


@dataclass(frozen=True)
class Team:
    """The processes of a run, seen from one of them; each method must be called by all of them alike."""

    place: Place
    device: torch.device

    @property
    def size(self) -> int:
        """How many there are."""
        return self.place.world

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.place.rank == 0

    def agree(self, *flags: bool) -> list[bool]:
        """Of each flag whether any process has set it."""
        if self.size == 1:
            return list(flags)
        values = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return [bool(value) for value in values.tolist()]

    def from_first(self, work: Callable[[], T]) -> T:
        """What `work` returns in the first process, plain JSON; its UsageError or RunError is raised in all."""
        if self.size == 1:
            return work()
        answer = b""
        failure: Exception | None = None
        if self.first:
            try:
                answer = json.dumps([work(), "", ""]).encode()
            except Exception as error:
                failure = error
                answer = json.dumps([None, type(error).__name__, str(error)]).encode()
        value, kind, text = json.loads(_broadcast(answer))
        if failure is not None:
            raise failure
        if kind:
            raise UsageError(text) if kind == "UsageError" else RunError(text)
        result: T = value
        return result

    def check_same(self, what: str, value: str) -> None:
        """Refuse a value that is another one than the first process's.

        Raises:
            UsageError: in all processes, where it differs in any.
        """
        if any(self.agree(self.from_first(lambda: value) != value)):
            raise UsageError(f"the processes see different {what}: give all of them the same files and options")

    def share_state(self, *parts: HasState) -> None:
        """The states of model, optimizer, queue become those of the first process, which alone may have read them."""
        if self.size == 1:
            return
        written = io.BytesIO()
        if self.first:
            torch.save([part.state_dict() for part in parts], written)
        data = _broadcast(written.getvalue())
        if not self.first:
            states = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            for part, state in zip(parts, states, strict=True):
                part.load_state_dict(state)


@contextmanager
def team(place: Place, device: Device) -> Iterator[Team]:
    """The processes meet; on leaving they part. One that fails or dies inside is named by the others within a minute.

    Raises:
        UsageError: this process has no device of its own.
        RunError: another process failed.
    """
    own = _device(place, device)
    if place.world == 1:
        yield Team(place, own)
        return
    # CPU tensors (flags, messages) go through gloo also where gradients go through NCCL: no device waits for them.
    dist.init_process_group("cpu:gloo,cuda:nccl" if own.type == "cuda" else "gloo", timeout=TIMEOUT)
    store = dist.distributed_c10d._get_default_store()
    watch = Watch((os.environ["MASTER_ADDR"], int_variable("MASTER_PORT", 0)), place.rank, place.world)
    _meet(place, own)
    watch.start()
    in_vain = False  # somebody else failed, who may never say that he leaves
    try:
        yield Team(place, own)
        _meet(place, own)
    except BaseException as error:
        if not _connection_broke(error):
            watch.report(error)
            raise
        in_vain = True
        raise RunError(
            f"process {place.rank} of {place.world} stops because of {watch.culprit() or error}. "
            "The last checkpoint is kept: start all processes again with --resume"
        ) from error
    finally:
        watch.close()
        if own.type == "cpu" or not watch.failure:
            dist.destroy_process_group()
        if not (in_vain and place.rank == 0):
            watch.part()
        del store  # the first process serves it: without this reference its end would be that of the group


def _meet(place: Place, device: torch.device) -> None:
    dist.barrier() if device.type == "cpu" else dist.barrier(device_ids=[place.local_rank])


def _device(place: Place, device: Device) -> torch.device:
    own = runtime.pick_device(
        "cpu" if place.world > 1 and device == "auto" and not torch.cuda.is_available() else device
    )
    if place.world == 1:
        return own
    if own.type == "mps":
        raise UsageError("--device mps: several processes train on cpu or cuda only")
    if own.type == "cpu":
        return own
    if place.local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"LOCAL_RANK={place.local_rank}, but this machine has {torch.cuda.device_count()} GPUs: "
            "start as many processes on it (torchrun --nproc-per-node), or --device cpu"
        )
    torch.cuda.set_device(place.local_rank)
    return torch.device("cuda", place.local_rank)


def _connection_broke(error: BaseException) -> bool:
    if isinstance(error, UsageError | RunError) or not isinstance(error, RuntimeError):
        return False
    signs = ("gloo", "nccl", "connection closed by peer", "connection reset")
    return isinstance(error, dist.DistError) or any(sign in str(error).lower() for sign in signs)


def _broadcast(data: bytes) -> bytes:
    size = torch.tensor([len(data)])
    dist.broadcast(size, 0)
    values: Tensor = torch.frombuffer(bytearray(data or bytes(int(size))), dtype=torch.uint8)
    dist.broadcast(values, 0)
    return values.numpy().tobytes()
