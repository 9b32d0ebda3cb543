"""A scripted device answers as a good one does, and misbehaves as it is told."""

import pytest

from katcp_aio.errors import FailReply, MalformedMessage
from katcp_aio.testing import FakeDevice, FakeSensor, Peer, memory_pair
from katcp_aio.wire.message import Message

SENSORS = {
    "rate": FakeSensor("float", 2.5, (0, 10), "Pump rate", "Hz"),
    "mode": FakeSensor("discrete", "idle", ("idle", "slew"), "Mode", status="inactive"),
}


def join(device, **kwargs):
    """Connect a raw client to the device."""
    peer = Peer()
    memory_pair(peer, device.make_protocol(), **kwargs)
    return peer


@pytest.fixture
async def device():
    async with FakeDevice(sensors=dict(SENSORS)) as device:
        yield device


@pytest.mark.parametrize(
    ("protocol", "first"),
    [
        ("5.1-MITB", "#version-connect katcp-protocol 5.1-MITB"),
        ("5.0-M", "#version-connect katcp-protocol 5.0-M"),
        ("4.0", "#version fake-1.0"),
    ],
)
async def test_it_greets_in_its_protocol(protocol, first):
    async with FakeDevice(protocol) as device:
        await join(device).expect(first)


async def test_a_banner_of_ones_own_or_none():
    async with FakeDevice(banner=["#version mine", b"#hello\r\n"]) as device:
        await join(device).expect("#version mine", "#hello")
    async with FakeDevice(banner=()) as device:
        peer = join(device)
        peer.send("?watchdog")
        await peer.expect("!watchdog ok")


async def test_scripted_informs_and_reply(device):
    device.on("calibrate", informs=[(1, "done"), "last"])
    device.on("set-rate", reply=("ok", 2.5))
    peer = join(device)
    assert await peer.ask("?calibrate[3]") == [
        Message.inform("calibrate", 1, "done", mid=3),
        Message.inform("calibrate", "last", mid=3),
        Message.reply("calibrate", "ok", 2, mid=3),
    ]
    assert await peer.ask("?set-rate 2.5") == [Message.reply("set-rate", "ok", 2.5)]
    device.requests.assert_request("set-rate", 2.5)


async def test_a_script_for_some_requests_only(device):
    device.on("x", reply=("ok", "always"))
    device.on("x", reply=("fail", "twice"), times=2)
    peer = join(device)
    assert [(await peer.ask("?x"))[-1].arguments[1] for _ in range(4)] == [b"twice", b"twice", b"always", b"always"]


async def test_handlers_plain_and_async(device):
    def double(peer, request):
        return int(request.arguments[0]) * 2

    async def refuse(peer, request):
        peer.send("#note here")
        raise FailReply("no")

    device.on("double", double)
    device.on("refuse", refuse)
    device.on("nothing", lambda peer, request: None)
    peer = join(device)
    assert (await peer.ask("?double[1] 4"))[-1] == Message.reply("double", "ok", 8, mid=1)
    assert (await peer.ask("?refuse[2]"))[-1] == Message.reply("refuse", "fail", "no", mid=2)
    assert (await peer.ask("?nothing"))[-1] == Message.reply("nothing", "ok")
    peer.received.assert_inform("note", "here")


async def test_a_handler_with_a_bug_fails_the_test_and_not_its_patience():
    device = FakeDevice()
    device.on("broken", lambda peer, request: 1 / 0)
    reply = (await join(device).ask("?broken"))[-1]
    assert reply.arguments[0] == b"fail"
    assert b"ZeroDivisionError" in reply.arguments[1]
    with pytest.raises(ZeroDivisionError):
        await device.close()
    await device.close()


async def test_an_answer_may_come_late_and_does_not_hold_up_others(manual_clock):
    async with FakeDevice(banner=()) as device:
        device.on("slow", delay=10)
        peer = join(device)
        peer.send("?slow[1]", "?watchdog[2]")
        await manual_clock.advance(9.9)
        assert peer.unread == [b"!watchdog[2] ok"]
        await manual_clock.advance(0.1)
        assert peer.unread == [b"!watchdog[2] ok", b"!slow[1] ok"]


async def test_it_ends_with_an_answer_still_to_come(manual_clock):
    async with FakeDevice(banner=()) as device:
        device.on("slow", delay=10)
        peer = join(device)
        peer.send("?slow[1]")
        await device.received("slow")
    assert (await peer.end(), peer.lost) == ([], True)


