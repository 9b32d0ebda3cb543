"""A device served in memory answers as over a network, and is stopped when the test is done with it."""

import asyncio

from katcp_aio import DeviceServer, RequestContext
from katcp_aio.connection import Connection
from katcp_aio.testing import ManualClock, connect_in_memory, serve
from katcp_aio.wire.message import Message


class Pump(DeviceServer):
    VERSION = "pump-1.0"
    BUILD_STATE = "pump-1.0.0"
    stopped = False

    async def on_stop(self):
        self.stopped = True

    async def request_set_rate(self, ctx: RequestContext, rate: float) -> float:
        """Set the rate."""
        return rate

    async def request_prime(self, ctx: RequestContext) -> None:
        """Take a minute, whatever happens."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)


async def test_raw_clients(manual_clock):
    async with serve(Pump(clock=manual_clock)) as served:
        peer = served.peer()
        await peer.expect("#version-connect katcp-protocol 5.1-MITB")
        assert await peer.ask("?set-rate[1] 2.5") == [Message.reply("set-rate", "ok", 2.5, mid=1)]
        slow = served.peer(chunk=1)
        assert (await slow.ask("?set-rate[1] 3"))[-1].ok
        assert served.server.address is None
        assert len(served.server.clients) == 2
    assert served.server.stopped
    assert peer.lost
    assert slow.lost


async def test_a_peer_that_went_by_itself():
    async with serve(Pump()) as served:
        await served.peer().close()


async def test_clients_over_the_library_s_connection():
    async with serve(Pump()) as served:
        connection = await served.connector()
        assert isinstance(connection, Connection)
        assert Message.inform("version-connect", "katcp-device", "pump-1.0", "pump-1.0.0") in await connection.read()
        await connection.close()


async def test_the_device_is_stopped_when_the_test_fails():
    served = serve(Pump())
    device = (await served.__aenter__()).server
    assert not await served.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert device.stopped


async def test_stopping_takes_the_time_that_it_needs(manual_clock):
    """A test may end in the middle of a request: nobody is left to advance the clock."""
    async with serve(Pump(clock=manual_clock)) as served:
        peer = served.peer()
        peer.send("?prime[1]")
        await manual_clock.advance(1)
    assert served.server.stopped
    assert manual_clock.monotonic() > 1
    assert not manual_clock.auto


async def test_a_device_by_another_clock_than_the_test_s_is_told_of(manual_clock, caplog):
    """What it samples by time would never be reported, and nothing would say why."""
    for options in ({}, {"clock": ManualClock()}):
        async with serve(Pump(**options)) as served:
            assert (await served.peer().ask("?watchdog"))[-1].ok
        assert "goes by another clock than this test" in caplog.text
        caplog.clear()

    class Wrong:
        """Has a wall time of its own; the time of the loop is the test's."""

        monotonic = manual_clock.monotonic

        def time(self):
            return 0.0

    async with serve(Pump(clock=Wrong())), serve(Pump(clock=manual_clock)):
        assert caplog.text == ""


def test_connecting_to_a_device_that_drops_its_client(manual_clock):
    class Dropping:
        def make_protocol(self):
            return Rude()

    class Rude:
        def connection_made(self, transport):
            transport.abort()

        def connection_lost(self, error):
            pass

    async def scenario():
        connection = connect_in_memory(Dropping())
        assert await connection.read() == []
        assert connection.lost

    manual_clock.run(scenario())
