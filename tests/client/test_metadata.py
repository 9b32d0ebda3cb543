"""Labels and settable sensors, as a client knows them; and devices that tell of them badly, or not at all."""

import asyncio
import contextlib
import enum

import pytest

from katcp_aio import (
    DeviceClient,
    DeviceServer,
    FailReply,
    Limits,
    MetadataRequests,
    RequestContext,
    Sensor,
    SensorMirror,
    Timestamp,
    UsageError,
    metrics_text,
)
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.testing import FakeDevice, FakeSensor, connect_in_memory

__all__ = []

pytestmark = pytest.mark.usefixtures("time_flies")


class Mode(enum.Enum):
    IDLE = 1
    SLEW_FAST = 2


class Pump(MetadataRequests, DeviceServer):
    VERSION = "pump-1.0"
    BUILD_STATE = "pump-1.0.0"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.rate = self.sensors.add(rate())
        self.mode = self.sensors.add(Sensor(Mode, "mode", set_by="set-mode"))
        self.since = self.sensors.add(Sensor(Timestamp, "since", set_by="set-since"))
        self.sensors.add(Sensor(int, "count"))

    async def request_set_rate(self, ctx: RequestContext, rate: float):
        """Set the rate."""
        if rate > 10:
            raise FailReply("too fast")
        self.rate.value = rate

    async def request_set_mode(self, ctx: RequestContext, mode: Mode):
        """Set the mode."""
        self.mode.value = mode

    async def request_set_since(self, ctx: RequestContext, since: Timestamp):
        """Set the time."""
        self.since.value = since


def rate(rack="3", **more):
    return Sensor(float, "rate", labels={"rack": rack}, set_by="set-rate", **more)


@contextlib.asynccontextmanager
async def pumping(manual_clock, protocol="5.1"):
    """Yield a device in memory, and a client of it."""
    server = Pump(clock=manual_clock, protocol=protocol)
    await server.start(listen=False)

    async def connect():
        return connect_in_memory(server)

    async with DeviceClient("pump", connector=connect) as device:
        yield server, device
    await server.stop()


async def pass_time(seconds=1.0):
    await asyncio.get_running_loop().clock.advance(seconds)


@pytest.mark.parametrize("protocol", ["5.1", "5.0", "4.0"])
async def test_a_client_knows_labels_and_sets_sensors(manual_clock, protocol):
    async with pumping(manual_clock, protocol) as (server, device):
        found = device.sensor.rate
        assert (found.labels, found.set_by) == ({"rack": "3"}, "set-rate")
        assert (device.sensor.count.labels, device.sensor.count.set_by) == ({}, None)
        await found.set(3)
        await device.sensor.mode.set("slew-fast")
        await device.sensor.since.set(Timestamp(1.25e9))
        assert (server.rate.value, server.mode.value, server.since.value) == (3.0, Mode.SLEW_FAST, 1.25e9)
        await device.sensor.mode.set(Mode.IDLE)
        await device.sensor.since.set(1.5e9)
        assert (server.mode.value, server.since.value) == (Mode.IDLE, 1.5e9)


async def test_sensors_that_cannot_be_set(manual_clock):
    async with pumping(manual_clock) as (server, device):
        found = device.sensor.rate
        with pytest.raises(UsageError, match="sensor 'count' cannot be set: its device tells of no request that does"):
            await device.sensor.count.set(3)
        with pytest.raises(TypeError):
            await found.set("fast")
        with pytest.raises(TypeError, match="'run' of type str is no discrete"):
            await device.sensor.mode.set("run")
        with pytest.raises(FailReply, match="too fast"):
            await found.set(11)
        server.sensors.remove("rate")
        await pass_time()
        with pytest.raises(UsageError, match="removed"):
            await found.set(3)


async def test_other_labels_make_another_sensor(manual_clock):
    async with pumping(manual_clock) as (server, device):
        changes = []
        device.on_change(changes.append)
        old = device.sensor.rate
        server.sensors.add(rate("4"))
        server.sensors.add(Sensor(int, "level", labels={"rack": "5"}))
        await pass_time()
        assert changes[0].sensors_modified == {"rate"}
        assert old.removed
        assert device.sensor.rate.labels == {"rack": "4"}
        assert device.sensor.level.labels == {"rack": "5"}
        server.sensors.add(Sensor(float, "rate"))
        await pass_time()
        assert (device.sensor.rate.labels, device.sensor.rate.set_by) == ({}, None)


async def test_a_request_that_comes_later_is_asked(manual_clock):
    async with pumping(manual_clock) as (server, device):
        answer = server.handlers["sensor-metadata"].call
        server.remove_request("sensor-metadata")
        server.sensors.add(rate("4"))
        await pass_time()
        assert device.sensor.rate.labels == {}
        server.add_request("sensor-metadata", answer)
        await pass_time()
        assert device.sensor.rate.labels == {"rack": "4"}


