"""Observers that a sensor keeps for itself. Law: a sensor pays for staleness and for iterators only if it has some."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..clock import Clock
from .checks import check_duration
from .reading import Reading
from .stream import Stream

if TYPE_CHECKING:
    from .sensor import Sensor

__all__ = ["Feed", "Staleness"]

T = TypeVar("T")


class Staleness:
    """Notes when a sensor was last heard of, in monotonic seconds of its clock.

    Args:
        after: seconds without a reading after which the sensor is stale.
        clock: the clock of the sensor.
    """

    __slots__ = ("after", "heard")

    def __init__(self, after: float, clock: Clock) -> None:
        self.after = check_duration(after, "stale_after")
        self.heard = clock.monotonic()

    def __call__(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Note that the sensor was heard of now."""
        self.heard = sensor.clock.monotonic()


class Feed(Generic[T]):
    """Moves the readings of a sensor into a stream that :meth:`open` makes, until the stream is closed or forgotten.

    It does not keep the stream alive: when the last reference to that goes, as at the ``break`` of an ``async for``,
    the feed detaches itself.
    """

    __slots__ = ("_sensor", "_stream")

    def __init__(self, sensor: Sensor[T]) -> None:
        self._sensor = sensor
        self._stream: Callable[[], Stream[Reading[T]] | None] = _nothing

    def open(self, limit: int) -> Stream[Reading[T]]:
        """Attach to the sensor and return the stream, in which at most ``limit`` readings wait. Call it once."""
        stream: Stream[Reading[T]] = Stream(limit, self._stop)
        self._stream = weakref.ref(stream, self._stop)
        self._sensor.attach(self)
        return stream

    def __call__(self, sensor: Sensor[Any], reading: Reading[T]) -> None:
        """Pass one reading on."""
        stream = self._stream()
        if stream is not None:
            stream.push(reading)

    def close(self) -> None:
        """End the stream."""
        stream = self._stream()
        if stream is not None:
            stream.close()

    def _stop(self, _ref: object = None) -> None:
        self._sensor.detach(self)


def _nothing() -> None:
    """Stand for a stream that is not there."""
