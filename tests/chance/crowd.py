"""Who plays when a server is left to chance: a device with all kinds of handlers, and clients that remember."""

import asyncio
from collections import deque

from katcp_aio import DeviceServer, FailReply, Limits, Message, RequestContext, Sensor, request

__all__ = ["LIMITS", "Device", "Visitor"]

LIMITS = Limits(
    max_in_flight=3, max_abandoned=3, write_high=300, write_low=100, max_backlog=20_000, max_interface_changes=2
)
WITHOUT_ARGUMENTS = ("sensor-value", "sensor-list", "help")


class WatchedSensor(Sensor):
    """Knows who listens."""

    def __init__(self, *args):
        super().__init__(*args)
        self.listeners = []

    def attach(self, observer):
        super().attach(observer)
        self.listeners.append(observer)

    def detach(self, observer):
        super().detach(observer)
        if observer in self.listeners:
            self.listeners.remove(observer)


class Device(DeviceServer):
    VERSION = "chance-1.0"
    BUILD_STATE = "chance-1.0.0"

    def __init__(self, clock, **options):
        super().__init__(clock=clock, limits=LIMITS, **options)
        self.held = []  # (task, future, context) of handlers that wait for the script
        self.made = []  # all sensors there ever were

    def add_sensor(self, name):
        sensor = WatchedSensor(int, name, "A number")
        self.made.append(sensor)
        self.sensors.add(sensor)

    async def hold(self, ctx):
        waiting = asyncio.current_task(), asyncio.get_running_loop().create_future(), ctx
        self.held.append(waiting)
        try:
            await waiting[1]
        finally:
            self.held.remove(waiting)

    def request_echo(self, ctx: RequestContext, tag: int) -> int:
        """Answer at once."""
        return tag

    def request_work(self, ctx: RequestContext, tag: int) -> int:
        """Keep the processor busy for longer than a client's turn."""
        self.clock.move(0.002)
        return tag

    async def request_wait(self, ctx: RequestContext, tag: int) -> int:
        """Wait until the script goes on."""
        await self.hold(ctx)
        return tag

    async def request_hold(self, ctx: RequestContext, tag: int) -> int:
        """Wait twice."""
        await self.hold(ctx)
        await asyncio.sleep(0.1)
        return tag

    @request(cancel_on_disconnect=True)
    async def request_tied(self, ctx: RequestContext, tag: int) -> int:
        """Wait as long as the client does."""
        await self.hold(ctx)
        return tag

    @request(serial=True)
    async def request_serial(self, ctx: RequestContext, tag: int) -> int:
        """Wait, and let nothing overtake."""
        await self.hold(ctx)
        return tag

    async def request_early(self, ctx: RequestContext, tag: int):
        """Reply, and go on."""
        ctx.reply("ok", tag)
        await self.hold(ctx)

    async def request_sleep(self, ctx: RequestContext, tag: int) -> int:
        """Take a time that depends on the tag."""
        await asyncio.sleep(tag % 3 * 0.3)
        return tag

    async def request_rows(self, ctx: RequestContext, tag: int):
        """Send informs, with pauses."""
        for row in range(tag % 7):
            yield row, "x" * 30
            if row % 3 == 2:
                await asyncio.sleep(0)

    def request_break(self, ctx: RequestContext, tag: int) -> int:
        """Have a bug."""
        raise ArithmeticError(tag)

    async def request_deny(self, ctx: RequestContext, tag: int) -> int:
        """Say no."""
        await asyncio.sleep(0)
        raise FailReply(f"no {tag}")


