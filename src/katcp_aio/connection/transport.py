"""How a connection is made: of any transport, or by connecting to a device. Law: all transports are treated alike."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl as ssl_module
import threading
from collections.abc import Callable

import async_timeout

from ..errors import ConnectionLost
from ..limits import Limits
from .peer import Connection

__all__ = ["ConnectionProtocol", "connect", "prepare_socket"]


_READ = 1 << 16  # bytes taken from a socket at once; as many again wait in the kernel, and the next turn takes them


class _Buffers(threading.local):
    """Where sockets are read into: one piece of memory for each thread, since one loop runs there at a time.

    What is read is copied out before the loop goes on, so that all connections can share it. asyncio's own way makes a
    buffer of 256 KiB for each read, which takes the kernel longer than all the rest of a short request. It is asked for
    at each read, since a loop may go on in another thread than it began in.
    """

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_READ))


_buffers = _Buffers()


class ConnectionProtocol(asyncio.StreamReaderProtocol, asyncio.BufferedProtocol):
    """Drives one :class:`Connection` from any asyncio transport.

    Args:
        limits: bounds of the connection.
        max_line: bytes of one line; ``limits.max_line`` unless given.
        max_backlog: bytes that the peer may leave unread, see :class:`Connection`; None for no bound.
        piece: bytes that are sent before the turn is over; ``limits.write_high`` unless given.
        on_connection: called with the connection as soon as it is made.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        max_line: int | None = None,
        max_backlog: int | None = None,
        piece: int | None = None,
        on_connection: Callable[[Connection], None] | None = None,
    ) -> None:
        # The reader holds twice its limit at the most before it stops the transport.
        reader = asyncio.StreamReader(limit=limits.read_chunk)
        super().__init__(reader, self._connected)
        self._limits = limits
        self._max_line = max_line
        self._max_backlog = max_backlog
        self._piece = piece
        self._on_connection = on_connection
        self.connection: Connection | None = None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection = Connection(
            reader,
            writer,
            limits=self._limits,
            max_line=self._max_line,
            max_backlog=self._max_backlog,
            piece=self._piece,
        )
        prepare_socket(writer.get_extra_info("socket"), self._limits)
        if self._on_connection is not None:
            self._on_connection(self.connection)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the transport is to put what it reads next."""
        return _buffers.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what it has put there."""
        self.data_received(_buffers.buffer[:nbytes].tobytes())

    def data_received(self, data: bytes) -> None:
        """Pass data on; once closing, drop it (see :meth:`Connection.begin_close`)."""
        connection = self.connection
        if connection is None or not (connection.closing or connection.hand_on(data)):
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """Keep the other direction open, unless this side has ended it already."""
        keep = super().eof_received()  # not over TLS, which has no half-closed connections
        return self.connection is not None and self.connection.peer_ended() and keep

    def connection_lost(self, exc: Exception | None) -> None:
        """End the stream behind what was received: a reset must not destroy a reply that had come before it."""
        super().connection_lost(None)
        connection, self.connection = self.connection, None
        if connection is not None:  # pragma: no branch - a transport that ends twice
            connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass the transport's word on."""
        super().pause_writing()
        if self.connection is not None:  # pragma: no branch - a transport that speaks after its end
            self.connection.stalled()

    def resume_writing(self) -> None:
        """Pass the transport's word on."""
        super().resume_writing()
        if self.connection is not None:  # pragma: no branch - as above
            self.connection.resumed()


async def connect(
    host: str = "",
    port: int = 0,
    *,
    path: str | None = None,
    ssl: ssl_module.SSLContext | None = None,
    limits: Limits | None = None,
) -> Connection:
    """Connect to a device, by host and port or by the path of a Unix socket.

    Cancelling it is safe.

    Raises:
        OSError: the device cannot be reached.
        TimeoutError: not within ``limits.connect_timeout``, the TLS handshake included.
    """
    limits = limits or Limits()
    loop = asyncio.get_running_loop()

    def protocol_factory() -> ConnectionProtocol:
        return ConnectionProtocol(limits, max_line=limits.max_reply_line, piece=limits.write_piece)

    async with async_timeout.timeout(limits.connect_timeout):
        if path is not None:
            _, protocol = await loop.create_unix_connection(protocol_factory, path, ssl=ssl)
        else:
            _, protocol = await loop.create_connection(protocol_factory, host, port, ssl=ssl)
    if protocol.connection is None:  # pragma: no cover - the peer reset it in the same turn of the loop
        raise ConnectionLost("connection lost while it was made", device=path or f"{host}:{port}")
    return protocol.connection


def prepare_socket(sock: socket.socket | None, limits: Limits) -> None:
    """Have small messages leave at once, and a peer that vanished noticed; sockets other than TCP have neither.

    Done to a socket that listens, those that it accepts have it too, where the system hands options on, as Linux does.
    """
    if sock is None:
        return
    options = _keepalive_options(limits)
    try:
        mark = getattr(socket, "TCP_USER_TIMEOUT", None)  # set last, and by no system itself as others may be
        if mark is not None and (mark, sock.getsockopt(socket.IPPROTO_TCP, mark)) == options[-1]:
            return  # handed on: one call of the kernel instead of six
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in options:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    except OSError:  # it is of another kind, it is gone already, or this system only knows an option's name
        pass


@functools.lru_cache(maxsize=16)
def _keepalive_options(limits: Limits) -> tuple[tuple[int, int], ...]:
    """Return the options of TCP that this system has, with their values; looked for once."""
    wanted = (
        ("TCP_KEEPIDLE", limits.keepalive_idle),
        ("TCP_KEEPINTVL", limits.keepalive_interval),
        ("TCP_KEEPCNT", limits.keepalive_count),
        # Data that nobody acknowledges ends the connection as soon as silence that nobody answers would.
        ("TCP_USER_TIMEOUT", 1000 * (limits.keepalive_idle + limits.keepalive_interval * limits.keepalive_count)),
    )
    return tuple((getattr(socket, name), value) for name, value in wanted if hasattr(socket, name))
