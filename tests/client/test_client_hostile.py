"""Whatever a device does and whoever is cancelled: each request has one outcome, and a reply that is its own."""

import asyncio
import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.client.replies import Reply
from katcp_aio.client.states import State
from katcp_aio.errors import KatcpError
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice, ManualClock

__all__ = []

NUMBERS = st.integers(0, 20)
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
USUAL = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from([0.5, 2, 5, None])),
    st.tuples(st.just("cancel"), NUMBERS),
    st.tuples(st.just("answer"), NUMBERS),
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.3, 1])),
)
UNUSUAL = st.one_of(
    st.tuples(st.just("stream"), st.sampled_from([2, None])),
    st.tuples(st.just("refuse"), NUMBERS),
    st.tuples(st.just("inform"), NUMBERS),
    st.tuples(st.just("spoil"), NUMBERS),
    st.tuples(st.just("noise"), st.sampled_from(NOISE)),
    st.tuples(st.just("pass"), st.just(6)),
    st.tuples(st.just("yield"), st.integers(1, 4)),
)
BAD = st.one_of(
    st.tuples(st.just("end"), st.sampled_from(["close", "half-close", "reset"])),
    st.tuples(st.just("away"), st.booleans()),
)
STEPS = st.one_of(USUAL, USUAL, USUAL, UNUSUAL, UNUSUAL, BAD)
LATE = [("ask", 0.5), ("pass", 1), ("ask", 5), ("pass", 0.0), ("answer", 0), ("pass", 0.0), ("answer", 0)]


class Scenario:
    """One client and one device, driven step by step."""

    def __init__(self, clock, protocol):
        self.clock = clock
        self.device = FakeDevice(protocol)
        self.ids = self.device.mids
        self.client = Client(
            connector=self.device.connector,
            reconnect=Backoff(initial=1, randomness=0),
            clock=clock,
            limits=Limits(late_timeout=3),
        )
        self.held = []  # what the device has not answered: (peer, request)
        self.tasks = []
        self.sequences = []  # of states
        self.client.on_state(self.sequences.append)
        self.device.on("x", self.hold)

    def hold(self, peer, request):
        self.held.append((peer, request))
        return asyncio.get_running_loop().create_future()

    def pick(self, number, *, keep=False):
        if not self.held:
            return None, None, None
        index = number % len(self.held)
        peer, request = self.held[index] if keep else self.held.pop(index)
        return peer, request, b"[%d]" % request.mid if request.mid else b""

    def say(self, peer, data):
        if not peer.lost:
            with contextlib.suppress(RuntimeError):  # it has half-closed its side
                peer.send_raw(data)

    async def read(self, tag, timeout):
        seen = []
        stream = self.client.stream("x", tag, timeout=timeout)
        async for inform in stream:
            seen.append(inform)  # noqa: PERF401 - the reply is looked at too
        return Reply(stream.reply.message, seen)

    async def step(self, what, how):
        client, device = self.client, self.device
        if what == "ask":
            self.tasks.append(asyncio.create_task(client.request("x", len(self.tasks), timeout=how)))
        elif what == "stream":
            self.tasks.append(asyncio.create_task(self.read(len(self.tasks), how)))
        elif what == "cancel" and self.tasks:
            self.tasks[how % len(self.tasks)].cancel()
        elif what in ("answer", "refuse", "spoil"):
            peer, request, mid = self.pick(how)
            if request is not None:
                words = {"answer": b"ok %b", "refuse": b"fail %b", "spoil": b"ok \\q%b"}[what]
                line = b"!x%b %b\n" % (mid, words % request.arguments[0])
                self.say(peer, line * (1 + (self.ids and how % 2)))  # without ids a second one would be the next's
        elif what == "inform":
            peer, request, mid = self.pick(how, keep=True)
            if request is not None:
                self.say(peer, b"#x%b %b\n" % (mid, request.arguments[0]))
        elif what == "noise":
            for peer in device.peers:
                self.say(peer, how)
        elif what == "pass":
            await self.clock.advance(how)
        elif what == "yield":
            for _ in range(how):
                await asyncio.sleep(0)
        elif what == "end":
            device.end(how)
        elif what == "away":
            device.refusing = how

    def check(self):
        assert self.client.connected is (self.client.state is State.CONNECTED)
        if self.client.connected:
            assert self.client.last_error is None
        elif self.client.state is State.WAITING:
            assert self.client.last_error is not None

    async def run(self, steps):
        await self.client.start()
        try:
            for what, how in steps:
                await self.step(what, how)
                self.check()
            self.device.refusing = False
            await self.clock.advance(100)  # whatever has a timeout has had its outcome, and the client is back
            assert self.client.connected
        finally:
            await self.client.close()
            await self.device.close()
        if self.tasks:
            await asyncio.wait(self.tasks)
        for tag, task in enumerate(self.tasks):
            if task.cancelled():
                continue
            error = task.exception()
            if error is not None:
                assert isinstance(error, KatcpError)
                refusal = getattr(error, "reply", None)
                if refusal is not None:
                    assert refusal.arguments[1] == b"%d" % tag
                continue
            assert task.result().arguments == [b"%d" % tag]
            assert {inform.arguments for inform in task.result().informs} <= {(b"%d" % tag,)}
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("protocol", ["5.1-MI", "5.0-M", "4.0"])
@settings(max_examples=60, deadline=None)
@example(steps=LATE)
@given(steps=st.lists(STEPS, min_size=20, max_size=60))
def test_one_outcome_and_the_right_one(protocol, steps):
    clock = ManualClock()

    async def scenario():
        await Scenario(clock, protocol).run(steps)

    clock.run(scenario())
