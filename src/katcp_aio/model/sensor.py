"""Sensors. Law: whatever a sensor holds was checked at the line that set it, and every reading goes one way out.

``set`` checks the value, finds the status, makes one frozen :class:`Reading`, swaps it in, and tells the observers, in
the order they were attached. Nothing here waits, knows a loop, or costs memory before it is used: a device may have
tens of thousands of sensors that nobody looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, overload

from .. import reports
from ..clock import SYSTEM_CLOCK, Clock
from ..errors import UsageError
from ..limits import Limits
from ..wire.datatypes import Range
from ..wire.valuetype import ValueType
from . import reading as _reading
from .checks import check_status, check_time
from .nameplate import Nameplate
from .observers import Feed, Staleness
from .reading import Reading
from .stream import Stream

__all__ = ["Observer", "Sensor", "ThreadsafeLoop"]

T = TypeVar("T")
PyType = type[T]  # inside the class, `type` is the sensor's

Observer = Callable[["Sensor[Any]", Reading[Any]], object]  #: is told of each reading: ``observer(sensor, reading)``

_MOST_ROUNDS = 100  # readings that observers may set while they are told of one; more: they never come to an end
_NOMINAL = _reading.Status.NOMINAL
_make = tuple.__new__  # what Reading(...) comes down to, without the call in between


class ThreadsafeLoop(Protocol):
    """What of an event loop is needed to hand a value over to its thread; every asyncio loop fits."""

    def call_soon_threadsafe(self, callback: Callable[..., object], /, *args: Any) -> object:
        """Call ``callback(*args)`` in the loop's thread, soon."""


