"""The clients against katcp-python's server, over TCP: version 4, 5.0 with ids, 5.1 with all flags."""

import asyncio

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.client.device import DeviceClient
from katcp_aio.client.group import DeviceGroup
from katcp_aio.client.mirror import SensorMirror
from katcp_aio.errors import ConnectionLost, FailReply, InvalidReply, RequestTimeout
from katcp_aio.model.reading import Reading, Status
from katcp_aio.model.sensorset import SensorSet

__all__ = []

PATIENCE = 10  # s
SOON = Backoff(initial=0.01, longest=0.05)
VERSIONS = {"4": "4.0", "5.0": "5.0-MI", "5.1": "5.1-MITB"}
VALUES = {
    "rate": 1.5,
    "starts": 3,
    "on": True,
    "mode": "slew",
    "label": "a b",
    "since": 2345.5,
}


@pytest.fixture(params=VERSIONS)
def flavour(request):
    return request.param


@pytest.fixture
async def port(device, flavour):
    async with device(flavour) as port:
        yield port


async def test_what_it_speaks_is_found_out(port, flavour):
    async with Client("127.0.0.1", port) as client:
        assert client.dialect.version == VERSIONS[flavour]
        replies = await asyncio.gather(*(client.request("echo", n, returns=(int,)) for n in range(50)))
        assert replies == [(n,) for n in range(50)]
        assert client.versions["katcp-device"] == ("pump-1.0", "pump-1.0rc1")
        assert not client.trouble.counts


async def test_requests_and_refusals(port):
    async with DeviceClient("127.0.0.1", port) as pump:
        assert await pump.req.set_rate(2.5, returns=(float,)) == (2.5,)
        assert "Set the rate." in pump.req.set_rate.__doc__
        reply = await pump.req.count(3)
        assert [inform.arguments for inform in reply.informs] == [(b"0",), (b"1",), (b"2",)]
        assert [inform.arguments[0] async for inform in pump.stream("count", 3)] == [b"0", b"1", b"2"]
        with pytest.raises(FailReply, match="no such thing"):
            await pump.req.refuse()
        with pytest.raises(FailReply, match="oops"):
            await pump.req.crash()
        with pytest.raises(FailReply, match="rate"):
            await pump.req.set_rate("fast")
        with pytest.raises(InvalidReply, match="Unknown request"):
            await pump.request("nothing")


async def test_bytes_come_back_as_they_went(port):
    characters = bytes(range(128)) * 4  # a byte that is not UTF-8 ends its server, whoever sends it
    async with Client("127.0.0.1", port) as client:
        assert (await client.request("echo", characters, b"", "é")).arguments == [characters, b"", "é".encode()]
        assert (await client.request("all-bytes", 3)).arguments == [bytes(range(256)) * 3]
        assert (await client.request("all-bytes", 6000)).arguments == [bytes(range(256)) * 6000]  # its bound is 4 MiB


async def test_sensors_of_every_type(port):
    async with DeviceClient("127.0.0.1", port) as pump:
        readings = await pump.read()
        assert {name: readings[name].value for name in VALUES} == VALUES
        assert str(readings["peer"].value) == "127.0.0.1:5"
        assert readings["lru"].value.name == "NOMINAL"
        assert {reading.timestamp for reading in readings.values()} == {1234.5}
        assert {reading.status for reading in readings.values()} == {Status.NOMINAL}
        assert [float(bound) for bound in pump.sensor.rate.params] == [0, 100]
        assert pump.sensor.mode.params == (b"idle", b"slew")
        assert set(await pump.read("/^(rate|mode)$/")) == {"rate", "mode"}
        assert not pump.trouble.counts


async def test_all_is_sampled_and_followed(port):
    async with DeviceClient("127.0.0.1", port) as pump:
        assert await pump.sample("/./", "event")
        assert pump.sensor.label.value == "a b"
        await pump.req.set_rate(7.25)
        assert (await pump.sensor.rate.wait_for(7.25, timeout=PATIENCE)).status is Status.NOMINAL
        async for reading in pump.sensor.mode.readings("event"):
            assert reading == Reading(1234.5, Status.NOMINAL, "slew")
            break


async def test_periods_are_seconds(port):
    async with DeviceClient("127.0.0.1", port) as pump:
        stream = pump.sensor.rate.readings()
        loop = asyncio.get_running_loop()
        await pump.sensor.rate.sample("period", 0.1)
        begin = loop.time()
        async with asyncio.timeout(PATIENCE):
            for _ in range(4):  # one at once, three on the grid
                await anext(stream)
        assert loop.time() - begin > 0.2
        reply = await pump.request("sensor-sampling", "rate")
        assert (reply.arguments[1], float(reply.arguments[2])) == (b"period", 0.1)


