"""The client of one device. Law: every call has one outcome, and cancelling any of them is safe and leaks nothing.

The parts: ``link.py`` keeps the connection, ``desk.py`` the requests, ``states.py`` says where things stand.
"""

from __future__ import annotations

import ssl as ssl_module
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, overload

import async_timeout

from ..clock import SYSTEM_CLOCK, Clock
from ..connection import Connection, connect
from ..errors import NotConnected
from ..limits import Limits
from ..model.stream import Stream
from ..reports import TroubleLog, logger
from ..wire.dialect import Dialect, parse_version
from ..wire.message import Message
from ..wire.values import TypeRegistry, registry
from .backoff import Backoff
from .desk import Desk
from .informs import InformTable, inform_methods, typed_callback
from .link import Link, reason_of
from .replies import Reply, decode_values
from .sideport import SidePorts
from .slot import Slot
from .states import Lifecycle, State
from .stream import InformStream, Mailbox
from .timeouts import DEFAULT, Default

__all__ = ["Client"]

_BACKOFF = Backoff()


class Client(SidePorts):
    """Talks to one device, and connects again when the connection is lost.

    ``async with`` connects and closes; :meth:`start` begins in the background. Building one needs no running loop.

    Subclasses may have methods ``inform_some_name(self, *arguments)``, which get #some-name with its arguments decoded
    by their annotations, and ``unhandled_inform(self, message)`` for what nobody else takes.

    Args:
        host: name or address, IPv4 or IPv6.
        port: TCP port.
        timeout: s that a request or a wait may take unless it says otherwise, connecting included; None: any time.
        reconnect: how long to wait between attempts to connect; None: there is one attempt, and one connection.
        protocol: what the device speaks, as ``"5.1-MI"``, if its greeting is not to decide.
        assume: what a device is taken to speak that sends no greeting within ``Limits.negotiate_timeout``.
        heartbeat: s of silence after which the device is asked ?watchdog; after two without an answer, the connection
            is made anew. None: never; TCP's own keep-alive is always on.
        ssl: context for TLS.
        limits: bounds.
        clock: where the time comes from.
        types: the Python types that values may have, if they are not those of the whole process.
        path: of a Unix socket, instead of host and port.
        connector: makes the connection, instead of all of these.

    Raises:
        UnsupportedProtocol: ``protocol`` or ``assume`` is none that this library speaks.
        ValueError: a ``heartbeat`` that is not above zero.
        UsageError: an ``inform_*`` method that cannot be called with what comes from the wire.
    """

    def __init__(
        self,
        host: str = "",
        port: int = 0,
        *,
        timeout: float | None = 5.0,
        reconnect: Backoff | None = _BACKOFF,
        protocol: str | None = None,
        assume: str = "5.0",
        heartbeat: float | None = None,
        ssl: ssl_module.SSLContext | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        types: TypeRegistry | None = None,
        path: str | None = None,
        connector: Callable[[], Awaitable[Connection]] | None = None,
    ) -> None:
        if heartbeat is not None and not heartbeat > 0:
            raise ValueError(f"heartbeat {heartbeat!r} is not a number of seconds above zero; None is for none")
        self._lifecycle = Lifecycle()
        self.host = host
        self.port = port
        self.timeout = timeout
        self.limits = limits or Limits()
        self.clock: Clock = clock or SYSTEM_CLOCK
        self.types = types or registry
        self.logger = logger.getChild("client")
        self.trouble = TroubleLog(self.logger, self.clock.monotonic, self.limits.log_rate)  #: .counts: what went wrong
        self.timeout_hints: dict[str, float] = {}  #: request -> s, the device's own (5.1, section 5.1)
        #: the device, for people and in exceptions
        self.description: str = path or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        self._ssl = ssl
        self._path = path
        unhandled = self.unhandled_inform if type(self).unhandled_inform is not Client.unhandled_inform else None
        self._informs = InformTable(unhandled)
        self._desk = Desk(self.description, self._informs, self.trouble, self.limits, self.types)
        self._link = Link(
            connector or self._connect,
            self._desk,
            self._lifecycle,
            self._informs,
            limits=self.limits,
            trouble=self.trouble,
            backoff=reconnect,
            heartbeat=heartbeat,
            preset=None if protocol is None else parse_version(protocol),
            assumed=parse_version(assume),
        )
        for name, method in inform_methods(self).items():
            self._informs.add(name, typed_callback(method, name, lambda: self.dialect, self.trouble, self.types))

    async def _connect(self) -> Connection:
        return await connect(self.host, self.port, path=self._path, ssl=self._ssl, limits=self.limits)

    def __del__(self) -> None:
        lifecycle: Lifecycle | None = vars(self).get("_lifecycle")  # there is none if the constructor was not called
        if lifecycle is None or lifecycle.state is State.IDLE:
            return
        if lifecycle.state is not State.CLOSED:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        elif self._link.abandoned:
            what = f"unclosed <{type(self).__name__} {self.description}>, whose task was cancelled"
            advice = "use async with, or await close() before the loop ends"
            warnings.warn(f"{what}: {advice}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.description} {self.state.value}>"

    # Where things stand

    @property
    def state(self) -> State:
        """Where the client stands with its device."""
        return self._lifecycle.state

    @property
    def connected(self) -> bool:
        """Whether requests go out now: connected, and it is known what the device speaks."""
        return self._lifecycle.state is State.CONNECTED

    @property
    def dialect(self) -> Dialect:
        """What the device speaks, or spoke when it was last connected; before that, what is assumed."""
        return self._desk.dialect

    @property
    def versions(self) -> Mapping[str, tuple[str, ...]]:
        """Role or component -> version and, if given, build state, as far as told: the greeting may come in parts."""
        return self._link.versions

    @property
    def last_error(self) -> Exception | None:
        """Why there is no connection, or None while there is one."""
        return self._link.last_error

    def on_state(self, callback: Callable[[State], object]) -> Callable[[], None]:
        """Have ``callback(state)`` called after each change of state; return a function that ends this."""
        return self._lifecycle.on_change(callback)

    # From start to end

    @classmethod
    async def connect(cls, host: str = "", port: int = 0, **options: Any) -> Self:
        """Return a new client that is connected; the arguments are the constructor's.

        Raises:
            NotConnected: not within the timeout; the client is closed then, as when this is cancelled.
        """
        return await cls(host, port, **options).__aenter__()

    async def start(self) -> None:
        """Begin to connect, in the background.

        Raises:
            UsageError: it was started or closed before.
        """
        self._link.start()

    async def close(self) -> None:
        """End the connection and all requests, for good. Closing again does nothing.

        Takes ``Limits.close_timeout`` at most. Cancelling it does not open anything again.

        Raises:
            UsageError: it was started in another event loop, and runs there.
        """
        await self._link.close()

    async def wait_connected(self, timeout: float | Default | None = DEFAULT) -> None:
        """Wait until the client is connected, through failed attempts. Cancelling it is safe.

        Args:
            timeout: s; the client's own unless given; None: any time.

        Raises:
            NotConnected: not in time, or the client will never be; says why, and ``__cause__`` is the last error.
        """
        limit = self.timeout if timeout is DEFAULT else timeout
        late = None
        try:
            async with async_timeout.timeout(limit):
                if await self._lifecycle.wait_for(State.CONNECTED, State.CLOSED) is State.CONNECTED:
                    return
        except TimeoutError:
            late = f"not connected within {limit:g} s"
        error = self.last_error
        reason = self._link.doubt if error is None else reason_of(error)
        why = f"{late or 'not connected'}: {reason}" if reason else late or "closed"
        raise NotConnected(why, device=self.description) from error

    async def wait_disconnected(self) -> None:
        """Wait until the client is not connected. Cancelling it is safe."""
        await self._lifecycle.wait_for(*(state for state in State if state is not State.CONNECTED))

    async def __aenter__(self) -> Self:
        """Connect. Raises as :meth:`wait_connected`, and closes the client then."""
        await self.start()
        connected = False
        try:
            await self.wait_connected()
            connected = True
        finally:
            if not connected:
                await self.close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client."""
        await self.close()

    # Requests

    @overload
    async def request(
        self,
        name: str,
        *args: object,
        timeout: float | Default | None = ...,
        returns: None = None,
        check: bool = True,
    ) -> Reply: ...

    @overload
    async def request(
        self,
        name: str,
        *args: object,
        timeout: float | Default | None = ...,
        returns: Sequence[Any],
        check: bool = True,
    ) -> tuple[Any, ...]: ...

    async def request(
        self,
        name: str,
        *args: object,
        timeout: float | Default | None = DEFAULT,
        returns: Sequence[Any] | None = None,
        check: bool = True,
    ) -> Reply | tuple[Any, ...]:
        """Make a request and return its reply (5.1, section 2.2). Times are seconds, whatever the device speaks.

        Cancelling it is safe; the device may carry the request out all the same.

        Args:
            name: of the request.
            args: its arguments, encoded by their types.
            timeout: s from now to the reply, waiting for a connection included; None: any time.
            returns: types of the values after ``ok``; these are then returned, instead of the reply.
            check: raise for a reply that is not ``ok``.

        Raises:
            FailReply: the device could not do it, or answered with a return code of its own.
            InvalidReply: the device did not understand it.
            RequestTimeout: no reply in time.
            ConnectionLost: the connection ended first: it is unknown whether the request was carried out.
            NotConnected: the request was not sent, and never will be.
            ReplyTooLong: more informs than ``Limits.max_informs``.
            ProtocolError: a reply that cannot be read, or whose values are not of the types in ``returns``.
            UsageError: the client is not started, or closed, or has too many requests under way.
            ValueError, TypeError: a name or an argument that cannot be written.
        """
        if timeout is DEFAULT:
            timeout = self.timeout_hints.get(name) or self.timeout
        if returns is not None and isinstance(returns, type):  # before it is sent: the device would carry it out
            raise TypeError(f"returns is one type for each value, as ({returns.__name__},), and not a type itself")
        slot = self._desk.submit(name, args, timeout)
        try:
            await slot
        finally:
            if slot.outcome is None:  # cancelled, or thrown out otherwise
                self._desk.give_up(slot)
        # Not kept here: an error would hold this frame, and the frame the error, until a collection.
        reply = slot.outcome if isinstance(slot.outcome, Reply) else slot.reply(check=check)
        if returns is None:
            return reply
        return decode_values(slot.request, reply.message, returns, slot.dialect, self.types)

    def stream(self, name: str, *args: object, timeout: float | Default | None = DEFAULT) -> InformStream:
        """Make a request and read its informs as they come; raises as :meth:`request`, while reading.

        A reader that falls ``Limits.max_mailbox`` informs behind holds the device back, while nobody waits for another
        request of this client. What else the device says is held back too, so the reader does not wait for that.

        Args:
            name: of the request, sent when the reading begins.
            args: its arguments.
            timeout: s for all of it, from the first inform asked for to the reply; None: any time.
        """
        desk = self._desk

        def submit(mailbox: Mailbox) -> Slot:
            limit = self.timeout_hints.get(name) or self.timeout if timeout is DEFAULT else timeout
            return desk.submit(name, args, limit, mailbox)

        return InformStream(submit, desk.give_up, desk.notice)

    # Informs

    def on_inform(self, name: str, callback: Callable[[Message], object]) -> Callable[[], None]:
        """Have ``callback(message)`` called for each inform ``name``; return a function that ends this.

        Informs that are part of a reply go with the reply instead. A callback that raises is logged.

        Raises:
            UsageError: a coroutine function, which nobody would await.
        """
        return self._informs.add(name, callback)

    def unhandled_inform(self, message: Message) -> None:
        """Take an inform that nobody else wants; for subclasses."""

    @asynccontextmanager
    async def informs(self, name: str) -> AsyncIterator[Stream[Message]]:
        """Collect the informs ``name`` from now on, to be read by ``async for`` inside the block.

        It ends with the client. At most ``Limits.max_readings`` wait; then the oldest is dropped and counted
        in ``.dropped``.
        """
        stream: Stream[Message] = Stream(self.limits.max_readings)
        cancel = self.on_inform(name, stream.push)
        ended = self.on_state(lambda state: stream.close() if state is State.CLOSED else None)
        if self.state is State.CLOSED:
            stream.close()
        try:
            yield stream
        finally:
            ended()
            cancel()
            stream.close()

    async def wait_for_inform(
        self,
        name: str,
        predicate: Callable[[Message], object] | None = None,
        *,
        timeout: float | Default | None = DEFAULT,
    ) -> Message:
        """Wait for an inform that comes from now on, over reconnects too; cancelling it is safe.

        To catch one that a request brings about, open :meth:`informs` before the request.

        Args:
            name: of the inform.
            predicate: called with each; the first for which it is true counts.
            timeout: s; None: any time.

        Raises:
            TimeoutError: none came in time.
            NotConnected: the client was closed.
        """
        limit = self.timeout if timeout is DEFAULT else timeout
        async with async_timeout.timeout(limit), self.informs(name) as stream:
            async for inform in stream:
                if predicate is None or predicate(inform):
                    return inform
        raise NotConnected(f"closed while waiting for #{name}", device=self.description)
