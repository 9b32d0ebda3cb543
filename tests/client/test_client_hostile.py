"""Whatever a device does and whoever is cancelled: each request has one outcome, and a reply that is its own."""

import asyncio
import contextlib

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, precondition
from tests.machine import LoopMachine, Seconds, Turns, one_of, place_in, run_by_chance, stepping

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.client.replies import Reply
from katcp_aio.client.states import State
from katcp_aio.errors import KatcpError, UsageError
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice

__all__ = []

PROTOCOLS = ["5.1-MI", "5.0-M", "4.0"]
# What may come at any time, besides the answers: none of it may pass for one.
NOISE = [
    b"#log error 1 x trouble\n",
    b"!other ok 1\n",
    b"!x[999] ok 1\n",
    b"#x[999] 1\n",
    b"#version-connect kernel 6\n",
    b"?x\n",
    b"junk\n\n\r\n \t\n",
    b"\xff\0\x1b\n",
    b"!x[0] ok\n",
    b"!x[1]\n"[:4] + b"\n",
]
MOST = 12  # requests under way
# Each with the id and the argument of a request.
ANSWERS = {"ok": b"!x%b ok %b\n", "fail": b"!x%b fail %b\n", "spoilt": b"!x%b ok \\q%b\n"}
INFORMS = {"inform": b"#x%b %b\n", "of another": b"#other%b %b\n", "reply of another": b"!other%b ok %b\n"}

OFTEN = [Seconds(0), Seconds(0.3), Seconds(1)]
step = stepping(*OFTEN, *OFTEN, Seconds(6), *map(Turns, [1, 2, 3, 4]), every=4)


class Asked:
    """A request of the client's; its tag is its argument, and comes back in whatever answers it."""

    def __init__(self, tag, timeout, *, bare=False):
        self.tag = tag
        self.timeout = timeout
        self.bare = bare  # a stream that is left as it is, and given up when the next inform comes
        self.task = None
        self.given_up = False
        self.outcome = None

    def start(self, ask):
        self.task = asyncio.create_task(self.run(ask))

    async def run(self, ask):
        try:
            self.outcome = await ask(self.tag, self.timeout)
        except KatcpError as error:
            self.outcome = error

    def cancel(self):
        self.given_up |= self.task.cancel()

    @property
    def waits(self):
        return self.task is None or not self.task.done()

    @property
    def counts(self):
        """Whether it may be one of the requests that the client has under way."""
        return self.waits or (self.bare and self.task.cancelled())

    def check(self):
        """There was one outcome, and it is this request's own."""
        assert self.task.cancelled() == self.given_up
        if self.given_up:
            return
        self.task.result()
        own = b"%d" % self.tag
        if isinstance(self.outcome, Exception):
            assert not isinstance(self.outcome, UsageError)
            refusal = getattr(self.outcome, "reply", None)
            assert refusal is None or refusal.arguments[1] == own
        else:
            assert self.outcome.arguments == [own]
            assert {inform.arguments for inform in self.outcome.informs} <= {(own,)}


