"""Where readings are written. Law: a batch is written whole or not at all, and the event loop never waits for a disk.

A sink is whatever has the two coroutines of :class:`Sink`. Those of files are opened by their first batch, and may be
used again, by one recorder at a time, to add to what is there.
"""

from __future__ import annotations

import abc
import asyncio
import csv
import io
import json
import math
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..model.reading import Status
from ..reports import printable

if TYPE_CHECKING:
    import sqlite3

__all__ = ["CsvSink", "InfluxSink", "Recorded", "Sink", "SqliteSink"]

_INTEGERS = range(-(2**63), 2**63)  # what databases take for one
_LONGEST_TAG = 4096  # characters


class Recorded(NamedTuple):
    """One reading, with whose it is."""

    device: str
    sensor: str
    timestamp: float  #: s since the Unix epoch, UTC
    status: Status
    value: Any  #: None before the first; where the status is not valid, the last one known
    labels: Mapping[str, str]


class Sink(Protocol):
    """Takes batches of readings."""

    async def write(self, readings: Sequence[Recorded], /) -> None:
        """Write a batch. If it raises, none of the batch is written, and the recorder may come with it again."""

    async def close(self) -> None:
        """Let go of what is open. Called once, after the last batch, which may have been cancelled."""


class _FileSink(abc.ABC):
    """Writes in a thread, one batch at a time: one that was cancelled may still be on its way to the disk."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    @abc.abstractmethod
    def _write(self, readings: Sequence[Recorded]) -> None:
        """Add the readings, all or none; opens the file if it is not open."""

    @abc.abstractmethod
    def _close(self) -> None:
        """Close the file if it is open."""

    async def write(self, readings: Sequence[Recorded]) -> None:
        """Add the readings to the file. OSError, sqlite3.Error: none of them was written."""
        await asyncio.to_thread(self._alone, self._write, readings)

    async def close(self) -> None:
        """Close the file; the next batch opens it again."""
        await asyncio.to_thread(self._alone, self._close)

    def _alone(self, work: Callable[..., None], *arguments: object) -> None:
        with self._lock:
            work(*arguments)


class CsvSink(_FileSink):
    """A file of comma-separated values in UTF-8: timestamp (s), device, sensor, status, value, labels (JSON).

    Args:
        path: of the file; what it has already stays.
    """

    _COLUMNS = ("timestamp", "device", "sensor", "status", "value", "labels")
    _file: io.FileIO | None = None

    def _write(self, readings: Sequence[Recorded]) -> None:
        file = self._file = self._file or io.FileIO(self._path, "a+")
        end = file.seek(0, io.SEEK_END)
        text = io.StringIO()
        lines = csv.writer(text)
        if end == 0:
            lines.writerow(self._COLUMNS)
        else:
            file.seek(-1, io.SEEK_END)
            if file.read(1) != b"\n":  # a process that was killed has left a part of a line, which is not to grow
                text.write("\r\n")
        for device, sensor, timestamp, status, value, labels in readings:
            lines.writerow((timestamp, device, sensor, status.value, _plain(value), _json(labels)))
        left = memoryview(text.getvalue().encode("utf-8", "backslashreplace"))
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            file.truncate(end)  # a full disk may have taken a part
            raise

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class SqliteSink(_FileSink):
    """A database of SQLite, with a table ``sensors`` and a table ``readings``, one transaction for each batch.

    Texts and numbers are kept as such, truth values as 0 and 1, integers beyond 64 bits as texts, and NaN as NULL.

    Args:
        path: of the database; what it has already stays. Others may read it meanwhile.
    """

    _TABLES = """
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = NORMAL;
        CREATE TABLE IF NOT EXISTS sensors (
            id INTEGER PRIMARY KEY, device TEXT NOT NULL, sensor TEXT NOT NULL, labels TEXT NOT NULL,
            UNIQUE (device, sensor, labels)
        );
        CREATE TABLE IF NOT EXISTS readings (
            sensor_id INTEGER NOT NULL REFERENCES sensors (id), timestamp REAL, status TEXT NOT NULL, value
        );
        CREATE INDEX IF NOT EXISTS readings_by_sensor ON readings (sensor_id, timestamp);
    """
    _SENSOR = "INSERT OR IGNORE INTO sensors (device, sensor, labels) VALUES (?, ?, ?)"
    _READING = """
        INSERT INTO readings (timestamp, status, value, sensor_id)
        VALUES (?, ?, ?, (SELECT id FROM sensors WHERE device = ? AND sensor = ? AND labels = ?))
    """

    _database: sqlite3.Connection | None = None

    def _write(self, readings: Sequence[Recorded]) -> None:
        rows = []
        for device, sensor, timestamp, status, value, labels in readings:
            plain = _plain(value)
            if isinstance(plain, int) and plain not in _INTEGERS:
                plain = str(plain)
            rows.append((timestamp, status.value, plain, _plain(device), _plain(sensor), _json(labels)))
        database = self._database = self._database or self._open()
        with database:
            database.executemany(self._SENSOR, {row[3:]: None for row in rows})
            database.executemany(self._READING, rows)

    def _open(self) -> sqlite3.Connection:
        import sqlite3  # noqa: PLC0415 - whoever records nothing in a database need not wait for it to be loaded

        database = sqlite3.connect(self._path, check_same_thread=False)  # one thread at a time, but not always the same
        try:
            database.executescript(self._TABLES)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


class InfluxSink:
    """The line protocol of InfluxDB, for an HTTP client of the program's choice.

    A reading is a line with the tags ``device``, ``sensor``, ``status`` and the labels, the field ``valid`` and, if
    there is a value that InfluxDB can hold, one of ``value`` (a float or time), ``value_integer``, ``value_boolean``
    and ``value_text``: to InfluxDB, a field is of one type in all sensors. Backslashes and control characters in tags,
    which cannot hold them, become ``/`` and ``/x0a`` or the like.

    Args:
        write: ``await write(lines)`` sends bytes; times are in nanoseconds, which is InfluxDB's ``precision=ns``. If it
            raises, the batch is sent again: a point that is there already is replaced by the same.
        measurement: the name before the tags.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[object]], measurement: str = "katcp_sensor") -> None:
        self._send = write
        self._measurement = _tag(measurement)

    async def write(self, readings: Sequence[Recorded]) -> None:
        """Send a line for each reading; raises what ``write`` does."""
        await self._send("".join(map(self._line, readings)).encode("utf-8", "backslashreplace"))

    async def close(self) -> None:
        """Do nothing: the connection is the program's."""

    def _line(self, reading: Recorded) -> str:
        device, sensor, timestamp, status, value, labels = reading
        tags = {**labels, "device": device, "sensor": sensor, "status": status.value}
        head = ",".join([self._measurement, *(f"{_tag(key)}={_tag(tag)}" for key, tag in tags.items() if key and tag)])
        when = f" {round(timestamp * 1e9)}" if abs(timestamp) < 9e9 else ""  # else when it arrives; NaN as well
        return f"{head} valid={str(status.valid).lower()}{_field(value)}{when}\n"


def _field(value: Any) -> str:
    """Return the field for a value, after a comma; nothing for what InfluxDB cannot hold."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    plain = _plain(value)
    if isinstance(plain, bool):
        return f",value_boolean={str(plain).lower()}"
    if isinstance(plain, int) and plain in _INTEGERS:
        return f",value_integer={plain}i"
    if isinstance(plain, float):
        return f",value={plain!r}"
    text = str(plain).replace("\\", "\\\\").replace('"', '\\"')
    return f',value_text="{text}"'


def _tag(text: str) -> str:
    """Return a measurement, the key of a tag or its value; a backslash at its end would take the next comma along."""
    text = printable(text, _LONGEST_TAG).replace("\\", "/")
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _plain(value: Any) -> bool | int | float | str | None:
    """Return a value as one of the types that files and databases know, and texts in what can be written as UTF-8."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):  # a Timestamp is one
        return float(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value).encode("utf-8", "backslashreplace").decode()


def _json(labels: Mapping[str, str]) -> str:
    return json.dumps(labels, sort_keys=True)