class Asked:
    """A request, as its client remembers it."""

    def __init__(self, name, mid, tag):
        self.name, self.mid, self.tag = name, mid, tag
        self.replies = []
        self.informs = 0

    def __repr__(self):
        return f"?{self.name}[{self.mid}] {self.tag} -> {self.replies} after {self.informs} informs"

    def check(self):
        """The one reply is this request's own."""
        assert len(self.replies) <= 1, self
        for code, *values in (reply.arguments for reply in self.replies):
            if self.name in ("rows", *WITHOUT_ARGUMENTS) and code == b"ok":
                assert values == [b"%d" % self.informs], self
            elif self.name == "deny":
                assert (code, values) in ((b"fail", [b"no %d" % self.tag]), (b"fail", [b"request cancelled"])), self
            elif self.name == "break":
                assert code == b"fail"
                assert b"ArithmeticError" in values[0]
            elif self.name == "nothing":
                assert code == b"invalid", self
            elif code == b"ok" and self.name != "sensor-sampling":
                assert values == [b"%d" % self.tag], self
            if self.name in ("echo", "work"):
                assert code == b"ok", self


class Visitor:
    """A client, with what it asked, and what it may expect."""

    def __init__(self, chunk, numbers):
        self.chunk = chunk
        self.numbers = numbers
        self.peer = None  # as long as it has not come
        self.client = None  # what it is to the server
        self.asked = {}  # number -> request
        self.in_order = deque()  # those without ids that have no reply yet
        self.matched = 0  # of what came
        self.stays = True  # it has given the server no reason to drop it
        self.finished = False  # it has half-closed its side
        self.paused = False
        self.rest = b""  # of a line that it has begun

    def come(self, served):
        self.peer = served.peer(chunk=self.chunk)
        self.client = served.server.clients[-1]

    def leave(self, how):
        self.stays = False
        if how == "reset":
            self.peer.abort()
        else:
            self.peer.transport.close()

    @property
    def talks(self):
        """Whether it may say something, and is heard; so it will be, once it has come."""
        return self.peer is None or not (self.finished or self.peer.eof)

    def say(self, data, keep=0):
        """Send what was held back and these bytes, but for the last ``keep``."""
        if self.talks:
            data = self.rest + data
            self.rest = data[len(data) - keep :]
            self.peer.send_raw(data[: len(data) - keep])

    def ask(self, name, with_id, *arguments, keep=0):
        number = next(self.numbers)
        asked = Asked(name, number if with_id else None, number)
        if self.talks:
            self.asked[number] = asked
            if not with_id:
                self.in_order.append(asked)
            mid = f"[{number}]" if with_id else ""
            words = arguments or ([] if name in WITHOUT_ARGUMENTS else [number])
            self.say(f"?{name}{mid} {' '.join(map(str, words))}".rstrip().encode() + b"\n", keep)
        return asked

    def half_close(self):
        if self.talks:
            self.say(b"")
            self.peer.half_close()
            self.finished = True

    def pause_or_resume(self):
        if self.paused:
            self.resume()
        elif not self.peer.lost:
            self.peer.pause()
            self.paused = True
            self.stays = False  # if it takes too long, the server will have enough

    def resume(self):
        if not self.peer.lost:
            self.peer.resume()
            self.paused = False

    def be_kicked(self):
        """Have the server send it away."""
        self.stays = False
        if self.client in self.client.server.clients:
            self.client.disconnect("enough")

    def match(self):
        """Give what came since the last time to the requests, in order where they have no ids."""
        new = self.peer.received.items[self.matched :]
        self.matched += len(new)
        for item in new:
            assert isinstance(item, Message), item
            if item.type.value == "!":
                asked = self.asked[item.mid] if item.mid is not None else self.in_order.popleft()
                assert item.name == asked.name, (item, asked)
                asked.replies.append(item)
                asked.check()
            elif item.mid is not None:
                asked = self.asked[item.mid]
                assert item.name == asked.name, (item, asked)
                assert not asked.replies, (item, asked)
                asked.informs += 1
            elif self.in_order and self.in_order[0].name == item.name:
                self.in_order[0].informs += 1

    def owed(self):
        """Return what it has asked and not been told."""
        self.match()
        return [asked for asked in self.asked.values() if not asked.replies]

    def last(self, sensor):
        """What it has last heard of a sensor."""
        heard = [item.arguments for item in self.peer.received.informs("sensor-status")]
        return next(((args[3], args[4]) for args in reversed(heard) if args[2] == sensor.encode()), None)
