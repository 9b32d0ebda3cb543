"""Whatever clients do, and whenever: each request has one reply, readings arrive, and nothing stays when they leave."""

import asyncio
import itertools
import logging

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, multiple, precondition
from tests.chance.crowd import LIMITS, Device, Visitor
from tests.machine import LoopMachine, Seconds, Turns, one_of, place_in, run_by_chance, stepping

from katcp_aio.testing import serve

__all__ = []

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
MOST = 3  # clients at a time

SENSOR = st.sampled_from(NAMES)
WITH_ID = st.sampled_from([True, True, False])
REQUESTS = [
    *("echo", "wait", "hold", "tied", "serial", "early"),
    *("rows", "sleep", "work", "break", "deny", "extra"),
    *("sensor-value", "sensor-list", "help", "nothing"),
]
REQUEST = st.sampled_from(REQUESTS)

step = stepping(Turns(1), Turns(2), Turns(3), Seconds(0), Seconds(0), Seconds(0.5), Seconds(2), every=6)


class CrowdedServer(LoopMachine):
    """A device, its clients, and what it does itself."""

    visitors = Bundle("visitors")

    def __init__(self):
        super().__init__()
        self.there = []  # the clients that have come, or are about to, and have not left
        self.gone = []
        self.numbers = itertools.count(1)  # of requests
        self.extra = False

    # Who and what there is for a rule

    def talking(self):
        return [visitor for visitor in self.there if visitor.talks]

    def dispensable(self):
        """Those that may leave: not all at once, for then nothing would be left to happen."""
        talking = self.talking()
        return talking if len(talking) > 1 else []

    def sensors(self):
        return [name for name in NAMES if name in self.device.sensors]

    def held(self):
        return self.device.held

    @initialize(
        target=visitors, settled=st.sampled_from([True, True, False]), serial=st.sampled_from([False, False, True])
    )
    def begin(self, settled, serial):
        self.settled = settled
        self.device = Device(self.clock, serial=serial)
        for name in NAMES[:3]:
            self.device.add_sensor(name)
        for _ in range(MOST):
            visitor = self.come(65536)
            self.note(visitor.ask, "sensor-sampling", True, "s0", "event")
            self.note(visitor.ask, "sensor-sampling", False, "s1", "auto")
        return multiple(*self.there)

    # What clients ask for

    @precondition(talking)
    @step(visitor=one_of(talking), name=REQUEST)
    def ask(self, visitor, name):
        self.note(visitor.ask, name, with_id=True)

    @precondition(talking)
    @step(visitor=one_of(talking), name=REQUEST)
    def ask_without_id(self, visitor, name):
        self.note(visitor.ask, name, with_id=False)

    @precondition(talking)
    @step(visitor=one_of(talking), name=REQUEST, with_id=WITH_ID)
    def ask_five_times(self, visitor, name, with_id):
        for _ in range(5):
            self.note(visitor.ask, name, with_id)

    @precondition(talking)
    @step(
        visitor=one_of(talking),
        sensors=st.sampled_from([*NAMES, *["s0,s1,s2"] * len(NAMES)]),
        way=st.sampled_from(WAYS),
        with_id=WITH_ID,
    )
    def sample(self, visitor, sensors, way, with_id):
        self.note(visitor.ask, "sensor-sampling", with_id, sensors, way)

    # How they behave

    @step(target=visitors, chunk=st.sampled_from([1, 7, 65536]))
    def come(self, chunk):
        if len(self.there) == MOST:
            self.leave(self.there[0], "close")
        visitor = Visitor(chunk, self.numbers)
        self.there.append(visitor)
        self.note(lambda: visitor.come(self.served))
        return visitor

    @precondition(dispensable)
    @step(visitor=one_of(dispensable), how=st.sampled_from(["close", "reset", "half-close", "be kicked"]))
    def leave(self, visitor, how):
        if how == "half-close":
            self.note(visitor.half_close)
        elif how == "be kicked":
            self.note(visitor.be_kicked)
        else:
            self.there.remove(visitor)
            self.gone.append(visitor)
            self.note(visitor.leave, how)

    @precondition(talking)
    @step(visitor=one_of(talking))
    def pause_or_resume(self, visitor):
        self.note(visitor.pause_or_resume)

    @precondition(talking)
    @step(
        visitor=one_of(talking),
        line=st.sampled_from([b"junk\n", b"!echo[1] ok 1\n", b"#echo 1\n", b"\n\r\n", b"?\n"]),
    )
    def noise(self, visitor, line):
        self.note(visitor.say, line)

    @precondition(talking)
    @step(visitor=one_of(talking), keep=st.integers(1, 6))
    def half_a_line(self, visitor, keep):
        self.note(visitor.ask, "echo", True, keep=keep)

    # What the device does

    @precondition(sensors)
    @step(sensor=one_of(sensors), value=st.integers(-5, 5))
    def set(self, sensor, value):
        self.note(self.set_one_by_one, sensor, [value])

    @precondition(sensors)
    @step(sensor=one_of(sensors), value=st.integers(-5, 5))
    def set_often(self, sensor, value):
        self.note(self.set_one_by_one, sensor, range(value - 19, value + 1))

    def set_one_by_one(self, name, values):
        if name in self.device.sensors:
            for value in values:
                self.device.sensors[name].value = value

    @step(sensor=SENSOR)
    def add(self, sensor):
        self.note(self.device.add_sensor, sensor)

    @precondition(sensors)
    @step(sensor=one_of(sensors))
    def remove(self, sensor):
        self.note(self.device.sensors.discard, sensor)

    @step()
    def change_requests(self):
        self.extra = not self.extra
        if self.extra:
            self.note(self.device.add_request, "extra", self.device.request_wait)
        else:
            self.note(self.device.remove_request, "extra")

    @precondition(held)
    @step(place=place_in(held), cancel=st.booleans())
    def end(self, place, cancel):
        self.note(self.end_handler, place, cancel=cancel)

    def end_handler(self, place, *, cancel):
        if place < len(self.device.held):
            task, future, _ = self.device.held[place]
            if cancel:
                task.cancel()
            elif not future.done():
                future.set_result(None)

    # What holds

    @precondition(lambda self: not self.noted)
    @invariant()
    def replies_are_those_of_their_requests(self):
        for visitor in [*self.there, *self.gone]:
            visitor.match()

    async def story(self):
        async with serve(self.device) as self.served:
            await self.attempt(self.serve())

    async def serve(self):
        device = self.device
        await self.take_steps()
        if self.settled:
            await self.settle()
            self.check_replies()
            await self.check_readings()
            await self.check_empty()
        stopping = asyncio.create_task(device.stop(2))
        await self.clock.advance(2 + LIMITS.stop_margin + 0.1)  # requests that keep the processor busy move the clock
        assert stopping.done()
        await stopping
        for visitor in self.there:
            if visitor.stays:
                await visitor.peer.end()
        self.replies_are_those_of_their_requests()
        assert device.clients == ()
        assert [sensor for sensor in device.made if sensor.listeners] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await device.start(listen=False)
        peer = self.served.peer()
        assert (await peer.ask("?echo[1] 5"))[-1].arguments == (b"ok", b"5")

    async def settle(self):
        """Let all that waits come to its end."""
        for visitor in self.there:
            visitor.say(b"")
            visitor.resume()
        await self.clock.advance(1)
        assert sum(context.client.connection.lost for _, _, context in self.device.held) <= LIMITS.max_abandoned
        for _ in range(100):  # a serial device comes to what waits only after all that takes time before it
            await self.release_all()
            await self.clock.advance(1)
            if not any(visitor.owed() for visitor in self.there if not visitor.peer.eof):
                break
        await self.release_all()
        await self.clock.advance(QUIET)

    async def release_all(self):
        while self.device.held:
            for place in range(len(self.device.held)):
                self.end_handler(place, cancel=False)
            await self.clock.advance(0.5)

    def check_replies(self):
        """Who has given the server no reason to owe it anything is owed nothing."""
        for visitor in self.there:
            if visitor.stays:
                assert visitor.peer.eof == visitor.finished
                assert visitor.owed() == []

    async def check_readings(self):
        """Who samples a sensor has heard what it reads."""
        for visitor in self.talking():
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
        for number, visitor in enumerate(self.there):
            visitor.leave("close" if number % 2 else "reset")
        await self.clock.advance(2 * LIMITS.close_timeout)
        await self.release_all()
        assert self.device.clients == ()
        assert self.device.sampling.samplers == set()
        assert [sensor for sensor in self.device.made if sensor.listeners] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}


def test_each_request_has_its_reply_and_nothing_stays(caplog):
    caplog.set_level(logging.CRITICAL, "katcp_aio")  # handlers that fail are part of the play
    run_by_chance(CrowdedServer, examples=120, steps=52)
