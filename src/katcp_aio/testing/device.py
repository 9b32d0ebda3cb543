"""A device that does what the test says. Law: by itself it is well-behaved; every way of misbehaving is asked for.

::

    async with FakeDevice() as device:
        device.on("set-rate", reply=("ok", 2.5))
        async with Client("fake", connector=device.connector) as client:
            await client.request("set-rate", 2.5)
        device.requests.assert_request("set-rate", 2.5)

"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from ssl import SSLContext
from types import TracebackType
from typing import Self

import attrs

from ..connection import Connection
from ..errors import FailReply, MalformedMessage, RequestError
from ..limits import Limits
from ..wire.datatypes import Timestamp
from ..wire.dialect import Dialect, parse_version
from ..wire.message import Message, MessageType
from ..wire.values import encode
from .memory import CHUNK
from .peer import Line, Peer
from .recorder import PATIENCE, Recorder, matches
from .script import Ending, Handler, Script, as_ending, as_tuple
from .serving import Listener, connect_in_memory
from .standard import FakeSensor, Standard

__all__ = ["FakeDevice"]

_USUAL: tuple[object, ...] = ("ok",)


class FakeDevice:
    """A scripted device for tests of clients; over memory (:attr:`connector`) or TCP (:meth:`listen`), or both.

    Every request that a test has no script for is answered as a well-behaved device would: ``?help``,
    ``?sensor-list`` and the others from a table of sensors, and what is unknown with ``invalid``.

    Args:
        protocol: what it speaks, as ``#version-connect`` announces it: ``"5.1-MITB"``, ``"5.0-M"``, ``"4.0"``.
        banner: the lines that greet a client, in place of the usual ones; ``()`` for none.
        sensors: name -> :class:`FakeSensor`; they are copied.
        version: the device's version and build state.
        chunk: the most bytes delivered at once in memory, in either direction.

    Attributes:
        requests: a :class:`Recorder` of the requests that came from all clients.
        sensors: the table; change a reading with :meth:`set`.
        help: request -> what ``?help`` says of it.
        peers: the clients that are connected, each a :class:`Peer`, the oldest first.
        mids: whether replies carry the ids of their requests; by the protocol's flags, unless changed.
        refusing: new clients are refused.
        lingering: connections whose client has finished sending stay open.
    """

    def __init__(
        self,
        protocol: str = "5.1-MITB",
        *,
        banner: Iterable[Line] | None = None,
        sensors: Mapping[str, FakeSensor] | None = None,
        version: tuple[str, str] = ("fake-1.0", "fake-1.0.0"),
        chunk: int = CHUNK,
    ) -> None:
        self.dialect: Dialect = parse_version(protocol)
        self.requests = Recorder()
        self.sensors = {name: attrs.evolve(sensor) for name, sensor in (sensors or {}).items()}
        self.help: dict[str, str] = {}
        self.peers: list[Peer] = []
        self.mids = self.dialect.message_ids
        self.refusing = self.lingering = False
        self._banner = None if banner is None else tuple(banner)
        self._version = version
        self._chunk = chunk
        self._scripts: dict[str, list[Script]] = {}  # the newest last
        self._standard = Standard(self)
        self._arrivals = Recorder()
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[Exception] = []  # of the test's handlers
        self._paused = False
        self._listener = Listener()

    # Where clients reach it

    def make_protocol(self) -> Peer:
        """Return the protocol of a new client, for any transport."""
        return Peer(on_connect=self._greet, on_message=self._hear, on_eof=self._finished, on_end=self._gone)

    async def connector(self) -> Connection:
        """Return a client's connection, made in memory; for ``Client(connector=device.connector)``.

        Raises:
            ConnectionRefusedError: the device is ``refusing``.
        """
        if self.refusing:
            raise ConnectionRefusedError("the device refuses connections")
        return connect_in_memory(self, limits=Limits(), chunk=self._chunk)

    async def listen(self, host: str = "127.0.0.1", port: int = 0, *, ssl: SSLContext | None = None) -> tuple[str, int]:
        """Listen on TCP as well, and return host and port.

        Raises:
            OSError: the port is taken.
        """
        return await self._listener.open(self, host, port, ssl=ssl)

    async def close(self) -> None:
        """End all connections and all that is still to be answered; :attr:`requests` stays.

        Raises:
            Exception: the first that a handler of the test raised, other than a refusal.
        """
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for peer in list(self.peers):
            peer.transport.abort()
            await peer.close()
        if self._errors:
            errors, self._errors = self._errors, []
            raise errors[0]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # What it answers

    def on(
        self,
        name: str,
        handler: Handler | None = None,
        *,
        reply: object = _USUAL,
        informs: Iterable[object] = (),
        delay: float = 0.0,
        raw: bytes | None = None,
        copies: int = 1,
        mids: bool | None = None,
        cut: int | None = None,
        then: Ending | None = None,
        times: int | None = None,
    ) -> None:
        """Say what the answer to a request is from now on.

        Args:
            name: the request's name.
            handler: ``handler(peer, request)``, plain or async, returns the values that follow ``ok`` (a tuple, one
                value or None), or raises FailReply or InvalidReply.
            reply: the reply's arguments, return code included, as a tuple; None for no reply at all. The usual
                ``ok`` counts the informs, where there are any.
            informs: informs before the reply, each a tuple of arguments or one argument.
            delay: seconds of the loop's time before the answer; later requests do not wait for it.
            raw: these bytes instead of all that: malformed lines, somebody else's reply, ...
            copies: how often the reply is sent.
            mids: whether the answer carries the request's id; as the device's ``mids`` unless given.
            cut: only so many bytes of the answer are sent.
            then: how the connection ends after the answer: ``"close"``, ``"half-close"`` or ``"reset"``.
            times: for how many requests this holds; afterwards, what was said before holds again.

        Raises:
            ValueError: ``then`` is none of those, or ``times`` less than 1.
        """
        rows = tuple(map(as_tuple, informs))
        if reply is _USUAL and rows:
            reply = ("ok", len(rows))
        script = Script(
            reply=None if reply is None else as_tuple(reply),
            informs=rows,
            handler=handler,
            delay=delay,
            raw=raw,
            copies=copies,
            mids=mids,
            cut=cut,
            then=then,
            times=times,
        )
        self._scripts.setdefault(name, []).append(script)

    @property
    def scripted(self) -> list[str]:
        """Names of the requests that the test has said something about."""
        return list(self._scripts)

    def set(self, name: str, value: object, status: str = "nominal", timestamp: float | None = None) -> None:
        """Give a sensor a new reading, and report it to every client that samples it, whatever its strategy.

        Args:
            timestamp: seconds since the Unix epoch; one second after the last reading, unless given.
        """
        sensor = self.sensors[name]
        sensor.value, sensor.status = value, status
        sensor.timestamp = sensor.timestamp + 1 if timestamp is None else timestamp
        for peer, sampled in self._standard.sampling.items():
            if name in sampled:
                peer.send(self.message("sensor-status", *self._standard.row(name)))

    def sampling(self, name: str) -> list[tuple[bytes, ...]]:
        """Return the strategies, with their parameters, by which clients sample a sensor."""
        return [sampled[name] for sampled in self._standard.sampling.values() if name in sampled]

    # What it does by itself

    def send(self, *lines: Line) -> None:
        """Send lines to all clients."""
        for peer in self.peers:
            peer.send(*lines)

    def inform(self, name: str, *arguments: object) -> None:
        """Send an inform to all clients."""
        self.send(self.message(name, *arguments))

    def end(self, how: Ending = "close") -> None:
        """End all connections: ``"close"``, ``"half-close"`` or ``"reset"``.

        Raises:
            ValueError: ``how`` is none of those.
        """
        how = as_ending(how)
        for peer in list(self.peers):
            _end(peer, how)

    def pause(self) -> None:
        """Stop reading from all clients, and from those that come: what they send stays with them."""
        self._paused = True
        for peer in self.peers:
            peer.pause()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        for peer in self.peers:
            peer.resume()

    # What came

    async def received(self, name: str, count: int = 1, *, timeout: float = PATIENCE) -> Message:
        """Wait until ``count`` requests of that name have come in all, and return the last of these.

        Raises:
            TimeoutError: they did not.
        """
        found = await self.requests.wait(count, lambda item: matches(item, MessageType.REQUEST, name), timeout=timeout)
        last: Message = found[-1]
        return last

    async def connected(self, count: int = 1, *, timeout: float = PATIENCE) -> Peer:
        """Wait until ``count`` clients have connected, since the start, and return the last of these.

        Raises:
            TimeoutError: they did not.
        """
        last: Peer = (await self._arrivals.wait(count, timeout=timeout))[-1]
        return last

    # How it writes

    def message(self, name: str, *arguments: object) -> Message:
        """Return an inform as this device writes it: times in the protocol's unit."""
        return Message.inform(name, *map(self._encode, arguments))

    def timestamp(self, seconds: float) -> object:
        """Return a time as a value that this device writes in the protocol's unit."""
        return Timestamp(seconds)

    def versions(self) -> list[tuple[str, ...]]:
        """Return the rows of ``?version-list``."""
        return self.dialect.versions(("katcp_aio-fake-1.0", "katcp_aio-fake-1.0.0"), self._version)

    def _encode(self, value: object) -> bytes:
        return encode(value, self.dialect)

    # Told by the peers

    def _greet(self, peer: Peer) -> None:
        if self.refusing:
            peer.transport.abort()
            return
        self.peers.append(peer)
        if self._paused:
            peer.pause()
        if self._banner is not None:
            banner: Iterable[Line] = self._banner
        else:
            rows = self.dialect.greeting(("katcp_aio-fake-1.0", "katcp_aio-fake-1.0.0"), self._version)
            banner = [self.message(name, *arguments) for name, arguments in rows]
        peer.send(*banner)
        self._arrivals(peer)

    def _finished(self, peer: Peer) -> None:
        """Close when the client has, as devices do; a client that closes waits for it."""
        if not self.lingering:
            peer.transport.close()

    def _gone(self, peer: Peer) -> None:
        if peer in self.peers:
            self.peers.remove(peer)
        self._standard.gone(peer)

    def _hear(self, peer: Peer, item: Message | MalformedMessage) -> None:
        self.requests(item)
        if isinstance(item, MalformedMessage) or item.type is not MessageType.REQUEST:
            return
        script = self._script(item.name) or self._standard.answer(peer, item)
        if script.delay or script.handler is not None:
            task = asyncio.get_running_loop().create_task(self._answer_later(peer, item, script))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._answer(peer, item, script)

    def _script(self, name: str) -> Script | None:
        """Return the script that holds for a request, and count its use."""
        scripts = self._scripts.get(name)
        if not scripts:
            return None
        script = scripts[-1]
        if script.times is not None:
            scripts.pop()
            if script.times > 1:
                scripts.append(attrs.evolve(script, times=script.times - 1))
        return script

    async def _answer_later(self, peer: Peer, request: Message, script: Script) -> None:
        if script.delay:
            await asyncio.sleep(script.delay)
        if script.handler is not None:
            try:
                result = script.handler(peer, request)
                script = script.returned(await result if inspect.isawaitable(result) else result)
            except RequestError as error:
                script = script.raised(error)
            except Exception as error:  # noqa: BLE001 - kept for the test, which is waiting for an answer now
                self._errors.append(error)
                script = script.raised(FailReply(f"the test's handler raised {error!r}"))
        self._answer(peer, request, script)

    def _answer(self, peer: Peer, request: Message, script: Script) -> None:
        if peer.lost or peer.transport.is_closing():
            return
        peer.send_raw(script.data(request, mids=self.mids, encode=self._encode))
        if script.then is not None:
            _end(peer, script.then)


def _end(peer: Peer, how: Ending) -> None:
    if how == "reset":
        peer.abort()
    elif how == "half-close":
        peer.half_close()
    else:
        peer.transport.close()
