"""Whatever the network does to a conversation, each side reads a beginning of what the other wrote, and no more."""

import asyncio

import pytest

from katcp_aio.connection import ConnectionProtocol
from katcp_aio.limits import Limits
from katcp_aio.testing import FaultProxy, Faults
from katcp_aio.wire.message import Message

ASKED = [Message.request("echo", "\\ \n\0\x1b\t" * (mid % 7), mid, mid=mid) for mid in range(1, 301)]
ANSWERS = [Message.reply_to(message, "ok", *message.arguments) for message in ASKED]


class Echoing:
    """A device that answers each request with its arguments, until its client is done."""

    def __init__(self, limits):
        self.limits = limits
        self.heard = []
        self.tasks = []
        self.connections = []

    def make_protocol(self):
        return ConnectionProtocol(self.limits, max_backlog=self.limits.max_backlog, on_connection=self.accept)

    def accept(self, connection):
        self.connections.append(connection)
        self.tasks.append(asyncio.create_task(self.answer(connection)))

    async def answer(self, connection):
        while messages := await connection.read():
            self.heard += messages
            connection.send(*(Message.reply_to(message, "ok", *message.arguments) for message in messages))
        await connection.close()


@pytest.mark.parametrize(
    "faults",
    [
        Faults(split=20, delay=0.1),
        Faults(split=50, reset_after=3000),
        Faults(split=50, close_after=3000),
        Faults(split=50, half_close_after=3000),
        Faults(split=50, blackhole_after=3000),
    ],
    ids=["slow", "reset", "closed", "half-closed", "blackhole"],
)
@pytest.mark.parametrize("seed", range(4))
async def test_what_arrives_is_a_beginning_of_what_was_sent(faults, seed, manual_clock):
    manual_clock.auto = True
    device = Echoing(Limits(read_chunk=100, write_high=200, write_low=50))
    async with FaultProxy(device, faults, seed=seed) as network:
        client = await network.connector()
        client.send(*ASKED)
        heard = []
        while len(heard) < len(ASKED):
            try:
                async with asyncio.timeout(100):  # a blackhole never ends
                    messages = await client.read()
            except TimeoutError:
                break
            if not messages:
                break
            heard += messages
        await client.close()
        network.end()
        await asyncio.wait(device.tasks)
    assert device.heard == ASKED[: len(device.heard)]
    assert heard == ANSWERS[: len(heard)]
    assert len(heard) <= len(device.heard)
    if faults == Faults(split=20, delay=0.1):
        assert len(heard) == len(ASKED)
    assert client.lost
    assert all(connection.lost for connection in device.connections)
