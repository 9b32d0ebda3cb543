"""Whatever clients do, and whenever: each request has one reply, readings arrive, and nothing stays when they leave."""

import asyncio
import logging
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from katcp_aio import DeviceServer, FailReply, Limits, Message, RequestContext, Sensor, request
from katcp_aio.testing import ManualClock, serve

__all__ = []

EXAMPLES = 5000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 120
LIMITS = Limits(
    max_in_flight=3, max_abandoned=3, write_high=300, write_low=100, max_backlog=20_000, max_interface_changes=2
)
NAMES = ["s0", "s1", "s2", "s.3"]
WAYS = [  # of sampling
    "event",
    "auto",
    "period 2",
    "event-rate 1 3",
    "event-rate 0 5",
    "differential 2",
    "differential-rate 2 1 4",
    "none",
    "nonsense",
]
QUIET = 20.0  # seconds after which each of these has told all that there is to tell
TOLERANCE = {"differential": 2, "differential-rate": 2}

CLIENT = st.integers(0, 2)
SENSOR = st.sampled_from(NAMES)
WITH_ID = st.sampled_from([True, True, False])
TIMES = st.sampled_from([1, 1, 5])  # in a row
TALK = st.one_of(
    st.tuples(
        st.just("ask"), CLIENT, WITH_ID, st.sampled_from(["echo", "wait", "hold", "tied", "serial", "early"]), TIMES
    ),
    st.tuples(
        st.just("ask"), CLIENT, WITH_ID, st.sampled_from(["rows", "sleep", "work", "break", "deny", "extra"]), TIMES
    ),
    st.tuples(
        st.just("ask"), CLIENT, WITH_ID, st.sampled_from(["sensor-value", "sensor-list", "help", "nothing"]), TIMES
    ),
)
SUBSCRIBE = st.one_of(
    st.tuples(st.just("sample"), CLIENT, WITH_ID, st.tuples(SENSOR, st.sampled_from(WAYS))),
    st.tuples(st.just("sample"), CLIENT, WITH_ID, st.tuples(st.just("s0,s1,s2"), st.sampled_from(WAYS))),
)
DEVICE = st.one_of(
    st.tuples(st.just("set"), SENSOR, st.integers(-5, 5), st.sampled_from([1, 20])),
    st.tuples(st.just("set"), SENSOR, st.integers(-5, 5), st.sampled_from([1, 20])),
    st.tuples(st.sampled_from(["add", "remove"]), SENSOR),
    st.tuples(
        st.just("requests"),
    ),
    st.tuples(st.just("release"), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
)
TIME = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.0, 0.5, 2.0])),
    st.tuples(st.just("turns"), st.integers(1, 3)),
)
MANNERS = st.one_of(
    st.tuples(st.just("come"), CLIENT, st.sampled_from([1, 7, 65536])),
    st.tuples(st.sampled_from(["pause", "pause", "resume", "half-close", "close", "reset", "kick"]), CLIENT),
    st.tuples(
        st.just("noise"), CLIENT, st.sampled_from([b"junk\n", b"!echo[1] ok 1\n", b"#echo 1\n", b"\n\r\n", b"?\n"])
    ),
    st.tuples(st.just("half a line"), CLIENT, st.integers(1, 6)),
)
STEPS = st.lists(st.one_of(TIME, TALK, TALK, SUBSCRIBE, DEVICE, DEVICE, MANNERS), min_size=30, max_size=90)


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
            if self.name in ("rows", "sensor-value", "sensor-list", "help") and code == b"ok":
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

    def __init__(self, served, chunk, numbers):
        self.served = served
        self.peer = served.peer(chunk=chunk)
        self.numbers = numbers
        self.asked = []
        self.stays = True  # it has given the server no reason to drop it
        self.finished = False  # it has half-closed its side
        self.rest = b""  # of a line that it has begun

    @property
    def talks(self):
        return not (self.finished or self.peer.eof)

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
            self.asked.append(asked)
            mid = f"[{number}]" if with_id else ""
            words = arguments or ([] if name in ("sensor-value", "sensor-list", "help") else [number])
            self.say(f"?{name}{mid} {' '.join(map(str, words))}".rstrip().encode() + b"\n", keep)
        return asked

    def match(self):
        """Give what came to the requests, in order where they have no ids."""
        by_id = {asked.mid: asked for asked in self.asked if asked.mid is not None}
        in_order = [asked for asked in self.asked if asked.mid is None]
        names = {asked.name for asked in self.asked}
        for asked in self.asked:
            asked.replies, asked.informs = [], 0
        for item in self.peer.received:
            assert isinstance(item, Message), item
            if item.type.value == "!":
                asked = by_id[item.mid] if item.mid is not None else in_order.pop(0)
                assert item.name == asked.name, (item, asked)
                asked.replies.append(item)
            elif item.mid is not None:
                asked = by_id[item.mid]
                assert item.name == asked.name, (item, asked)
                assert not asked.replies, (item, asked)
                asked.informs += 1
            elif item.name in names and in_order and in_order[0].name == item.name:
                in_order[0].informs += 1
        for asked in self.asked:
            asked.check()

    def owed(self):
        """Return what it has asked and not been told."""
        self.match()
        return [asked for asked in self.asked if not asked.replies]

    def waits(self):
        """Return what it is owed, as long as it has given the server no reason to owe it nothing."""
        owed = self.owed()
        return owed if self.stays else []

    def last(self, sensor):
        """What it has last heard of a sensor."""
        heard = [item.arguments for item in self.peer.received.informs("sensor-status")]
        return next(((args[3], args[4]) for args in reversed(heard) if args[2] == sensor.encode()), None)


