"""One peer, over asyncio's StreamReader and StreamWriter. Law: only this class reads or writes, and it never hangs.

Input: one ``read`` brings the messages of a whole chunk. Output is gathered, and written once a turn, or at once.
Back-pressure is the peer's own: a peer that does not read is ``paused``, and whoever owns the connection stops reading
from it. A peer that takes nothing for ``Limits.stall_timeout`` is aborted, and closing has a deadline of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import async_timeout

from ..errors import ConnectionLost, MalformedMessage
from ..limits import Limits
from ..wire.datatypes import Address
from ..wire.message import Message
from ..wire.parser import MessageParser
from .address import find_address, name_peer
from .callback import in_callback

__all__ = ["Connection"]


class Connection:
    """A peer to read messages from and write messages to. Belongs to one event loop.

    Args:
        limits: its bounds.
        max_line: bytes of one line that the peer sends; ``limits.max_line`` unless given.
        max_backlog: a peer that leaves more bytes than this unread is aborted, the longest single write besides; None,
            as for a client, which may have to send a device many megabytes at once: no bound.
        piece: bytes above which output is not gathered further but sent; ``limits.write_high`` unless given.

    Attributes:
        description: the peer, for people: ``127.0.0.1:5000``.
        closing: closing has begun: nothing more is written, and what comes in is dropped.
        lost: the transport is gone.
        eof: the peer has finished sending; it may still be reading (a half-closed connection).
        paused: more than ``Limits.write_high`` bytes wait to be sent.
        reason: why this side broke the connection off, where it did so for a fault of the peer.
        error: the exception that ended the transport, if one did.
    """

    __slots__ = (
        "__weakref__",
        "_allowance",
        "_chunk",
        "_closing_watch",
        "_drained",
        "_gathering",
        "_gone",
        "_large",
        "_listener",
        "_loop",
        "_lost_callbacks",
        "_max_backlog",
        "_out",
        "_parser",
        "_peer_ended",
        "_piece",
        "_reader",
        "_reading",
        "_sink",
        "_size",
        "_stall",
        "_unread",
        "_writer",
        "_written",
        "closing",
        "description",
        "eof",
        "error",
        "limits",
        "lost",
        "paused",
        "reason",
    )

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        limits: Limits,
        max_line: int | None = None,
        max_backlog: int | None = None,
        piece: int | None = None,
    ) -> None:
        self.limits = limits
        self.description = name_peer(writer)
        self.closing = self.lost = self.eof = self.paused = False
        self.reason: str | None = None
        self.error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._reader, self._writer = reader, writer
        self._reading = cast("asyncio.Transport", writer.transport)  # the same: a StreamWriter shows half of it
        self._parser = MessageParser(limits.max_line if max_line is None else max_line, limits.max_arguments)
        self._chunk, self._large = min(limits.parse_chunk, limits.read_chunk), limits.read_chunk
        self._piece = limits.write_high if piece is None else piece
        self._max_backlog = max_backlog
        self._allowance = 0  # bytes of the longest write since the peer last fell behind
        self._sink: Callable[[list[Message | MalformedMessage]], bool] | None = None  # who listens
        self._listener: asyncio.Future[bool] | None = None  # what :meth:`listen` waits for
        self._unread = 0  # bytes that the reader was given and has not been asked for
        self._peer_ended = False  # as `eof`, but also while messages that came before it are still unread
        self._out: list[bytes] = []  # what this turn of the loop has to say
        self._size = 0  # bytes in it
        self._written = 0  # bytes handed to the transport so far
        self._gathering = False  # somebody will flush
        self._drained: asyncio.Future[None] | None = None  # done when the output is below the low-water mark again
        self._gone: asyncio.Future[None] | None = None  # done when the transport is
        self._stall: asyncio.TimerHandle | None = None
        self._closing_watch: asyncio.TimerHandle | None = None
        self._lost_callbacks: list[Callable[[], None]] = []
        writer.transport.set_write_buffer_limits(high=limits.write_high, low=limits.write_low)

    @property
    def address(self) -> Address | None:
        """The peer's address, or None where it has none (Unix sockets, memory)."""
        return find_address(self._writer)

    # Input

    @property
    def unread(self) -> int:
        """Bytes that have come and were not read: as long as there are some, :meth:`read` does not wait."""
        return self._unread

    async def read(self) -> list[Message | MalformedMessage]:
        """Wait for messages, and return all that one chunk completed; ``[]`` at the end of the stream.

        Never raises for what the peer sends or does: what had arrived before a reset is returned first. After
        :meth:`begin_close` it returns what had arrived until then. Cancelling it loses nothing.
        """
        while True:
            # In the midst of a long line there is nothing to parse: a megabyte takes half the time in larger pieces.
            data = await self._reader.read(self._chunk if self._parser.pending <= self._chunk else self._large)
            if not data:
                self.eof = True
                return []
            self._unread -= len(data)
            messages = self._parser.feed(data)
            if messages:
                return messages

    async def listen(self, sink: Callable[[list[Message | MalformedMessage]], bool]) -> bool:
        """Have messages given to ``sink`` as they come, until it returns True or the stream ends; return which it was.

        Called where no task runs, it saves a turn of the loop. Cancelling loses nothing; what comes after True waits.

        Raises:
            Exception: whatever ``sink`` raises.
        """
        while self._unread:  # came before this call, and is with the reader
            messages = await self.read()
            if messages and await in_callback(sink, messages):
                return True
        if self._peer_ended or self.closing:
            self.eof = True
            return False
        self._sink = sink
        self._listener = self._loop.create_future()
        try:
            return await self._listener
        finally:
            self._sink = None

    def hand_on(self, data: bytes) -> bool:
        """Give what has come to who listens; False if nobody does, and it is the reader's."""
        if (sink := self._sink) is None:
            self._unread += len(data)
            return False
        messages = self._parser.feed(data)
        try:
            if messages and sink(messages):
                self._stop_listening(more=True)
        except Exception as error:  # noqa: BLE001 - the listener's own
            self._sink = None
            if self._listener is not None and not self._listener.done():  # pragma: no branch - it was cancelled
                self._listener.set_exception(error)
        return True

    def _stop_listening(self, *, more: bool) -> None:
        self._sink = None
        if self._listener is not None and not self._listener.done():
            self.eof = self.eof or not more
            self._listener.set_result(more)

    # Output

    def write(self, data: bytes) -> None:
        """Queue whole lines; they leave with the next flush, at the latest in the next turn of the loop.

        Never waits and never raises; what is written to a lost or closing connection is dropped.
        """
        if self.closing:
            return
        self._out.append(data)
        self._size += len(data)
        if not self._gathering:
            self._gathering = True
            self._loop.call_soon(self.flush)
        elif self._size > self._piece:
            self._flush()

    def send(self, *messages: Message) -> None:
        """Queue messages; see :meth:`write`."""
        self.write(b"".join(map(bytes, messages)))

    def write_now(self, data: bytes) -> None:
        """Write whole lines as :meth:`write` does, behind what is queued, but not only at the end of the turn."""
        self._out.append(data)
        self._size += len(data)
        self._flush()

    def gather(self) -> None:
        """Promise a :meth:`flush`, so that :meth:`write` does not have to schedule one."""
        self._gathering = True

    def flush(self) -> None:
        """Hand what is queued to the transport, in one write."""
        self._gathering = False
        if self._out:
            self._flush()

    def _flush(self) -> None:
        # join and one write: writelines() has lost data in several versions of asyncio, and costs a send for each line
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        if (self.paused or self._size > self._piece) and self._max_backlog is not None:
            self._check_backlog(max(map(len, out)), self._max_backlog)
        out.clear()
        self._size = 0
        if not self.closing:
            self._written += len(data)
            self._writer.write(data)

    def _check_backlog(self, longest: int, bound: int) -> None:
        """Break off a peer that left too much unread before this turn: one long reply, whatever its length, passes."""
        if self._writer.transport.get_write_buffer_size() > bound + self._allowance:
            self.abort(f"left more than {bound} bytes unread")
        elif longest > self._allowance:
            self._allowance = longest

    @property
    def backlog(self) -> int:
        """Bytes that wait to be sent: queued here or held by the transport."""
        return self._size + (0 if self.lost else self._writer.transport.get_write_buffer_size())

    async def drain(self) -> None:
        """Wait until the output is below the low-water mark. Cancelling it is safe.

        Raises:
            ConnectionLost: the connection ended, or the peer took nothing for ``Limits.stall_timeout``.
        """
        self.flush()
        while self.paused and not self.lost:
            if self._drained is None:
                self._drained = self._loop.create_future()
            # Several may wait for the one future, so none of them may cancel it.
            await asyncio.shield(self._drained)
        if self.lost:
            raise ConnectionLost(self.reason or "connection lost", device=self.description)

    # The end

    async def close(self, within: float = float("inf")) -> None:
        """End the connection: send what is queued, tell the peer, and wait until the transport is gone.

        Takes ``Limits.close_timeout``, and ``within`` s, at most; then, or when cancelled, it is aborted. Never raises.
        """
        self.begin_close()
        try:
            async with async_timeout.timeout(min(self.limits.close_timeout, within)):
                await self.wait_lost()
        except TimeoutError:
            self.abort()
            await self.wait_lost()  # soon: no transport waits for its peer then
        finally:
            self.abort()

    def begin_close(self) -> None:
        """Start to end the connection, without waiting; :meth:`close` waits.

        This side's end goes out first, and what the peer still sends is dropped until it ends its own: closing a
        socket with unread input would have the kernel reset the connection and destroy what is not delivered yet. A
        peer that takes nothing for ``Limits.close_timeout`` is aborted, and any other after ``Limits.stall_timeout``.
        """
        if self.closing:
            return
        self.flush()
        self.closing = True
        self._reader.feed_eof()  # wakes who reads
        self._stop_listening(more=False)
        transport = self._writer.transport
        plain = transport.can_write_eof()  # not TLS, which has no half-closed connections
        if not (plain and self._peer_ended) or transport.get_write_buffer_size():  # else it is gone in the next turn
            self._watch_close(-1, self._loop.time() + self.limits.stall_timeout)
        if self._peer_ended or not plain:
            transport.close()
        elif not transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                transport.write_eof()
                self._reading.resume_reading()

    def _taken(self) -> int:
        """Return how many bytes have left for the peer so far."""
        return self._written - self._writer.transport.get_write_buffer_size()

    def _watch_close(self, before: int, ends: float) -> None:
        """Abort a peer that took nothing since the last look, or at the end of its time; else look again later."""
        taken = self._taken()
        if taken == before or self._loop.time() >= ends:
            self.abort()
        else:
            self._closing_watch = self._loop.call_later(self.limits.close_timeout, self._watch_close, taken, ends)

    def abort(self, reason: str | None = None) -> None:
        """End the connection now; what was not sent is lost. ``reason`` says which fault of the peer was to blame."""
        if reason is not None and self.reason is None:
            self.reason = reason
        self.closing = True
        self._out.clear()
        self._size = 0
        if not self.lost:
            self._writer.transport.abort()

    async def wait_lost(self) -> None:
        """Wait until the transport is gone. Cancelling it is safe."""
        if self.lost:
            return
        if self._gone is None:
            self._gone = self._loop.create_future()
        await asyncio.shield(self._gone)

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Have ``callback()`` called once when the transport is gone; at once if it is already."""
        if self.lost:
            callback()
        else:
            self._lost_callbacks.append(callback)

    def get_extra_info(self, name: str) -> Any:
        """Return what the transport knows by that name: ``socket``, ``peercert``, ``sockname``, ..."""
        return self._writer.get_extra_info(name)

    # Told by the protocol

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that the transport is gone."""
        self.lost = self.closing = True
        self.error = error
        self._stop_listening(more=False)
        self._out.clear()
        self._size = 0
        self.resumed()
        if self._closing_watch is not None:
            self._closing_watch.cancel()
            self._closing_watch = None
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        while self._lost_callbacks:
            self._lost_callbacks.pop(0)()

    def stalled(self) -> None:
        """Take note that the output is above the high-water mark."""
        self.paused = True
        if self._stall is None:  # pragma: no branch - a transport that says so twice
            self._watch_stall(-1)

    def peer_ended(self) -> bool:
        """Take note that the peer has finished sending; return whether this side may still send."""
        self._peer_ended = True
        self._stop_listening(more=False)
        return not self.closing

    def resumed(self) -> None:
        """Take note that the output is below the low-water mark again, or will never be."""
        self.paused = False
        self._allowance = 0
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._drained is not None:
            if not self._drained.done():  # pragma: no branch - it was cancelled
                self._drained.set_result(None)
            self._drained = None

    def _watch_stall(self, before: int) -> None:
        """Abort a peer that took nothing since the last look, or look again later."""
        taken = self._taken()
        if taken == before:
            self._stall = None
            self.abort(f"did not read for {self.limits.stall_timeout:g} s")
        else:
            self._stall = self._loop.call_later(self.limits.stall_timeout, self._watch_stall, taken)
