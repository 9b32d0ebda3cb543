"""A DeviceClient, a mirror and a group against aiokatcp's server, over TCP."""

import asyncio
import contextlib
import enum
from ipaddress import IPv4Address

import aiokatcp
import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.device import DeviceClient
from katcp_aio.client.group import DeviceGroup
from katcp_aio.client.mirror import SensorMirror
from katcp_aio.errors import FailReply
from katcp_aio.model.reading import Reading, Status
from katcp_aio.model.sensorset import SensorSet

PATIENCE = 10  # s, for a busy machine
SOON = Backoff(initial=0.01, longest=0.05)


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


class Pump(aiokatcp.DeviceServer):
    VERSION = "pump-1.0"
    BUILD_STATE = "pump-1.0.0"

    async def request_set_rate(self, ctx, rate: float) -> float:
        """Set the rate."""
        self.sensors["rate"].value = rate
        return rate

    async def request_refuse(self, ctx) -> None:
        """Refuse."""
        raise aiokatcp.FailReply("no such thing")

    async def request_count(self, ctx, n: int) -> int:
        """Count."""
        for number in range(n):
            ctx.inform(number)
        return n


@contextlib.asynccontextmanager
async def served(port=0):
    server = Pump("127.0.0.1", port)
    server.sensors.add(aiokatcp.Sensor(float, "rate", "Pump rate", "Hz", default=1.5))
    server.sensors.add(aiokatcp.Sensor(Mode, "mode", "Mode", default=Mode.FAST_SLEW))
    server.sensors.add(
        aiokatcp.Sensor(aiokatcp.Address, "peer", "Peer", default=aiokatcp.Address(IPv4Address("127.0.0.1"), 5))
    )
    for sensor in server.sensors.values():
        sensor.set_value(sensor.value, status=aiokatcp.Sensor.Status.NOMINAL, timestamp=1234.5)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def port_of(server):
    return server.sockets[0].getsockname()[1]


async def test_requests_and_sensors():
    async with served() as server, DeviceClient("127.0.0.1", port_of(server)) as pump:
        assert (await pump.req.set_rate(2.5, returns=(float,))) == (2.5,)
        assert [int(inform.arguments[0]) for inform in (await pump.req.count(3)).informs] == [0, 1, 2]
        with pytest.raises(FailReply, match="no such thing"):
            await pump.req.refuse()
        assert pump.req.set_rate.__doc__ == "Set the rate."
        assert (await pump.sensor.mode.read()) == Reading(1234.5, Status.NOMINAL, "fast-slew")
        assert {"rate", "mode", "peer"} <= set(await pump.read("/^(rate|mode|peer)$/"))
        assert str(pump.sensor.peer.value) == "127.0.0.1:5"


async def test_all_is_sampled_in_bulk_and_followed():
    async with served() as server, DeviceClient("127.0.0.1", port_of(server)) as pump:
        assert await pump.sample("/./", "event")
        assert pump.sensor.rate.value == 1.5
        server.sensors["rate"].value = 7.25
        assert (await pump.sensor.rate.wait_for(7.25, timeout=PATIENCE)).status is Status.NOMINAL
        async for reading in pump.sensor.rate.readings("event"):
            assert reading.value == 7.25
            break


async def test_a_sensor_replaced_by_one_that_looks_the_same_goes_on_being_followed():
    async with served() as server, DeviceClient("127.0.0.1", port_of(server)) as pump:
        await pump.sensor.rate.sample("event")
        replacement = aiokatcp.Sensor(float, "rate", "Pump rate", "Hz", default=3.0)
        server.sensors.add(replacement)
        server.mass_inform("interface-changed", "sensor-list")
        replacement.value = 4.0
        await pump.sensor.rate.wait_for(4.0, timeout=PATIENCE)
        replacement.value = 5.0
        await pump.sensor.rate.wait_for(5.0, timeout=PATIENCE)


async def test_a_restart_is_survived():
    mirrored = SensorSet()
    async with served() as server:
        port = port_of(server)
        pump = DeviceClient("127.0.0.1", port, reconnect=SOON)
        mirror = SensorMirror(pump, mirrored, prefix="m.")
        await pump.start()
        await pump.wait_synced(PATIENCE)
        assert mirrored["m.rate"].value == 1.5
        pump.sensor.rate.attach(lambda _sensor, reading: statuses.append(reading.status))
        statuses = []
    async with asyncio.timeout(PATIENCE):
        await pump.wait_disconnected()
    assert mirrored["m.rate"].status is Status.UNREACHABLE
    async with served(port):
        await pump.wait_synced(PATIENCE)
        assert mirrored["m.rate"].reading == Reading(1234.5, Status.NOMINAL, 1.5)
        assert statuses == [Status.UNREACHABLE, Status.NOMINAL]
        mirror.close()
        await pump.close()


async def test_a_group():
    async with served() as one, served() as two:
        members = {"a": ("127.0.0.1", port_of(one)), "b": ("127.0.0.1", port_of(two))}
        async with DeviceGroup(members) as group:
            assert await group.wait_connected(timeout=PATIENCE)
            assert await group.req.set_rate(9.0)
            assert await group.wait_for("rate", 9.0, timeout=PATIENCE)
            assert not await group.req.refuse()
