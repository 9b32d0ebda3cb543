"""A client finds out what each device speaks, from whatever it says, and speaks that."""

import asyncio

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.errors import NotConnected, RequestTimeout, UnsupportedProtocol
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice
from katcp_aio.wire.values import Timestamp

__all__ = []

C_V4 = ["#version 75dde9d", "#build-state 2026-11-22T11:07:03"]
C_V5 = [
    r"#version-connect mylabel myversion mybuildtime",
    r"#version-connect katcp-library 75dde9d-dirty 2026-11",
    r"#version-connect katcp-protocol 5.0-M",
    r"#version-connect kernel 6.18 #1\_SMP",
]
DUPLEX_V4 = ["#version-connect katcp-library Ckatcp-75dde9d", "#version-connect katcp-protocol 4.9-M"]


@pytest.mark.parametrize(
    ("banner", "dialect", "ids", "scale"),
    [
        (C_V4, "4.0", False, 1000.0),
        (C_V4[::-1], "4.0", False, 1000.0),
        (C_V5, "5.0-M", False, 1.0),
        (DUPLEX_V4, "4.9-M", False, 1000.0),
        (["#version-connect katcp-protocol 5.1-MIB", "#version-connect katcp-library x y"], "5.1-MIB", True, 1.0),
        (["#version-connect katcp-protocol 5.0-IM"], "5.0-MI", True, 1.0),
        (["#log info 1 x booting", "#version-connect katcp-protocol 5.1-ITQ"], "5.1-ITQ", True, 1.0),
    ],
    ids=["v4", "v4 the other way round", "C 5.0", "version-connect 4.9", "5.1", "5.0", "unknown flag"],
)
async def test_the_greeting_decides(banner, dialect, ids, scale):
    async with FakeDevice(banner=banner) as device, Client(connector=device.connector) as client:
        assert client.dialect.version == dialect
        assert client.dialect.time_scale == scale
        device.mids = ids
        await asyncio.gather(client.request("watchdog"), client.request("watchdog"))
        assert [request.mid for request in device.requests] == ([1, 2] if ids else [None, None])


async def test_a_device_that_says_nothing_is_asked_without_ids(manual_clock):
    async with FakeDevice(banner=()) as device:
        client = Client(connector=device.connector, clock=manual_clock)
        await client.start()
        asked = asyncio.create_task(client.request("watchdog"))
        await manual_clock.advance(Limits().negotiate_timeout)
        assert client.connected
        assert client.dialect.version == "5.0"
        device.mids = False
        assert (await asked).ok
        assert client.trouble.counts == {"no greeting": 1}
        await client.close()


async def test_protocol_settles_it_without_waiting():
    async with FakeDevice(banner=()) as device:
        async with Client(connector=device.connector, protocol="5.1-MI") as client:
            assert client.dialect.version == "5.1-MI"
            assert (await client.request("watchdog")).ok
            assert device.requests[0].mid == 1
            device.send("#version-connect katcp-protocol 4.0", "#version-connect katcp-protocol 9.9")
            assert (await client.request("watchdog")).ok
            assert client.dialect.version == "5.1-MI"
        with pytest.raises(UnsupportedProtocol):
            Client(protocol="3.0")


@pytest.mark.parametrize("version", ["notvalid", "6.0-MI"])
async def test_a_version_that_nobody_speaks_is_told(version):
    async with FakeDevice(banner=[f"#version-connect katcp-protocol {version}"]) as device:
        client = Client(connector=device.connector, reconnect=None)
        with pytest.raises(NotConnected, match=f"unsupported protocol version '{version[:3]}") as caught:
            await client.__aenter__()
        assert isinstance(caught.value.__cause__, UnsupportedProtocol)


async def test_a_device_that_speaks_otherwise_after_a_restart_is_talked_to_anew(manual_clock):
    backoff = Backoff(initial=1, randomness=0)
    async with FakeDevice("5.0-MI") as old, FakeDevice("4.0") as new:
        device = old

        async def connector():
            return await device.connector()

        async with Client(connector=connector, reconnect=backoff, clock=manual_clock) as client:
            assert client.dialect.version == "5.0-MI"
            device = new
            old.refusing = True
            old.end()
            await manual_clock.settle()
            # Written for the old device, and written again when it is known that the new one counts milliseconds.
            asked = asyncio.create_task(client.request("remember", Timestamp(1.5)))
            new.on("remember")
            await manual_clock.advance(1)
            assert (await asked).ok
            assert client.dialect.version == "4.0"
            new.requests.assert_request("remember", b"1500")
            assert set(client.versions) == {"katcp-device"}


async def test_what_cannot_be_written_for_the_new_device_fails_at_that_moment(monkeypatch):
    def picky(name, values, dialect):
        if dialect.major == 4:
            raise ValueError("not in version 4")
        return ()

    monkeypatch.setattr("katcp_aio.client.desk.encode_values", picky)
    async with FakeDevice("4.0") as device:
        client = Client(connector=device.connector)
        await client.start()
        with pytest.raises(ValueError, match="not in version 4"):
            await client.request("x")
        assert not device.requests
        await client.close()


async def test_a_greeting_that_comes_late_is_heeded(manual_clock):
    async with FakeDevice(banner=()) as device:
        client = Client(connector=device.connector, clock=manual_clock)
        await client.start()
        await manual_clock.advance(Limits().negotiate_timeout)
        assert not client.dialect.message_ids
        device.send("#version-connect katcp-protocol 5.1-MI")
        await manual_clock.settle()
        assert client.dialect.version == "5.1-MI"
        device.send("#version-connect katcp-protocol 7.0")
        await manual_clock.settle()
        assert not client.connected
        assert isinstance(client.last_error, UnsupportedProtocol)
        await client.close()


@pytest.mark.parametrize(("protocol", "wire"), [("4.0", b"1500"), ("5.1-MI", b"1.5")])
async def test_periods_are_seconds_to_the_user(protocol, wire):
    async with FakeDevice(protocol) as device, Client(connector=device.connector) as client:
        device.on("sensor-sampling", reply=("ok", "x", "period", wire))
        reply = await client.request("sensor-sampling", "x", "period", 1.5)
        device.requests.assert_request("sensor-sampling", "x", "period", wire)
        assert float(reply.arguments[2]) == 1.5


# Devices that give ids in part only


async def test_replies_without_ids_to_requests_with_ids(manual_clock):
    async with FakeDevice("5.0-MI") as device, Client(connector=device.connector, clock=manual_clock) as client:
        device.on("restart", mids=False, informs=["now"])
        reply = await client.request("restart")
        assert reply.ok
        assert len(reply.informs) == 1


async def test_a_late_reply_without_its_id_is_not_taken_for_the_next(manual_clock):
    async with FakeDevice("5.0-MI") as device, Client(connector=device.connector, clock=manual_clock) as client:
        device.on("get", reply=("ok", "new"), mids=False)
        device.on("get", reply=("ok", "old"), mids=False, delay=2, times=1)
        device.on("get", reply=("ok", "first"), mids=False, times=1)
        assert (await client.request("get")).arguments == [b"first"]
        late = asyncio.create_task(client.request("get", timeout=1))
        await manual_clock.advance(1.5)
        with pytest.raises(RequestTimeout):
            await late
        following = asyncio.create_task(client.request("get"))
        await manual_clock.advance(0.5)
        # Both replies are there, in whichever order; which is whose, nobody can tell but by that order.
        assert (await following).arguments in ([b"old"], [b"new"])
