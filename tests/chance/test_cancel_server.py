"""What waits on a server or a connection, cancelled wherever it waits: nothing is lost, and all works afterwards."""

import asyncio
import contextlib

import pytest
from tests.chance.cases import Cases

from katcp_aio import DeviceServer, Limits, RequestContext, Sensor, SensorSet, TimeSync
from katcp_aio.connection import connect
from katcp_aio.testing import Peer, connect_in_memory, memory_pair, serve

__all__ = []

LIMITS = Limits(write_high=200, write_low=50)
CASES = Cases()


class Device(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, clock=None):
        super().__init__(clock=clock, limits=LIMITS)
        self.pause = 0 if clock is None else 0.1  # nobody moves the time where there are sockets
        self.sending = []  # tasks
        self.sends = asyncio.Event()
        self.rate = self.sensors.add(Sensor(int, "rate"))
        self.add_service_task(self.serve_beside)

    async def serve_beside(self):
        await asyncio.Event().wait()

    async def on_start(self):
        await asyncio.sleep(self.pause)

    async def on_stop(self):
        await asyncio.sleep(self.pause)

    async def on_client_connect(self, client):
        await asyncio.sleep(self.pause)

    async def on_client_disconnect(self, client):
        await asyncio.sleep(self.pause)

    async def request_slow(self, ctx: RequestContext):
        """Take a while."""
        await asyncio.sleep(1)

    async def request_rows(self, ctx: RequestContext, count: int):
        """Send many informs."""
        self.sending.append(asyncio.current_task())
        self.sends.set()
        return await ctx.informs((number, "x" * 50) for number in range(count))


async def works(server):
    """Whether a new client is served."""
    peer = Peer()
    memory_pair(peer, server.make_protocol())
    reply = (await peer.ask("?watchdog[1]"))[-1]
    assert reply.ok
    await peer.close()


@CASES.add_by_hand
async def start_listening(clock):
    server = Device()

    async def start():
        await server.start()
        await server.stop()

    async def check():
        await server.stop()
        await server.start()
        async with asyncio.timeout(5):
            peer = await Peer.connect(server.address.host.compressed, server.address.port)
            await peer.close()

    yield start, check
    await server.stop()


@CASES.add
async def start(clock):
    server = Device(clock)

    async def check():
        if not server.running:
            await server.start(listen=False)
        await works(server)

    yield lambda: server.start(listen=False), check
    await server.stop()


@CASES.add
async def stop(clock):
    async with serve(Device(clock)) as served:
        deaf, busy = served.peer(), served.peer()
        await clock.advance(0.2)
        deaf.pause()
        deaf.send("?rows[1] 100")
        busy.send("?slow[1]", "?slow[2]", "?slow")
        await clock.advance(0)

        async def check():
            await served.server.stop()
            assert busy.received.assert_reply("slow", "ok")
            assert busy.eof
            assert served.server.clients == ()
            await served.server.start(listen=False)
            await works(served.server)

        yield served.server.stop, check


@CASES.add
async def serve_forever(clock):
    async with serve(Device(clock)) as served:
        server = served.server
        asyncio.get_running_loop().call_later(1, server.begin_stop)

        async def check():
            if server.running:
                await works(server)
            await server.serve_forever()

        yield server.serve_forever, check


@CASES.add_by_hand
async def a_block(clock):
    server = Device()

    async def work():
        async with server:
            await asyncio.sleep(0)

    async def check():
        await server.stop()
        async with server:
            assert server.address is not None

    yield work, check


@CASES.add
async def readings_of_a_sensor(clock):
    sensor = Sensor(int, "rate")
    stream = sensor.readings()
    for number in range(1, 4):
        asyncio.get_running_loop().call_later(number, setattr, sensor, "value", number)
    seen = []

    async def read():
        while len(seen) < 3:
            seen.append((await anext(stream)).value)

    async def check():
        await read()  # what the cancelled reader did not get waits
        assert seen == [1, 2, 3]
        stream.close()

    yield read, check