async def test_what_the_device_will_not_do_is_said_to_who_wished_it(port):
    async with DeviceClient("127.0.0.1", port) as pump:
        await pump.sensor.starts.sample("differential", 5)  # an integer, as its integer sensors demand
        with pytest.raises(FailReply):
            await pump.sensor.mode.sample("differential", 5)
        with pytest.raises(FailReply):
            await pump.sensor.rate.sample("nonsense")
        assert not await pump.sample("nope", "event")
        assert pump.sensor.rate.sampling is None


async def test_sensors_come_change_and_go(port):
    async with DeviceClient("127.0.0.1", port) as pump:
        await pump.sample("/extra/", "event")
        changes = asyncio.Queue()
        pump.on_change(changes.put_nowait)
        async with asyncio.timeout(PATIENCE):
            await pump.req.set_units("extra", "m")
            assert (await changes.get()).sensors_added == {"extra"}
            old = pump.sensor.extra
            await pump.req.set_units("extra", "km")
            assert (await changes.get()).sensors_modified == {"extra"}
            assert old.removed
            assert pump.sensor.extra.units == "km"
            await pump.req.drop("extra")
            assert (await changes.get()).sensors_removed == {"extra"}
        assert "extra" not in pump.sensor


async def test_a_late_reply_is_not_the_answer_to_the_next(port):
    async with DeviceClient("127.0.0.1", port) as pump:
        with pytest.raises(RequestTimeout):
            await pump.req.slow(0.3, "late", timeout=0.1)
        assert (await pump.req.slow(0.0, "next", timeout=PATIENCE)).arguments == [b"next"]
        assert pump.trouble.counts == {"late reply": 1}


async def test_its_timeout_hints_are_used(device):
    async with device("5.1") as port, DeviceClient("127.0.0.1", port) as pump:
        assert pump.timeout_hints == {"slow": 33.5}


async def test_its_parting_words_are_kept(port):
    async with Client("127.0.0.1", port, reconnect=None) as client:
        assert (await client.request("halt")).ok
        async with asyncio.timeout(PATIENCE):
            await client.wait_disconnected()
        assert isinstance(client.last_error, ConnectionLost)
        assert client.last_error.reason == "Device server shutting down."


async def test_one_that_comes_back_with_another_version_is_talked_to_anew(device):
    mirrored = SensorSet()
    async with device("5.0") as port:
        pump = DeviceClient("127.0.0.1", port, reconnect=SOON)
        mirror = SensorMirror(pump, mirrored, prefix="m.")
        await pump.start()
        await pump.wait_synced(PATIENCE)
        assert mirrored["m.rate"].reading == Reading(1234.5, Status.NOMINAL, 1.5)
    async with asyncio.timeout(PATIENCE):
        await pump.wait_disconnected()
    assert mirrored["m.rate"].status is Status.UNREACHABLE
    for flavour in ("4", "5.1"):
        async with device(flavour, port):
            await pump.wait_synced(PATIENCE)
            assert pump.dialect.version == VERSIONS[flavour]
            assert mirrored["m.rate"].reading == Reading(1234.5, Status.NOMINAL, 1.5)
            assert await pump.req.set_rate(2.5, returns=(float,)) == (2.5,)
        async with asyncio.timeout(PATIENCE):
            await pump.wait_disconnected()
    mirror.close()
    await pump.close()


async def test_a_line_longer_than_it_takes_ends_the_connection_and_no_more(port):
    async with Client("127.0.0.1", port, reconnect=SOON) as client:
        with pytest.raises(ConnectionLost):
            await client.request("echo", bytes(2 << 20), timeout=PATIENCE)  # 4 MiB on the wire; it takes 2
        assert (await client.request("watchdog", timeout=PATIENCE)).ok


async def test_a_group_of_all_versions(device):
    async with device("4") as old, device("5.0") as middle, device("5.1") as new:
        members = {name: ("127.0.0.1", port) for name, port in (("a", old), ("b", middle), ("c", new))}
        async with DeviceGroup(members) as group:
            assert await group.wait_connected(timeout=PATIENCE)
            assert await group.req.set_rate(9.0)
            assert await group.wait_for("rate", 9.0, timeout=PATIENCE)
            assert not await group.req.refuse()
