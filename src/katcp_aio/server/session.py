"""One client of a server: the walk of a request. Law: a handler that does not wait costs no task.

One task leads: it reads, and runs the handlers of what it read itself. Only when a handler actually waits does another
task take the lead and go on reading; the first stays with its handler, in which it can be cancelled alone, sends the
reply, and ends. Requests without an id, and serial ones, keep the lead while they wait: what the client sent behind
them is not looked at, for nothing else would tell their replies apart.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ..errors import ConnectionLost, FailReply, InvalidReply, MalformedMessage, RequestError
from ..reports import report_exception
from ..wire.message import Message, MessageType
from ..wire.values import Address, Timestamp
from .context import RequestContext, format_line

if TYPE_CHECKING:
    from ..connection import Connection
    from ..wire.dialect import Dialect
    from .access import Permission
    from .device import DeviceServer
    from .handlers import Handler
    from .sampling import Sampler

__all__ = ["ClientConnection"]

_REQUEST = MessageType.REQUEST


class ClientConnection:
    """A client, as the server and its handlers see it.

    Attributes:
        address: the client's address, or None (Unix sockets, memory).
        description: the client, for people.
        connection: what carries the messages.
        sampler: drives the client's sampling strategies, once it has one.
        permission: what the client may ask, or None for everything.
    """

    __slots__ = (
        "__weakref__",
        "_batch",
        "_current",
        "_ended",
        "_lead",
        "_loop",
        "_monotonic",
        "_stopping",
        "_turn_ends",
        "_waiting",
        "connection",
        "dialect",
        "permission",
        "sampler",
        "server",
        "tasks",
    )

    def __init__(self, server: DeviceServer, connection: Connection, permission: Permission | None) -> None:
        self.server = server
        self.connection = connection
        self.dialect: Dialect = server.dialect
        self.permission = permission
        self.sampler: Sampler | None = None
        self.tasks: set[asyncio.Task[None]] = set()  #: the leader, and one for each handler that waits
        self._loop = asyncio.get_running_loop()
        self._monotonic = server.clock.monotonic
        self._batch: deque[Message | MalformedMessage] = deque()  # read, and not looked at yet
        self._lead: object | None = None  # identifies the leader; None: nobody leads until a handler ends
        self._current: RequestContext | None = None  # what the leader is busy with
        self._waiting: dict[asyncio.Task[None], RequestContext] = {}  # handlers that wait, but the leader's
        self._turn_ends = 0.0
        self._stopping = False  # nothing more is read
        self._ended = False

    @property
    def address(self) -> Address | None:
        """The client's address; None for one that has none."""
        return self.connection.address

    @property
    def description(self) -> str:
        """The client, for people: ``127.0.0.1:41234``."""
        return self.connection.description

    @property
    def in_flight(self) -> int:
        """How many requests are being answered at this moment."""
        return len(self._waiting) + (self._current is not None)

    def inform(self, name: str, *arguments: object) -> None:
        """Send this client an inform, without waiting.

        Raises:
            TypeError, ValueError: a value that has no form on the wire, or a name outside the grammar.
        """
        self.connection.write(format_line(MessageType.INFORM.head(name), arguments, self.dialect))

    def disconnect(self, reason: str) -> None:
        """Send ``#disconnect`` with a reason (5.1, section 4.2) and end the connection, without waiting."""
        if not self.connection.closing:
            self.inform("disconnect", reason)
            self.connection.begin_close()
        self._stopping = True

    # The time budget of long replies

    def begin_turn(self) -> None:
        """Start a turn: the time that this client's work may take before the others have theirs."""
        self._turn_ends = self._monotonic() + self.connection.limits.batch_time

    def turn_is_over(self) -> bool:
        """Return whether the turn's time is used up, or the client does not take what it is sent."""
        return self._monotonic() >= self._turn_ends or self.connection.paused

    async def end_turn(self) -> None:
        """Let the others have a turn, and wait while the client does not read; then start the next.

        Raises:
            ConnectionLost: the client went.
        """
        connection = self.connection
        connection.flush()
        if connection.paused or connection.lost:
            await connection.drain()
        else:
            await asyncio.sleep(0)
        self.begin_turn()

    # Leading

    def start(self) -> None:
        """Begin to serve the client, in a task of its own."""
        self.connection.on_lost(self._lost)
        self._follow()

    def _follow(self) -> None:
        """Have a new task take the lead."""
        self._lead = lead = object()
        task = self._loop.create_task(self._run(lead), name=f"katcp client {self.description}")
        self.tasks.add(task)
        task.add_done_callback(self._done)

    async def _run(self, lead: object) -> None:
        """Read and answer until another task has the lead, or the client is done."""
        try:
            await self.server.client_ready(self)
            connection, batch = self.connection, self._batch
            while not self._stopping:
                if not batch:
                    connection.flush()
                    if connection.paused:
                        await connection.drain()
                    messages = await connection.read()
                    if not messages:
                        break
                    batch.extend(messages)
                if not await self._answer_batch(lead):
                    return
        except ConnectionLost:
            pass
        except asyncio.CancelledError:
            if not self._stopping and not self.connection.lost:
                raise
        except Exception:
            report_exception("client %s", self.description)
            self.disconnect("internal error")
        self._lead = None
        self._stopping = True

    async def _answer_batch(self, lead: object) -> bool:
        """Answer what was read, for one turn; return whether this task still has the lead.

        Per request: one lookup, the arguments, one coroutine, one write into a list. A pipelined ?watchdog takes 4 us
        of this and 3 of reading and parsing; a task each would take 20.
        """
        connection, batch, handlers = self.connection, self._batch, self.server.handlers
        permission = self.permission
        self.begin_turn()
        connection.gather()
        promotion = self._loop.call_soon(self._hand_over, lead)
        try:
            while batch:
                message = batch.popleft()
                if message.type is not _REQUEST or type(message) is not Message:
                    self._not_a_request(message)
                    continue
                handler = handlers.get(message.name)
                if handler is None:
                    handler = self.server.unknown_request(message.name)
                self._current = context = RequestContext(self, message, handler)
                if permission is not None and not permission.allows(message):
                    self._refuse(context)
                elif handler.kind == "plain":
                    self._call(context, handler, message)
                else:
                    await self._await(context, handler, message)
                    if self._lead is not lead:
                        return self._resume(lead)
                    if context.held:
                        break
                if connection.paused or self._monotonic() >= self._turn_ends or self._stopping:
                    break
        finally:
            promotion.cancel()
            if self._lead is lead:
                self._current = None
        if batch and not self._stopping:
            await self.end_turn()
        return True

    def _hand_over(self, lead: object) -> None:
        """Called when the leader's handler waits: have another task lead, unless order forbids it."""
        context = self._current
        if self._lead is not lead or context is None:
            return
        self.connection.flush()
        if context.message.mid is None or context.handler.hold or self.server.serial:
            context.held = True
            return
        self._current = None
        task = context.task
        assert task is not None  # noqa: S101 - set before the handler was called
        self._waiting[task] = context
        if len(self._waiting) < self.connection.limits.max_in_flight and not self._stopping:
            self._follow()
        else:
            self._lead = None  # the client is not read until one of them ends

    def _resume(self, lead: object) -> bool:
        """The handler of a task without the lead has ended: take the lead if nobody has it."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - only called in one
        self._waiting.pop(task, None)
        if self._lead is None and not self._stopping and not self.connection.lost:
            self._lead = lead
            return True
        return False

    # Calling handlers

    def _call(self, context: RequestContext, handler: Handler, message: Message) -> None:
        """Run a plain handler."""
        try:
            bind = handler.bind
            if bind is None and not message.arguments:
                context.finish(handler.call(context))
            else:
                context.finish(handler.call(context, *handler.signature.bind(message.arguments)))
        except Exception as error:  # noqa: BLE001 - whatever a handler raises becomes its reply
            self._failed(context, error)

    async def _await(self, context: RequestContext, handler: Handler, message: Message) -> None:
        """Run a handler that may wait."""
        try:
            context.task = asyncio.current_task()
            call = handler.call
            if handler.bind is None and not message.arguments:
                result = call(context)
            else:
                result = call(context, *handler.signature.bind(message.arguments))
            if handler.kind == "generator":
                context.finish(await self._iterate(context, result))
            else:
                context.finish(await result)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises becomes its reply
            self._failed(context, error)
        except asyncio.CancelledError:
            # Whoever cancelled it wanted the handler to end, not the client: the task may have the lead again later.
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            context.refuse("fail", "request cancelled")

    async def _iterate(self, context: RequestContext, rows: Any) -> int | None:
        """Send what an async generator yields as informs; return their count, for the reply."""
        count = 0
        connection = self.connection
        async with aclosing(rows):
            async for row in rows:
                context.inform(*row) if isinstance(row, tuple) else context.inform(row)
                count += 1
                if connection.paused:
                    await connection.drain()
        return None if context.replied else count

    def _failed(self, context: RequestContext, error: Exception) -> None:
        """Answer a request whose handler raised."""
        name = context.message.name
        if isinstance(error, (FailReply, InvalidReply)) and error.request is None:
            if context.replied:
                self.server.logger.error("?%s failed after its reply: %s", name, error)
            context.refuse(error.code, error.text)
            return
        if self.connection.lost and isinstance(error, ConnectionLost):
            return  # the client went while the handler was sending to it
        text = f"?{name}: {type(error).__name__} in the device"
        if isinstance(error, RequestError):
            text = f"?{name}: {error}"  # another device said no to a request made on behalf of this one
        report_exception("?%s of client %s", name, self.description)
        if self.server.debug:
            text = "".join(traceback.format_exception(error))
        context.refuse("fail", text)

    # What is no request

    def _not_a_request(self, message: Message | MalformedMessage) -> None:
        """Answer what the specification has an answer for, and drop the rest (5.1, section 2)."""
        if isinstance(message, MalformedMessage):
            self.server.trouble.tell("malformed", "client %s: malformed message: %s", self.description, message)
            self._log_error(f"malformed message: {message}")
            if message.type is _REQUEST and message.name is not None:
                head = MessageType.REPLY.head(message.name)
                if message.mid is not None:
                    head = b"%b[%d]" % (head, message.mid)
                self.connection.write(format_line(head, ("invalid", str(message)), self.dialect))
        elif message.type is MessageType.REPLY:
            self.server.trouble.tell("reply", "client %s: unexpected reply !%s", self.description, message.name)
            self._log_error(f"unexpected reply !{message.name}")

    def _log_error(self, text: str) -> None:
        self.inform("log", "error", Timestamp(self.server.clock.time()), "katcp-aio", text)

    def _refuse(self, context: RequestContext) -> None:
        """Answer a request that the client may not make."""
        name = context.message.name
        self.server.trouble.tell("refused", "client %s may not ask ?%s", self.description, name)
        context.refuse("fail", f"?{name} is not allowed for this client")

    # The end

    async def finish_handlers(self, deadline: float) -> None:
        """Read nothing more, and wait until what is in flight is answered, or until ``deadline``; then cancel it.

        Args:
            deadline: monotonic time in seconds.
        """
        self._stopping = True
        busy = set(self._waiting)
        if self._current is not None and self._current.task is not None:
            busy.add(self._current.task)
        for task in self.tasks - busy:
            task.cancel()
        if busy:
            await asyncio.wait(busy, timeout=max(0.0, deadline - self._monotonic()))
            self.cancel_handlers()

    def cancel_handlers(self) -> None:
        """Cancel all that runs for this client; handlers reply ``fail``."""
        self._stopping = True
        for task in list(self.tasks):
            task.cancel()

    def _lost(self) -> None:
        """The connection is gone: end what only served it, and let go of the handlers that run on."""
        self._stopping = True
        self._batch.clear()
        self._end()
        running = [(task, context) for task, context in self._waiting.items()]
        if self._current is not None and self._current.task is not None:
            running.append((self._current.task, self._current))
        for task, context in running:
            if context.handler.options.cancel_on_disconnect:
                task.cancel()
            else:
                self.server.abandon(task)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Take note that a task has ended; the last one closes the connection."""
        self.tasks.discard(task)
        self._waiting.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self.server.logger.error("client %s", self.description, exc_info=task.exception())
        if not self.tasks:
            self.connection.begin_close()
            self._end()

    def _end(self) -> None:
        """Leave the server's books, once."""
        if self._ended:
            return
        self._ended = True
        if self.sampler is not None:
            self.sampler.close()
        self.server.client_gone(self)
