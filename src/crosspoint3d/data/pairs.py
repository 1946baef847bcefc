"""The training loader: batches of clouds with pictures, read in the order of `order.py` and brought to the device.

A thread reads (or asks the processes that do), pins and copies up to two batches ahead, while the device works.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from crosspoint3d.data.ahead import ahead
from crosspoint3d.data.batches import Batch, BatchReader, Pictures
from crosspoint3d.data.order import Draw
from crosspoint3d.data.readers import Readers
from crosspoint3d.data.table import ShapeTable

AHEAD = 2
THREADS = 4
"""Threads that decode pictures where no processes do."""


class Pairs(NamedTuple):
    """A batch: clouds with all their points, and V pictures of each shape, or none."""

    points: Float32[Tensor, "B P 3"]
    images: UInt8[Tensor, "B V 3 H W"] | None


def load_pairs(
    tables: Sequence[ShapeTable],
    batches: Iterator[list[Draw]],
    *,
    workers: int,
    device: torch.device | str = "cpu",
    views: int = 1,
    pictures: Pictures = "colour",
) -> Generator[Pairs, None, None]:
    """Batches in order, on the device. Closing the iterator ends its thread and its processes.

    Memory: two batches ahead of the one in use, and with processes one in each.

    Args:
        tables: what `Draw.table` counts.
        batches: draws; advanced in another thread.
        workers: processes that read; 0 reads in threads of this one.
        device: where the batches are to be.
        views: pictures of each shape; 0 reads none.
        pictures: which; `grey` comes coloured, the device takes the colour out.

    Raises:
        UsageError: a table lacks the pictures asked for; later, pictures of different sizes.
        RunError: later, a table is broken, or processes that read died again and again.
    """
    reader = BatchReader(tables, views=views, pictures=pictures, threads=1 if workers else THREADS)
    readers = Readers(reader, workers) if workers else None
    loaded = readers.read(batches) if readers else map(reader.read, batches)
    device = torch.device(device)
    return _moved(loaded, readers, CudaTransfer(device) if device.type == "cuda" else Transfer(device))


def _moved(loaded: Iterator[Batch], readers: Readers | None, transfer: "Transfer") -> Generator[Pairs, None, None]:
    with closing(readers) if readers else nullcontext(), closing(ahead(transfer.send, loaded, AHEAD)) as sent:
        for pairs in sent:
            yield transfer.receive(pairs)


class Transfer:
    """To a device without a way of its own: nothing is copied for the CPU but what changes its layout."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def send(self, batch: Batch) -> "Sent":
        """Begin, in the thread that reads."""
        return Sent(torch.from_numpy(batch.points), None if batch.images is None else torch.from_numpy(batch.images))

    def receive(self, sent: "Sent") -> Pairs:
        """End, in the thread that trains."""
        return sent.to(self._device).as_pairs()


class CudaTransfer(Transfer):
    """Through pinned memory on a stream of its own, so that copies run beside the kernels of the step before."""

    def __init__(self, device: torch.device) -> None:
        self._side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        super().__init__(self._side.device)  # with its number: another thread has another current device

    def send(self, batch: Batch) -> "Sent":
        """Queue the copies, and what widens and reorders them on the device."""
        with torch.cuda.stream(self._side):
            points, images, _ = super().send(batch)
            pinned = Sent(points.pin_memory(), None if images is None else images.pin_memory())
            moved = pinned.to(self._device).as_pairs()
            return Sent(*moved, self._side.record_event())

    def receive(self, sent: "Sent") -> Pairs:
        """Let the step's stream, not this thread, wait for the copies; it keeps their memory until it has used it."""
        current = torch.cuda.current_stream(self._device)
        if sent.copied is not None:
            current.wait_event(sent.copied)
        for tensor in sent[:2]:
            if tensor is not None:
                tensor.record_stream(current)
        return Pairs(sent.points, sent.images)


class Sent(NamedTuple):
    """A batch on its way, as the table holds it, (B, V, H, W, 3); or ready, once the event `copied` has come."""

    points: Tensor
    images: Tensor | None
    copied: "torch.cuda.Event | None" = None

    def to(self, device: torch.device) -> "Sent":
        """On another device; from pinned memory without waiting."""
        points, images, _ = self
        points = points.to(device, non_blocking=points.is_pinned())
        return Sent(points, None if images is None else images.to(device, non_blocking=images.is_pinned()))

    def as_pairs(self) -> Pairs:
        """Points in float32, which changes no value, and channels first."""
        images = None if self.images is None else self.images.permute(0, 1, 4, 2, 3).contiguous()
        return Pairs(self.points.float(), images)
