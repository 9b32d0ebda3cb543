"""A client finds out what each device speaks, from whatever it says, and speaks that."""

import asyncio

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.client.device import DeviceClient
from katcp_aio.errors import NotConnected, RequestTimeout, UnsupportedProtocol
from katcp_aio.limits import Limits
from katcp_aio.model.reading import Reading, Status
from katcp_aio.testing import FakeDevice, FakeSensor
from katcp_aio.wire.values import Timestamp

__all__ = []

V4_EXAMPLE = ["#version myversion", "#build-state mybuildtime"]
V4_BOARD = ["#version 75dde9d", "#build-state 2026-11-22T11:07:03"]
V5_EXAMPLE = [
    r"#version-connect mylabel myversion mybuildtime",
    r"#version-connect katcp-library 75dde9d-dirty 2026-11-22T11:07:03",
    r"#version-connect katcp-protocol 5.0-M",
    r"#version-connect kernel 6.18.5 #1\_SMP\_PREEMPT_DYNAMIC\_Debian",
]
DUPLEX_V4 = ["#version-connect katcp-library Ckatcp-75dde9d", "#version-connect katcp-protocol 4.9-M"]
DUPLEX_V5 = ["#version-connect katcp-library Ckatcp-75dde9d", "#version-connect katcp-protocol 5.0-M"]
AIOKATCP = [
    "#version-connect katcp-protocol 5.1-MIB",
    "#version-connect katcp-library aiokatcp-2.3 aiokatcp-2.3.0",
    "#version-connect katcp-device pump-1.0 pump-1.0.0",
]
KATCP_PYTHON = [
    "#version-connect katcp-protocol 5.0-IM",
    "#version-connect katcp-library katcp-python-0.9.3",
    "#version-connect katcp-device pump-1.0 pump-1.0rc1",
]
BANNERS = {  # what the devices in use say on connecting -> what they are to be told, with ids?, milliseconds?
    "C 4.9, the example": (V4_EXAMPLE, "4.0", False, 1000.0),
    "C 4.9, boards": (V4_BOARD, "4.0", False, 1000.0),
    "C 4.9, the other way round": (V4_BOARD[::-1], "4.0", False, 1000.0),
    "C 5.0, the example": (V5_EXAMPLE, "5.0-M", False, 1.0),
    "C 5.0, protocol last": (sorted(V5_EXAMPLE, key=lambda line: "protocol" in line), "5.0-M", False, 1.0),
    "duplex 4.9": (DUPLEX_V4, "4.9-M", False, 1000.0),
    "duplex 5.0": (DUPLEX_V5, "5.0-M", False, 1.0),
    "aiokatcp": (AIOKATCP, "5.1-MIB", True, 1.0),
    "katcp-python": (KATCP_PYTHON, "5.0-MI", True, 1.0),
    "katcp-python with all flags": (["#version-connect katcp-protocol 5.1-BIMT"], "5.1-MITB", True, 1.0),
    "unknown flag": (["#log info 1 x booting", "#version-connect katcp-protocol 5.1-ITQ"], "5.1-ITQ", True, 1.0),
}


@pytest.mark.parametrize(("banner", "dialect", "ids", "scale"), BANNERS.values(), ids=BANNERS)
async def test_the_greeting_decides(banner, dialect, ids, scale):
    device = FakeDevice(dialect, banner=banner, sensors={"temp": FakeSensor("float", 30.5, timestamp=2.5)})
    device.on("echo", lambda peer, request: request.arguments)
    async with device, DeviceClient(connector=device.connector) as client:
        assert client.dialect.version == dialect
        assert client.dialect.time_scale == scale
        before = len(device.requests)
        echoed = await asyncio.gather(*(client.req.echo(number, returns=(int,)) for number in range(3)))
        assert echoed == [(0,), (1,), (2,)]
        assert [request.mid is not None for request in device.requests[before:]] == [ids] * 3
        assert await client.sensor.temp.read() == Reading(2.5, Status.NOMINAL, 30.5)
        await client.sensor.temp.sample("period", 1.5)
        assert [float(text) for text in device.sampling("temp")[0][1:]] == [1.5 * scale]
        assert client.sensor.temp.timestamp == 2.5
        assert not client.trouble.counts


