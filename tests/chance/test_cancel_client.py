"""What waits on a client, cancelled wherever it waits: nothing is lost or left behind, and the next request works."""

import asyncio
import contextlib
import functools
import sqlite3
import tempfile
from pathlib import Path

import pytest

from katcp_aio import (
    Client,
    CsvSink,
    DeviceClient,
    DeviceGroup,
    DeviceServer,
    InfluxSink,
    Limits,
    MetadataRequests,
    NotConnected,
    Recorded,
    RequestContext,
    Retry,
    Sensor,
    SensorMirror,
    SensorRecorder,
    SqliteSink,
    Status,
    request,
)
from katcp_aio.client.backoff import Backoff
from katcp_aio.client.states import State
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.testing import connect_in_memory, serve

__all__ = []

LIMITS = Limits(late_timeout=1)
PROTOCOLS = ["5.1", "4.0"]  # with message ids and without
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


class Device(MetadataRequests, DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, clock, protocol):
        super().__init__(clock=clock, protocol=protocol)
        self.rate = self.sensors.add(Sensor(int, "rate"))
        self.other = self.sensors.add(Sensor(int, "other", set_by="set-other"))

    async def request_echo(self, ctx: RequestContext, word: str) -> str:
        """Say it again, after a while."""
        await asyncio.sleep(0.1)
        return word

    async def request_set_other(self, ctx: RequestContext, other: int):
        """Set the sensor, after a while."""
        await asyncio.sleep(0.1)
        self.other.value = other

    @request(cancel_on_disconnect=True)
    async def request_ages(self, ctx: RequestContext):
        """Answer when nobody believes in it any more."""
        await asyncio.sleep(1000)

    async def request_rows(self, ctx: RequestContext, count: int):
        """Send informs, one every tenth of a second."""
        for row in range(count):
            await asyncio.sleep(0.1)
            yield row


class Stage:
    """A device in memory, with clients of it."""

    def __init__(self, clock, served):
        self.clock = clock
        self.served = served
        self.server = served.server
        self.options = {
            "connector": self.connect,
            "clock": clock,
            "limits": LIMITS,
            "reconnect": Backoff(initial=0.5, randomness=0),
        }

    async def connect(self):
        await asyncio.sleep(0.05)  # as reaching a device takes
        return connect_in_memory(self.server)

    @contextlib.asynccontextmanager
    async def device(self):
        async with DeviceClient(**self.options) as device:
            yield device

    def later(self, seconds, function, *arguments):
        asyncio.get_running_loop().call_later(seconds, function, *arguments)

    def set_rate(self, *values):
        """Have the sensor read these values, one a second."""
        for number, value in enumerate(values, 1):
            self.later(number, setattr, self.server.rate, "value", value)


async def works(client):
    """Each request still gets its own reply."""
    assert await asyncio.gather(*(client.request("echo", word, returns=(str,)) for word in "abc")) == [
        ("a",),
        ("b",),
        ("c",),
    ]


async def follows(device, stage):
    """Sensors are still followed, and nobody else follows them."""
    stage.server.rate.value = 77
    await device.sensor.rate.wait_for(77, timeout=5)
    await works(device)
    await asyncio.sleep(1)


@case
async def start_and_wait(stage):
    client = Client(**stage.options)

    async def work():
        await client.start()
        await client.wait_connected()

    async def check():
        if client.state is State.IDLE:
            await client.start()
        await client.wait_connected()
        await works(client)

    yield work, check
    await client.close()


@case
async def a_block(stage):
    async def work():
        async with Client(**stage.options) as client:
            await client.request("watchdog")

    async def check():
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@case
async def connect(stage):
    async def work():
        await (await Client.connect(**stage.options)).close()

    async def check():
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@case
async def request_alone(stage):
    async with Client(**stage.options) as client:
        yield lambda: client.request("echo", "x"), lambda: works(client)


