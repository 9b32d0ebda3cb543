"""A bad network between two good ends. Law: what goes wrong, and at which byte, follows from the seed alone.

::

    async with FaultProxy(device, Faults(split=7, reset_after=5000), seed=42) as proxy:
        async with Client("fake", connector=proxy.connector) as client:
            ...

``device`` is whatever has ``make_protocol()`` (a served DeviceServer, a FakeDevice) or the (host, port) of a server on
TCP; clients come in memory (:attr:`FaultProxy.connector`) or over TCP (:meth:`FaultProxy.listen`). A test can also
break what it likes when it likes: :meth:`FaultProxy.stall`, :meth:`FaultProxy.blackhole`, :meth:`FaultProxy.end`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from types import TracebackType
from typing import Self

import attrs

from ..connection import Connection
from .memory import memory_pair
from .script import Ending, as_ending
from .serving import Listener, MakesProtocols, connect_in_memory

__all__ = ["FaultProxy", "Faults"]

_CHUNK = 64 * 1024  # bytes read at once


@attrs.frozen(kw_only=True)
class Faults:
    """What goes wrong on each connection, in each direction.

    Attributes:
        split: bytes go on in pieces of 1 to so many; None: as they come.
        delay: seconds of the loop's time before each piece, at random from 0 to this.
        reset_after: after so many bytes, on average, the connection is reset; None: never.
        close_after: the same for a close, which loses nothing that was on its way before.
        half_close_after: the same for the end of one direction; the other goes on.
        blackhole_after: after so many bytes, on average, all that follows vanishes, and the connection stays.
    """

    split: int | None = None
    delay: float = 0.0
    reset_after: int | None = None
    close_after: int | None = None
    half_close_after: int | None = None
    blackhole_after: int | None = None


class _Direction:
    """Carries bytes one way, and does harm to them."""

    def __init__(self, faults: Faults, seed: str) -> None:
        self._faults = faults
        self._rng = rng = random.Random(seed)  # noqa: S311 - faults, not secrets
        self._delays = random.Random(f"{seed} delays")  # noqa: S311 - as above; as many as pieces come, unlike the cuts
        self._carried = 0  # bytes
        self._next_cut = self._draw_cut()
        # Where each fault strikes, as an offset in the stream, so that how the bytes come in pieces changes nothing.
        means: tuple[tuple[int | None, Ending | None], ...] = (
            (faults.reset_after, "reset"),
            (faults.close_after, "close"),
            (faults.half_close_after, "half-close"),
            (faults.blackhole_after, None),
        )
        strikes = [(rng.expovariate(1 / mean), how) for mean, how in means if mean]
        self._strike, self._how = min(strikes, default=(float("inf"), None), key=lambda strike: strike[0])
        self.open = asyncio.Event()  # cleared: nothing is carried, all waits
        self.open.set()
        self.sound = asyncio.Event()  # cleared: all that comes vanishes, the end of the stream and a reset included
        self.sound.set()
        self.finished = False  # who reads has been told that there will be no more

    def _draw_cut(self) -> int | None:
        return None if self._faults.split is None else self._carried + self._rng.randint(1, self._faults.split)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Ending:
        """Carry until the stream or its luck ends, and return how it is to end for who reads at the far side."""
        how: Ending = "half-close"
        try:
            while data := await reader.read(_CHUNK):
                while data:
                    piece, data = self._take(data)
                    if self._faults.delay:
                        await asyncio.sleep(self._delays.uniform(0, self._faults.delay))
                    await self.open.wait()
                    if self.sound.is_set() and not self.finished:
                        writer.write(piece)
                        await writer.drain()
                    if self._carried >= self._strike:
                        self._strike = float("inf")
                        if self._how is not None:
                            return self._how
                        self.sound.clear()
        except ConnectionError:  # one end was reset: so it is for the other
            how = "reset"
        await self.open.wait()
        await self.sound.wait()
        return how

    def _take(self, data: bytes) -> tuple[bytes, bytes]:
        """Cut the next piece off, where the next cut or fault is due."""
        until = len(data)
        if self._next_cut is not None:
            until = min(until, self._next_cut - self._carried)
        if self._strike < self._carried + until:
            until = max(1, math.ceil(self._strike) - self._carried)
        self._carried += until
        if self._carried == self._next_cut:
            self._next_cut = self._draw_cut()
        return data[:until], data[until:]


class _Link:
    """One client's connection, both ways."""

    def __init__(self, faults: Faults, seed: str, client: asyncio.StreamWriter) -> None:
        self.up = _Direction(faults, f"{seed} up")
        self.down = _Direction(faults, f"{seed} down")
        self.writers: list[asyncio.StreamWriter] = []  # of the client, and of the device once it is reached
        self._add(client)

    def _add(self, writer: asyncio.StreamWriter) -> None:
        # What was carried has left before the next piece, or the next fault: otherwise a reset would destroy more.
        writer.transport.set_write_buffer_limits(high=0)
        self.writers.append(writer)

    async def run(
        self, client: asyncio.StreamReader, device: asyncio.StreamReader, device_writer: asyncio.StreamWriter
    ) -> None:
        """Carry both ways until both have ended."""
        (client_writer,) = self.writers
        self._add(device_writer)
        ways = [
            asyncio.ensure_future(self._way(self.up, client, device_writer)),
            asyncio.ensure_future(self._way(self.down, device, client_writer)),
        ]
        try:
            await asyncio.wait(ways)
        finally:
            for way in ways:
                way.cancel()
            self.end("close")
            await asyncio.wait(ways)

    def stall(self) -> None:
        """Carry nothing."""
        self.up.open.clear()
        self.down.open.clear()

    def blackhole(self) -> None:
        """Let all that comes vanish."""
        self.up.sound.clear()
        self.down.sound.clear()

    async def _way(self, direction: _Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        how = await direction.carry(reader, writer)
        if how == "half-close":
            _finish(direction, writer)
        else:
            self.end(how)

    def end(self, how: Ending) -> None:
        """End it for both."""
        for direction, writer in zip((self.down, self.up), self.writers, strict=False):
            if how == "reset":
                writer.transport.abort()
            elif how == "close":
                writer.close()
            else:
                _finish(direction, writer)


def _finish(direction: _Direction, writer: asyncio.StreamWriter) -> None:
    direction.finished = True
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


class FaultProxy:
    """Carries connections to a device, and does harm by a seed, or when told.

    Args:
        device: what has ``make_protocol()``, or host and port of a server on TCP.
        faults: what goes wrong by itself; nothing unless given.
        seed: what follows is the same for the same seed; print it when a test fails.

    Attributes:
        connections: how many clients have connected so far.
    """

    def __init__(
        self, device: MakesProtocols | tuple[str, int], faults: Faults | None = None, *, seed: int = 0
    ) -> None:
        self.faults = faults or Faults()
        self.seed = seed
        self.connections = 0
        self._device = device
        self._links: set[_Link] = set()
        self._stalled = self._blackholed = False  # so are the connections that are made now
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = Listener()

    def __repr__(self) -> str:
        return f"<FaultProxy seed={self.seed} {self.faults} {len(self._links)} connections>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # Where clients reach it

    def make_protocol(self) -> asyncio.StreamReaderProtocol:
        """Return the protocol of a new client, for any transport."""
        reader = asyncio.StreamReader(_CHUNK)
        return asyncio.StreamReaderProtocol(reader, self._serve)

    async def connector(self) -> Connection:
        """Return a client's connection, made in memory; for ``Client(connector=proxy.connector)``."""
        return connect_in_memory(self)

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Listen on TCP, and return host and port."""
        return await self._listener.open(self, host, port)

    async def close(self) -> None:
        """End all connections."""
        self._listener.close()
        self.end("reset")
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # Harm on demand

    def stall(self, *, new: bool = True) -> None:
        """Carry nothing, on all connections, until :meth:`restore`; what comes waits.

        Args:
            new: it holds for connections that are made meanwhile, too.
        """
        self._stalled |= new
        for link in self._links:
            link.stall()

    def blackhole(self, *, new: bool = True) -> None:
        """Let all that comes vanish, on all connections, until :meth:`restore`.

        Args:
            new: it holds for connections that are made meanwhile, too; False is a device that has lost its state.
        """
        self._blackholed |= new
        for link in self._links:
            link.blackhole()

    def restore(self) -> None:
        """Carry again."""
        self._stalled = self._blackholed = False
        for link in self._links:
            for direction in (link.up, link.down):
                direction.sound.set()
                direction.open.set()

    def end(self, how: Ending = "reset") -> None:
        """End all connections: ``"reset"``, ``"close"`` or ``"half-close"``.

        Raises:
            ValueError: ``how`` is none of those.
        """
        how = as_ending(how)
        for link in list(self._links):
            link.end(how)

    # The work

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self.faults, f"{self.seed} {self.connections}", writer)
        self.connections += 1
        self._links.add(link)  # from the start: what a test does to all connections is done to this one too
        if self._stalled:
            link.stall()
        if self._blackholed:
            link.blackhole()
        task = asyncio.ensure_future(self._run(link, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, link: _Link, reader: asyncio.StreamReader) -> None:
        try:
            await link.run(reader, *await self._reach_device())
        except OSError:  # refused: so is the client
            link.end("reset")
        finally:
            self._links.discard(link)
            for writer in link.writers:
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _reach_device(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._device, tuple):
            return await asyncio.open_connection(*self._device, limit=_CHUNK)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(_CHUNK, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = memory_pair(protocol, self._device.make_protocol())
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