class Scenario:
    def __init__(self, clock, served):
        self.clock = clock
        self.served = served
        self.device = served.server
        self.visitors = {}
        self.gone = []
        self.numbers = iter(range(1, 1_000_000))
        self.extra = False

    def visitor(self, number):
        if number not in self.visitors:
            self.come(number, 65536)
        return self.visitors[number]

    def come(self, number, chunk):
        if number in self.visitors:
            self.leave(number, "close")
        self.visitors[number] = Visitor(self.served, chunk, self.numbers)

    def leave(self, number, how):
        visitor = self.visitors.pop(number, None)
        if visitor is not None:
            visitor.stays = False
            self.gone.append(visitor)
            if how == "reset":
                visitor.peer.abort()
            else:
                visitor.peer.transport.close()

    async def step(self, what, *how):
        device = self.device
        if what == "ask":
            number, with_id, name, times = how
            for _ in range(times):
                self.visitor(number).ask(name, with_id)
        elif what == "sample":
            number, with_id, (names, way) = how
            self.visitor(number).ask("sensor-sampling", with_id, names, way)
        elif what == "set":
            if how[0] in device.sensors:
                for value in range(how[1] - how[2] + 1, how[1] + 1):
                    device.sensors[how[0]].value = value
        elif what == "add":
            device.add_sensor(how[0])
        elif what == "remove":
            if how[0] in device.sensors:
                device.sensors.remove(how[0])
        elif what == "requests":
            self.extra = not self.extra
            if self.extra:
                device.add_request("extra", device.request_wait)
            else:
                device.remove_request("extra")
        elif what in ("release", "cancel"):
            if device.held:
                task, future, _ = device.held[how[0] % len(device.held)]
                if what == "release":
                    future.done() or future.set_result(None)
                else:
                    task.cancel()
        elif what == "pass":
            await self.clock.advance(how[0])
        elif what == "turns":
            for _ in range(how[0]):
                await asyncio.sleep(0)
        elif what == "come":
            self.come(*how)
        elif what in ("close", "reset"):
            self.leave(how[0], what)
        else:
            self.behave(what, self.visitor(how[0]), *how[1:])

    def behave(self, what, visitor, *how):
        if what == "noise":
            visitor.say(*how)
        elif what == "half a line":
            visitor.ask("echo", True, keep=how[0])
        elif what == "half-close":
            if visitor.talks:
                visitor.say(b"")
                visitor.peer.half_close()
                visitor.finished = True
        elif what == "kick":
            for client in self.device.clients[:1]:
                client.disconnect("enough")
            for other in self.visitors.values():
                other.stays = False  # which of them it was is not told here
        elif not visitor.peer.lost:
            if what == "pause":
                visitor.peer.pause()
                visitor.stays = False  # if it takes too long, the server will have enough
            else:
                visitor.peer.resume()

    async def release_all(self):
        while self.device.held:
            for _, future, _ in self.device.held:
                future.done() or future.set_result(None)
            await self.clock.advance(0.5)

    async def settle(self):
        """Let all that waits come to its end."""
        for visitor in self.visitors.values():
            visitor.say(b"")
            if not visitor.peer.lost:
                visitor.peer.resume()
        await self.clock.advance(1)
        assert sum(context.client.connection.lost for _, _, context in self.device.held) <= LIMITS.max_abandoned
        for _ in range(100):  # a serial device comes to what waits only after all that takes time before it
            await self.release_all()
            await self.clock.advance(1)
            if not any(visitor.owed() for visitor in self.visitors.values() if not visitor.peer.eof):
                break
        await self.release_all()
        await self.clock.advance(QUIET)

    def check_replies(self, *, complete):
        for visitor in [*self.visitors.values(), *self.gone]:
            waits = visitor.waits()
            if complete and visitor.stays:
                assert visitor.peer.eof == visitor.finished
                assert waits == []

    async def check_readings(self):
        """Who samples a sensor has heard what it reads."""
        for visitor in self.visitors.values():
            if not visitor.talks:
                continue
            for sensor in self.device.sensors.values():
                asked = visitor.ask("sensor-sampling", True, sensor.name)
                await self.clock.settle()
                visitor.match()
                way = asked.replies[0].arguments[2].decode()
                if way == "none":
                    continue
                status, value = visitor.last(sensor.name)
                tolerance = TOLERANCE.get(way, 0)
                assert abs(int(value) - sensor.value) <= tolerance, (sensor, way)
                if not tolerance:
                    assert status.decode() == sensor.status.wire.decode(), (sensor, way)

    async def check_empty(self):
        """Nothing remains of clients that have left."""
        for number in list(self.visitors):
            self.leave(number, "close" if number % 2 else "reset")
        await self.clock.advance(2 * LIMITS.close_timeout)
        await self.release_all()
        assert self.device.clients == ()
        assert self.device.sampling.samplers == set()
        assert [sensor for sensor in self.device.made if sensor.listeners] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def play(clock, device, steps, *, settled):
    async with serve(device) as served:
        scenario = Scenario(clock, served)
        for name in NAMES[:3]:
            device.add_sensor(name)
        for number in range(3):
            await scenario.step("sample", number, True, ("s0", "event"))
            await scenario.step("sample", number, False, ("s1", "auto"))
        for step in steps:
            await scenario.step(*step)
        if settled:
            await scenario.settle()
            scenario.check_replies(complete=True)
            await scenario.check_readings()
            await scenario.check_empty()
        stopping = asyncio.create_task(device.stop(2))
        await clock.advance(2 + LIMITS.stop_margin + 0.1)  # requests that keep the processor busy move the clock
        assert stopping.done()
        await stopping
        for visitor in scenario.visitors.values():
            if visitor.stays:
                await visitor.peer.end()
        scenario.check_replies(complete=False)
        assert device.clients == ()
        assert [sensor for sensor in device.made if sensor.listeners] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await device.start(listen=False)
        peer = served.peer()
        assert (await peer.ask("?echo[1] 5"))[-1].arguments == (b"ok", b"5")


@settings(
    max_examples=EXAMPLES, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, settled=st.sampled_from([True, True, False]), serial=st.sampled_from([False, False, True]))
def test_each_request_has_its_reply_and_nothing_stays(steps, settled, serial, caplog):
    caplog.set_level(logging.CRITICAL, "katcp_aio")  # handlers that fail are part of the play
    clock = ManualClock()

    async def scenario():
        await play(clock, Device(clock, serial=serial), steps, settled=settled)

    clock.run(scenario())
