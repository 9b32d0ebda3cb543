"""aiokatcp's client against our server, over TCP."""

import asyncio
import enum

import aiokatcp
import pytest

from katcp_aio import DeviceServer, FailReply, Sensor


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


class Device(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.rate = self.sensors.add(Sensor(float, "rate", "Pump rate", "Hz", 1.5, nominal=(0, 5)))
        self.mode = self.sensors.add(Sensor(Mode, "mode", "Operating mode"))
        self.note = self.sensors.add(Sensor(str, "note", "Remark", default="tout à fait"))

    async def request_add(self, ctx, first: int, second: float) -> float:
        """Add two numbers."""
        return first + second

    async def request_refuse(self, ctx):
        """Fail."""
        raise FailReply("not today")

    async def request_slow(self, ctx, seconds: float):
        """Take a moment."""
        await asyncio.sleep(seconds)
        return seconds

    async def request_count(self, ctx, most: int):
        """Count."""
        for number in range(most):
            yield number


@pytest.fixture
async def device():
    async with Device() as device:
        yield device


@pytest.fixture
async def client(device):
    client = await aiokatcp.Client.connect("127.0.0.1", device.address.port)
    yield client
    client.close()
    await client.wait_closed()


async def test_it_negotiates(client):
    assert client.protocol_flags == frozenset("MITB")


async def test_requests(client):
    assert await client.request("add", 1, 2.5) == ([b"3.5"], [])
    with pytest.raises(aiokatcp.FailReply, match="not today"):
        await client.request("refuse")
    with pytest.raises(aiokatcp.InvalidReply, match="argument first"):
        await client.request("add", "x", 1)
    with pytest.raises(aiokatcp.InvalidReply, match="Unknown request"):
        await client.request("nosuch")
    reply, informs = await client.request("count", 3)
    assert reply == [b"3"]
    assert [inform.arguments for inform in informs] == [[b"0"], [b"1"], [b"2"]]


async def test_requests_in_flight_together(client):
    answers = await asyncio.gather(*[client.request("slow", (10 - i) / 1000) for i in range(10)])
    assert [float(reply[0]) for reply, _ in answers] == [(10 - i) / 1000 for i in range(10)]


async def test_sensor_readings(client, device):
    device.mode.value = Mode.FAST_SLEW
    reading = await client.sensor_reading("mode", Mode)
    assert (reading.value, reading.status.name) == (Mode.FAST_SLEW, "NOMINAL")
    reading = await client.sensor_reading("note", str)
    assert reading.value == "tout à fait"


async def test_a_sensor_watcher_mirrors_the_device_and_what_changes(client, device):
    watcher = aiokatcp.SensorWatcher(client, enum_types=[Mode])
    client.add_sensor_watcher(watcher)
    await watcher.synced.wait()
    assert sorted(watcher.sensors) == ["mode", "note", "rate"]

    changed = asyncio.Event()
    watcher.sensors["rate"].attach(lambda sensor, reading: changed.set())
    device.rate.value = 7
    await changed.wait()
    assert (watcher.sensors["rate"].value, watcher.sensors["rate"].status.name) == (7.0, "WARN")

    device.sensors.add(Sensor(int, "extra", "One more", default=3))
    device.sensors.remove("note")
    while "extra" not in watcher.sensors or "note" in watcher.sensors:  # noqa: ASYNC110 - a watcher has no event for it
        await asyncio.sleep(0)
    while watcher.sensors["extra"].value != 3:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)


async def test_it_hears_of_the_end(client, device):
    waiting = asyncio.ensure_future(client.wait_disconnected())
    await device.stop()
    await waiting
    assert not client.is_connected