async def test_misbehaving_in_what_it_sends(manual_clock):
    async with FakeDevice(banner=()) as device:
        device.on("deaf", reply=None)
        device.on("twice", copies=2)
        device.on("anonymous", mids=False)
        device.on("garbage", raw=b"!garbage[5 ok\nblub\n")
        peer = join(device)
        peer.send("?deaf[1]", "?twice[2]", "?anonymous[3]", "?garbage[4]")
        await manual_clock.settle()
        assert peer.unread == [b"!twice[2] ok", b"!twice[2] ok", b"!anonymous ok", b"!garbage[5 ok", b"blub"]
        assert isinstance(peer.received[-1], MalformedMessage)


async def test_a_device_without_ids():
    async with FakeDevice("5.0-M", banner=()) as device:
        peer = join(device)
        peer.send("?watchdog[7]")
        await peer.expect("!watchdog ok")
        device.mids = True
        peer.send("?watchdog[7]")
        await peer.expect("!watchdog[7] ok")


async def test_ending_in_the_middle_of_an_answer():
    async with FakeDevice(banner=()) as device:
        device.on("closing", reply=("ok", "1234567890"), cut=14, then="close")
        device.on("half", then="half-close")
        device.on("reset", raw=b"", then="reset")
        peer = join(device)
        peer.send("?half[1]")
        assert (await peer.end(), peer.lost) == ([b"!half[1] ok"], False)
        peer = join(device)
        peer.send("?closing")
        assert (await peer.end(), peer.lost) == ([b"!closing ok 12"], False)
        peer = join(device)
        peer.send("?reset")
        await peer.end()
        assert isinstance(peer.error, ConnectionResetError)


async def test_ending_and_resetting_by_itself(device):
    first = join(device)
    device.end()
    await first.end()
    assert first.error is None
    second = join(device)
    await device.connected(2)
    device.end("reset")
    await second.end()
    assert isinstance(second.error, ConnectionResetError)


async def test_it_stops_reading(manual_clock):
    async with FakeDevice(banner=()) as device:
        peer = join(device)
        device.pause()
        peer.send("?watchdog")
        await manual_clock.settle()
        device.requests.assert_nothing()
        device.resume()
        await peer.expect("!watchdog ok")


async def test_refusing():
    async with FakeDevice() as device:
        device.refusing = True
        with pytest.raises(ConnectionRefusedError):
            await device.connector()
        peer = await Peer.connect(*await device.listen())
        await peer.end()
        await peer.close()
        assert device.peers == []


async def test_over_tcp_and_through_the_library_s_connection():
    async with FakeDevice(banner=()) as device:
        peer = await Peer.connect(*await device.listen())
        assert (await peer.ask("?watchdog[1]"))[-1].ok
        connection = await device.connector()
        connection.send(Message.request("watchdog", mid=2))
        assert await connection.read() == [Message.reply("watchdog", "ok", mid=2)]
        assert len(device.peers) == 2
        await connection.close()
        await peer.close()


async def test_the_standard_requests(device):
    device.on("set-rate")
    device.help["set-rate"] = "Set the rate."
    peer = join(device)
    helped = await peer.ask("?help[1]")
    names = [message.arguments[0].decode() for message in helped[:-1]]
    assert names == sorted(names)
    assert {"watchdog", "sensor-list", "set-rate"} < set(names)
    assert helped[-1] == Message.reply("help", "ok", len(names), mid=1)
    assert (await peer.ask("?help set-rate"))[0].arguments == (b"set-rate", b"Set the rate.")
    assert (await peer.ask("?help nothing"))[-1].arguments == (b"fail", b"Unknown request 'nothing'")
    assert (await peer.ask("?nothing"))[-1].arguments[0] == b"invalid"
    assert (await peer.ask("?version-list"))[-1] == Message.reply("version-list", "ok", 3)
    assert (await peer.ask("?client-list"))[-1] == Message.reply("client-list", "ok", 1)