async def test_a_mirror_and_metrics_carry_labels(manual_clock):
    here = SensorSet()
    async with pumping(manual_clock) as (server, device):
        with SensorMirror(device, here, prefix="p."):
            assert here["p.rate"].labels == {"rack": "3"}
            assert here["p.rate"].set_by is None
            server.sensors.add(Sensor(float, "rate", labels={"rack": "4", "side": "a", "status": "x", "device": "y"}))
            await pass_time()
            assert here["p.rate"].labels["rack"] == "4"
            await device.read("rate")
            own = metrics_text({"pump": device}, match="rate")
            more = metrics_text({"pump": device}, match="rate", labels=lambda *_: {"rack": "9"})
    assert 'katcp_sensor_status{device="pump",sensor="rate",rack="4",side="a",status="unknown"} 1.0\n' in own
    assert 'katcp_sensor_timestamp_seconds{device="pump",sensor="rate",rack="4",side="a"} ' in own
    assert 'katcp_sensor_status{device="pump",sensor="rate",rack="9",side="a",status="unknown"} 1.0\n' in more


# Devices that a test scripts


SENSORS = {"rate": FakeSensor("float", 1.5), "level": FakeSensor("integer", 7)}
ROWS = [("rate", "label:rack=3"), ("level", "set-by=set-level")]


@contextlib.asynccontextmanager
async def scripted(**answer):
    async with FakeDevice(sensors=SENSORS) as fake:
        fake.on("sensor-metadata", **answer)
        async with DeviceClient("fake", connector=fake.connector, sync_timeout=2.0) as device:
            yield fake, device


def asked(fake):
    return [request.arguments for request in fake.requests.requests("sensor-metadata")]


async def change(fake, *what):
    fake.inform("interface-changed", *what)
    await pass_time()


async def test_is_asked_once_for_all_and_then_for_what_changed():
    async with scripted(informs=ROWS) as (fake, device):
        assert asked(fake) == [()]
        assert device.sensor.rate.labels == {"rack": "3"}
        fake.inform("interface-changed", "sensor", "gone", "removed")
        fake.inform("interface-changed", "sensor", "never", "added")
        await change(fake, "sensor", "level", "modified")
        await change(fake, "request", "watchdog", "modified")
        assert asked(fake) == [(), (b"level",)]
        assert device.sensor.level.set_by == "set-level"
        await change(fake)
        assert asked(fake) == [(), (b"level",), ()]


async def test_a_device_without_it_is_not_asked():
    async with FakeDevice(sensors=SENSORS) as fake, DeviceClient("fake", connector=fake.connector) as device:
        assert asked(fake) == []
        assert device.sensor.rate.labels == {}


@pytest.mark.parametrize(
    "answer",
    [{"reply": ("fail", "not today")}, {"reply": ("invalid", "Unknown request")}, {"reply": None}],
    ids=["fail", "invalid", "silence"],
)
async def test_what_fails_harms_nothing_else(answer):
    async with scripted(**answer) as (fake, device):
        assert device.synced
        assert (await device.sensor.rate.read()).value == 1.5
        assert device.sensor.rate.labels == {}
        assert device.trouble.counts.get("sensor metadata", 0) == ("Unknown request" not in str(answer))
        fake.on("sensor-metadata", informs=ROWS)
        await change(fake)
        assert device.sensor.rate.labels == {"rack": "3"}


async def test_a_device_without_ids_that_does_not_answer_is_asked_once():
    async with FakeDevice("4.0", sensors=SENSORS) as fake:
        fake.on("sensor-metadata", reply=None)
        limits = Limits(late_timeout=1.0)
        async with DeviceClient("fake", connector=fake.connector, limits=limits, sync_timeout=8.0) as device:
            await device.wait_synced()
            await pass_time(60)
            assert device.synced
            assert (await device.sensor.rate.read()).value == 1.5
            await change(fake)
            assert asked(fake) == [()]


async def test_what_was_known_of_a_device_that_falls_silent_stays():
    async with FakeDevice("4.0", sensors=SENSORS) as fake:
        fake.on("sensor-metadata", informs=ROWS)
        limits = Limits(late_timeout=1.0)
        async with DeviceClient("fake", connector=fake.connector, limits=limits, sync_timeout=8.0) as device:
            fake.on("sensor-metadata", reply=None)
            for _ in range(2):
                await change(fake)
                await pass_time(60)
                assert device.sensor.rate.labels == {"rack": "3"}
            assert len(asked(fake)) == 2


async def test_what_was_known_stays_when_asking_again_fails():
    async with scripted(informs=ROWS) as (fake, device):
        rate = device.sensor.rate
        fake.on("sensor-metadata", reply=("fail", "not today"))
        await change(fake)
        await change(fake, "sensor", "rate", "modified")
        assert device.sensor.rate is rate
        assert rate.labels == {"rack": "3"}
        assert device.trouble.counts["sensor metadata"] == 2


async def test_rows_that_cannot_be_read_cost_no_other():
    rows = [(), ("rate", "label:the rack=3"), ("stranger", "label:rack=3"), (b"\xff", "set-by=x"), *ROWS[1:]]
    async with scripted(informs=rows) as (_, device):
        assert device.synced
        assert device.sensor.rate.labels == {}
        assert device.sensor.level.set_by == "set-level"
        assert device.trouble.counts["sensor metadata"] == 3


async def test_more_rows_than_are_taken_harm_nothing_else():
    async with FakeDevice(sensors=SENSORS) as fake:
        fake.on("sensor-metadata", informs=ROWS * 20)
        async with DeviceClient("fake", connector=fake.connector, limits=Limits(max_informs=30)) as device:
            assert device.sensor.rate.labels == {}
            assert device.trouble.counts["sensor metadata"] == 1
