"""Waiting for what a sensor reads. Law: who looks borrows the sensor, and gives it back however the looking ends."""

from __future__ import annotations

import asyncio
import enum
import weakref
from collections.abc import Callable
from typing import Any, Generic, Protocol, Self, TypeVar

import async_timeout

from ..errors import NotConnected, UsageError
from ..model.reading import Reading, Status
from ..model.stream import Stream
from ..reports import printable
from ..wire.values import TypeRegistry
from .wishes import Loan, Sampling

__all__ = ["Condition", "Readings", "is_met", "wait_for"]

T = TypeVar("T")

#: what may be waited for: a value, a status, or a predicate of a reading
Condition = Any

Borrow = Callable[[Loan], Callable[[], None]]

# `event` says every change; `auto` is the one that every device has (5.1, table 9).
_LOOKING = (Sampling("event"), Sampling("auto"))


class Source(Protocol):
    """What is needed of a sensor."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def reading(self) -> Reading[Any]:
        """The last reading."""

    @property
    def sampling(self) -> Sampling | None:
        """The strategy in force, without which the last reading may be an old one."""

    def attach(self, observer: Any, /) -> None:
        """Call it with each reading."""

    def detach(self, observer: Any, /) -> None:
        """Stop that."""


def is_met(condition: Condition, reading: Reading[Any], types: TypeRegistry) -> bool:
    """Return whether a reading meets a condition; one without a valid value can meet a :class:`Status` only."""
    if isinstance(condition, Status):
        return reading.status is condition
    if not reading.status.valid:
        return False
    if callable(condition) and not isinstance(condition, type):
        return bool(condition(reading))
    if isinstance(condition, enum.Enum) and isinstance(reading.value, str):  # an option of a discrete
        return types.encode(condition) == reading.value.encode()
    return bool(reading.value == condition)


class _Waiter:
    """Looks at each reading until one meets the condition."""

    __slots__ = ("condition", "future", "source", "types")

    def __init__(self, source: Source, condition: Condition, types: TypeRegistry) -> None:
        self.source = source
        self.condition = condition
        self.types = types
        self.future: asyncio.Future[Reading[Any]] = asyncio.get_running_loop().create_future()

    def __call__(self, _source: object, reading: Reading[Any]) -> None:
        if self.future.done():
            return
        try:
            met = is_met(self.condition, reading, self.types)
        except Exception as error:  # noqa: BLE001 - the predicate's, for the one who gave it
            self.future.set_exception(error)
        else:
            if met:
                self.future.set_result(reading)

    def refused(self, error: Exception) -> None:
        if not self.future.done():  # pragma: no branch - two refusals in one turn
            self.future.set_exception(error)

    def sensor_removed(self) -> None:
        self.refused(UsageError(f"sensor {self.source.name!r} was removed or modified while it was waited for"))

    def client_closed(self) -> None:
        self.refused(NotConnected(f"closed while waiting for sensor {self.source.name}"))


async def wait_for(
    source: Source, borrow: Borrow, condition: Condition, timeout: float | None, types: TypeRegistry
) -> Reading[Any]:
    """Wait until ``source`` meets ``condition``; see :meth:`RemoteSensor.wait_for`."""
    waiter = _Waiter(source, condition, types)
    if source.sampling is not None:  # otherwise nobody knows how old the reading is
        waiter(source, source.reading)
    if waiter.future.done():
        return waiter.future.result()
    source.attach(waiter)
    give_back = borrow(Loan(source.name, list(_LOOKING), waiter.refused))
    try:
        async with async_timeout.timeout(timeout):
            return await waiter.future
    except TimeoutError:
        if waiter.future.done() and not waiter.future.cancelled():
            return waiter.future.result()  # of this very instant; or the error is the predicate's own, or the device's
        last = source.reading
        raise TimeoutError(
            f"sensor {source.name} did not become {printable(repr(condition))} within {timeout:g} s:"
            f" it read {printable(repr(last.value))}, {last.status.value}"
        ) from None
    finally:
        source.detach(waiter)
        give_back()


class _Feed(Generic[T]):
    """Moves readings into a stream, and keeps neither it nor its reader alive."""

    __slots__ = ("give_back", "source", "stream")

    def __init__(self, source: Source, stream: Stream[Reading[T]]) -> None:
        self.source = source
        self.stream = stream
        self.give_back: Callable[[], None] | None = None

    def __call__(self, _source: object, reading: Reading[T]) -> None:
        self.stream.push(reading)

    def sensor_removed(self) -> None:
        self.stream.close()

    client_closed = sensor_removed

    def stop(self) -> None:
        self.source.detach(self)
        self.stream.close()
        give_back, self.give_back = self.give_back, None
        if give_back is not None:
            give_back()


class Readings(Generic[T]):
    """The readings of one sensor: ``async for reading in sensor.readings("event")``.

    A loop left with ``break`` gives the sensor back as soon as the object is gone, which in CPython is at once;
    ``async with`` and :meth:`aclose` do it in every Python.
    """

    def __init__(self, source: Source, borrow: Borrow, sampling: Sampling | None, limit: int) -> None:
        self._stream: Stream[Reading[T]] = Stream(limit)
        feed = _Feed(source, self._stream)
        self._errors: list[Exception] = []
        self._stop = weakref.finalize(self, feed.stop)
        self._stop.atexit = False
        source.attach(feed)
        if sampling is not None:
            errors, stream = self._errors, self._stream

            def refused(error: Exception) -> None:
                errors.append(error)
                stream.close()

            if source.sampling is not None:  # what a device that starts to sample would send
                feed(source, source.reading)
            feed.give_back = borrow(Loan(source.name, [sampling], refused))

    @property
    def dropped(self) -> int:
        """Readings lost because the reader was too slow."""
        return self._stream.dropped

    def __aiter__(self) -> Self:
        """Return the stream itself: it can be read once."""
        return self

    async def __anext__(self) -> Reading[T]:
        """Return the next reading, waiting for it if there is none. Safe to cancel.

        Raises:
            StopAsyncIteration: the sensor was removed, or the stream or the client closed.
            FailReply, InvalidReply: the device refused the strategy.
        """
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            if self._errors:
                raise self._errors.pop() from None
            raise

    async def aclose(self) -> None:
        """End the stream and give the sensor back; does not wait. Closing again does nothing."""
        self._stop()

    async def __aenter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the stream."""
        await self.aclose()