@contextlib.asynccontextmanager
async def connection(clock):
    async with serve(Device(clock)) as served:
        made = connect_in_memory(served.server, limits=LIMITS)
        await clock.advance(1)
        yield served, made
        await made.close()


@CASES.add
async def read(clock):
    async with connection(clock) as (_, made):
        replies = []
        for mid in range(1, 4):
            asyncio.get_running_loop().call_later(mid, made.write, b"?watchdog[%d]\n" % mid)

        async def work():
            while len(replies) < 3:
                replies.extend(message.mid for message in await made.read() if message.name == "watchdog")

        async def check():
            await work()
            assert replies == [1, 2, 3]

        yield work, check


@CASES.add
async def listen(clock):
    async with connection(clock) as (_, made):
        replies = []
        for mid in range(1, 5):
            asyncio.get_running_loop().call_later(mid, made.write, b"?watchdog[%d]\n" % mid)

        def hear(messages):
            replies.extend(message.mid for message in messages if message.name == "watchdog")
            return len(replies) in (2, 4)

        async def work():
            while len(replies) < 4:
                assert await made.listen(hear)

        async def check():
            await work()
            assert replies == [1, 2, 3, 4]

        yield work, check


@CASES.add
async def drain(clock):
    async with connection(clock) as (served, made):
        client = served.server.clients[0].connection

        async def read_later():
            await asyncio.sleep(1)
            while await made.read():
                pass

        for _ in range(5000):
            client.write(b"#x %b\n" % (b"y" * 100))
        client.flush()
        assert client.paused
        reader = asyncio.create_task(read_later())

        async def check():
            await client.drain()
            assert not client.paused

        yield client.drain, check
        reader.cancel()
        await asyncio.wait([reader])


@CASES.add
async def close(clock):
    async with connection(clock) as (served, made):
        made.write(b"?slow[1]\n")

        async def check():
            await clock.advance(2)
            assert made.lost
            await made.close()
            assert served.server.clients == ()

        yield made.close, check


@CASES.add
async def wait_lost(clock):
    async with connection(clock) as (_, made):
        asyncio.get_running_loop().call_later(1, made.abort)
        other = asyncio.create_task(made.wait_lost())

        async def check():
            await made.wait_lost()
            await other

        yield made.wait_lost, check


@CASES.add_by_hand
async def connect_over_tcp(clock):
    server = Device()
    async with server:
        host, port = server.address.host.compressed, server.address.port

        async def work():
            made = await connect(host, port)
            made.abort()
            await made.wait_lost()

        yield work, work


@CASES.add
async def the_state_of_the_clock(clock):
    sensors = SensorSet(clock=clock)
    sync = TimeSync(sensors, read=lambda: None)

    async def work():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(25):
                await sync.run(10)

    yield work, work


@pytest.mark.parametrize("name", CASES)
def test_whatever_waits_may_be_cancelled_where_it_waits(name, cancel_everywhere):
    cancel_everywhere(CASES[name], auto=name not in CASES.by_hand)


@pytest.mark.parametrize("turns", range(0, 48, 3))
async def test_a_handler_that_sends_many_informs_may_be_cancelled(turns, manual_clock):
    manual_clock.auto = True
    async with serve(Device(manual_clock)) as served:
        peer = served.peer(chunk=100)
        await manual_clock.advance(1)
        peer.send("?rows[1] 40", "?rows[2] 3", "?watchdog[3]")
        await served.server.sends.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        served.server.sending[0].cancel()
        await manual_clock.advance(1)
        replies = {item.mid: item.arguments for item in peer.received.replies()}
        assert replies.keys() == {1, 2, 3}
        assert len(peer.received.replies()) == 3
        sent = [item for item in peer.received.informs("rows") if item.mid == 1]
        assert replies[1] in ((b"ok", b"40"), (b"fail", b"request cancelled"))
        assert len(sent) == 40 or replies[1][0] == b"fail"
        assert replies[2] == (b"ok", b"3")
        await works(served.server)
