"""What waits in the test kit, cancelled wherever it waits: a test that loses patience can go on with all of it."""

import asyncio
import contextlib

import pytest
from tests.chance.cases import Cases

from katcp_aio import DeviceServer
from katcp_aio.testing import FakeDevice, FakeSensor, FaultProxy, Peer, Recorder, memory_pair, serve

__all__ = []

CASES = Cases()


def later(seconds, function, *arguments):
    asyncio.get_running_loop().call_later(seconds, function, *arguments)


@contextlib.asynccontextmanager
async def device(clock):
    async with FakeDevice() as fake:
        peer = Peer()
        memory_pair(peer, fake.make_protocol())
        await clock.advance(1)
        while peer.unread:  # the greeting
            await peer.line()
        yield fake, peer
        await peer.close()


@contextlib.asynccontextmanager
async def on_tcp(address):
    try:
        peer = await Peer.connect(*address)
        try:
            yield peer
        finally:
            peer.transport.abort()
    finally:
        for _ in range(5):  # asyncio loses a connection that it is about to accept when the port is closed
            await asyncio.sleep(0)


async def answers(peer):
    assert (await peer.ask("?watchdog[7]"))[-1].ok


@CASES.add
async def a_fake_device(clock):
    async def work():
        async with FakeDevice() as fake:
            later(1, lambda: memory_pair(Peer(), fake.make_protocol()))
            await fake.connected()
            made = await fake.connector()
            try:
                assert await made.read()
            finally:
                await made.close()

    yield work, work


@CASES.add_by_hand
async def a_fake_device_on_tcp(clock):
    async def work():
        async with FakeDevice() as fake, on_tcp(await fake.listen()) as peer:
            await peer.ask("?watchdog[1]", timeout=60)
            await peer.close()

    yield work, work


@CASES.add
async def a_request_for_a_fake_device(clock):
    async with device(clock) as (fake, peer):
        later(1, peer.send, "?news[1]")

        async def check():
            await fake.received("news")
            await answers(peer)

        yield lambda: fake.received("news"), check


@CASES.add
async def the_end_of_a_fake_device(clock):
    async with device(clock) as (fake, peer):
        fake.on("slow", delay=100)
        peer.send("?slow[1]")
        await fake.received("slow")

        async def check():
            await fake.close()
            assert fake.peers == []
            assert await peer.end() == []

        yield fake.close, check


@CASES.add
async def ask(clock):
    async with device(clock) as (fake, peer):
        fake.on("rows", informs=["a", "b"], delay=1)

        async def check():
            assert len(await peer.ask("?rows[2]")) == 3
            await answers(peer)

        yield lambda: peer.ask("?rows[1]"), check


@CASES.add
async def what_is_asserted(clock):
    async with device(clock) as (fake, peer):
        fake.sensors["rate"] = FakeSensor("float", 2.5)
        fake.on("slow", delay=1)
        fake.on("prime", reply=("fail", "dry"), delay=1)

        async def work():
            await peer.assert_ok("?slow[1]")
            await peer.assert_refused("?prime[2]", "dry")
            await peer.assert_sensor("rate", 2.5)

        yield work, work


@CASES.add
async def lines(clock):
    async with device(clock) as (fake, peer):
        heard = []
        for number in range(1, 4):
            later(number, fake.send, f"#n {number}")

        async def work():
            while len(heard) < 3:
                heard.append(await peer.line())

        async def check():
            await work()
            assert heard == [b"#n 1", b"#n 2", b"#n 3"]  # none was lost with who waited for it

        yield work, check


@CASES.add
async def a_message_that_is_expected(clock):
    async with device(clock) as (fake, peer):
        later(1, fake.send, "#before 1")
        later(2, fake.send, "#wanted 2", "#after 3")

        async def work():
            await peer.message("wanted")
            await peer.expect("#after 3")

        yield work, lambda: answers(peer)


@CASES.add
async def the_end_of_a_connection(clock):
    async with device(clock) as (fake, peer):
        later(1, fake.end)

        async def check():
            assert await peer.end() == []
            await peer.close()
            assert peer.lost

        yield peer.end, check


@CASES.add
async def close(clock):
    async with device(clock) as (fake, peer):

        async def check():
            await peer.close()
            assert peer.lost
            await clock.advance(1)
            assert fake.peers == []

        yield peer.close, check


@CASES.add
async def drain(clock):
    async with device(clock) as (fake, peer):
        fake.pause()
        peer.transport.set_write_buffer_limits(high=1000)
        peer.send_raw(b"#x " + b"y" * 1_000_000 + b"\n")
        later(1, fake.resume)

        async def check():
            await peer.drain()
            await answers(peer)

        yield peer.drain, check


@CASES.add
async def what_a_recorder_waits_for(clock):
    recorder = Recorder()
    for number in range(3):
        later(number, recorder, number)

    async def check():
        assert await recorder.wait(3) == [0, 1, 2]

    yield lambda: recorder.wait(3), check


@CASES.add
async def a_bad_network(clock):
    async with FakeDevice() as fake:

        async def work():
            async with FaultProxy(fake) as proxy:
                made = await proxy.connector()
                try:
                    assert await made.read()
                    proxy.stall()
                finally:
                    await made.close()

        async def check():
            await work()
            assert fake.peers == []

        yield work, check


@CASES.add_by_hand
async def a_bad_network_on_tcp(clock):
    async with FakeDevice() as fake:

        async def work():
            async with FaultProxy(fake) as proxy, on_tcp(await proxy.listen()) as peer:
                await peer.line(timeout=60)

        yield work, work


class Device(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"


@CASES.add
async def a_served_device(clock):
    server = Device(clock=clock)

    async def work():
        async with serve(server) as served:
            await answers(served.peer())

    async def check():
        await work()
        assert not server.running

    yield work, check


@CASES.add
async def the_clients_of_a_served_device(clock):
    async with serve(Device(clock=clock)) as served:
        for _ in range(3):
            await answers(served.peer())
        connected = await served.connector()

        async def work():
            await served.close_peers()
            await (await served.connector()).close()

        async def check():
            await served.close_peers()
            await connected.close()
            await clock.advance(1)
            assert served.server.clients == ()

        yield work, check


@CASES.add_by_hand
async def time(clock):
    ticks = []

    async def tick():
        for _ in range(5):
            await asyncio.sleep(1)
            ticks.append(clock.time())

    ticking = asyncio.create_task(tick())

    async def check():
        began = clock.monotonic()
        await clock.advance(10)
        assert clock.monotonic() == began + 10
        await clock.settle()
        await ticking
        assert len(ticks) == 5

    async def work():
        await clock.settle()
        await clock.advance(3)

    yield work, check


@pytest.mark.parametrize("name", CASES)
def test_whatever_waits_may_be_cancelled_where_it_waits(name, cancel_everywhere):
    cancel_everywhere(CASES[name], auto=name not in CASES.by_hand)
