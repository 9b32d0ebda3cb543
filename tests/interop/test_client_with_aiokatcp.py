"""This library's client and aiokatcp's server, over TCP."""

import asyncio

import aiokatcp
import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.errors import ConnectionLost, FailReply, InvalidReply, RequestTimeout

__all__ = []


class Pump(aiokatcp.DeviceServer):
    VERSION = "pump-1.0"
    BUILD_STATE = "pump-1.0.3"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sensors.add(aiokatcp.Sensor(float, "rate", "Pump rate", "Hz", default=1.0))

    async def request_echo(self, ctx, *args: bytes) -> tuple:
        """Return the arguments."""
        return args

    async def request_set_rate(self, ctx, rate: float) -> float:
        """Set the rate."""
        if rate > 10:
            raise aiokatcp.FailReply("Too fast")
        return rate

    async def request_count(self, ctx, number: int) -> None:
        """Count."""
        for step in range(number):
            ctx.inform(step, "done")

    async def request_sleep(self, ctx, seconds: float) -> float:
        """Sleep."""
        await asyncio.sleep(seconds)
        return seconds

    async def request_progdev(self, ctx) -> None:
        """Say that it is ready."""
        self.mass_inform("fpga", "ready")


@pytest.fixture
async def pump():
    server = Pump("127.0.0.1", 0)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(pump):
    host, port = pump.sockets[0].getsockname()[:2]
    async with Client(host, port, reconnect=Backoff(initial=0.01, longest=0.1)) as client:
        yield client


async def test_it_is_understood(client):
    assert client.dialect.version == "5.1-MIB"
    await asyncio.sleep(0)
    reply = await client.request("version-list")
    assert {inform.arguments[0] for inform in reply.informs} >= {b"katcp-protocol", b"katcp-library", b"katcp-device"}
    assert client.versions["katcp-device"] == ("pump-1.0", "pump-1.0.3")


async def test_requests_and_refusals(client):
    assert await client.request("set-rate", 2.5, returns=(float,)) == (2.5,)
    with pytest.raises(FailReply, match="Too fast"):
        await client.request("set-rate", 11)
    with pytest.raises((FailReply, InvalidReply)):
        await client.request("set-rate", "quickly")
    with pytest.raises(InvalidReply, match="no-such-thing"):
        await client.request("no-such-thing")


@pytest.mark.parametrize(
    "argument", [b"", b" ", bytes(range(256)), bytes(1_000_000)], ids=["none", "blank", "all", "MB"]
)
async def test_bytes_come_back_as_they_went(client, argument):
    assert (await client.request("echo", argument, b"x", argument)).arguments == [argument, b"x", argument]


async def test_informs_and_streams(client):
    reply = await client.request("count", 1000)
    assert [int(inform.arguments[0]) for inform in reply.informs] == list(range(1000))
    assert [int(inform.arguments[0]) async for inform in client.stream("count", 5)] == list(range(5))
    async with client.informs("fpga") as informs:
        await client.request("progdev")
        assert (await anext(informs)).arguments == (b"ready",)


async def test_many_in_flight_each_with_its_own_reply(client):
    numbers = range(500)
    replies = await asyncio.gather(*(client.request("echo", number, returns=(int,)) for number in numbers))
    assert [number for (number,) in replies] == list(numbers)


async def test_replies_out_of_order_and_too_late(client):
    slow = asyncio.create_task(client.request("sleep", 0.05))
    with pytest.raises(RequestTimeout):
        await client.request("sleep", 0.02, timeout=0.001)
    assert (await client.request("watchdog")).ok
    assert (await slow).ok
    assert client.trouble.counts == {"late reply": 1}


async def test_sampling(client):
    heard = asyncio.get_running_loop().create_future()
    client.on_inform("sensor-status", lambda inform: heard.done() or heard.set_result(inform))
    await client.request("sensor-sampling", "rate", "event")
    assert (await heard).arguments[1:3] == (b"1", b"rate")


async def test_a_halted_device_comes_back(client, pump):
    waiting = asyncio.create_task(client.request("sleep", 60, timeout=120))
    assert (await client.request("watchdog")).ok
    port = pump.sockets[0].getsockname()[1]
    halted = await asyncio.gather(client.request("halt"), return_exceptions=True)
    assert isinstance(halted[0], ConnectionLost) or halted[0].ok
    with pytest.raises((ConnectionLost, FailReply)):  # it answers "request cancelled" while it can
        await waiting
    again = Pump("127.0.0.1", port)
    await pump.join()
    await again.start()
    assert (await client.request("watchdog")).ok
    await again.stop()
