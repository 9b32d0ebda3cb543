"""Python's log as #log informs (5.1, section 6). Law: logging never waits, never fails, and never logs about itself."""

from __future__ import annotations

import asyncio
import enum
import functools
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from ..connection import Connection
from ..wire.datatypes import Timestamp
from ..wire.dialect import Dialect
from ..wire.formats import encode_text_leniently
from ..wire.message import MessageType
from .context import format_line

__all__ = ["DeviceLog", "KatcpLogHandler", "LogLevel", "LoggedClient", "LoggingServer"]

_HEAD = MessageType.INFORM.head("log")
_LIBRARY = "katcp_aio"  # what the library itself logs is the operator's: it tells of clients, and of its inside
_HANDLERS = "katcp_aio.request"  # what handlers log by way of their context is the device's
_SENT = "katcp_server"  # attribute of a record: the server whose clients were told of it already
_MAX_WAITING = 1000  # records of other threads that the loop has not come to yet; more: dropped


@functools.total_ordering
class LogLevel(enum.Enum):
    """The levels of table 7, by the numbers of Python's :mod:`logging`; ordered as these are: ``WARN > INFO``."""

    OFF = 100  #: nothing is sent
    FATAL = logging.CRITICAL
    ERROR = logging.ERROR
    WARN = logging.WARNING
    INFO = logging.INFO
    DEBUG = logging.DEBUG
    TRACE = 5  #: for which Python has no name of its own
    ALL = 0  #: everything is sent

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, LogLevel):
            return NotImplemented
        return bool(self.value < other.value)

    @property
    def python(self) -> int:
        """The level for ``logger.setLevel``."""
        return int(self.value)

    @classmethod
    def from_python(cls, level: int) -> LogLevel:
        """Return the level of a record: the nearest one that is not above it, FATAL and TRACE being the ends."""
        for member in _OF_RECORDS:
            if level >= member.value:
                return member
        return cls.TRACE


_OF_RECORDS = (LogLevel.FATAL, LogLevel.ERROR, LogLevel.WARN, LogLevel.INFO, LogLevel.DEBUG)


class LoggedClient(Protocol):
    """What of a client is needed here; a ``ClientConnection`` is one."""

    @property
    def connection(self) -> Connection:
        """Where the lines go."""

    @property
    def log_limit(self) -> LogLevel | None:
        """The level from which this client is sent records; None: the device's."""


class LoggingServer(Protocol):
    """What of a server is needed here; a ``DeviceServer`` is one."""

    @property
    def clients(self) -> Iterable[LoggedClient]:
        """Who is told."""

    @property
    def log_level(self) -> LogLevel:
        """The level from which records are sent."""

    @property
    def dialect(self) -> Dialect:
        """How lines are written."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it serves in; None before it was started."""


class KatcpLogHandler(logging.Handler):
    """Sends records to the clients of a server: ``logging.getLogger("pump").addHandler(KatcpLogHandler(server))``.

    ``server.log_level``, which clients set with ?log-level, says from which level on; the handler's and the loggers'
    own levels hold besides. A client that does not read misses records rather than having them pile up. Only the
    message is sent, or what a formatter makes of it if one is set: a traceback stays in the log. What the library logs
    itself is not sent, but for what handlers log with ``ctx.logger``. May be used from any thread.

    Args:
        server: whose clients are told.
        level: the handler's own level, as for any handler.
    """

    def __init__(self, server: LoggingServer, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.addFilter(_is_the_devices)
        self.dropped = 0  #: records that a client or the loop was too slow for
        self._server = server
        self._busy = False  # in the loop's thread: whatever is logged because a record is sent is not sent
        self._loop: asyncio.AbstractEventLoop | None = None  # that records of other threads are on their way to;
        self._waiting = 0  # how many; the handler's lock guards both

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, in the loop's thread; from other threads, soon. Called by :mod:`logging`, under its lock."""
        loop = self._server.loop
        if loop is None or loop.is_closed() or getattr(record, _SENT, None) is self._server:
            return
        try:
            text = record.getMessage() if self.formatter is None else self.format(record)
        except Exception:  # noqa: BLE001 - arguments that do not fit the text, as any handler reports it
            self.handleError(record)
            return
        level = LogLevel.from_python(record.levelno)
        try:
            here = asyncio.get_running_loop() is loop
        except RuntimeError:
            here = False
        if here:
            self._send(level, record.created, record.name, text)
            return
        if loop is not self._loop:  # the server was started in another one: what the old one has left does not come
            self._loop, self._waiting = loop, 0
        if self._waiting >= _MAX_WAITING:
            self.dropped += 1
        else:
            self._waiting += 1
            try:
                loop.call_soon_threadsafe(self._arrive, loop, level, record.created, record.name, text)
            except RuntimeError:  # pragma: no cover - the loop was closed since it was looked at above
                self._waiting -= 1

    def _arrive(self, loop: asyncio.AbstractEventLoop, level: LogLevel, created: float, name: str, text: str) -> None:
        self.acquire()
        self._waiting -= loop is self._loop
        self.release()
        self._send(level, created, name, text)

    def _send(self, level: LogLevel, created: float, name: str, text: str) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            server = self._server
            line = None
            for client in server.clients:
                if level < (client.log_limit or server.log_level):
                    continue
                if client.connection.paused:
                    self.dropped += 1
                    continue
                if line is None:
                    told = level, Timestamp(created), encode_text_leniently(name), encode_text_leniently(text)
                    line = format_line(_HEAD, told, server.dialect)
                client.connection.write(line)
        finally:
            self._busy = False


class DeviceLog(logging.LoggerAdapter["logging.Logger"]):
    """The log of one device, ``server.log``: goes to Python's log, as any logger, and to the device's clients.

    Clients are sent what reaches the level that they have set with ?log-level, whatever levels Python's own log has. A
    :class:`KatcpLogHandler` of the same server passes it over, so that nobody is told twice.

    Args:
        server: the device; its class names the logger.
    """

    def __init__(self, server: LoggingServer) -> None:
        kind = type(server)
        super().__init__(logging.getLogger(f"{kind.__module__}.{kind.__qualname__}"), {_SENT: server})
        self._handler = KatcpLogHandler(server)
        self._server = server

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the adapter's own name for it
        """Return whether anybody is told of records of this level."""
        return self.logger.isEnabledFor(level) or self._reaches_clients(level)

    def _reaches_clients(self, level: int) -> bool:
        server, told = self._server, LogLevel.from_python(level)
        return told >= server.log_level or any(
            told >= client.log_limit for client in server.clients if client.log_limit is not None
        )

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message, with ``%`` and its arguments as for any logger."""
        if self.logger.isEnabledFor(level):
            message, options = self.process(msg, kwargs)
            options["stacklevel"] = options.get("stacklevel", 1) + 1
            self.logger.log(level, message, *args, **options)
        if self._reaches_clients(level):
            self._handler.handle(self.logger.makeRecord(self.logger.name, level, "", 0, msg, args, None))

    def trace(self, msg: object, *args: object) -> None:
        """Log at the level that is below DEBUG, for which Python has no name."""
        self.log(LogLevel.TRACE.value, msg, *args)

    def fatal(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at the level that Python calls critical."""
        self.log(LogLevel.FATAL.value, msg, *args, **kwargs)


def _is_the_devices(record: logging.LogRecord) -> bool:
    """Return whether a record is not the library's own."""
    name = record.name + "."
    return not name.startswith(_LIBRARY + ".") or name.startswith(_HANDLERS + ".")
