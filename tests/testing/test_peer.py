"""A raw peer says exactly what it is told, and hears everything."""

import asyncio
import ssl

import pytest
import trustme

from katcp_aio.errors import MalformedMessage
from katcp_aio.model.reading import Status
from katcp_aio.testing import FakeDevice, FakeSensor, Peer, memory_pair
from katcp_aio.wire.message import Message


@pytest.fixture
async def pair(manual_clock):
    """Return two peers of each other."""
    near, far = Peer(), Peer()
    memory_pair(near, far)
    return near, far


async def test_lines_are_sent_with_their_ends_and_bytes_as_they_are(pair):
    near, far = pair
    near.send("?a", b"?b\r\n", Message.request("c", "x y"))
    near.send_raw(b"?d 1")
    near.send_raw(b"2\n?half")
    await far.expect("?a", b"?b", Message.request("c", "x y"), "?d 12")
    assert far.unread == [b"?half"]
    assert [bytes(item) for item in far.received] == [b"?a\n", b"?b\n", b"?c x\\_y\n", b"?d 12\n"]


async def test_asking_passes_over_what_belongs_to_others(pair):
    near, far = pair
    asking = asyncio.create_task(near.ask("?x[2] 1"))
    await far.expect("?x[2] 1")
    far.send("#log info", "#x[1] other", "#x[2] mine", "!x[1] ok", "!x[2] ok 1", "!y ok")
    assert await asking == [Message.inform("x", "mine", mid=2), Message.reply("x", "ok", 1, mid=2)]
    assert near.unread == [b"!y ok"]
    near.received.assert_inform("log", "info")
    with pytest.raises(ValueError, match="not a request"):
        await near.ask("hello")


async def test_the_next_of_a_name(pair):
    near, far = pair
    far.send("#a", "#b 1", "#b 2", "blub")
    assert await near.message("b") == Message.inform("b", 1)
    assert await near.message() == Message.inform("b", 2)
    with pytest.raises(MalformedMessage):
        await near.message()
    assert isinstance(near.received[-1], MalformedMessage)


async def test_what_was_not_expected_is_shown(pair):
    near, far = pair
    far.send("#a", "#b")
    with pytest.raises(AssertionError, match=r"expected b'#b', and there came b'#a'"):
        await near.expect("#b")
    far.half_close()
    with pytest.raises(AssertionError, match=r"expected b'#c', but the connection ended"):
        await near.expect("#b", "#c")


async def test_waiting_in_vain(pair, manual_clock):
    near, far = pair
    manual_clock.auto = True
    far.send_raw(b"#ha")
    with pytest.raises(TimeoutError, match=r"no line came within 2 s; unread: \[b'#ha'\]"):
        await near.line(timeout=2)
    with pytest.raises(TimeoutError, match="the connection did not end within 5 s"):
        await near.end()
    far.half_close()
    with pytest.raises(EOFError, match="the connection ended in b'#ha'"):
        await near.line()


async def test_ways_to_end(pair):
    near, far = pair
    near.half_close()
    assert await far.end() == []
    assert not far.lost
    far.send("#still")
    await near.expect("#still")
    await far.close()
    await near.end()
    assert (near.error, far.error, repr(far)) == (None, None, "<Peer lost, 0 lines unread>")
    await Peer().close()


async def test_aborting_resets_the_other_end(pair):
    near, far = pair
    assert repr(near) == "<Peer open, 0 lines unread>"
    near.abort()
    await far.end()
    assert isinstance(far.error, ConnectionResetError)


async def test_an_end_that_does_not_read_holds_the_other_up(pair, manual_clock):
    near, far = pair
    far.pause()
    near.send(b"#x " + bytes(1_000_000))
    draining = asyncio.create_task(near.drain())
    await manual_clock.settle()
    assert not draining.done()
    far.resume()
    await draining


async def test_over_tcp_and_unix_sockets(tmp_path):
    async with FakeDevice(banner=()) as device:
        peer = await Peer.connect(*await device.listen())
        assert (await peer.ask("?watchdog"))[-1].ok
        peer.abort()
        await (await device.connected()).end()
        assert isinstance((await device.connected()).error, ConnectionResetError)
        path = str(tmp_path / "device")
        server = await asyncio.get_running_loop().create_unix_server(device.make_protocol, path)
        peer = await Peer.connect(path=path)
        assert (await peer.ask("?watchdog"))[-1].ok
        peer.abort()
        await peer.end()
        server.close()


async def test_over_tls():
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with FakeDevice(banner=()) as device:
        peer = await Peer.connect(*await device.listen(ssl=server), ssl=client)
        assert (await peer.ask("?watchdog"))[-1].ok
        await peer.close()


def test_without_a_connection():
    with pytest.raises(RuntimeError, match="not connected"):
        Peer().send("?x")


async def test_assertions_in_the_words_of_the_field():
    async with FakeDevice(sensors={"rate": FakeSensor("float", 2.5), "rate.max": FakeSensor("float", 9.0)}) as device:
        device.on("set-rate", lambda _peer, request: request.arguments)
        device.on("prime", reply=("fail", "the pump", "is dry"))
        peer = Peer()
        memory_pair(peer, device.make_protocol())
        assert (await peer.assert_ok("?set-rate[1] 2.5 hz", 2.5, "hz")).mid == 1
        await peer.assert_ok("?set-rate[2] 2.5 hz", 2.5, ...)
        await peer.assert_ok("?set-rate[3] 2.5 hz")
        with pytest.raises(
            AssertionError, match=r"expected ok 3 \.\.\. 'rpm', and there came b'!set-rate\[4\] ok 2.5 hz"
        ):
            await peer.assert_ok("?set-rate[4] 2.5 hz", 3, ..., "rpm")
        with pytest.raises(AssertionError, match="expected ok, and there came b'!prime fail"):
            await peer.assert_ok("?prime")
        assert (await peer.assert_refused("?prime[5]", "is dry")).mid == 5
        await peer.assert_refused("?prime")
        await peer.assert_refused("?nothing", "Unknown request", code="invalid")
        for request, text in (("?set-rate 1", ""), ("?prime", "is wet"), ("?nothing", "")):
            with pytest.raises(AssertionError, match=f"expected fail.*{text}.* and there came b.!"):
                await peer.assert_refused(request, text)
        await peer.assert_sensor("rate", 2.5)
        device.set("rate", 3.5, "warn")
        await peer.assert_sensor("rate", 3.5, "warn")
        await peer.assert_sensor("rate", 3.5, Status.WARN)
        for name, value, status in (("rate", 3.5, "nominal"), ("rate", 2.5, "warn"), ("gone", 1, "nominal")):
            with pytest.raises(
                AssertionError, match=f"expected {name} to be {status} {value}, and there came b.[#!]sens"
            ):
                await peer.assert_sensor(name, value, status)
