"""Requests out, messages in. Law: a request has exactly one outcome, and nothing the device sends raises.

The desk survives the connections: what is queued while there is none is sent on the next one. One timer stands for the
deadlines of all requests; it goes to the earliest, and setting one for each request would cost as much as the rest.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque

from ..connection import Connection
from ..errors import ConnectionLost, MalformedMessage, NotConnected, ReplyTooLong, RequestTimeout, UsageError
from ..limits import Limits
from ..reports import TroubleLog
from ..wire.dialect import Dialect
from ..wire.message import Message, MessageType, write_line
from ..wire.values import TypeRegistry
from .informs import InformTable
from .negotiation import ASSUMED
from .pending import Pending
from .replies import Reply, encode_values, in_seconds, reply_error, telling_log
from .slot import Slot
from .stream import Mailbox

__all__ = ["Desk"]

_GRAIN = 0.001  # s, the shortest time between two looks at the deadlines: each look is at all of them
_heads = MessageType.REQUEST.heads
_REQUEST, _REPLY, _INFORM = MessageType.REQUEST, MessageType.REPLY, MessageType.INFORM


class Desk:
    """The requests of one client, and the way of what its device sends.

    Args:
        device: the device's name in exceptions.
        informs: who is told of informs that are part of no reply.
        trouble: counts and logs what the device should not have sent.
        limits: bounds.
        types: encode the arguments of requests.
    """

    __slots__ = (
        "_connection",
        "_ids",
        "_informs",
        "_log",
        "_log_count",
        "_loop",
        "_most",
        "_pending",
        "_refusal",
        "_room",
        "_streams",
        "_timer",
        "_timer_at",
        "_trouble",
        "_types",
        "batches",
        "device",
        "dialect",
        "limits",
    )

    def __init__(
        self, device: str, informs: InformTable, trouble: TroubleLog, limits: Limits, types: TypeRegistry
    ) -> None:
        self.device = device
        self.limits = limits
        self.dialect: Dialect = ASSUMED  #: of the connection, or of the last one
        self.batches = 0  #: how often something has been received
        self._informs = informs
        self._trouble = trouble
        self._types = types
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None  # None: requests are queued
        self._ids = False
        self._most = limits.max_pending
        self._pending = Pending()
        self._refusal: Exception | None = UsageError("the client is not started")
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._log: deque[Message] = deque(maxlen=limits.max_log_context)
        self._log_count = 0  # #log informs ever
        self._streams: dict[Slot, Mailbox] = {}  # requests whose informs are read as they come
        self._room: asyncio.Future[None] | None = None  # somebody waits for a reader of one of these

    def __len__(self) -> int:
        """How many requests somebody waits for."""
        return len(self._pending)

    # The connection's side

    def start(self) -> None:
        """Take requests from now on, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._refusal = None

    def open(self, connection: Connection, dialect: Dialect) -> None:
        """Send on ``connection`` from now on, what is queued first; also when it turns out to speak another dialect."""
        self._connection = connection
        self._ids = dialect.message_ids
        if dialect != self.dialect:
            self.dialect = dialect
            self._rewrite_queue()
        self._send_queued()

    def _rewrite_queue(self) -> None:
        """Write requests again that were queued before it was known how this device writes times."""
        for slot in self._pending:
            slot.dialect = self.dialect  # by whose rules it will be answered, if it was sent as well
        for slot in list(self._pending.queue):
            try:
                slot.arguments = encode_values(slot.name, slot.values, self.dialect, self._types)
            except (TypeError, ValueError) as error:
                del self._pending.queue[slot]
                self._finish(slot, error)

    def lose(self, reason: str) -> None:
        """Take note that the connection has ended: what was sent fails, what is queued waits for the next one."""
        self._connection = None
        for slot in self._pending.lose():
            self._finish(slot, ConnectionLost(reason, device=self.device, request=slot.request))
        self.notice()

    def shut(self, reason: str, refusal: Exception) -> None:
        """Take note that there will be no further connection: everything fails, later requests with ``refusal``."""
        self._refusal = refusal
        self.lose(reason)
        queue = self._pending.queue
        while queue:
            slot, _ = queue.popitem(last=False)
            self._finish(slot, NotConnected(reason, device=self.device, request=slot.request))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # The caller's side

    def submit(self, name: str, values: tuple[object, ...], timeout: float | None, sink: Mailbox | None = None) -> Slot:
        """Send a request, now or as soon as that is possible, and return its slot.

        Raises:
            UsageError: the client is not started or closed, or has ``Limits.max_pending`` requests under way.
            NotConnected: the client had one connection to make, and it has ended.
            ValueError: no message name, or a value outside its type.
            TypeError: a value of a type that has no KATCP data type.
        """
        pending, loop, dialect = self._pending, self._loop, self.dialect
        if self._refusal is not None or loop is None:
            raise self._refused(name)
        # Counted roughly first, ghosts included: it takes half the time of len(pending), which is never more.
        if len(pending.outstanding) + len(pending.queue) + 1 >= self._most and len(pending) >= self._most:
            raise UsageError(f"{self.device}: {self._most} requests wait for a reply already")
        if name not in _heads:
            _REQUEST.head(name)  # raises for what is no name
        arguments = encode_values(name, values, dialect, self._types) if values else ()
        if timeout is None:
            slot = Slot(loop, name, values, arguments, dialect, sink=sink)
        else:
            deadline = loop.time() + timeout
            slot = Slot(loop, name, values, arguments, dialect, timeout, deadline, sink)
            if deadline < self._timer_at:
                self._arm(deadline)
        if sink is not None:
            self._streams[slot] = sink
        connection = self._connection
        if self._ids and connection is not None:
            slot.log_mark = self._log_count
            # One request after another: written at once, a turn of the loop less for each, a fifth of its time.
            write = connection.write if pending.outstanding else connection.write_now
            write(write_line((_REQUEST, name, slot.arguments, pending.send(slot))))
        else:
            pending.queue[slot] = None
            self._send_queued()
            self._watch_stuck()
        if self._room is not None:
            self.notice()
        return slot

    def _refused(self, name: str) -> Exception:
        if isinstance(self._refusal, ConnectionLost):
            request = Message.request(name)
            return NotConnected(self._refusal.reason, device=self.device, request=request)
        return UsageError(f"{self.device}: ?{name}: {self._refusal}")

    def give_up(self, slot: Slot) -> None:
        """Take note that nobody waits for the outcome any more. Does nothing for a request that has one."""
        if self._loop is None:  # pragma: no cover - for the type checker: who has a slot has started
            return
        self._streams.pop(slot, None)
        self._pending.give_up(slot, self._loop.time())
        self._watch_stuck()
        self.notice()

    def overdue(self, since: float) -> bool:
        """Whether the device owes a reply that was given up after ``since`` (s, monotonic), and no other before it."""
        for slot in self._pending:
            if slot.sent and (slot.given_up is None or slot.given_up >= since):
                return slot.given_up is not None
        return False

    def _send_queued(self) -> None:
        connection = self._connection
        if connection is None:
            return
        pending = self._pending
        while (slot := pending.next(ids=self._ids)) is not None:
            slot.log_mark = self._log_count
            connection.write(bytes(slot.request))

    def _finish(self, slot: Slot, outcome: Reply | Exception) -> None:
        """Give the caller its outcome, unless it has stopped waiting."""
        slot.settle_soon(outcome)
        if slot.sink is not None:
            self._streams.pop(slot, None)
            slot.sink.wake()

    # Deadlines

    def _arm(self, when: float) -> None:
        if when >= self._timer_at or self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._tick, self._loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the wait of those whose time is over, and of those that a missing reply has held up for too long."""
        self._timer = None
        self._timer_at = math.inf
        now = loop.time()
        over, following = self._pending.due(now)
        for slot in over:
            self._finish(slot, RequestTimeout(slot.request, slot.timeout, device=self.device, sent=slot.sent))
            self._pending.give_up(slot, now)
        since = self._pending.stuck_since()
        if since is not None and self._connection is not None:
            if since + self.limits.late_timeout <= now:
                self._connection.abort(f"no reply to an earlier request within {self.limits.late_timeout:g} s")
            else:
                following = min(following, since + self.limits.late_timeout)
        if following < math.inf:
            self._arm(max(following, now + _GRAIN))
        if over:
            self.notice()

    def _watch_stuck(self) -> None:
        if (since := self._pending.stuck_since()) is not None:
            self._arm(since + self.limits.late_timeout)

    # In

    def receive(self, messages: list[Message | MalformedMessage]) -> None:
        """Take what one read brought: give replies to their requests, and informs to whom they concern."""
        if self._refusal is not None:
            return  # closed meanwhile: nobody wants to hear more, and every reply would count as unknown
        self.batches += 1
        pending = self._pending
        pending.mark = pending.next_mid
        try:
            self._take_in(messages)
        finally:
            pending.mark = None
        if pending.queue:  # only now: nothing of this batch may pass for the answer to what is sent
            self._send_queued()

    def _take_in(self, messages: list[Message | MalformedMessage]) -> None:
        pending, refusal = self._pending, self._refusal
        asked, outstanding = pending.asked, pending.outstanding
        dispatch, most = self._informs.dispatch, self.limits.max_informs
        plain = self.dialect.time_scale == 1.0
        settle = Slot.settle if asyncio.current_task(self._loop) is None else Slot.settle_soon
        for message in messages:
            if isinstance(message, MalformedMessage):
                self._malformed(message)
                continue
            kind, name, arguments, mid = message
            if kind is _INFORM:
                if (  # one of the ten thousand of a listing: 0.2 us here, and 0.6 where every case is looked at
                    mid is not None
                    and (slot := outstanding.get(mid)) is not None
                    and slot.sink is None
                    and slot.given_up is None
                    and slot.name == name
                    and len(slot.informs) < most
                ):
                    slot.informs.append(message)
                    continue
                if mid is None and (name not in asked or pending.find(name, None) is None):
                    if name == "log":
                        self._log.append(message)
                        self._log_count += 1
                    dispatch(message)
                else:
                    self._reply_inform(message)
            elif kind is _REPLY:
                slot = outstanding.get(mid)  # type: ignore[arg-type]  # None is in no table
                if slot is not None and slot.name == name and slot.given_up is None:
                    del outstanding[mid]  # type: ignore[arg-type]  # as pending.take() does, in a fifth of the time
                else:
                    slot = self._take(message)
                if slot is None:
                    continue
                if slot.sink is None and slot.flaw is None and arguments and arguments[0] == b"ok":
                    settle(slot, Reply(message if plain else in_seconds(message, self.dialect), slot.informs))
                else:
                    self._answer(slot, message)
            else:
                self._trouble.tell("request", "%s: a request from the device, not answered: ?%s", self.device, name)
            if self._refusal is not refusal:
                return  # the caller, or a callback, has gone on with what it was told, and has closed the client

    def _take(self, reply: Message) -> Slot | None:
        """Return the request that a reply answers, if somebody still waits for it, and forget it."""
        slot = self._pending.take(reply.name, reply.mid)
        if slot is None:
            self._trouble.tell("unknown reply", "%s: reply to no request: %s", self.device, reply)
        elif slot.given_up is not None:
            self._trouble.tell("late reply", "%s: late reply to ?%s", self.device, reply.name)
            return None
        return slot

    def _answer(self, slot: Slot, reply: Message) -> None:
        if slot.flaw is not None:
            self._finish(slot, slot.flaw)
        elif reply.ok:
            self._finish(slot, Reply(in_seconds(reply, self.dialect), slot.informs))
        else:
            log: tuple[Message, ...] = ()
            if len(reply.arguments) < 2:
                # Devices built on the C library tell the reason in #log informs just before, and nowhere else.
                fresh = min(self._log_count - slot.log_mark, len(self._log))
                log = telling_log(list(self._log)[len(self._log) - fresh :])
            self._finish(slot, reply_error(slot.request, reply, slot.informs, log, self.device))

    def _reply_inform(self, inform: Message) -> None:
        """Take an inform that has an id, or the name of a request that is outstanding (5.1, section 2.3)."""
        slot = self._pending.find(inform.name, inform.mid)
        if slot is None:
            self._trouble.tell("unknown inform", "%s: inform for no request: %s", self.device, inform)
            return
        if slot.given_up is not None:
            return
        sink = slot.sink
        if len(slot.informs if sink is None else sink) >= self.limits.max_informs:
            self._finish(slot, ReplyTooLong(slot.request, self.limits.max_informs))
            self.give_up(slot)
        elif sink is None:
            slot.informs.append(inform)
        elif not sink.push(inform):
            self.give_up(slot)

    def _malformed(self, line: MalformedMessage) -> None:
        """Count a line that is no message. A request whose reply it was is not left to its timeout."""
        self._trouble.tell("malformed", "%s: %s: %s", self.device, line, line.raw)
        if line.name is None or line.type not in (_REPLY, _INFORM):
            return
        if line.type is _INFORM:
            slot = self._pending.find(line.name, line.mid)
            if slot is not None and slot.flaw is None:
                slot.flaw = line  # the reply is still to come, and would be taken for the whole
            return
        slot = self._pending.take(line.name, line.mid)
        if slot is not None and slot.given_up is None:
            self._finish(slot, line)

    # Back-pressure of streams

    @property
    def crowded(self) -> bool:
        """Whether reading should wait for the reader of a stream.

        Not while anybody waits for another reply or stream, which may be the very thing that the reader waits for.
        """
        streams = self._streams
        if not streams or len(self._pending) > len(streams):
            return False
        most = self.limits.max_mailbox
        boxes = streams.values()
        return any(len(box) > most and box.alive for box in boxes) and not any(box.waiting for box in boxes)

    async def room(self) -> None:
        """Wait until reading need not wait any more. Cancelling it is safe."""
        while self.crowded and self._loop is not None:
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None

    def notice(self) -> None:
        """Have :meth:`room` look again: requests came or went, or a reader has taken informs or is gone."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
