"""A device without a socket. Law: what a test asks of a served device goes the way that a network client's would go.

::

    async with serve(Pump()) as served:
        peer = served.peer()                                   # a raw client
        assert (await peer.ask("?watchdog[1]"))[-1].ok
        async with Client("pump", connector=served.connector) as client:
            await client.request("set-rate", 2.5)

"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from ssl import SSLContext
from typing import Any, Generic, Protocol, TypeVar

from ..connection import Connection, ConnectionProtocol
from ..limits import Limits
from .clock import ManualClock, ManualLoop
from .memory import CHUNK, memory_pair
from .peer import Peer

__all__ = ["Listener", "MakesProtocols", "Servable", "Served", "connect_in_memory", "serve"]

_logger = logging.getLogger(__name__)


class MakesProtocols(Protocol):
    """Whatever makes one protocol for each client: a :class:`DeviceServer`, a :class:`FakeDevice`, ..."""

    def make_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol of a new client."""


class Servable(MakesProtocols, Protocol):
    """A device that can be served in memory: a :class:`DeviceServer`."""

    async def start(self, listen: bool = True) -> Any:
        """Start it, with or without sockets."""

    async def stop(self, timeout: float | None = None) -> Any:
        """Stop it."""


_S = TypeVar("_S", bound=MakesProtocols)


class Listener:
    """The TCP port of something that is otherwise reached in memory."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None

    async def open(
        self, made_for: MakesProtocols, host: str, port: int, *, ssl: SSLContext | None = None
    ) -> tuple[str, int]:
        """Listen, and return host and port."""
        loop = asyncio.get_running_loop()
        # Noted before it listens: cancelled in between, it could not be closed any more.
        self._server = await loop.create_server(made_for.make_protocol, host, port, ssl=ssl, start_serving=False)
        await self._server.start_serving()
        address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return address

    def close(self) -> None:
        """Listen no more; connections that were made already are not touched."""
        if self._server is not None:
            self._server.close()
            self._server = None


def connect_in_memory(server: MakesProtocols, *, limits: Limits | None = None, chunk: int = CHUNK) -> Connection:
    """Return a client's :class:`Connection` to ``server``, made in memory.

    Args:
        limits: the client's bounds.
        chunk: the most bytes delivered at once, in either direction; see :func:`memory_pair`.
    """
    limits = limits or Limits()
    protocol = ConnectionProtocol(limits, max_line=limits.max_reply_line)
    memory_pair(protocol, server.make_protocol(), chunk=chunk)
    if protocol.connection is None:  # pragma: no cover - for the type checker: in memory nothing is lost at once
        raise ConnectionResetError("the device refused the connection")
    return protocol.connection


class Served(Generic[_S]):
    """A device that serves in memory.

    Attributes:
        server: the device itself.
    """

    def __init__(self, server: _S) -> None:
        self.server = server
        self._peers: list[Peer] = []

    async def connector(self) -> Connection:
        """Return a new client's connection to the device; for ``Client(connector=served.connector)``."""
        return connect_in_memory(self.server)

    def peer(self, *, chunk: int = CHUNK) -> Peer:
        """Return a new raw client, connected; the device's greeting is the first that it hears.

        Args:
            chunk: the most bytes delivered at once, in either direction; see :func:`memory_pair`.
        """
        peer = Peer()
        memory_pair(peer, self.server.make_protocol(), chunk=chunk)
        self._peers.append(peer)
        return peer

    async def close_peers(self) -> None:
        """Close the raw clients that are still open, as :func:`serve` does at the end."""
        for peer in self._peers:
            if not peer.lost:
                peer.abort()
                await peer.close()
        self._peers.clear()


_Device = TypeVar("_Device", bound=Servable)


@contextlib.asynccontextmanager
async def serve(server: _Device) -> AsyncIterator[Served[_Device]]:
    """Start ``server`` without any socket, and stop it on the way out.

    Under a :class:`ManualClock` stopping takes the time that it needs, and nobody has to advance the clock. If the
    device goes by another clock, the log has a warning, which is shown when the test fails.

    Raises:
        whatever its ``on_start``, ``on_stop`` and service tasks raise.
    """
    _compare_clocks(server)
    await server.start(listen=False)
    served = Served(server)
    try:
        yield served
    finally:
        try:
            await served.close_peers()
        finally:  # also where a test that takes too long is cancelled just then
            with _time_goes_on():
                await server.stop()


def _compare_clocks(server: object) -> None:
    loop, clock = asyncio.get_running_loop(), getattr(server, "clock", None)
    if not isinstance(loop, ManualLoop) or clock in (None, loop.clock):
        return
    if isinstance(clock, ManualClock) or clock.monotonic() != loop.time():
        _logger.warning(
            "%r goes by another clock than this test: what it samples by time may never be reported. Make it with "
            "clock=manual_clock",
            server,
        )


@contextlib.contextmanager
def _time_goes_on() -> Iterator[None]:
    """Let a manual clock jump to whatever timer is waited for."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, ManualLoop):
        yield
        return
    before, loop.clock.auto = loop.clock.auto, True
    try:
        yield
    finally:
        loop.clock.auto = before