class Sensor(Nameplate[T]):
    """One quantity that a device measures: a name, a type, and the current reading (5.1, section 7).

    The status follows from the value unless it is given: by ``status_func``; else by the ranges (section 7.2):
    ``nominal`` inside the nominal range; outside it ``warn``, or ``error`` if there is a warn range and the value is
    outside that too; NaN is outside every range; without any of these, ``nominal``.

    Args:
        type: int, float, bool, str, bytes, an Enum, Literal["a", "b"], Timestamp, Address, Lru, a type registered with
            ``register_type``, or a ValueType.
        name: letters, digits, dots, dashes and underscores.
        description: for humans; may be empty, though some old clients ignore sensors without one.
        units: for humans, short. Both may have any character but control characters (the specification would rather
            have plain ASCII, but there are devices that measure µs); tabs and line ends are allowed.
        default: the value to begin with; by default that of the type: zero, empty, the first of its options.
        status: the status to begin with.
        nominal: the range of expected values, (low, high), both included; for int and float only.
        warn: the range of values outside which the status is ``error``; goes with ``nominal`` and contains it.
        status_func: value -> Status, for what ranges cannot express.
        auto: what the sampling strategy ``auto`` means for this sensor, as ("event-rate", 1, 60); by default every
            reading is sent.
        stale_after: seconds without a reading after which the status becomes ``unknown``; see :meth:`check_stale`.
        labels: what it belongs to, for programs, as {"rack": "3"}; names as Prometheus has them, at most 32.
        set_by: the request of the device that sets it; see :class:`~katcp_aio.MetadataRequests` for both.
        clock: where readings get their time from; by default the clock of the set that the sensor is added to.

    Raises:
        TypeError: a value, a bound or a text of the wrong type.
        ValueError: a name, text, range or parameter that is not allowed.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_judge",
        "_observers",
        "_pending",
        "_reading",
        "_staleness",
        "_untouched",
    )

    Status = _reading.Status

    @overload
    def __init__(
        self,
        type: PyType[T] | ValueType[T],
        name: str,
        description: str = "",
        units: str = "",
        default: T | None = None,
        status: _reading.Status = ...,
        *,
        nominal: tuple[float, float] | Range | None = ...,
        warn: tuple[float, float] | Range | None = ...,
        status_func: Callable[[T], _reading.Status] | None = ...,
        auto: str | tuple[Any, ...] | None = ...,
        stale_after: float | None = ...,
        labels: Mapping[str, str] | None = ...,
        set_by: str | None = ...,
        clock: Clock | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Sensor[Any],
        type: object,
        name: str,
        description: str = "",
        units: str = "",
        default: Any = None,
        status: _reading.Status = ...,
        *,
        nominal: tuple[float, float] | Range | None = ...,
        warn: tuple[float, float] | Range | None = ...,
        status_func: Callable[[Any], _reading.Status] | None = ...,
        auto: str | tuple[Any, ...] | None = ...,
        stale_after: float | None = ...,
        labels: Mapping[str, str] | None = ...,
        set_by: str | None = ...,
        clock: Clock | None = ...,
    ) -> None: ...
    def __init__(
        self,
        type: Any,  # noqa: A002 - the specification's own word
        name: str,
        description: str = "",
        units: str = "",
        default: Any = None,
        status: _reading.Status = _reading.Status.UNKNOWN,
        *,
        nominal: tuple[float, float] | Range | None = None,
        warn: tuple[float, float] | Range | None = None,
        status_func: Callable[[Any], _reading.Status] | None = None,
        auto: str | tuple[Any, ...] | None = None,
        stale_after: float | None = None,
        labels: Mapping[str, str] | None = None,
        set_by: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(type, name, description, units, nominal, warn, auto, labels, set_by)
        self._clock = clock or SYSTEM_CLOCK
        self._judge: Callable[[T], _reading.Status] | None = status_func or self._ranges
        self._pending: list[Reading[T]] | None = None
        self._staleness: Staleness | None = None
        self._observers: tuple[Observer, ...] = ()
        if stale_after is not None:
            self._staleness = Staleness(stale_after, self._clock)
            self._observers = (self._staleness,)
        value = self._type.first() if default is None else self._type.check(default)
        if value is None:
            raise ValueError(f"sensor {name} needs a default: there is none for {self._type.usage}")
        self._reading: Reading[T] = Reading(self._clock.time(), check_status(status), value)
        self._untouched = True

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} {self._name} {self._type.name} {self.value!r} {self.status.value}>"

    @property
    def stale_after(self) -> float | None:
        """Seconds without a reading after which the status becomes ``unknown``; None: never."""
        return None if self._staleness is None else self._staleness.after

    @property
    def clock(self) -> Clock:
        """Where readings get their time from."""
        return self._clock

    def use_clock(self, clock: Clock) -> None:
        """Take the time from ``clock`` from now on, unless a clock was given before; sets do this for what is added.

        A reading that is still the one from the constructor is stamped again, so that it fits those to come.
        """
        if self._clock is not SYSTEM_CLOCK or clock is SYSTEM_CLOCK:
            return
        self._clock = clock
        if self._staleness is not None:
            self._staleness(self, self._reading)
        if self._untouched:
            self._reading = self._reading._replace(timestamp=clock.time())

    @property
    def reading(self) -> Reading[T]:
        """The current reading, whole; safe to read from any thread."""
        return self._reading

    @property
    def value(self) -> T:
        """The current value. Assigning is :meth:`set`: status from the value, timestamp now."""
        return self._reading.value

    @value.setter
    def value(self, value: T) -> None:
        self.set(value)

    @property
    def status(self) -> _reading.Status:
        """The current status. Assigning keeps the value: ``sensor.status = Sensor.Status.INACTIVE``."""
        return self._reading.status

    @status.setter
    def status(self, status: _reading.Status) -> None:
        self.set(self._reading.value, status)

    @property
    def timestamp(self) -> float:
        """When the value was read: seconds since the Unix epoch, UTC."""
        return self._reading.timestamp

    def judge(self, value: T) -> _reading.Status:
        """Return the status that a value has by itself: what ``status_func`` or the ranges say, else ``nominal``."""
        return _NOMINAL if self._judge is None else check_status(self._judge(value))

    def set(self, value: T, status: _reading.Status | None = None, timestamp: float | None = None) -> None:
        """Make a new reading and tell the observers, also if it equals the last one.

        Belongs into the thread of the event loop; from others see :meth:`set_threadsafe`. An observer that sets the
        sensor it is told of is not called again from within: all see all readings, in the order they were set.

        Args:
            value: of the sensor's type, or one that converts without loss of meaning, as int to float; numpy's
                scalars are numbers.
            status: by default what ``status_func`` or the ranges say of the value.
            timestamp: seconds since the Unix epoch, UTC; by default now.

        Raises:
            TypeError: the value, status or timestamp is of the wrong type.
            ValueError: the value cannot be told in this type, or the timestamp is not finite.
            UsageError: observers went on setting the sensor in turn, without an end.
        """
        value = self._type.check_value(value)  # check() without the call in between
        if status is None:
            status = _NOMINAL if self._judge is None else check_status(self._judge(value))
        else:
            check_status(status)
        now = self._clock.time() if timestamp is None else check_time(timestamp)
        reading = self._reading = _make(Reading, (now, status, value))
        self._untouched = False
        if self._observers:
            self._tell(reading)

    def set_threadsafe(
        self, loop: ThreadsafeLoop, value: T, status: _reading.Status | None = None, timestamp: float | None = None
    ) -> None:
        """Set the sensor from any thread: ``loop``, the event loop of the device, does it in its own thread, soon.

        The value is checked and the time is taken here, in the calling thread; arguments and errors are those of
        :meth:`set`, and RuntimeError if the loop is closed.
        """
        value = self._type.check(value)
        if status is not None:
            check_status(status)
        now = self._clock.time() if timestamp is None else check_time(timestamp)
        loop.call_soon_threadsafe(self.set, value, status, now)

    def check_stale(self, now: float) -> float | None:
        """Set the status to ``unknown`` if no reading came for ``stale_after`` seconds; the next reading undoes it.

        Whoever runs the device calls this when it is due. Only a status with a valid value goes stale: that a sensor
        is ``inactive`` or has failed needs no repeating. The value is kept; the timestamp is the time of the finding.
        ``now`` is monotonic time, in seconds, of the sensor's clock; returned is that of the next call, or None if the
        sensor has no ``stale_after``.
        """
        staleness = self._staleness
        if staleness is None:
            return None
        due = staleness.heard + staleness.after
        if now < due:
            return due
        if self._reading.status.valid:
            Sensor.set(self, self._reading.value, _reading.Status.UNKNOWN)  # not what a subclass may have made of it
        return now + staleness.after

    def attach(self, observer: Observer) -> None:
        """Call ``observer(sensor, reading)`` for every reading from now on, after those attached before.

        An exception that it raises is logged; the others are called all the same. Attaching what is attached does
        nothing. Observers may attach and detach, themselves too: one that was detached is not called any more, one
        that was attached hears of the next reading first.
        """
        if observer not in self._observers:
            self._observers = (*self._observers, observer)

    def detach(self, observer: Observer) -> None:
        """Stop calling ``observer``; nothing happens if it is not attached."""
        observers = self._observers
        if observer in observers:
            at = observers.index(observer)
            self._observers = observers[:at] + observers[at + 1 :]

    def readings(self, *, current: bool = False, limit: int = Limits().max_readings) -> Stream[Reading[T]]:
        """Return the readings from this call on, for ``async for``; its length is bounded.

        A reader that falls behind by more than ``limit`` readings loses the oldest, counted in the stream's
        ``dropped``. The stream ends when it or the sensor is closed (a :class:`SensorSet` closes what is removed), and
        costs nothing once it is left. With ``current`` it begins with the reading of now.
        """
        stream = Feed(self).open(limit)
        if current:
            stream.push(self._reading)
        return stream

    def close(self) -> None:
        """End the ``async for`` loops over this sensor's readings. The sensor itself stays as it is."""
        for observer in self._observers:
            if isinstance(observer, Feed):
                observer.close()

    def _tell(self, reading: Reading[T]) -> None:
        """Tell the observers, and then of what they have set while they were told."""
        if self._pending is not None:  # an observer sets the sensor: the others first hear of what it was told
            self._pending.append(reading)
            return
        pending: list[Reading[T]] = []
        self._pending = pending
        rounds = 0
        try:
            while True:
                observers = self._observers
                for observer in observers:
                    if self._observers is not observers and observer not in self._observers:
                        continue  # detached by one before it
                    try:
                        observer(self, reading)
                    except Exception:  # noqa: BLE001 - the next observer is to be told, whatever this one did
                        reports.report_exception("observer %r of sensor %s failed", observer, self._name)
                if not pending:
                    return
                if rounds == _MOST_ROUNDS:
                    raise UsageError(f"observers of sensor {self._name!r} set it again each time it is set")
                rounds += 1
                reading = pending.pop(0)
        finally:
            self._pending = None
