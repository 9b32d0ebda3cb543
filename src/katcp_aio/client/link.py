"""The connection's life, over and over. Law: one task, owned by the client, and whatever ends it leaves nothing open.

Connect, negotiate, read until it ends, wait, and again. What the task waits for is always cancelled cleanly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import async_timeout

from ..connection import Connection
from ..errors import ConnectionLost, KatcpError, MalformedMessage, UsageError
from ..limits import Limits
from ..reports import TroubleLog, printable, report_exception
from ..wire.dialect import Dialect
from ..wire.message import Message
from .backoff import Backoff
from .desk import Desk
from .heartbeat import Heartbeat
from .informs import InformTable
from .negotiation import GREETING, Negotiation
from .states import Event, Lifecycle, State

__all__ = ["Link", "reason_of"]

_LONGEST = 60  # characters shown of what is no KATCP


class Link:
    """Keeps one client connected.

    Args:
        connector: makes a connection; whatever it raises is a failed attempt.
        desk: gets each connection, and what comes in.
        lifecycle: is told where things stand.
        informs: where the greeting and #disconnect are picked up.
        backoff: how long to wait between attempts; None: one attempt only.
        heartbeat: s of silence after which the device is asked whether it is there; None: never.
        preset: the dialect, where the device is not to be asked.
        assumed: the dialect of a device that does not greet.
    """

    def __init__(
        self,
        connector: Callable[[], Awaitable[Connection]],
        desk: Desk,
        lifecycle: Lifecycle,
        informs: InformTable,
        *,
        limits: Limits,
        trouble: TroubleLog,
        backoff: Backoff | None,
        heartbeat: float | None,
        preset: Dialect | None,
        assumed: Dialect,
    ) -> None:
        self._connector = connector
        self._desk = desk
        self._lifecycle = lifecycle
        self._limits = limits
        self._trouble = trouble
        self._backoff = backoff
        self._heartbeat = heartbeat
        self._preset = preset
        self._assumed = desk.dialect = assumed
        self._negotiation = Negotiation(preset)
        self._connection: Connection | None = None
        self._told: str | None = None  # why the last attempt failed, as the log has it
        self._farewell: str | None = None  # why the device says that it ends the connection
        self._heard = False  # something has come on this connection
        self._strange: str | None = None  # what came first on it, if that was no message
        self._task: asyncio.Task[None] | None = None
        self.abandoned = False  #: it ended with the program's tasks, and nobody closed it
        self.last_error: Exception | None = None  #: why there is no connection, or why the last one ended
        for name in GREETING:
            informs.add(name, self._on_greeting)
        informs.add("disconnect", self._on_disconnect)

    @property
    def versions(self) -> Mapping[str, tuple[str, ...]]:
        """What the device said of its versions on this connection, or the last."""
        return self._negotiation.versions

    @property
    def doubt(self) -> str | None:
        """Why the other side may be no device; None if it has greeted as one, or is not there."""
        if self._connection is None or self._negotiation.versions:
            return None
        return "no greeting has come" if self._strange is None else f"what came first is no KATCP: {self._strange}"

    def start(self) -> None:
        """Begin, in the running loop."""
        self._lifecycle.advance(Event.START)
        if self._lifecycle.state is State.CLOSED:
            return  # by a callback
        self._desk.start()
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"katcp client {self._desk.device}")

    async def close(self) -> None:
        """End it. What was promised to the device is sent first, within ``Limits.close_timeout``."""
        self.check_loop()
        self.abandoned = False
        self._end("the client was closed", UsageError("the client is closed"))
        task = self._task
        if task is not None and not task.done():
            if not task.cancelling():  # once: another would break off what the connection has still to send
                task.cancel()
            await asyncio.wait([task])

    def check_loop(self) -> None:
        """Do nothing in the loop that the client runs in, or once it has ended.

        Raises:
            UsageError: this is another loop, which nothing would wake.
        """
        task = self._task
        if task is not None and not task.done() and task.get_loop() is not asyncio.get_running_loop():
            raise UsageError(f"{self._desk.device}: a client is closed in the loop that it was started in")

    def _end(self, reason: str, refusal: Exception) -> None:
        """Fail all requests and go to CLOSED, once."""
        self._desk.shut(reason, refusal)
        if self._lifecycle.state is not State.CLOSED:
            self._lifecycle.advance(Event.CLOSE)

    def _abandon(self) -> None:
        """Take note that the task was cancelled. By :meth:`close`, which has seen to the rest; or with all others.

        So ends every program whose loop is left, and some of its tasks may still ask, or wait for a reply.
        """
        if self._lifecycle.state is not State.CLOSED:
            self.abandoned = True
            reason = "the client's task was cancelled"
            self.last_error = ConnectionLost(reason, device=self._desk.device)
            self._end(reason, self.last_error)

    # The task

    async def _run(self) -> None:
        failures = 0
        try:
            while True:
                lasted = await self._live()
                if self._backoff is None:
                    break
                if lasted >= self._backoff.settle:
                    failures = 0
                await asyncio.sleep(self._backoff.delay(failures))
                failures += 1
                self._lifecycle.advance(Event.DUE)
        except asyncio.CancelledError:
            self._abandon()
            raise
        except Exception as error:  # noqa: BLE001 - a fault of this library must not leave callers waiting
            report_exception("client of %s ended by a fault", self._desk.device)
            self.last_error = error
        reason = "closed" if self.last_error is None else reason_of(self.last_error)
        self._end(reason, ConnectionLost(reason, device=self._desk.device))

    async def _live(self) -> float:
        """Connect once, and return how long the connection lasted (s) from when it was negotiated, 0 if it was not."""
        loop = asyncio.get_running_loop()
        desk = self._desk
        since = None
        try:
            connection = await self._connector()
        except Exception as error:  # noqa: BLE001 - a connector is the program's own and may raise anything
            self._failed(error)
            return 0.0
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Of something that the connector waited for: an attempt that failed, as any other.
            self._failed(ConnectionLost("what the connector waited for was cancelled", device=desk.device))
            return 0.0
        self._connection = connection
        try:
            self._farewell = self._strange = None
            self._heard = False
            self._negotiation = Negotiation(self._preset)
            self._lifecycle.advance(Event.ESTABLISHED)
            await self._negotiate(connection)
            since = loop.time()
            desk.open(connection, self._negotiation.dialect or self._assumed)
            self.last_error = self._told = None
            self._lifecycle.advance(Event.IDENTIFIED)
            await self._serve(connection)
        except KatcpError as error:
            desk.lose(reason_of(error))
            self._failed(error)
        except asyncio.CancelledError:
            self._abandon()  # now: the connection may take its time to close
            raise
        finally:
            self._connection = None
            await connection.close()
        return 0.0 if since is None else loop.time() - since

    async def _negotiate(self, connection: Connection) -> None:
        """Read until it is known what the device speaks, or it has had its time to say so."""
        negotiation = self._negotiation
        try:
            async with async_timeout.timeout(self._limits.negotiate_timeout):
                while negotiation.dialect is None:
                    await self._read(connection)
        except TimeoutError:
            self._trouble.tell("no greeting", "%s: no greeting, taken to speak %s", self._desk.device, self._assumed)

    async def _serve(self, connection: Connection) -> None:
        """Read until the connection ends. Raises ConnectionLost then."""
        heartbeat = None if self._heartbeat is None else Heartbeat(self._desk, self._heartbeat, connection.abort)
        desk = self._desk
        try:
            while True:
                more = await connection.listen(self._take if self._heard else self._take_first)
                self._check(connection, ended=not more)
                if desk.crowded:
                    await desk.room()
        finally:
            if heartbeat is not None:
                heartbeat.stop()

    async def _read(self, connection: Connection) -> None:
        """Take in what one read brings.

        Raises:
            ConnectionLost: it brought the end.
            UnsupportedProtocol: the device said that it speaks what is not spoken here.
        """
        messages = await connection.read()
        self._hear(messages)
        self._desk.receive(messages)
        self._check(connection, ended=not messages)

    def _hear(self, messages: list[Message | MalformedMessage]) -> None:
        """Note what comes first, if that is no message: an HTTP server's answer, or SSH's greeting."""
        if messages and not self._heard:
            self._heard = True
            if isinstance(messages[0], MalformedMessage):
                self._strange = printable(messages[0].raw, _LONGEST)

    def _take_first(self, messages: list[Message | MalformedMessage]) -> bool:
        self._hear(messages)
        self._take(messages)
        return True  # so that what comes next goes to :meth:`_take`, which is every reply's way

    def _take(self, messages: list[Message | MalformedMessage]) -> bool:
        """Take in what came; return whether there is something to look at before more does."""
        desk = self._desk
        desk.receive(messages)
        return desk.crowded or self._farewell is not None or self._negotiation.error is not None

    def _check(self, connection: Connection, *, ended: bool) -> None:
        """Raise what ends the connection, if something does; see :meth:`_read`."""
        if self._negotiation.error is not None:
            raise self._negotiation.error
        if self._farewell is not None:
            raise ConnectionLost(self._farewell, device=self._desk.device)
        if ended:
            reason = connection.reason or str(connection.error or "") or "closed by the device"
            if self._strange is not None and not self._negotiation.versions:
                reason += f"; {self.doubt}"
            elif not self._negotiation.versions and connection.get_extra_info("ssl_object") is not None:
                reason += " without a word, which is how one refuses a client's certificate"  # in TLS 1.3
            raise ConnectionLost(reason, device=self._desk.device)

    def _failed(self, error: Exception) -> None:
        if self._lifecycle.state is State.CLOSED:
            return  # by a callback, and this task is cancelled where it waits next
        self.last_error = error.with_traceback(None)
        reason = reason_of(error)
        # A device that is away for a night is told once, not at each attempt.
        level = logging.DEBUG if reason == self._told else logging.WARNING
        self._told = reason
        self._trouble.tell("connection", "%s: %s", self._desk.device, reason, level=level)
        self._lifecycle.advance(Event.LOST)

    # Informs that matter here

    def _on_greeting(self, inform: Message) -> None:
        negotiation = self._negotiation
        negotiation.feed(inform)
        dialect = negotiation.dialect
        if self._lifecycle.state is State.CONNECTED and dialect is not None and self._connection is not None:
            self._desk.open(self._connection, dialect)  # a greeting that came late, or in two parts

    def _on_disconnect(self, inform: Message) -> None:
        reason = b" ".join(inform.arguments).decode("utf-8", "replace")
        self._farewell = reason or "disconnected by the device"


def reason_of(error: Exception) -> str:
    """Return what an error says, in one line, without the device's name."""
    return error.reason if isinstance(error, ConnectionLost) else str(error) or type(error).__name__
