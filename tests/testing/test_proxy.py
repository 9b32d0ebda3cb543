"""A proxy carries faithfully what it does not harm, and does harm where its seed says."""

import asyncio

import pytest

from katcp_aio.errors import MalformedMessage
from katcp_aio.testing import FakeDevice, FaultProxy, Faults, Peer, memory_pair
from katcp_aio.wire.message import Message


def join(proxy, **kwargs):
    peer = Peer()
    memory_pair(peer, proxy.make_protocol(), **kwargs)
    return peer


@pytest.fixture
async def device():
    async with FakeDevice(banner=()) as device:
        device.on("echo", lambda peer, request: request.arguments)
        yield device


async def test_it_carries_both_ways(device, manual_clock):
    device.lingering = True
    async with FaultProxy(device) as proxy:
        peer = join(proxy)
        assert await peer.ask("?echo[1] hello") == [Message.reply("echo", "ok", "hello", mid=1)]
        device.send("#note")
        await peer.expect("#note")
        peer.half_close()
        await (await device.connected()).end()
        device.inform("still-here")
        await peer.expect("#still-here")
        device.end()
        assert await peer.end() == []
        assert peer.error is None
        assert proxy.connections == 1


async def test_over_tcp_on_both_sides(device):
    async with FaultProxy(await device.listen(), Faults(split=3), seed=5) as proxy:
        peer = await Peer.connect(*await proxy.listen())
        assert (await peer.ask("?echo[1] hello"))[-1].ok
        await peer.close()


async def test_to_the_library_s_own_connection(device):
    async with FaultProxy(device, Faults(split=2)) as proxy:
        connection = await proxy.connector()
        connection.send(Message.request("watchdog", mid=1))
        assert await connection.read() == [Message.reply("watchdog", "ok", mid=1)]
        await connection.close()


async def test_what_is_split_is_the_same_in_the_end(device, manual_clock):
    async with FaultProxy(device, Faults(split=3)) as proxy:
        peer = join(proxy)
        for mid in range(1, 50):
            assert await peer.ask(f"?echo[{mid}] {'x' * mid}") == [Message.reply("echo", "ok", "x" * mid, mid=mid)]


async def test_a_device_that_cannot_be_reached_resets_the_client(unused_tcp_port):
    async with FaultProxy(("127.0.0.1", unused_tcp_port)) as proxy:
        peer = join(proxy)
        await peer.end()
        assert isinstance(peer.error, ConnectionResetError)


async def test_delays_take_the_loop_s_time(device, manual_clock):
    async with FaultProxy(device, Faults(delay=10), seed=1) as proxy:
        peer = join(proxy)
        peer.send("?watchdog")
        await manual_clock.settle()
        assert peer.unread == []
        await manual_clock.advance(20)
        assert peer.unread == [b"!watchdog ok"]


async def what_came(faults, seed, chunk):
    """Return what a client hears of a device that says 2000 bytes, and how the connection ends."""
    async with FakeDevice(banner=[b"#x " + b"1" * 96] * 20) as device, FaultProxy(device, faults, seed=seed) as proxy:
        peer = join(proxy, chunk=chunk)
        await peer.end()
        return sum(len(line) + 1 for line in peer.unread), type(peer.error)


@pytest.mark.parametrize("how", ["reset_after", "close_after", "half_close_after"])
async def test_faults_strike_where_the_seed_says_however_the_bytes_come(how, manual_clock):
    faults = Faults(**{how: 500})
    found = [await what_came(faults, seed, 64 * 1024) for seed in range(10)]
    assert len(set(found)) > 3
    assert found == [await what_came(faults, seed, 7) for seed in range(10)]
    assert {error for _, error in found} == {ConnectionResetError if how == "reset_after" else type(None)}


async def test_a_blackhole_swallows_and_stays_open(manual_clock):
    faults = Faults(blackhole_after=500)
    async with FakeDevice(banner=[b"#x " + b"1" * 96] * 20) as device, FaultProxy(device, faults) as proxy:
        peer = join(proxy)
        await manual_clock.settle()
        assert 0 < len(b"\n".join(peer.unread)) < 2000
        device.end("reset")
        await manual_clock.settle()
        assert not peer.eof