@case
async def request_that_waits_for_others(stage):
    async with Client(**stage.options) as client:
        before = [asyncio.create_task(client.request("echo", word, returns=(str,))) for word in "ab"]
        await asyncio.sleep(0)

        async def check():
            assert await asyncio.gather(*before) == [("a",), ("b",)]
            await works(client)

        yield lambda: client.request("echo", "x"), check


@case
async def request_while_away(stage):
    async with Client(**stage.options) as client:
        stage.server.clients[0].disconnect("for a while")
        await client.wait_disconnected()

        async def check():
            await client.wait_connected()
            await works(client)

        yield lambda: client.request("echo", "x"), check


@case
async def request_that_takes_ages(stage):
    async with Client(**stage.options | {"limits": Limits(late_timeout=1, max_pending=3)}) as client:

        async def work():
            await client.request("ages", timeout=None)

        async def check():
            await asyncio.sleep(3)
            await client.wait_connected()  # without ids, all hope was in a new connection
            await works(client)  # takes as many slots as there are

        yield work, check


@case
async def stream(stage):
    async with Client(**stage.options) as client:

        async def work():
            reading = client.stream("rows", 3)
            assert [inform.arguments async for inform in reading] == [(b"0",), (b"1",), (b"2",)]
            assert reading.reply.arguments == [b"3"]

        yield work, lambda: works(client)


@case
async def stream_in_a_block(stage):
    async with Client(**stage.options) as client:

        async def work():
            async with client.stream("rows", 3) as reading:
                await anext(reading)

        yield work, lambda: works(client)


@case
async def wait_for_inform(stage):
    async with Client(**stage.options) as client:
        stage.later(1, stage.server.inform_all, "news", "a")
        stage.later(3, stage.server.inform_all, "news", "b")

        async def check():
            stage.later(10, stage.server.inform_all, "news", "c")
            await client.wait_for_inform("news", lambda inform: inform.arguments == (b"c",), timeout=20)
            await works(client)

        yield lambda: client.wait_for_inform("news", lambda inform: inform.arguments == (b"b",)), check


@case
async def wait_disconnected(stage):
    async with Client(**stage.options) as client:
        stage.later(1, lambda: stage.server.clients[0].disconnect("for a while"))

        async def check():
            await asyncio.sleep(2)
            await client.wait_connected()
            await works(client)

        yield client.wait_disconnected, check


@case
async def close(stage):
    client = await Client(**stage.options).__aenter__()
    waiting = asyncio.create_task(client.request("echo", "x", timeout=None))
    await asyncio.sleep(0)

    async def check():
        await client.close()
        await asyncio.wait([waiting])
        assert waiting.exception() is not None
        assert client.state is State.CLOSED
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield client.close, check


@case
async def close_of_a_device(stage):
    device = await DeviceClient(**stage.options).__aenter__()
    await device.sensor.rate.sample("event")

    async def check():
        await device.close()
        assert device.state is State.CLOSED
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield device.close, check


@case
async def a_block_of_a_device(stage):
    async def work():
        async with DeviceClient(**stage.options) as device:
            await device.req.echo("x")

    async def check():
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@case
async def wait_synced(stage):
    device = DeviceClient(**stage.options)
    await device.start()

    async def check():
        await device.wait_synced()
        await follows(device, stage)

    yield device.wait_synced, check
    await device.close()


@case
async def request_by_attribute(stage):
    async with stage.device() as device:
        yield lambda: device.req.echo("x"), lambda: follows(device, stage)


@case
async def read_a_sensor(stage):
    async with stage.device() as device:

        async def check():
            assert (await device.sensor.rate.read()).value == 0
            await follows(device, stage)

        yield device.sensor.rate.read, check


@case
async def set_a_sensor(stage):
    async with stage.device() as device:

        async def check():
            await device.sensor.other.set(9)
            assert stage.server.other.value == 9
            await follows(device, stage)

        yield lambda: device.sensor.other.set(8), check


