"""The lines that sampling sends. Law: a reading is looked at once and written once, however many clients hear of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..wire.escapes import escape
from ..wire.formats import time_encoder

if TYPE_CHECKING:
    from ..model.reading import Reading
    from ..model.sensor import Sensor
    from ..wire.dialect import Dialect
    from ..wire.valuetype import ValueType

__all__ = ["StatusLines"]

_UNESCAPED = frozenset({"integer", "float", "boolean", "timestamp"})  # types whose values need no escapes
_MAX_ENCODERS = 1000  # kept; sensors of discrete types may have one each


class StatusLines:
    """Writes ``#sensor-status`` for all clients of a server, and keeps the last line, which is the one asked for again.

    Args:
        dialect: how the server writes its lines.
        monotonic: the time in seconds, on the scale of the event loop's.
    """

    __slots__ = (
        "_encode_time",
        "_encoders",
        "_line",
        "_monotonic",
        "_now",
        "_reading",
        "_sensor",
        "_statuses",
        "dialect",
    )

    def __init__(self, dialect: Dialect, monotonic: Callable[[], float]) -> None:
        self.dialect = dialect
        self._monotonic = monotonic
        self._sensor: Sensor[Any] | None = None  # the last one that was set, of those that are sampled,
        self._reading: Reading[Any] | None = None  # what it was set to,
        self._now = 0.0  # when,
        self._line: bytes | None = None  # and the line that says so, once somebody is to have it
        self._encode_time = time_encoder(dialect)
        self._statuses = dict(dialect.statuses)
        self._encoders: dict[ValueType[Any], Callable[[Any], bytes]] = {}

    def heard(self, sensor: Sensor[Any], reading: Reading[Any]) -> float:
        """Return when ``sensor`` was given ``reading``, in monotonic seconds: the same for all who look at it."""
        if reading is not self._reading or sensor is not self._sensor:
            self._sensor = sensor
            self._reading = reading
            self._line = None
            self._now = self._monotonic()
        return self._now

    def line(self, sensor: Sensor[Any], reading: Reading[Any]) -> bytes:
        """Return the line that tells of ``reading``; made once for all clients while it is the last one heard of."""
        if reading is not self._reading or sensor is not self._sensor:
            return self.encode(sensor, reading)
        line = self._line
        if line is None:
            line = self._line = self.encode(sensor, reading)
        return line

    def encode(self, sensor: Sensor[Any], reading: Reading[Any]) -> bytes:
        """Return ``#sensor-status timestamp 1 name status value`` (5.1, section 7.3), as a whole line."""
        timestamp, status, value = reading
        kind = sensor.type
        encode = self._encoders.get(kind)
        if encode is None:
            encode = self._encoder(kind)
        return b"#sensor-status %b 1 %b %b %b\n" % (
            self._encode_time(timestamp),
            sensor.name.encode("ascii"),
            self._statuses[status.wire],
            encode(value),
        )

    def _encoder(self, kind: ValueType[Any]) -> Callable[[Any], bytes]:
        """Return, and keep, what writes values of a type as arguments, escapes included."""
        plain = kind.encoder(self.dialect)
        encode = plain if kind.name in _UNESCAPED else lambda value: escape(plain(value))
        if len(self._encoders) >= _MAX_ENCODERS:
            self._encoders.clear()
        self._encoders[kind] = encode
        return encode
