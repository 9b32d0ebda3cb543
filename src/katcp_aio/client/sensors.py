"""The sensors of one device, as a client knows them. Law: an update is one look-up away from its sensor.

The table takes rows of ?sensor-list and keeps, for each, the same :class:`RemoteSensor` as long as the row stays the
same; and it takes readings, from #sensor-status and from #sensor-value, which are written alike (5.1, section 7.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..model.reading import Reading, Status
from ..reports import TroubleLog
from ..wire.dialect import Dialect
from ..wire.formats import time_decoder
from ..wire.message import Message
from ..wire.values import TypeRegistry, registry
from ..wire.valuetype import ValueType
from .inventory import SensorInfo
from .remote_sensor import RemoteSensor, SensorHost

__all__ = ["SensorTable"]

_MAX_TYPES = 1000  # remembered; a device may change the options of its discrete sensors for ever


class SensorTable:
    """Sensors by name, and the way of their readings.

    Args:
        host: what the sensors need of the client.
        dialect: what the device speaks.
        trouble: counts and logs what cannot be read.
        types: what the types are called in the device's list, and how their values are read.
    """

    __slots__ = ("_by_wire", "_decoders", "_dialect", "_host", "_read_time", "_trouble", "_types", "by_name")

    def __init__(self, host: SensorHost, dialect: Dialect, trouble: TroubleLog, types: TypeRegistry = registry) -> None:
        self.by_name: dict[str, RemoteSensor] = {}  #: in the order of the device's list
        self._by_wire: dict[bytes, RemoteSensor] = {}
        self._host = host
        self._trouble = trouble
        self._types = types
        self._decoders: dict[tuple[str, tuple[bytes, ...]], tuple[ValueType[Any], Callable[[bytes], Any]]] = {}
        self._dialect = dialect
        self._read_time: Callable[[bytes], float] = _time_reader(dialect)

    # The list

    def speak(self, dialect: Dialect) -> bool:
        """Read times and values as ``dialect`` writes them from now on; return whether that is another than before."""
        if dialect == self._dialect:
            return False
        self._dialect = dialect
        self._read_time = _time_reader(dialect)
        self._decoders.clear()
        for sensor in self.by_name.values():
            sensor.use(*self._decoder(sensor.info), self._read_time)
        return True

    def rows(self) -> dict[str, SensorInfo]:
        """Return the rows as they were last taken."""
        return {name: sensor.info for name, sensor in self.by_name.items()}

    def put(self, row: SensorInfo) -> None:
        """Take one row. One that is the same as before changes nothing; another one makes another sensor."""
        name = row.name
        old = self.by_name.get(name)
        if old is not None:
            if old.info == row:
                return
            old.retire()
        sensor = RemoteSensor(self._host, row, *self._decoder(row), self._read_time)
        self.by_name[name] = self._by_wire[name.encode()] = sensor

    def drop(self, name: str) -> None:
        """Take note that there is no such sensor any more."""
        sensor = self.by_name.pop(name, None)
        if sensor is not None:
            del self._by_wire[name.encode()]
            sensor.retire()

    def put_all(self, rows: Mapping[str, SensorInfo]) -> None:
        """Take all rows; sensors that are not among them are dropped."""
        for name in [name for name in self.by_name if name not in rows]:
            self.drop(name)
        by_name = self.by_name
        for name, row in rows.items():
            known = by_name.get(name)
            if known is None or known.info != row:
                self.put(row)

    def _decoder(self, row: SensorInfo) -> tuple[ValueType[Any], Callable[[bytes], Any]]:
        """Return the type of a sensor and what reads its values; shared by all sensors of that type."""
        type_name = row.type_name
        key = (type_name, row.params) if type_name == "discrete" else (type_name, ())
        found = self._decoders.get(key)
        if found is None:
            try:
                kind = self._types.from_wire(*key)
            except (TypeError, ValueError) as error:  # pragma: no cover - no device has been seen that says such a type
                self._trouble.tell("bad sensor", "sensor %s is read as bytes: %s", row.name, error)
                kind = self._types.resolve(bytes)
            if len(self._decoders) >= _MAX_TYPES:
                self._decoders.clear()
            found = self._decoders[key] = (kind, kind.decoder(self._dialect, lenient=True))
        return found

    # Readings

    def take(self, inform: Message) -> None:
        """Take the reading, or readings, of one #sensor-status or #sensor-value. Never raises.

        What is not of this form, or of a sensor that is not in the list, is counted and logged.
        """
        # Nearly all updates end in this block. One core, CPython 3.11: 0.9 us, the observers of the sensor not counted.
        try:
            timestamp, count, name, status, value = inform.arguments
            if count == b"1":
                self._by_wire[name].feed(timestamp, status, value)
                return
        except (ValueError, KeyError):
            pass
        self._take_many(inform)

    def take_all(self, informs: Iterable[Message]) -> dict[str, Reading[Any]]:
        """Take the readings of many #sensor-value, and return them by name, those of unknown sensors too."""
        readings: dict[str, Reading[Any]] = {}
        known = self._by_wire.get
        for inform in informs:
            try:
                timestamp, count, name, status, value = inform.arguments
            except ValueError:
                count = b""
            if count != b"1":
                self._trouble.tell("bad reading", "#%s is no reading: %s", inform.name, inform)
                continue
            sensor = known(name) or self._stranger(name)
            readings[sensor.info.name] = sensor.feed(timestamp, status, value)
        return readings

    def _stranger(self, name: bytes) -> RemoteSensor:
        """Return a sensor for one reading of a sensor that is not in the list; its value stays as it came."""
        row = SensorInfo.from_arguments([name])
        return RemoteSensor(self._host, row, *self._decoder(row), self._read_time)

    def _take_many(self, inform: Message) -> None:
        arguments = inform.arguments
        count = arguments[1] if len(arguments) > 1 else b""
        triples = arguments[2:]
        if not count.isdigit() or len(triples) != 3 * int(count[:9]):
            self._trouble.tell("bad reading", "#%s with %s arguments: %s", inform.name, len(arguments), inform)
            return
        for index in range(0, len(triples), 3):
            name, status, value = triples[index : index + 3]
            sensor = self._by_wire.get(name)
            if sensor is None:
                self._trouble.tell("unknown sensor", "#%s of a sensor that is not in the list: %s", inform.name, name)
            else:
                sensor.feed(arguments[0], status, value)

    def lose(self) -> None:
        """Take note that the device is away: nothing is sampled, and every sensor is unreachable."""
        for sensor in list(self.by_name.values()):
            sensor.sampling = None
            sensor.set_status(Status.UNREACHABLE)

    def shut(self) -> None:
        """Take note that the client is closed."""
        for sensor in list(self.by_name.values()):
            sensor.shut()

    def forget_absence(self) -> None:
        """Take note that the device is there again: what sensors read that nobody samples is not known."""
        for sensor in list(self.by_name.values()):
            if sensor.status is Status.UNREACHABLE and sensor.sampling is None:
                sensor.set_status(Status.UNKNOWN)

    def find(self, names: Iterable[str]) -> list[RemoteSensor]:
        """Return the sensors of these names that there are."""
        return [self.by_name[name] for name in names if name in self.by_name]


def _time_reader(dialect: Dialect) -> Callable[[bytes], float]:
    # The builtin reads all that devices send; a Python function around it would cost as much again.
    return float if dialect.time_scale == 1.0 else time_decoder(dialect, lenient=True)