@case
async def read_by_pattern(stage):
    async with stage.device() as device:
        yield lambda: device.read("/./"), lambda: follows(device, stage)


@case
async def read_by_name(stage):
    async with stage.device() as device:

        async def check():
            assert list(await device.read(["rate", "other"])) == ["rate", "other"]
            await follows(device, stage)

        yield lambda: device.read(["rate", "other"]), check


@case
async def sample(stage):
    async with stage.device() as device:

        async def check():
            await asyncio.sleep(1)
            stage.server.rate.value = 5
            await asyncio.sleep(1)
            assert device.sensor.rate.value == 5  # cancelling does not take the wish back
            assert await device.sensor.rate.sample("none")
            stage.server.rate.value = 6
            await asyncio.sleep(1)
            assert device.sensor.rate.value == 5
            await follows(device, stage)

        yield lambda: device.sensor.rate.sample("event"), check


@case
async def sample_by_pattern(stage):
    async with stage.device() as device:

        async def check():
            await asyncio.sleep(1)
            stage.server.rate.value = stage.server.other.value = 5
            await asyncio.sleep(1)
            assert device.sensor.rate.value == device.sensor.other.value == 5
            await follows(device, stage)

        yield lambda: device.sample("/./", "event"), check


@case
async def wait_for(stage):
    async with stage.device() as device:
        stage.set_rate(1, 2)

        async def check():
            await follows(device, stage)
            assert not stage.server.clients[0].sampler  # given back: nobody looks at it any more

        yield lambda: device.sensor.rate.wait_for(2, timeout=10), check


@case
async def readings(stage):
    async with stage.device() as device:
        stage.set_rate(1, 2)

        async def work():
            async with device.sensor.rate.readings("event") as stream:
                async for reading in stream:
                    if reading.value == 2:
                        return

        async def check():
            await follows(device, stage)
            assert not stage.server.clients[0].sampler

        yield work, check


@case
async def readings_that_go_on(stage):
    async with stage.device() as device:
        await device.sensor.rate.sample("event")
        stream = device.sensor.rate.readings()
        stage.set_rate(1, 2, 3)
        seen = []

        async def work():
            while len(seen) < 3:
                seen.append((await anext(stream)).value)

        async def check():
            await work()
            assert seen == [1, 2, 3]
            await stream.aclose()
            await works(device)

        yield work, check


@case
async def a_mirror_of_a_device_that_comes_and_goes(stage):
    mirrored = SensorSet(clock=stage.clock)
    device = DeviceClient(**stage.options)

    async def work():
        with SensorMirror(device, mirrored, prefix="m."):
            async with device:
                stage.server.rate.value = 3
                await asyncio.sleep(1)
                assert mirrored["m.rate"].value == 3

    async def check():
        assert len(mirrored) == 0
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


def group(stage):
    return DeviceGroup({name: DeviceClient(**stage.options) for name in ("m0", "m1")})


def of_a_group(ask):
    """Make a case of what a group is asked."""

    async def case_of_group(stage):
        async with group(stage) as devices:
            await devices.wait_connected()
            stage.set_rate(1, 2)

            async def check():
                results = await devices.request("echo", "x")
                assert len(results.succeeded) == 2
                await asyncio.gather(*(follows(device, stage) for device in devices.values()))

            yield lambda: ask(devices), check

    return case_of_group


CASES["group_request"] = of_a_group(lambda devices: devices.request("echo", "x"))
CASES["group_request_by_attribute"] = of_a_group(lambda devices: devices.req.echo("x"))
CASES["group_read"] = of_a_group(lambda devices: devices.read("rate"))
CASES["group_sample"] = of_a_group(lambda devices: devices.sample("other", "event"))
CASES["group_wait_for"] = of_a_group(lambda devices: devices.wait_for("rate", 2, timeout=10))


