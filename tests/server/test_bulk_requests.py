"""Requests about many sensors: all or nothing, in turns, and for devices that have a hundred thousand."""

import asyncio

import pytest

from katcp_aio import Limits, Sensor
from katcp_aio.testing import memory_pair

MANY = 10_000


def named(count):
    return [f"many.{i:06}" for i in range(count)]


class Raw(asyncio.Protocol):
    """A client that has a hundred thousand lines in no time, as it leaves them as they are."""

    def connection_made(self, transport):
        self.transport = transport
        self.data = bytearray()
        self.more = asyncio.Event()

    def data_received(self, data):
        self.data += data
        self.more.set()

    def send(self, request):
        self.data.clear()
        self.transport.write(request.encode() + b"\n")

    async def until(self, last):
        """Wait until what came ends with a line that begins like this."""
        while not (self.data.endswith(b"\n") and self.data.startswith(last, self.data.rfind(b"\n", 0, -1) + 1)):
            self.more.clear()
            await self.more.wait()

    async def reply(self):
        """Wait for a reply, and return it behind all that came of sensors since the request was sent."""
        await self.until(b"!")
        return [line for line in self.data.decode().splitlines() if line.startswith(("!", "#sensor-"))]

    async def ask(self, request):
        self.send(request)
        return await self.reply()


@pytest.fixture
async def served(device_class):
    """Return what makes a device with so many sensors, and clients of it."""
    devices = []

    async def serve(sensors, clients=1, **options):
        device = device_class(**options)
        devices.append(device)
        for name in named(sensors):
            device.sensors.add(Sensor(int, name))
        await device.start(listen=False)
        raws = [Raw() for _ in range(clients)]
        for raw in raws:
            memory_pair(raw, device.make_protocol())
            await raw.ask("?watchdog")
        return device, *raws

    yield serve
    for device in devices:
        await device.stop()


async def test_ten_thousand_in_one_request_give_others_their_turn(served):
    device, raw, other = await served(MANY, clients=2)
    raw.send(f"?sensor-sampling[1] {','.join(named(MANY))} event")
    assert (await other.ask("?watchdog"))[-1] == "!watchdog ok"
    assert len(raw.data) < MANY * 10
    *told, reply = await raw.reply()
    assert reply.startswith("!sensor-sampling[1] ok many.000000,")
    assert [line.split()[3] for line in told] == named(MANY)
    sampler = next(client.sampler for client in device.clients if client.sampler is not None)
    assert len(sampler) == MANY
    for name in ("sensor-list", "sensor-value"):
        assert (await raw.ask(f"?{name}[2]"))[-1] == f"!{name}[2] ok {MANY}"
    assert await raw.ask("?sensor-sampling-clear[3]") == ["!sensor-sampling-clear[3] ok"]
    assert len(sampler) == 0


@pytest.mark.parametrize(
    ("last", "strategy", "text"),
    [
        ("nope", "event", "Unknown sensor 'nope'"),
        (
            "note",
            "differential 1",
            "differential is for integer and float sensors only, and note is string",
        ),
    ],
)
async def test_the_last_of_ten_thousand_decides_for_all(served, last, strategy, text):
    device, raw = await served(MANY)
    device.sensors.add(Sensor(str, "note"))
    await raw.ask("?sensor-sampling many.000000 auto")
    lines = await raw.ask(f"?sensor-sampling {','.join(named(MANY))},{last} {strategy}")
    assert lines == ["!sensor-sampling fail " + text.replace(" ", r"\_")]
    (client,) = device.clients
    assert len(client.sampler) == 1
    assert await raw.ask("?sensor-sampling many.000000") == ["!sensor-sampling ok many.000000 auto"]


async def test_ten_thousand_names_twice_each_are_ten_thousand_subscriptions(served):
    device, raw = await served(MANY)
    *told, _ = await raw.ask(f"?sensor-sampling {','.join(named(MANY) * 2)} event")
    (client,) = device.clients
    assert (len(told), len(client.sampler)) == (MANY, MANY)


async def test_sensors_removed_while_a_bulk_request_is_under_way_are_left_out(served):
    device, raw = await served(100, limits=Limits(batch_time=1e-9))
    (client,) = device.clients
    raw.send(f"?sensor-sampling[1] {','.join(named(100))} event")
    await raw.until(b"#sensor-status")
    assert len(client.sampler) < 50
    last = device.sensors.remove("many.000099")
    *told, reply = await raw.reply()
    assert [line.split()[3] for line in told] == [*named(99)]
    assert reply == f"!sensor-sampling[1] ok {','.join(named(100))} event"
    assert client.sampler.strategy(last) is None


async def test_a_hundred_thousand_sensors(served):
    count = 100_000
    device, raw = await served(count)
    assert len(await raw.ask("?sensor-list")) == count + 1
    assert len(await raw.ask(f"?sensor-sampling {','.join(named(count))} event")) == count + 1
    raw.data.clear()
    for sensor in device.sensors.values():
        sensor.value = 5
    while raw.data.count(b"\n") < count:
        raw.more.clear()
        await raw.more.wait()
    assert raw.data.endswith(b" 1 many.099999 nominal 5\n")


@pytest.mark.parametrize(
    ("line", "reply", "left"),
    [
        ("?sensor-sampling[2] many.000005 none", "!sensor-sampling[2] ok many.000005 none", 99),
        ("?sensor-sampling[2] many.000005", "!sensor-sampling[2] ok many.000005 event", 100),
        ("?sensor-sampling-clear[2]", "!sensor-sampling-clear[2] ok", 0),
    ],
)
async def test_requests_about_sampling_take_effect_in_the_order_they_came(served, line, reply, left):
    """With ids they run side by side, but a short one must not overtake a long one that came before it."""
    device, raw = await served(100, limits=Limits(batch_time=1e-9))
    (client,) = device.clients
    raw.send(f"?sensor-sampling[1] {','.join(named(100))} event\n{line}")
    await raw.until(reply.encode())
    (first,) = [found for found in raw.data.decode().splitlines()[:-1] if found.startswith("!")]
    assert first.startswith("!sensor-sampling[1] ok ")
    assert len(client.sampler) == left