async def test_a_device_that_says_it_has_no_ids_and_echoes_them_all_the_same():
    async with FakeDevice(banner=V5_EXAMPLE) as device, Client(connector=device.connector) as client:
        device.on("echo", lambda peer, request: request.arguments)
        assert (await client.request("echo", 1)).arguments == [b"1"]
        assert device.requests[0].mid is None


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


async def test_what_a_device_that_says_nothing_is_taken_to_speak_is_the_programs_to_say(manual_clock):
    async with FakeDevice("4.0", banner=()) as device:
        client = Client(connector=device.connector, assume="4.0", clock=manual_clock)
        assert client.dialect.version == "4.0"
        await client.start()
        device.on("remember")
        asked = asyncio.create_task(client.request("remember", Timestamp(1.5)))
        await manual_clock.advance(Limits().negotiate_timeout)
        assert client.connected
        assert (await asked).ok
        assert (await device.received("remember")).arguments == (b"1500",)  # milliseconds
        device.send("#version-connect katcp-protocol 5.0-MI")  # a greeting that comes late counts for more
        await manual_clock.settle()
        assert client.dialect.version == "5.0-MI"
        await client.close()
    with pytest.raises(UnsupportedProtocol):
        Client(assume="3.0")


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
    def picky(name, values, dialect, types):
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


async def test_times_are_read_by_what_the_device_says_it_speaks_before_it_answers(manual_clock):
    async with FakeDevice("4.0", banner=()) as device:
        client = Client(connector=device.connector, clock=manual_clock)
        await client.start()
        device.on("when", reply=None)  # the test answers
        asked = asyncio.create_task(client.request("when", returns=(Timestamp,)))
        await manual_clock.advance(Limits().negotiate_timeout)
        device.send("#version late")
        await manual_clock.settle()
        device.send("!when ok 1500")
        assert await asked == (1.5,)
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


async def test_a_reply_without_an_id_that_comes_twice_is_not_the_answer_to_the_next():
    """Not even where one piece brings both: the next request was not sent yet when that came."""
    async with FakeDevice("5.0-MI") as device, Client(connector=device.connector) as client:
        device.on("get", lambda peer, request: request.arguments[0])
        device.on("get", reply=("ok", "a"), mids=False, copies=2, times=1)
        assert [await client.request("get", one, returns=(str,)) for one in "ab"] == [("a",), ("b",)]
        assert client.trouble.counts == {"unknown reply": 1}


@pytest.mark.parametrize("bare", ["!get ok a", "#get 1", "!get ok \\q"], ids=["reply", "inform", "malformed"])
async def test_what_comes_behind_a_reply_is_no_part_of_the_answer_to_what_its_caller_asks_next(bare):
    """A caller goes on between two messages of one piece: what has no id there was sent before it asked."""
    async with FakeDevice("5.0-MI") as device, Client(connector=device.connector) as client:
        device.on("first", reply=None)
        device.on("get", lambda peer, request: request.arguments[0])

        async def ask():
            await client.request("first")
            return await client.request("get", "b")

        asked = asyncio.create_task(ask())
        await device.received("first")
        device.send("!first[1] ok", bare)
        reply = await asked
        assert (reply.arguments, reply.informs) == ([b"b"], [])


async def test_a_device_that_says_late_that_it_has_no_ids_is_taken_to_answer_in_order(manual_clock):
    async with FakeDevice(banner=()) as device:
        client = Client(connector=device.connector, assume="5.0-MI", clock=manual_clock)
        await client.start()
        device.on("get", reply=None)  # the test answers
        first = asyncio.create_task(client.request("get", "a"))
        await manual_clock.advance(Limits().negotiate_timeout)
        device.send("#version-connect katcp-protocol 5.0-M")
        await manual_clock.settle()
        second = asyncio.create_task(client.request("get", "b"))
        await manual_clock.settle()
        assert [request.mid for request in device.requests] == [1, None]
        device.send("!get ok a", "!get ok b")
        assert [(await task).arguments for task in (first, second)] == [[b"a"], [b"b"]]
        await client.close()


async def test_informs_without_ids_before_a_reply_with_one():
    async with FakeDevice("5.0-MI") as device, Client(connector=device.connector) as client:
        device.on("sensor-value", raw=b"#log info 1 x y\n#sensor-value 1 1 a warn -2\n!sensor-value[1] ok 1\n")
        reply = await client.request("sensor-value", "a")
        assert [inform.arguments[2] for inform in reply.informs] == [b"a"]
        assert not client.trouble.counts


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
