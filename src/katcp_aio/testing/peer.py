"""The other end of a connection, in the hands of a test. Law: it does exactly what it is told, well-behaved or not.

::

    peer = await Peer.connect("127.0.0.1", 5000)       # or, in memory: serve(device).peer()
    informs_and_reply = await peer.ask("?help[1] watchdog")
    peer.send("?watchdog[2]")
    await peer.expect("!watchdog[2] ok")
    await peer.close()

It does not use the library's own connection, so that a test of that sees with other eyes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections import deque
from collections.abc import Callable
from ssl import SSLContext
from typing import cast

from ..errors import MalformedMessage
from ..model.reading import Status
from ..wire.message import Message, MessageType
from .patience import Waiters, within
from .recorder import PATIENCE, Recorder, listed, matches

__all__ = ["Line", "Peer"]

Line = bytes | str | Message  #: one line to send; bytes and str may leave out its end
_Item = Message | MalformedMessage
_HEAD = re.compile(rb"[?!#]([A-Za-z][A-Za-z0-9-]*)(?:\[([0-9]+)\])?")


def _as_line(line: Line) -> bytes:
    raw = line.encode() if isinstance(line, str) else bytes(line)
    return raw if raw.endswith((b"\n", b"\r")) else raw + b"\n"


def _spaced(values: tuple[object, ...]) -> str:
    return "".join(" ..." if value is ... else f" {value!r}" for value in values)


class Peer(asyncio.Protocol):
    """One end of a connection, as raw as a test wants it. An asyncio protocol: give it to any transport.

    Args:
        on_message: called with each message, or malformed line, as it comes.
        on_eof: called once when the other end has finished sending.
        on_end: called once when the connection is gone.

    Attributes:
        received: a :class:`Recorder` of all that came, messages and malformed lines.
        eof: the other end has finished sending.
        lost: the connection is gone.
        error: the exception that ended it, if one did.
    """

    def __init__(
        self,
        *,
        on_connect: Callable[[Peer], None] | None = None,
        on_message: Callable[[Peer, _Item], None] | None = None,
        on_eof: Callable[[Peer], None] | None = None,
        on_end: Callable[[Peer], None] | None = None,
    ) -> None:
        self.received = Recorder()
        self.eof = self.lost = False
        self.error: Exception | None = None
        self._on_connect = on_connect
        self._on_message = on_message
        self._on_eof = on_eof
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._rest = b""  # the unfinished line
        self._lines: deque[bytes] = deque()  # those that nobody has asked for
        self._writing_paused = False
        self._waiters = Waiters()

    def __repr__(self) -> str:
        state = "lost" if self.lost else "at its end" if self.eof else "open"
        return f"<Peer {state}, {len(self._lines)} lines unread>"

    @classmethod
    async def connect(
        cls, host: str = "", port: int = 0, *, path: str | None = None, ssl: SSLContext | None = None
    ) -> Peer:
        """Connect to a server by host and port, or by the path of a Unix socket.

        Raises:
            OSError: it cannot be reached.
        """
        loop = asyncio.get_running_loop()
        if path is not None:
            return (await loop.create_unix_connection(cls, path, ssl=ssl))[1]
        return (await loop.create_connection(cls, host, port, ssl=ssl))[1]

    @property
    def transport(self) -> asyncio.Transport:
        """The transport that carries it.

        Raises:
            RuntimeError: it has none yet.
        """
        if self._transport is None:
            raise RuntimeError("this peer is not connected")
        return self._transport

    # Saying

    def send(self, *lines: Line) -> None:
        """Send whole lines, in one write."""
        self.send_raw(b"".join(map(_as_line, lines)))

    def send_raw(self, data: bytes) -> None:
        """Send these bytes and no more: half a line, several, or garbage."""
        self.transport.write(data)

    async def drain(self, *, timeout: float = PATIENCE) -> None:
        """Wait until the other end has taken most of what was sent."""
        await self._until(lambda: not self._writing_paused or self.lost, "the other end did not read", timeout)

    async def ask(self, request: Line, *, timeout: float = PATIENCE) -> list[Message]:
        """Send a request, wait for its reply, and return its informs and, last, the reply.

        What comes between and belongs to other requests, or to none, is passed over; ``received`` has it all.

        Raises:
            EOFError: the connection ended without a reply.
            TimeoutError: none came in time.
        """
        raw = _as_line(request)
        head = _HEAD.match(raw)
        if head is None:
            raise ValueError(f"not a request: {raw!r}")
        name, mid = head[1].decode(), int(head[2]) if head[2] else None
        self.send_raw(raw)
        found = []
        async with within(timeout, lambda span: f"no reply to {raw!r} came {span}; all: {listed(self.received.items)}"):
            while True:
                message = Message.parse(await self._next_line(timeout) + b"\n")
                if (message.name, message.mid) == (name, mid):
                    found.append(message)
                    if message.type is MessageType.REPLY:
                        return found

    # In the field's words

    async def assert_ok(self, request: Line, *values: object, timeout: float = PATIENCE) -> Message:
        """Make a request, fail unless it succeeds and returns these values, if any are given, and return the reply.

        Args:
            values: what follows ``ok``, compared as the wire has it; ``...`` as in :func:`~.recorder.matches`.

        Raises:
            AssertionError: the reply is another.
            EOFError, TimeoutError: as :meth:`ask`.
        """
        reply = (await self.ask(request, timeout=timeout))[-1]
        if not matches(reply, MessageType.REPLY, reply.name, ("ok", *(values or (...,)))):
            raise AssertionError(f"expected ok{_spaced(values)}, and there came {bytes(reply)!r}")
        return reply

    async def assert_refused(
        self, request: Line, text: str = "", *, code: str = "fail", timeout: float = PATIENCE
    ) -> Message:
        """Make a request, fail unless it is refused with that return code, and return the reply.

        Args:
            text: to be found in what the device says of it.
            code: ``"fail"``, ``"invalid"``, or one of the device's own.

        Raises:
            AssertionError: the reply is another.
            EOFError, TimeoutError: as :meth:`ask`.
        """
        reply = (await self.ask(request, timeout=timeout))[-1]
        said = b" ".join(reply.arguments[1:])
        if reply.arguments[:1] != (code.encode(),) or text.encode() not in said:
            raise AssertionError(f"expected {code}{_spaced((text,) if text else ())}, and there came {bytes(reply)!r}")
        return reply

    async def assert_sensor(
        self, name: str, value: object, status: str | Status = Status.NOMINAL, *, timeout: float = PATIENCE
    ) -> None:
        """Poll a sensor, and fail unless it reads ``value``, compared as the wire has it, with that status.

        Raises:
            AssertionError: it reads something else, or there is none.
            EOFError, TimeoutError: as :meth:`ask`.
        """
        *rows, reply = await self.ask(Message.request("sensor-value", name), timeout=timeout)
        word = status.value if isinstance(status, Status) else status
        wanted = (..., 1, name, word, value)
        if not any(matches(row, MessageType.INFORM, "sensor-value", wanted) for row in rows):
            heard = b"".join(map(bytes, rows or [reply]))
            raise AssertionError(f"expected {name} to be {word} {value!r}, and there came {heard!r}")

    # Hearing

    @property
    def unread(self) -> list[bytes]:
        """The lines that came and were not asked for yet, without their ends; and what came of an unfinished one."""
        return [*self._lines, *([self._rest] if self._rest else [])]

    async def line(self, *, timeout: float = PATIENCE) -> bytes:
        """Return the next line, without its end.

        Raises:
            EOFError: the other end will send no more.
            TimeoutError: none came in time.
        """
        async with within(timeout, lambda span: f"no line came {span}; unread: {self.unread}"):
            return await self._next_line(timeout)

    async def message(self, name: str | None = None, *, timeout: float = PATIENCE) -> Message:
        """Return the next message; with ``name``, the next of that name, passing over what comes before.

        Raises:
            MalformedMessage: the line is none.
            EOFError, TimeoutError: as :meth:`line`.
        """
        what = f"message {name}" if name else "message"
        async with within(timeout, lambda span: f"no {what} came {span}; all: {listed(self.received.items)}"):
            while True:
                message = Message.parse(await self._next_line(timeout) + b"\n")
                if name in (None, message.name):
                    return message

    async def expect(self, *lines: Line, timeout: float = PATIENCE) -> None:
        """Fail unless the next lines are exactly these.

        Raises:
            AssertionError: they are others, or end before.
            TimeoutError: they did not come in time.
        """
        for expected in lines:
            want = _as_line(expected).rstrip(b"\r\n")
            try:
                have = await self.line(timeout=timeout)
            except EOFError as error:
                raise AssertionError(f"expected {want!r}, but {error}") from None
            if have != want:
                raise AssertionError(f"expected {want!r}, and there came {have!r}")

    async def end(self, *, timeout: float = PATIENCE) -> list[bytes]:
        """Wait until the other end has finished, and return the lines that were not asked for; see :attr:`unread`."""
        await self._until(lambda: self.eof, "the connection did not end", timeout)
        return self.unread

    # Behaving, well or not

    def pause(self) -> None:
        """Stop reading: what the other end sends stays with it."""
        self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self.transport.resume_reading()

    def half_close(self) -> None:
        """Finish sending, and go on reading."""
        self.transport.write_eof()

    def abort(self) -> None:
        """Break the connection off: the other end sees a reset, and what it sent is lost."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # a Unix socket has no such option
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def close(self, *, timeout: float = PATIENCE) -> None:
        """Close the connection and wait until it is gone."""
        if self._transport is not None:
            self._transport.close()
            await self._until(lambda: self.lost, "the connection did not close", timeout)

    # Told by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)
        if self._on_connect is not None:
            self._on_connect(self)

    def data_received(self, data: bytes) -> None:
        """Cut what came into lines."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines.append(line.removesuffix(b"\r"))
            try:
                item: _Item = Message.parse(line + b"\n")
            except MalformedMessage as error:
                item = error
            self.received(item)
            if self._on_message is not None:
                self._on_message(self, item)
        self._waiters.wake()

    def eof_received(self) -> bool:
        """Stay open in the other direction."""
        self.eof = True
        self._waiters.wake()
        if self._on_eof is not None:
            self._on_eof(self)
        return True

    def pause_writing(self) -> None:
        """Note that the other end does not read."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Note that it reads again."""
        self._writing_paused = False
        self._waiters.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.eof = self.lost = True
        self.error = exc
        self._waiters.wake()
        if self._on_end is not None:
            self._on_end(self)

    async def _next_line(self, timeout: float) -> bytes:
        await self._waiters.until(lambda: bool(self._lines) or self.eof, timeout)
        if not self._lines:
            midway, why = f" in {self._rest!r}" * bool(self._rest), f" by {self.error!r}" * (self.error is not None)
            raise EOFError(f"the connection ended{midway}{why}; all: {listed(self.received.items)}")
        return self._lines.popleft()

    async def _until(self, ready: Callable[[], bool], otherwise: str, timeout: float) -> None:
        async with within(timeout, lambda span: f"{otherwise} {span}; unread: {self.unread[:10]}"):
            await self._waiters.until(ready, timeout)
