"""The lines that sampling sends. Law: a reading is looked at once and written once, however many clients hear of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..wire.escapes import escape
from .stamps import stamp_encoder

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
        "_heard",
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
        self._heard: Reading[Any] | None = None  # the last one that the time was asked for
        self._now = 0.0  # when that was
        self._sensor: Sensor[Any] | None = None  # the last one that there was a line for,
        self._reading: Reading[Any] | None = None  # what it said,
        self._line = b""  # and the line
        self._encode_time = stamp_encoder(dialect)
        self._statuses = dict(dialect.statuses)
        self._encoders: dict[ValueType[Any], Callable[[Any], bytes]] = {}

    def heard(self, reading: Reading[Any]) -> float:
        """Return when ``reading`` was heard of, in monotonic seconds: the same for all who look at it."""
        if reading is not self._heard:
            self._heard = reading
            self._now = self._monotonic()
        return self._now

    def line(self, sensor: Sensor[Any], reading: Reading[Any]) -> bytes:
        """Return ``#sensor-status timestamp 1 name status value`` (5.1, section 7.3), as a whole line.

        It is made once for all clients, who hear of a reading one after another.
        """
        if reading is self._reading and sensor is self._sensor:
            return self._line
        timestamp, status, value = reading
        kind = sensor.type
        try:
            encode = self._encoders[kind]
        except KeyError:
            encode = self._encoder(kind)
        self._line = line = b"#sensor-status %b 1 %b %b %b\n" % (
            self._encode_time(timestamp),
            sensor.name.encode(),
            self._statuses[status.wire],
            encode(value),
        )
        self._sensor = sensor
        self._reading = reading
        return line

    def _encoder(self, kind: ValueType[Any]) -> Callable[[Any], bytes]:
        """Return, and keep, what writes values of a type as arguments, escapes included."""
        plain = kind.encoder(self.dialect)
        encode = plain if kind.name in _UNESCAPED else lambda value: escape(plain(value))
        if len(self._encoders) >= _MAX_ENCODERS:
            self._encoders.clear()
        self._encoders[kind] = encode
        return encode