async def test_harm_on_demand(device, manual_clock):
    async with FaultProxy(device) as proxy:
        peer = join(proxy)
        await peer.ask("?watchdog[1]")
        proxy.stall()
        peer.send("?watchdog[2]")
        await manual_clock.settle()
        device.requests.assert_nothing(name="nothing")
        assert peer.unread == []
        proxy.restore()
        await peer.expect("!watchdog[2] ok")
        proxy.blackhole()
        peer.send("?watchdog[3]")
        await manual_clock.settle()
        proxy.restore()
        peer.send("?watchdog[4]")
        await peer.expect("!watchdog[4] ok")
        proxy.end("half-close")
        await peer.end()
        assert not peer.lost
        other = join(proxy)
        await other.ask("?watchdog")
        proxy.end("reset")
        await other.end()
        assert isinstance(other.error, ConnectionResetError)
        third = join(proxy)
        await third.ask("?watchdog")
        proxy.end("close")
        await third.end()
        assert third.error is None


@pytest.mark.parametrize("harm", ["stall", "blackhole"])
async def test_harm_on_demand_is_done_to_connections_made_meanwhile(device, manual_clock, harm):
    async with FaultProxy(device) as proxy:
        early = join(proxy)
        getattr(proxy, harm)()  # before the loop came to carry anything
        late = join(proxy)
        for peer in early, late:
            peer.send("?watchdog[1]")
        await manual_clock.settle()
        assert (early.unread, late.unread) == ([], [])
        proxy.restore()
        for peer in early, late:
            if harm == "blackhole":  # what was sent has vanished
                peer.send("?watchdog[2]")
            await peer.expect(f"!watchdog[{2 if harm == 'blackhole' else 1}] ok")
        assert (await join(proxy).ask("?watchdog[3]"))[-1].ok


@pytest.mark.parametrize("how", ["reset", "close", "half-close"])
async def test_a_connection_can_be_ended_before_it_has_reached_the_device(device, manual_clock, how):
    async with FaultProxy(device) as proxy:
        peer = join(proxy)
        proxy.end(how)
        await peer.end()
        assert isinstance(peer.error, ConnectionResetError) == (how == "reset")


async def test_what_comes_after_one_direction_was_ended_vanishes(device, manual_clock, caplog):
    device.lingering = True
    async with FaultProxy(device) as proxy:
        peer = join(proxy)
        await peer.ask("?watchdog[1]")
        proxy.end("half-close")
        await (await device.connected()).end()
        device.inform("too-late")
        peer.send("?watchdog[2]")
        await manual_clock.settle()
        assert await peer.end() == []
        assert len(device.requests) == 1
        await peer.close()
    await manual_clock.settle()
    assert caplog.text == ""


def test_there_are_three_ways_to_end(fake_device):
    with pytest.raises(ValueError, match=r"by one of \('close', 'half-close', 'reset'\), and not by 'abort'"):
        FaultProxy(fake_device).end("abort")


async def cuts(seed, pieces, clock):
    """Return the offsets at which a client gets what a device says in so many pieces."""
    found, heard = [], bytearray()

    class Noting(Peer):
        def data_received(self, data):
            heard.extend(data)
            found.append(len(heard))

    said = b"#x " + b"1" * 96 + b"\n"
    async with FakeDevice(banner=()) as device, FaultProxy(device, Faults(split=40, delay=1), seed=seed) as proxy:
        memory_pair(Noting(), proxy.make_protocol())
        far = await device.connected()
        size = len(said) // pieces
        for at in range(0, len(said), size):
            far.send_raw(said[at : at + size])
            await clock.advance(100)
    return set(found) - set(range(0, len(said) + 1, size))


@pytest.mark.parametrize("seed", range(5))
async def test_bytes_are_split_where_the_seed_says_however_they_come(manual_clock, seed):
    """Where they came in pieces they are split there too, of course."""
    assert await cuts(seed, 10, manual_clock) <= await cuts(seed, 1, manual_clock)


async def test_it_leaves_nothing_behind_in_the_middle_of_a_stream(manual_clock):
    async with FakeDevice(banner=[b"#x " + b"1" * 96] * 20_000) as device:
        async with FaultProxy(device, Faults(split=100, delay=1)) as proxy:
            peer = join(proxy)
            await manual_clock.advance(5)
        await peer.end()
        assert asyncio.all_tasks() - {asyncio.current_task()} == set()
        assert not any(isinstance(item, MalformedMessage) for item in peer.received)


async def test_it_says_what_makes_a_failure_happen_again(fake_device):
    async with FaultProxy(fake_device, Faults(split=3), seed=42) as proxy:
        await join(proxy).ask("?watchdog")
        assert repr(proxy) == f"<FaultProxy seed=42 {Faults(split=3)} 1 connections>"
