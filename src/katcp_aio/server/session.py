"""One client of a server: the walk of a request. Law: a handler that does not wait costs no task.

One task leads: it reads, and runs the handlers of what it read itself. Only when a handler actually waits does another
task take the lead and go on reading; the first stays with its handler, in which it can be cancelled alone, sends the
reply, and ends. Requests without an id, and serial ones, keep the lead while they wait: what the client sent behind
them is not looked at, for nothing else would tell their replies apart.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from ..errors import ConnectionLost, MalformedMessage
from ..reports import report_exception, safely
from ..wire.datatypes import Address
from ..wire.formats import encode_text_leniently
from ..wire.message import Message, MessageType
from .calls import answer_stray, await_handler, call_handler, refuse
from .context import RequestContext, format_line
from .handlers import check_unasked

if TYPE_CHECKING:
    from ..connection import Connection
    from ..wire.dialect import Dialect
    from .access import Permission
    from .base import DeviceBase
    from .logs import LogLevel
    from .sampling import Sampler

__all__ = ["ClientConnection"]

_REQUEST = MessageType.REQUEST


class ClientConnection:
    """A client, as the server and its handlers see it.

    Attributes:
        server: whose client it is.
        connection: what carries the messages.
        dialect: what both sides speak.
        permission: what the client may ask, or None for everything.
        sampler: drives the client's sampling strategies, once it has one.
        log_limit: the level from which this client is sent #log informs; None: the device's.
        long_reply: held while a reply of many informs is being sent: the client's turns are not multiplied by asking
            for several at once.
    """

    __slots__ = (
        "__weakref__",
        "_batch",
        "_current",
        "_ended",
        "_farewell",
        "_hook",
        "_lead",
        "_loop",
        "_monotonic",
        "_stopping",
        "_tasks",
        "_turn",
        "_turn_ends",
        "_waiting",
        "connection",
        "dialect",
        "log_limit",
        "long_reply",
        "permission",
        "sampler",
        "server",
    )

    def __init__(self, server: DeviceBase, connection: Connection, permission: Permission | None) -> None:
        self.server = server
        self.connection = connection
        self.dialect: Dialect = server.dialect
        self.permission = permission
        self.sampler: Sampler | None = None
        self.log_limit: LogLevel | None = None
        self.long_reply = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._monotonic = server.clock.monotonic
        self._tasks: set[asyncio.Task[None]] = set()  # the leader, and one for each handler that waits
        self._batch: deque[Message | MalformedMessage] = deque()  # read, and not looked at yet
        self._lead: object | None = None  # identifies the leader; None: nobody leads until a handler ends
        self._current: RequestContext | None = None  # what the leader is busy with
        self._waiting: dict[asyncio.Task[object], RequestContext] = {}  # handlers that wait, but the leader's
        self._turn = asyncio.Lock()  # held by the one that waits for the next turn
        self._turn_ends = 0.0
        self._hook: asyncio.Task[object] | None = None  # in which the device greets the client
        self._farewell: str | None = None  # the reason to give when the last handler has ended
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

    def __repr__(self) -> str:
        return f"<ClientConnection {self.description}>"

    def inform(self, name: str, *arguments: object) -> None:
        """Send this client an inform that belongs to no request, without waiting.

        Raises:
            UsageError: a request has that name, whose informs it would be taken for (5.1, section 2.3).
            TypeError, ValueError: a value that has no form on the wire, or a name outside the grammar.
        """
        check_unasked(name, self.server.handlers)
        self.connection.write(format_line(MessageType.INFORM.head(name), arguments, self.dialect, self.server.types))

    def disconnect(self, reason: str) -> None:
        """Send ``#disconnect`` with a reason (5.1, section 4.2) and end the connection, without waiting."""
        self._stopping = True
        if not self.connection.closing:
            self.inform("disconnect", encode_text_leniently(reason))
            self.connection.begin_close()

    # The time budget of one turn

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
        wait = connection.paused or connection.lost
        async with self._turn:  # one after another: who asks for many long replies at once has no more turns for it
            if wait:
                await connection.drain()
            else:
                await asyncio.sleep(0)
        self.begin_turn()

    async def pass_turn(self) -> None:
        """Let the others have a turn, for a handler that runs on without its client; then start the next."""
        async with self._turn:
            await asyncio.sleep(0)
        self.begin_turn()

    # Leading

    def start(self) -> None:
        """Begin to serve the client, in a task of its own."""
        self.connection.on_lost(self._lost)
        self._follow(first=True)

    def _follow(self, *, first: bool = False) -> None:
        """Have a new task take the lead."""
        self._lead = lead = object()
        task = self._loop.create_task(self._run(lead, first=first), name=f"katcp client {self.description}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _run(self, lead: object, *, first: bool) -> None:
        """Read and answer until another task has the lead, or the client is done."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is always run in one
        try:
            if first:
                self._hook = task
                await self.server.client_ready(self)
                self._hook = None
            connection, batch = self.connection, self._batch
            while not self._stopping:
                if not batch:
                    connection.flush()
                    if connection.paused:
                        await connection.drain()
                    elif connection.unread:  # read() would not wait, and parsing takes time: the others first
                        await asyncio.sleep(0)
                    messages = await connection.read()
                    if not messages or self._stopping:  # gone while this waited: nobody is there to be answered
                        break
                    batch.extend(messages)
                if not await self._answer_batch(lead, task):
                    return
        except ConnectionLost:
            pass
        except asyncio.CancelledError:
            if not self._stopping and not self.connection.lost:  # pragma: no cover - the program cancels all tasks
                raise
        except Exception:  # noqa: BLE001 - a fault of this library, or of a hook, must not end in silence
            report_exception("client %s", self.description)
            self.disconnect("internal error")
        self._lead = None
        self._stopping = True

    async def _answer_batch(self, lead: object, task: asyncio.Task[object]) -> bool:
        """Answer what was read, for one turn, in ``task``, the current one; return whether it still has the lead.

        Per request: one lookup, the arguments, one call, one append to a list; see docs/explanation/performance.md.
        """
        connection, batch, server = self.connection, self._batch, self.server
        handlers, permission, audit = server.handlers, self.permission, server.audit
        make_context = RequestContext if audit is None else audit.context
        self.begin_turn()
        connection.gather()
        promotion: asyncio.Handle | None = None
        try:
            while batch:
                message = batch.popleft()
                if type(message) is not Message or message.type is not _REQUEST:
                    answer_stray(self, message)
                else:
                    handler = handlers.get(message.name) or server.unknown_request(message.name)
                    self._current = context = make_context(self, message, handler)
                    if permission is not None and not self._may(permission, message):
                        refuse(context)
                    elif handler.kind == "plain":
                        call_handler(context)
                    else:
                        if promotion is None:
                            promotion = self._loop.call_soon(self._hand_over, lead)
                        if not await await_handler(context, task):
                            return self._give_up(lead, task)
                        if self._lead is not lead:
                            return self._resume(lead, task)
                        if context.held:
                            return True
                if self._monotonic() >= self._turn_ends or connection.paused or self._stopping:
                    break
        finally:
            if promotion is not None:
                promotion.cancel()
            if self._lead is lead:  # pragma: no branch - those that lost the lead meanwhile have returned
                self._current = None
        if batch and not self._stopping:
            await self.end_turn()
        return True

    def _may(self, permission: Permission, message: Message) -> bool:
        """Ask the rules; what makes those of the program's own raise is not allowed."""
        try:
            return permission.allows(message.name, message.arguments)
        except Exception:  # noqa: BLE001 - the program's; the client is owed a reply
            report_exception("whether client %s may ask ?%s", self.description, message.name)
            return False

    def _hand_over(self, lead: object) -> None:
        """Called when the leader's handler waits: have another task lead, unless order forbids it."""
        context = self._current
        if self._lead is not lead or context is None:  # pragma: no cover - the handler ended in the same turn
            return
        self.connection.flush()
        task = context.task
        if context.message.mid is None or context.handler.serial or self.server.serial or task is None:
            context.held = True
            return
        self._current = None
        self._waiting[task] = context
        if len(self._waiting) < self.connection.limits.max_in_flight and not self._stopping:
            self._follow()
        else:
            self._lead = None  # the client is not read until one of them ends

    def _resume(self, lead: object, task: asyncio.Task[object]) -> bool:
        """The handler of a task without the lead has ended: take the lead if nobody has it."""
        self._waiting.pop(task, None)
        if self._lead is None and not self._stopping and not self.connection.lost:
            self._lead = lead
            return True
        return False

    def _give_up(self, lead: object, task: asyncio.Task[object]) -> bool:
        """The handler of a task was cancelled, and the task ends: another has the lead in its place, if nobody has."""
        self._waiting.pop(task, None)
        if self._lead is lead:
            self._lead = self._current = None
        if self._lead is None and not self._stopping and not self.connection.lost:
            self._follow()
        return False

    # The end

    async def shut_down(self, reason: str, deadline: float) -> None:
        """End the connection in good order: read nothing more, let handlers end, give the reason, and close.

        Handlers that have not ended at ``deadline`` (monotonic, seconds) are cancelled, and their clients told so.
        Takes ``Limits.stop_margin`` beyond that at most.
        """
        limits = self.connection.limits
        ends = deadline + limits.stop_margin
        self._stopping = True
        self._farewell = reason
        busy = self._busy()
        for task in self._tasks - busy:
            task.cancel()
        if busy:
            await asyncio.wait(busy, timeout=max(0.0, deadline - self._monotonic()))
            for late in self._busy():
                late.cancel()
        if self._tasks:
            left = (ends - self._monotonic()) / 2  # the other half is for the client, to take what it is sent
            await asyncio.wait(self._tasks, timeout=min(limits.close_timeout, left))
        self._say_goodbye()
        await self.connection.close(ends - self._monotonic())

    def _busy(self) -> set[asyncio.Task[object]]:
        """Return the tasks in which a handler waits."""
        busy = set(self._waiting)
        if self._current is not None and self._current.task is not None:
            busy.add(self._current.task)
        return busy

    def _lost(self) -> None:
        """The connection is gone: end what only served it, and let go of the handlers that run on."""
        self._stopping = True
        self._batch.clear()
        if self._hook is not None:
            self.server.abandon(self._hook, cancel=True)
        contexts = list(self._waiting.values())
        if self._current is not None:
            contexts.append(self._current)
        for context in contexts:
            if context.task is not None:  # pragma: no branch - a handler that waits has one
                self.server.abandon(context.task, cancel=context.handler.options.cancel_on_disconnect)
        self._end()

    def _done(self, task: asyncio.Task[None]) -> None:
        """Take note that a task has ended; the last one closes the connection."""
        self._tasks.discard(task)
        self._waiting.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:  # a handler's own BaseException
            safely(self.server.logger.error, "client %s", self.description, exc_info=error)
            self.disconnect("internal error")  # there is no reply to that: the client is not to wait for it
        if not self._tasks:
            self._say_goodbye()
            self._end()

    def _say_goodbye(self) -> None:
        """Close, with the reason if the server has one."""
        if self._farewell is not None:
            self.disconnect(self._farewell)
        else:
            self.connection.begin_close()

    def _end(self) -> None:
        """Leave the server's books, once."""
        if self._ended:
            return
        self._ended = True
        if self.sampler is not None:
            self.sampler.close()
        self.server.client_gone(self)
