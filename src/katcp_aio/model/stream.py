"""Streams. Law: this is the only module of its floor that can wait, and all it waits for is the next item.

A :class:`Stream` is a bounded queue with a writer that never waits and one reader that does. It is what ``async for
reading in sensor.readings()`` runs over; docs/decisions tells why a floor that otherwise knows no event loop has it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Self, TypeVar

from ..errors import UsageError
from ..limits import Limits

__all__ = ["Stream"]

T = TypeVar("T")

_MOST = Limits().max_readings


class Stream(Generic[T]):
    """Items for one ``async for``, in the order they were pushed. Building one needs no running loop; reading does.

    The writer is never held up: when ``limit`` items wait, the oldest is dropped and counted. A reader that is
    cancelled loses nothing: what it would have got is the first item of the next turn.

    Args:
        limit: how many items may wait (``Limits.max_readings`` by default).
        on_close: called once, when the stream is closed by either side.
    """

    __slots__ = ("__weakref__", "_closed", "_items", "_limit", "_on_close", "_waiter", "dropped")

    def __init__(self, limit: int = _MOST, on_close: Callable[[], None] | None = None) -> None:
        if limit < 1:
            raise ValueError(f"a stream of at most {limit} items")
        self._items: deque[T] = deque()
        self._limit = limit
        self._on_close = on_close
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self.dropped = 0  #: items lost because the reader was too slow

    @property
    def closed(self) -> bool:
        """Whether nothing more will come. What was pushed before can still be read."""
        return self._closed

    def __len__(self) -> int:
        """How many items wait to be read."""
        return len(self._items)

    def __bool__(self) -> bool:
        """True: a stream is something also when it is empty."""
        return True

    def push(self, item: T) -> None:
        """Add ``item``, in the thread of the loop that reads; ignored once the stream is closed."""
        if self._closed:
            return
        if len(self._items) >= self._limit:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self._wake()

    def close(self) -> None:
        """End the stream: the reader gets what waits, then its loop ends. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        if self._on_close is not None:
            self._on_close()

    async def aclose(self) -> None:
        """Close, by the name that ``contextlib.aclosing`` calls; does not wait."""
        self.close()

    def __aiter__(self) -> Self:
        """Return the stream itself: it can be read once."""
        return self

    async def __anext__(self) -> T:
        """Return the next item, waiting for it if there is none. Safe to cancel.

        Raises:
            StopAsyncIteration: the stream is closed and read to its end.
            UsageError: another task is waiting for the next item already.
        """
        while not self._items:
            if self._closed:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise UsageError("a stream has one reader")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