class HostileDevice(LoopMachine):
    """A client, and a device that answers nothing by itself."""

    asked = Bundle("asked")

    @initialize(protocol=st.sampled_from(PROTOCOLS))
    def begin(self, protocol):
        self.device = FakeDevice(protocol)
        self.device.on("x", self.hold)
        self.client = Client(
            connector=self.device.connector,
            reconnect=Backoff(initial=1, randomness=0),
            clock=self.clock,
            limits=Limits(late_timeout=3, max_pending=MOST),
        )
        self.all = []
        self.held = []  # what the device has not answered: (peer, request)

    def hold(self, peer, request):
        self.held.append((peer, request))
        return asyncio.get_running_loop().create_future()

    # What there is for a rule

    def unanswered(self):
        return self.held

    def waiting(self):
        return [asked for asked in self.all if asked.waits]

    def room(self):
        return MOST - sum(asked.counts for asked in self.all)

    # What the client's program does

    @precondition(room)
    @step(target=asked, timeout=st.sampled_from([0.5, 2, 5, None]))
    def ask(self, timeout):
        return self.start(self.request, timeout)

    @precondition(room)
    @step(target=asked, timeout=st.sampled_from([2, None]), bare=st.booleans())
    def stream(self, timeout, bare):
        return self.start(self.read_bare if bare else self.read, timeout, bare=bare)

    @precondition(waiting)
    @step(asked=one_of(waiting))
    def cancel(self, asked):
        self.note(asked.cancel)

    def start(self, ask, timeout, *, bare=False):
        asked = Asked(len(self.all), timeout, bare=bare)
        self.all.append(asked)
        self.note(asked.start, ask)
        return asked

    async def request(self, tag, timeout):
        return await self.client.request("x", tag, timeout=timeout)

    async def read(self, tag, timeout):
        async with self.client.stream("x", tag, timeout=timeout) as stream:
            seen = [inform async for inform in stream]
        return Reply(stream.reply.message, seen)

    async def read_bare(self, tag, timeout):
        stream = self.client.stream("x", tag, timeout=timeout)
        seen = [inform async for inform in stream]
        return Reply(stream.reply.message, seen)

    # What the device does

    @precondition(unanswered)
    @step(place=place_in(unanswered), how=st.sampled_from(["ok", "ok", "fail", "spoilt"]), twice=st.booleans())
    def answer(self, place, how, twice):
        self.note(self.say_of, place, ANSWERS[how], times=1 + twice, last=True)

    @precondition(unanswered)
    @step(place=place_in(unanswered), line=st.sampled_from(sorted(INFORMS)))
    def inform(self, place, line):
        self.note(self.say_of, place, INFORMS[line])

    @precondition(lambda self: self.device.peers)
    @step(line=st.sampled_from(NOISE))
    def noise(self, line):
        self.note(lambda: [self.say(peer, line) for peer in self.device.peers])

    @precondition(lambda self: self.device.peers)
    @step(how=st.sampled_from(["close", "half-close", "reset"]))
    def end(self, how):
        self.note(self.device.end, how)

    @step(refusing=st.booleans())
    def away(self, refusing):
        self.note(setattr, self.device, "refusing", refusing)

    def say_of(self, place, line, *, times=1, last=False):
        if place < len(self.held):
            peer, request = self.held.pop(place) if last else self.held[place]
            mid = b"[%d]" % request.mid if request.mid else b""
            if not self.device.mids:
                times = 1  # a second one would be the next's
            self.say(peer, line % (mid, request.arguments[0]) * times)

    def say(self, peer, data):
        if not peer.lost:
            with contextlib.suppress(RuntimeError):  # it has half-closed its side
                peer.send_raw(data)

    # What holds

    @precondition(lambda self: not self.noted)
    @invariant()
    def state_is_what_is_so(self):
        assert self.client.connected is (self.client.state is State.CONNECTED)
        if self.client.connected:
            assert self.client.last_error is None
        elif self.client.state is State.WAITING:
            assert self.client.last_error is not None

    async def story(self):
        await self.client.start()
        try:
            await self.attempt(self.converse())
        finally:
            await self.client.close()
            await self.device.close()
        if self.all:
            await asyncio.wait([asked.task for asked in self.all])
        for asked in self.all:
            asked.check()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def converse(self):
        await self.take_steps()
        self.device.refusing = False
        await self.clock.advance(100)
        assert self.client.connected
        assert [asked for asked in self.waiting() if asked.timeout is not None] == []
        for _ in range(self.room()):  # what nobody waits for takes no place
            self.all.append(asked := Asked(len(self.all), None))
            asked.start(self.request)
        await self.clock.settle()


def test_one_outcome_and_the_right_one():
    run_by_chance(HostileDevice, examples=180, steps=32)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_late_reply_is_not_that_of_the_next_request(protocol):
    state = HostileDevice()
    state.begin(protocol)
    state.ask(0.5, then=Seconds(1))
    state.ask(5, then=Seconds(0))
    state.answer(0, "ok", twice=False, then=Seconds(0))
    state.answer(0, "ok", twice=False)
    state.teardown()
