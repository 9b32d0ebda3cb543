"""Transports without a network. Law: two protocols in one loop, joined as TCP would join them, flow control included.

::

    near, far = memory_pair(protocol_a, protocol_b)          # asyncio.Transport objects, already connected
    (reader, writer), (peer_reader, peer_writer) = memory_streams()

What one end writes is delivered to the other by the loop, in order, in its next turns: never before ``write`` returns.
An end that does not read (``pause_reading``) leaves it with the writer, whose protocol is told to pause at the
high-water mark, as over a socket whose buffers are full. Nothing here takes time or depends on the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

__all__ = ["CHUNK", "MemoryTransport", "memory_pair", "memory_streams"]

CHUNK = 64 * 1024  #: bytes given to a protocol at once, as the event loops read about as much from a socket
_HIGH_WATER = 64 * 1024  # bytes, the default of asyncio's own transports

StreamPair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Pipe:
    """One direction: the bytes that one end has written and the other has not been given yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chunk: int) -> None:
        self._loop = loop
        self._chunk = chunk
        self._data = bytearray()
        self._finished = False  # no more will be written
        self._ended = False  # and the reader has been told so
        self._held = False  # the reader does not read
        self._broken = False  # the reader is gone
        self._turn: asyncio.Handle | None = None
        self.on_data: Callable[[bytes], int]  # gives bytes to the reader, returns how many it took
        self.on_end: Callable[[], None]  # tells the reader that there will be no more
        self.on_taken: Callable[[], None]  # tells the writer that there is room again
        self.on_broken: Callable[[], None]  # tells the writer that nobody will ever read what it wrote
        self.on_reset: Callable[[], None]  # tells the reader that the writer broke the connection off

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return len(self._data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._data += data
        self._schedule()

    def finish(self) -> None:
        self._finished = True
        self._schedule()

    def hold(self) -> None:
        self._held = True

    def release(self) -> None:
        self._held = False
        self._schedule()

    def break_off(self) -> None:
        """The reader is gone."""
        self._broken = True
        self._schedule()

    def reset(self) -> None:
        """The writer breaks the connection off; what it wrote is lost."""
        self._drop()
        self.on_reset()

    def _drop(self) -> None:
        self._data.clear()
        self._ended = True

    def _schedule(self) -> None:
        pending = self._data or (self._finished and not self._ended)
        if self._turn is None and pending and (self._broken or not self._held):
            self._turn = self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._turn = None
        if self._broken:
            if self._data:
                self._drop()
                self.on_broken()
            return
        if self._held or self._ended:  # since this was scheduled
            return
        if self._data:
            taken = self.on_data(bytes(self._data[: self._chunk]))
            del self._data[:taken]
            self.on_taken()
        else:
            self._ended = True
            self.on_end()
        self._schedule()


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory; made in pairs by :func:`memory_pair`.

    It does what the transport of a TCP socket does: ``close`` flushes first and gives the peer an end of file,
    ``abort`` drops everything and resets the peer, ``write_eof`` closes one direction, and bytes written to a peer that
    has gone come back as ConnectionResetError to ``connection_lost``.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, incoming: _Pipe, outgoing: _Pipe
    ) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._incoming = incoming
        self._outgoing = outgoing
        self._info: dict[str, Any] = {}
        self._closing = False
        self._ended = False  # connection_lost is called, or about to be
        self._eof_written = False
        self._reading = True
        self._writing_paused = False
        self._low, self._high = _HIGH_WATER // 4, _HIGH_WATER
        incoming.on_data = self._on_data
        incoming.on_end = self._on_end
        incoming.on_reset = self._on_reset
        outgoing.on_taken = self._on_taken
        outgoing.on_broken = self._on_reset

    def __repr__(self) -> str:
        state = "closed" if self._ended else "closing" if self._closing else "open"
        return f"<MemoryTransport {state} {self.get_write_buffer_size()} bytes waiting>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what :func:`memory_pair` or :meth:`set_extra_info` set: ``peername``, ``sockname``, ..."""
        return self._info.get(name, default)

    def set_extra_info(self, name: str, value: Any) -> None:
        """Set what ``get_extra_info(name)`` returns, for code that asks who its peer is."""
        self._info[name] = value

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what arrives from now on to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol in use."""
        return self._protocol

    def is_reading(self) -> bool:
        """Return whether the protocol takes what arrives."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Leave what arrives with the peer, until :meth:`resume_reading`."""
        if self.is_reading():
            self._reading = False
            self._incoming.hold()

    def resume_reading(self) -> None:
        """Take again what arrives."""
        if not self._reading and not self._closing:
            self._reading = True
            self._incoming.release()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol is told to pause writing (over ``high`` bytes) and to resume (at ``low`` or less).

        Raises:
            ValueError: unless ``high >= low >= 0``.
        """
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be at least low ({low}), and low at least 0")
        self._low, self._high = low, high
        self._check_high()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the marks as (low, high), in bytes."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the peer has not taken yet."""
        return self._outgoing.size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``; dropped in silence once the connection is lost.

        Raises:
            TypeError: ``data`` is not bytes-like.
            RuntimeError: after :meth:`write_eof`.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"a bytes-like object is required, not {type(data).__name__!r}")
        if self._eof_written:
            raise RuntimeError("write() after write_eof()")
        if data and not self._ended:
            self._outgoing.write(data)
            self._check_high()

    def can_write_eof(self) -> bool:
        """Return True: this transport can close one direction."""
        return True

    def write_eof(self) -> None:
        """Close the direction to the peer once all is sent; the other stays open."""
        if not self._closing and not self._eof_written:
            self._eof_written = True
            self._outgoing.finish()

    def is_closing(self) -> bool:
        """Return whether the connection is closed or being closed."""
        return self._closing

    def close(self) -> None:
        """Stop reading, send what is waiting, then close; the peer gets an end of file."""
        if self._closing:
            return
        self._closing = True
        self._incoming.hold()
        if not self._outgoing.size:
            self._end(None)

    def abort(self) -> None:
        """Close at once: what is waiting is lost, and the peer loses the connection with ConnectionResetError."""
        if not self._ended:
            self._break(None)

    def _break(self, error: Exception | None) -> None:
        self._end(error)
        self._outgoing.reset()

    def _end(self, error: Exception | None) -> None:
        """Tell the protocol in the next turn that the connection is lost, once."""
        self._closing = True
        self._incoming.hold()
        if not self._ended:
            self._ended = True
            self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        self._outgoing.finish()
        self._incoming.break_off()
        self._protocol.connection_lost(error)

    def _on_reset(self) -> None:
        self._end(ConnectionResetError("Connection reset by peer"))

    def _on_data(self, data: bytes) -> int:
        protocol = self._protocol
        try:
            if isinstance(protocol, asyncio.BufferedProtocol):
                buffer = memoryview(protocol.get_buffer(len(data)))
                taken = min(len(buffer), len(data))
                buffer[:taken] = data[:taken]
                protocol.buffer_updated(taken)
                return taken
            cast(asyncio.Protocol, protocol).data_received(data)
        except Exception as error:  # noqa: BLE001 - a protocol that fails loses its connection, as with a socket
            self._fail(error, "data_received")
        return len(data)

    def _on_end(self) -> None:
        try:
            keep_open = cast(asyncio.Protocol, self._protocol).eof_received()
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error, "eof_received")
        else:
            if not keep_open:
                self.close()

    def _fail(self, error: Exception, method: str) -> None:
        self._loop.call_exception_handler(
            {
                "message": f"protocol.{method}() failed",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._break(error)

    def _check_high(self) -> None:
        if self._outgoing.size > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def _on_taken(self) -> None:
        if self._writing_paused and self._outgoing.size <= self._low:
            self._writing_paused = False
            self._protocol.resume_writing()
        if self._closing and not self._outgoing.size:
            self._end(None)


def memory_pair(
    near: asyncio.BaseProtocol,
    far: asyncio.BaseProtocol,
    *,
    addresses: tuple[Any, Any] | None = None,
    chunk: int = CHUNK,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Connect two protocols of the running loop; both have had ``connection_made`` when this returns.

    Args:
        near: protocol of the first end.
        far: protocol of the second end.
        addresses: socket addresses of the two ends, for ``get_extra_info``: the first end has the first as its
            ``sockname`` and the second as its ``peername``, the second end the other way round. Default: none.
        chunk: the most bytes delivered in one turn of the loop; 1 shows that a parser minds no boundaries.

    Raises:
        RuntimeError: no loop is running.
        ValueError: ``chunk`` is less than 1.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1 byte, not {chunk}")
    loop = asyncio.get_running_loop()
    there, back = _Pipe(loop, chunk), _Pipe(loop, chunk)
    near_transport = MemoryTransport(loop, near, incoming=back, outgoing=there)
    far_transport = MemoryTransport(loop, far, incoming=there, outgoing=back)
    if addresses is not None:
        for transport, (own, peer) in ((near_transport, addresses), (far_transport, addresses[::-1])):
            transport.set_extra_info("sockname", own)
            transport.set_extra_info("peername", peer)
    near.connection_made(near_transport)
    far.connection_made(far_transport)
    return near_transport, far_transport


def memory_streams(
    *, limit: int = _HIGH_WATER, addresses: tuple[Any, Any] | None = None, chunk: int = CHUNK
) -> tuple[StreamPair, StreamPair]:
    """Return the two ends of a new connection, each as (reader, writer), as ``asyncio.open_connection`` returns one.

    Args:
        limit: bytes, as of :class:`asyncio.StreamReader`: an end that holds twice as many unread stops reading.
        addresses: as for :func:`memory_pair`.
        chunk: as for :func:`memory_pair`.

    Raises:
        RuntimeError: no loop is running.
        ValueError: ``chunk`` is less than 1.
    """
    loop = asyncio.get_running_loop()
    readers = asyncio.StreamReader(limit, loop=loop), asyncio.StreamReader(limit, loop=loop)
    protocols = (
        asyncio.StreamReaderProtocol(readers[0], loop=loop),
        asyncio.StreamReaderProtocol(readers[1], loop=loop),
    )
    transports = memory_pair(*protocols, addresses=addresses, chunk=chunk)
    first, second = (
        (reader, asyncio.StreamWriter(transport, protocol, reader, loop))
        for reader, transport, protocol in zip(readers, transports, protocols, strict=True)
    )
    return first, second
