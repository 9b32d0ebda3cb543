"""A sensor of another device. Law: whatever the device sends becomes a reading, and no reading is lost on the way.

A value that cannot be read as the sensor's type stays as it came, as bytes; a status or time that cannot be read is
``unknown``, or now. All three are told to the trouble log of the client, and other sensors never notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from ..errors import UsageError
from ..limits import Limits
from ..model import reading as _reading
from ..model.reading import Reading
from ..reports import report_exception
from ..wire.values import TypeRegistry
from ..wire.valuetype import ValueType
from .following import Condition, Readings, wait_for
from .inventory import SensorInfo
from .replies import Reply
from .wishes import Loan, Sampling

__all__ = ["RemoteObserver", "RemoteSensor", "SensorHost"]

RemoteObserver = Callable[
    ["RemoteSensor", Reading[Any]], object
]  #: told of each reading: ``observer(sensor, reading)``

_STATUSES = {status.wire: status for status in _reading.Status}
_make = tuple.__new__  # what Reading(...) comes down to, without the call in between
_NOTHING: Reading[Any] = Reading(0.0, _reading.Status.UNKNOWN, None)


class SensorHost(Protocol):
    """What a sensor needs of the client that it belongs to."""

    @property
    def types(self) -> TypeRegistry:
        """The Python types that values may have."""

    @property
    def closed(self) -> bool:
        """Whether the client is closed."""

    def read_sensor(self, sensor: RemoteSensor) -> Awaitable[Reading[Any]]:
        """Poll it."""

    def set_sensor(self, sensor: RemoteSensor, request: str, value: object) -> Awaitable[Reply]:
        """Have it set by a request."""

    def sample(self, which: str, strategy: str, *params: object) -> Awaitable[bool]:
        """Wish a strategy."""

    def borrow(self, loan: Loan) -> Callable[[], None]:
        """Have a sensor sampled for as long as somebody looks; the result ends it."""

    def now(self) -> float:
        """Return the wall time, in seconds since the Unix epoch, UTC."""

    def tell_bad_reading(self, sensor: RemoteSensor, what: str, raw: bytes) -> None:
        """Count and log what could not be read."""

    def tell_refusal(self, sensor: RemoteSensor, strategy: str, error: Exception) -> None:
        """Count and log that the device will not sample the sensor."""


class RemoteSensor:
    """One sensor of a device, as a client sees it (5.1, section 7). Get one from ``device.sensor``.

    Before anything was read, :attr:`reading` has status ``unknown``, value None and timestamp 0. While the device is
    away the status is ``unreachable``, and the value the last one known.
    """

    __slots__ = (
        "__weakref__",
        "_decode",
        "_host",
        "_observers",
        "_read_time",
        "_reading",
        "info",
        "removed",
        "sampling",
        "type",
    )

    Status = _reading.Status

    def __init__(
        self,
        host: SensorHost,
        info: SensorInfo,
        type: ValueType[Any],  # noqa: A002 - the specification's own word
        decode: Callable[[bytes], Any],
        read_time: Callable[[bytes], float],
    ) -> None:
        self._host = host
        self._observers: tuple[RemoteObserver, ...] = ()
        self._reading = _NOTHING
        self.info = info  #: its row of ?sensor-list
        self.removed = False  #: the device has it no more, or has another of this name (``device.sensor[name]``)
        self.sampling: Sampling | None = None  #: the strategy that the device has taken on; None: it sends nothing
        self.use(type, decode, read_time)

    def use(
        self,
        type: ValueType[Any],  # noqa: A002 - the specification's own word
        decode: Callable[[bytes], Any],
        read_time: Callable[[bytes], float],
    ) -> None:
        """Read values and times in this way from now on; the dialect of the device decides."""
        self.type = type  #: the type of the values: what decodes them
        self._decode = decode
        self._read_time = read_time

    def __repr__(self) -> str:
        gone = " removed" if self.removed else ""
        reading = self._reading
        return f"<RemoteSensor {self.name} {self.type_name} {reading.value!r} {reading.status.value}{gone}>"

    @property
    def name(self) -> str:
        """The name, as on the wire."""
        return self.info.name

    @property
    def description(self) -> str:
        """What it measures, for humans."""
        return self.info.description

    @property
    def units(self) -> str:
        """The units of the value, for humans; may be empty."""
        return self.info.units

    @property
    def type_name(self) -> str:
        """The type by the name that the device gives it; values of unknown types are bytes."""
        return self.info.type_name

    @property
    def params(self) -> tuple[bytes, ...]:
        """What ?sensor-list tells after the type: options or ranges."""
        return self.info.params

    @property
    def labels(self) -> Mapping[str, str]:
        """What it belongs to, for programs; empty unless the device has ?sensor-metadata, which tells that."""
        return self.info.metadata.labels

    @property
    def set_by(self) -> str | None:
        """The device's request that sets it; None unless ?sensor-metadata tells one."""
        return self.info.metadata.set_by

    @property
    def reading(self) -> Reading[Any]:
        """The last reading, whole."""
        return self._reading

    @property
    def value(self) -> Any:
        """The last value; None before the first. The status tells whether it may be used."""
        return self._reading.value

    @property
    def status(self) -> _reading.Status:
        """The last status."""
        return self._reading.status

    @property
    def timestamp(self) -> float:
        """When the device read the value: seconds since the Unix epoch, UTC, in every dialect."""
        return self._reading.timestamp

    # Readings in

    def feed(self, timestamp: bytes, status: bytes, value: bytes) -> Reading[Any]:
        """Take a reading as it stands in #sensor-status or #sensor-value, tell the observers, and return it.

        The way of every update: one try, one decoder call, one tuple.
        """
        try:
            reading: Reading[Any] = _make(Reading, (self._read_time(timestamp), _STATUSES[status], self._decode(value)))
        except (ValueError, KeyError, ArithmeticError):
            reading = self._read_leniently(timestamp, status, value)
        self._reading = reading
        if self._observers:
            self._tell(reading)
        return reading

    def set_status(self, status: _reading.Status) -> None:
        """Make a reading with this status and the last value, at this time, and tell the observers."""
        self._reading = Reading(self._host.now(), status, self._reading.value)
        self._tell(self._reading)

    def _read_leniently(self, timestamp: bytes, status: bytes, value: bytes) -> Reading[Any]:
        tell = self._host.tell_bad_reading
        try:
            seconds = self._read_time(timestamp)
        except (ValueError, ArithmeticError):
            tell(self, "time", timestamp)
            seconds = self._host.now()
        known = _STATUSES.get(status)
        if known is None:
            tell(self, "status", status)
        try:
            decoded = self._decode(value)
        except (ValueError, ArithmeticError):
            if known is not None and not known.valid:
                # A sensor that has no value sends what it likes in its place; that is no trouble.
                return Reading(seconds, known, self._reading.value)
            tell(self, "value", value)
            decoded = value
        return Reading(seconds, known or _reading.Status.UNKNOWN, decoded)

    def _tell(self, reading: Reading[Any]) -> None:
        # The loop of a device's own sensors, which has to do more in between; a function for both costs each a call.
        observers = self._observers
        for observer in observers:
            if self._observers is not observers and observer not in self._observers:
                continue  # detached by one before it
            try:
                observer(self, reading)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - the next one is to be told, whatever this did
                report_exception("observer %r of sensor %s failed", observer, self.name)

    def attach(self, observer: RemoteObserver) -> None:
        """Call ``observer(sensor, reading)`` for every reading from now on, after those attached before.

        An exception that it raises is logged; the others are called all the same. It hears of the ``unreachable`` of a
        device that went away, too. Attaching what is attached does nothing. Attaching alone does not make the device
        send anything: see :meth:`sample`.
        """
        if observer not in self._observers:
            self._observers = (*self._observers, observer)

    def detach(self, observer: RemoteObserver) -> None:
        """Stop calling ``observer``; nothing happens if it is not attached."""
        self._observers = tuple(other for other in self._observers if other != observer)

    def retire(self) -> None:
        """Take note that this is no longer a sensor of the device: streams end, and waiting for it raises."""
        self.removed = True
        self.sampling = None
        self._end("sensor_removed")

    def shut(self) -> None:
        """Take note that the client is closed: streams end, and waiting for it raises."""
        self._end("client_closed")

    def _end(self, how: str) -> None:
        for observer in self._observers:
            end = getattr(observer, how, None)
            if end is not None:
                end()

    # Asking

    async def read(self) -> Reading[Any]:
        """Poll the sensor (?sensor-value) and return the reading, which becomes :attr:`reading`.

        Raises:
            FailReply: the device has no such sensor any more, or cannot read it.
            ProtocolError: the device answered without a reading.
            RequestTimeout, ConnectionLost, NotConnected: as of any request.
        """
        return await self._host.read_sensor(self)

    async def set(self, value: object) -> Reply:
        """Make the request that sets this sensor (:attr:`set_by`), with ``value`` as its type writes it.

        A member of an Enum stands for its name on the wire, if the sensor is discrete. The reply says that the device
        took the value on; :meth:`wait_for` waits until the sensor shows it. Cancelling it is safe; the device may carry
        the request out all the same.

        Raises:
            UsageError: the device tells of no request that sets it, or the sensor was removed.
            TypeError, ValueError: the value is not of the sensor's type.
            FailReply, InvalidReply: the device refused.
            RequestTimeout, ConnectionLost, NotConnected: as of any request.
        """
        self._check_there()
        if self.set_by is None:
            raise UsageError(f"sensor {self.name!r} cannot be set: its device tells of no request that does")
        return await self._host.set_sensor(self, self.set_by, value)

    async def sample(self, strategy: str, *params: object) -> bool:
        """Have the device send readings by this strategy from now on, reconnects included (5.1, section 7.1).

        ``sample("event")``, ``sample("event-rate", 1, 10)``, ``sample("none")`` to end it; times are in seconds.
        Returns whether the strategy is in force. False: the device is away, and gets the wish when it is back; should
        it then refuse it, that is logged and the wish dropped. Cancelling does not take the wish back.

        Raises:
            FailReply, InvalidReply: the device refused; the wish is dropped.
            RequestTimeout: it did not answer in time; the wish stays.
            UsageError: the sensor was removed.
        """
        self._check_there()
        return await self._host.sample(self.name, strategy, *params)

    def follow(self, observer: RemoteObserver, strategy: str, *params: object) -> Callable[[], None]:
        """Attach ``observer`` and have the sensor sampled until the returned function is called.

        As with :meth:`readings`, a strategy that was set by :meth:`sample` goes on in its place, and one that the
        device refuses is logged.

        Raises:
            UsageError: the sensor was removed.
            TypeError, ValueError: a parameter that cannot be written.
        """
        self._check_there()
        host = self._host
        give_back = host.borrow(
            Loan(self.name, [Sampling(strategy, params)], lambda error: host.tell_refusal(self, strategy, error))
        )
        self.attach(observer)

        def cancel() -> None:
            self.detach(observer)
            give_back()

        return cancel

    async def wait_for(self, condition: Condition, timeout: float | None = None) -> Reading[Any]:
        """Wait until the sensor meets ``condition``, and return the reading that does. Cancelling it is safe.

        Args:
            condition: a value, a :class:`Status`, or ``predicate(reading)``. Values and predicates are held against
                valid readings only: the last value of a device that is away is not what the sensor reads. A member of
                an Enum stands for its name on the wire.
            timeout: seconds; None: no end.

        A sensor that nobody samples is sampled by ``event`` for as long as this waits (``auto``, if the device has no
        ``event``). What a predicate raises comes out here.

        Raises:
            TimeoutError: it did not in time; the text says what the sensor read last.
            FailReply, InvalidReply: the sensor is not sampled, and the device refuses to.
            UsageError: the sensor was removed or modified, or the client is closed.
            NotConnected: the client was closed meanwhile.
        """
        self._check_open()
        return await wait_for(self, self._host.borrow, condition, timeout, self._host.types)

    def readings(
        self, strategy: str | None = None, *params: object, limit: int = Limits().max_readings
    ) -> Readings[Any]:
        """Return the readings from this call on, for ``async for``; how many wait in it is bounded.

        Args:
            strategy: has the sensor sampled for as long as somebody reads; None: somebody else sees to that.
            params: of the strategy.
            limit: a reader that falls behind by more readings loses the oldest, counted in ``dropped``.

        The loop ends when the sensor is removed or the client closed. It raises what the device answers to a strategy
        that it refuses. A sensor that is sampled by another strategy already goes on with that one. With a strategy the
        first reading comes at once: that of now, as devices send it (5.1, section 7.1).

        Raises:
            UsageError: the sensor was removed, or the client is closed.
            TypeError, ValueError: a parameter that cannot be written.
        """
        self._check_open()
        sampling = None if strategy is None else Sampling(strategy, params)
        return Readings(self, self._host.borrow, sampling, limit)

    def _check_open(self) -> None:
        self._check_there()
        if self._host.closed:  # nothing will ever be read
            raise UsageError(f"sensor {self.name!r}: the client is closed")

    def _check_there(self) -> None:
        if self.removed:
            raise UsageError(f"sensor {self.name!r} was removed or modified by its device: look it up again")