async def test_sensors_are_listed_and_read(device):
    peer = join(device)
    assert await peer.ask("?sensor-list") == [
        Message.inform("sensor-list", "mode", "Mode", "", "discrete", "idle", "slew"),
        Message.inform("sensor-list", "rate", "Pump rate", "Hz", "float", 0, 10),
        Message.reply("sensor-list", "ok", 2),
    ]
    assert await peer.ask("?sensor-value /^m/") == [
        Message.inform("sensor-value", 1500000000.0, 1, "mode", "inactive", "idle"),
        Message.reply("sensor-value", "ok", 1),
    ]
    assert (await peer.ask("?sensor-value rate"))[0].arguments[4] == b"2.5"
    assert (await peer.ask("?sensor-value none"))[-1].arguments == (b"fail", b"Unknown sensor 'none'")


async def test_version_4_writes_milliseconds_and_its_own_statuses():
    async with FakeDevice("4.0", sensors=dict(SENSORS)) as device:
        peer = join(device)
        assert (await peer.ask("?sensor-value mode"))[0].arguments == (
            b"1500000000000",
            b"1",
            b"mode",
            b"unknown",
            b"idle",
        )
        assert (await peer.ask("?version-list"))[-1].arguments[0] == b"invalid"


async def test_sampling(device):
    peer, other = join(device), join(device)
    assert (await peer.ask("?sensor-sampling rate"))[-1].arguments == (b"ok", b"rate", b"none")
    assert (await peer.ask("?sensor-sampling rate,mode event"))[-1].arguments == (b"ok", b"rate,mode", b"event")
    assert (await other.ask("?sensor-sampling mode period 1"))[-1].arguments == (b"ok", b"mode", b"period", b"1")
    assert device.sampling("mode") == [(b"event",), (b"period", b"1")]
    device.set("mode", "slew", "warn")
    assert (await other.message("sensor-status")).arguments[1:] == (b"1", b"mode", b"warn", b"slew")
    await peer.ask("?sensor-sampling mode none")
    device.set("mode", "idle")
    device.set("rate", 3.0, timestamp=1.6e9)
    await peer.ask("?watchdog")
    assert [inform.arguments[2:] for inform in peer.received.informs("sensor-status")] == [
        (b"rate", b"nominal", b"2.5"),
        (b"mode", b"inactive", b"idle"),
        (b"mode", b"warn", b"slew"),
        (b"rate", b"nominal", b"3.0"),
    ]
    assert (await peer.ask("?sensor-sampling"))[-1].arguments[0] == b"invalid"
    assert (await peer.ask("?sensor-sampling no event"))[-1].arguments[0] == b"fail"


async def test_it_speaks_to_all_clients_by_itself(device):
    peers = [join(device), join(device)]
    device.inform("interface-changed", "sensor-list")
    device.send("#disconnect bye")
    for peer in peers:
        await peer.message("version-connect")
        assert (await peer.message("interface-changed")).arguments == (b"sensor-list",)
        await peer.expect("#disconnect bye")


async def test_waiting_in_vain_tells_what_did_come(device, manual_clock):
    peer = join(device)
    peer.send("?watchdog")
    manual_clock.auto = True
    with pytest.raises(TimeoutError, match=r"0 of 1 came within 2 s; all: \?watchdog"):
        await device.received("set-rate", timeout=2)


async def test_it_reads_nothing_from_clients_that_come_while_it_is_paused(device, manual_clock):
    device.pause()
    peer = join(device)
    peer.send("?watchdog[1]")
    await manual_clock.settle()
    device.requests.assert_nothing()
    device.resume()
    await peer.message("watchdog")
    assert (await join(device).ask("?watchdog"))[-1].ok


def test_what_a_script_cannot_do_is_told_where_it_is_said(fake_device):
    for how in (lambda: fake_device.on("x", then="abort"), lambda: fake_device.end("abort")):
        with pytest.raises(ValueError, match=r"by one of \('close', 'half-close', 'reset'\), and not by 'abort'"):
            how()
    with pytest.raises(ValueError, match="'times' must be >= 1"):
        fake_device.on("x", times=0)


async def test_it_has_no_timeout_hints_but_says_so():
    async with FakeDevice("5.1-MT") as device:
        device.on("prime")
        peer = join(device)
        await peer.assert_ok("?request-timeout-hint", 0)
        informs = (await peer.ask("?request-timeout-hint prime"))[:-1]
        assert informs == [Message.inform("request-timeout-hint", "prime", 0.0)]
        await peer.assert_refused("?request-timeout-hint gone", "Unknown request")
    async with FakeDevice("5.1-M") as device:
        await join(device).assert_refused("?request-timeout-hint", "Unknown request", code="invalid")