@case
async def a_block_of_a_group(stage):
    async def work():
        async with group(stage) as devices:
            await devices.wait_connected()

    async def check():
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@case
async def group_members(stage):
    async with group(stage) as devices:
        await devices.wait_connected()

        async def work():
            await devices.add("m2", DeviceClient(**stage.options))
            await devices.wait_connected()
            await devices.remove("m2")

        async def check():
            if "m2" in devices:
                await devices.remove("m2")
            await devices.wait_connected()
            assert len((await devices.request("echo", "x")).succeeded) == 2
            await asyncio.sleep(2)
            assert len(stage.server.clients) == 2

        yield work, check


@case
async def group_start_and_close(stage):
    devices = group(stage)

    async def work():
        await devices.start()
        await devices.wait_connected()
        await devices.close()

    async def check():
        await devices.close()
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@case
async def wait_for_by_name(stage):
    async with stage.device() as device:
        stage.set_rate(1, 2)
        yield lambda: device.wait_for("rate", 2, timeout=10), lambda: follows(device, stage)


@case
async def stream_that_is_closed(stage):
    async with Client(**stage.options) as client:

        async def work():
            reading = client.stream("rows", 3)
            await anext(reading)
            await reading.aclose()

        yield work, lambda: works(client)


@case
async def informs_that_are_collected(stage):
    async with Client(**stage.options) as client:
        stage.later(1, stage.server.inform_all, "news", "a")

        async def work():
            async with client.informs("news") as news:
                await anext(news)
                await news.aclose()

        yield work, lambda: works(client)


@case
async def retry(stage):
    calls = []

    async def call():
        calls.append(None)
        await asyncio.sleep(0.1)
        if len(calls) < 3:
            raise NotConnected("away", device="m0")

    async def check():
        made = len(calls)
        await asyncio.sleep(100)
        assert len(calls) == made  # who gave up asks no more

    yield lambda: Retry(attempts=5).run(call), check


@case
async def recording(stage):
    sent = []

    async def send(lines):
        await asyncio.sleep(0.1)
        sent.append(lines)

    async with stage.device() as device:
        stage.set_rate(1, 2)

        async def work():
            async with SensorRecorder({"m0": device}, InfluxSink(send), match="rate", clock=stage.clock):
                await asyncio.sleep(3)

        async def check():
            count = len(sent)
            await follows(device, stage)  # nobody else does
            assert len(sent) == count

        yield work, check


def of_a_sink(make, count):
    """Return a case that writes to a sink, and finds a reading once or not at all, but never a part of a batch."""

    async def writing(stage):
        readings = [Recorded("m0", "rate", float(number), Status.NOMINAL, number, {}) for number in range(3)]
        with tempfile.TemporaryDirectory() as folder:
            sink = make(Path(folder, "file"))

            async def work():
                await sink.write(readings)
                await sink.close()

            async def check():
                await sink.write(readings)
                await sink.close()
                assert count(Path(folder, "file")) in (3, 6)

            yield work, check

    return writing


def in_a_database(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT count(*) FROM readings").fetchone()[0]


CASES["writing_to_csv"] = of_a_sink(CsvSink, lambda path: path.read_text().count("rate"))
CASES["writing_to_a_database"] = of_a_sink(SqliteSink, in_a_database)
CASES["writing_lines"] = of_a_sink(lambda _path: InfluxSink(lambda _lines: asyncio.sleep(0.1)), lambda _path: 3)


@contextlib.asynccontextmanager
async def played(name, protocol, clock):
    """Play a case on its stage."""
    made = contextlib.asynccontextmanager(CASES[name])
    async with serve(Device(clock, protocol)) as served, made(Stage(clock, served)) as parts:
        yield parts


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CASES)
def test_whatever_waits_may_be_cancelled_where_it_waits(name, protocol, cancel_everywhere):
    cancel_everywhere(functools.partial(played, name, protocol))
