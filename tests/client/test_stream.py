"""Informs as they come: one reader, held back by it, given up with it."""

import asyncio
import gc

import pytest

from katcp_aio.client.client import Client
from katcp_aio.errors import ConnectionLost, FailReply, MalformedMessage, ReplyTooLong, RequestTimeout, UsageError
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice

__all__ = []

MOST = 5


@pytest.fixture(params=["5.1-MI", "5.0-M"])
async def device(request):
    async with FakeDevice(request.param) as device:
        yield device


@pytest.fixture
async def client(device, manual_clock):
    limits = Limits(max_mailbox=MOST, max_informs=40)
    async with Client("fake", 7147, connector=device.connector, clock=manual_clock, limits=limits) as client:
        yield client


async def step_by_step(peer, request):
    mid = f"[{request.mid}]" if request.mid else ""
    for step in range(3):
        peer.send(f"#{request.name}{mid} {step}")
        await asyncio.sleep(1)


async def test_informs_come_before_the_reply(client, device, manual_clock):
    device.on("calibrate", step_by_step)
    seen = []
    stream = client.stream("calibrate", "fast")

    async def read():
        seen.extend([(inform.arguments[0], manual_clock.monotonic()) async for inform in stream])

    reading = asyncio.create_task(read())
    await manual_clock.advance(10)
    await reading
    assert [inform for inform, _ in seen] == [b"0", b"1", b"2"]
    assert [when - seen[0][1] for _, when in seen] == [0, 1, 2]
    assert stream.reply.ok
    assert stream.reply.informs == []
    device.requests.assert_request("calibrate", "fast")
    assert [inform async for inform in stream] == []


async def test_nothing_is_sent_before_the_reading_begins(client, device):
    async with client.stream("calibrate"):
        await client.request("watchdog")
    assert [request.name for request in device.requests] == ["watchdog"]


@pytest.mark.parametrize(
    ("raw", "error"),
    [(b"!x%b fail no\n", FailReply), (b"#x%b \\q\n!x%b ok\n", MalformedMessage)],
    ids=["refused", "malformed"],
)
async def test_what_goes_wrong_is_raised_where_it_is_read(client, device, raw, error):
    def answer(peer, request):
        mid = b"[%d]" % request.mid if request.mid else b""
        peer.send_raw(b"#x%b 1\n" % mid + raw.replace(b"%b", mid))
        device.on("x", reply=None)

    device.on("x", raw=b"", delay=0)
    device.on("x", answer)
    stream = client.stream("x")
    assert (await anext(stream)).arguments == (b"1",)
    with pytest.raises(error):
        await anext(stream)


async def test_the_timeout_is_for_all_of_it(client, device, manual_clock):
    device.on("calibrate", step_by_step)
    stream = client.stream("calibrate", timeout=1.5)
    assert (await anext(stream)).arguments == (b"0",)
    await manual_clock.advance(1)
    assert (await anext(stream)).arguments == (b"1",)
    reading = asyncio.create_task(anext(stream))
    await manual_clock.advance(0.499)
    assert not reading.done()
    await manual_clock.advance(0.001)
    with pytest.raises(RequestTimeout):
        await reading
    await manual_clock.advance(2)
    assert (await client.request("watchdog")).ok


async def test_a_lost_connection_ends_the_stream(client, device):
    device.on("x", raw=b"", then="close")
    with pytest.raises(ConnectionLost):
        await anext(client.stream("x"))


async def test_a_loop_that_is_left_gives_the_request_up(client, device, manual_clock):
    device.on("calibrate", step_by_step)
    async with client.stream("calibrate") as stream:
        reading = asyncio.create_task(anext(stream))
        await manual_clock.settle()
        await reading
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await stream.aclose()
    await manual_clock.advance(5)
    assert client.trouble.counts == {"late reply": 1}
    assert (await client.request("watchdog")).ok


async def test_a_stream_that_is_dropped_is_given_up_at_the_next_inform(client, device, manual_clock):
    device.on("calibrate", step_by_step)
    stream = client.stream("calibrate")
    reading = asyncio.create_task(anext(stream))
    await manual_clock.settle()
    await reading
    del stream, reading
    gc.collect()
    await manual_clock.advance(5)
    assert client.trouble.counts == {"late reply": 1}


async def test_reading_can_be_cancelled_and_goes_on(client, device, manual_clock):
    device.on("calibrate", step_by_step)
    stream = client.stream("calibrate")
    assert (await anext(stream)).arguments == (b"0",)
    reading = asyncio.create_task(anext(stream))
    await manual_clock.settle()
    reading.cancel()
    await asyncio.wait([reading])
    reading = asyncio.create_task(anext(stream))
    await manual_clock.advance(1)
    assert (await reading).arguments == (b"1",)
    await stream.aclose()


async def test_closing_a_stream_ends_the_loop_of_another_task(client, device, manual_clock):
    device.on("calibrate", step_by_step)
    stream = client.stream("calibrate", timeout=None)

    async def read():
        return [inform.arguments async for inform in stream]

    reading = asyncio.create_task(read())
    await manual_clock.advance(1.5)
    await stream.aclose()
    await manual_clock.advance(0)
    assert reading.done()
    assert reading.result() == [(b"0",), (b"1",)]
    assert stream.reply is None


async def test_a_stream_has_one_reader(client, device, manual_clock):
    device.on("calibrate", reply=None)
    async with client.stream("calibrate") as stream:
        first = asyncio.create_task(anext(stream))
        await manual_clock.settle()
        with pytest.raises(UsageError, match="one reader"):
            await anext(stream)
        first.cancel()


def flood(count):
    async def answer(peer, request):
        mid = b"[%d]" % request.mid if request.mid else b""
        for number in range(count):
            peer.send_raw(b"#flood%b %d %b\n" % (mid, number, b"x" * 100_000))
            await peer.drain(timeout=1000)

    return answer


async def test_a_slow_reader_holds_the_device_back(client, device, manual_clock):
    device.on("flood", flood(30))
    stream = client.stream("flood", timeout=None)
    await anext(stream)
    await manual_clock.settle()
    peer = await device.connected()
    assert peer.transport.get_write_buffer_size() > 0  # it wants to send, and nobody takes it
    seen = 1 + len([inform async for inform in stream])
    assert seen == 30


async def test_a_slow_reader_that_asks_for_something_else_gets_it(client, device, manual_clock):
    if not client.dialect.message_ids:
        pytest.skip("without ids, the other request waits for the stream's end anyhow")
    device.on("flood", flood(30))
    seen = 0
    async for _ in client.stream("flood", timeout=None):
        if seen == 0:
            await manual_clock.settle()  # the mailbox is full now, and the device not read
        assert (await client.request("watchdog", timeout=None)).ok
        seen += 1
    assert seen == 30


async def test_a_slow_reader_that_waits_for_the_reader_of_another_stream_gets_on(client, device, manual_clock):
    """The other begins to wait when the device is held back already."""
    if not client.dialect.message_ids:
        pytest.skip("one request at a time")
    device.on("slow", reply=None)
    device.on("other", reply=None)
    slow, other = client.stream("slow", timeout=None), client.stream("other", timeout=None)
    reading = [asyncio.create_task(anext(stream)) for stream in (slow, other)]
    await device.received("other")
    device.send("#slow[1] 0", "#other[2] 0")
    await asyncio.gather(*reading)
    device.send(*(f"#slow[1] {number}" for number in range(MOST + 1)))
    await manual_clock.settle()
    device.send("#other[2] 1")
    await manual_clock.settle()
    reading = asyncio.create_task(anext(other))
    await manual_clock.settle()
    assert reading.done()
    assert (await reading).arguments == (b"1",)
    await slow.aclose()
    await other.aclose()


@pytest.mark.parametrize("how", ["dropped", "closed", "timed out"])
async def test_a_reader_that_is_gone_holds_nobody_back(client, device, manual_clock, how):
    device.on("flood", flood(30))
    stream = client.stream("flood", timeout=100)
    await anext(stream)
    await manual_clock.settle()
    if how == "closed":
        await stream.aclose()
    elif how == "dropped":
        del stream
        gc.collect()
    else:
        await manual_clock.advance(100)
    await manual_clock.settle()
    assert (await client.request("watchdog")).ok
    assert client.trouble.counts == {"late reply": 1}


async def test_a_flood_that_others_wait_behind_is_bounded(client, device, manual_clock):
    """While another request waits the device is read on, but no further than the bound on informs."""
    if not client.dialect.message_ids:
        pytest.skip("one request at a time")
    device.on("flood", flood(100))
    device.on("slow", delay=5)
    stream = client.stream("flood", timeout=None)
    await anext(stream)
    other = asyncio.create_task(client.request("slow", timeout=100))
    await manual_clock.advance(5)
    assert (await other).ok
    with pytest.raises(ReplyTooLong):
        [inform async for inform in stream]


async def test_a_reader_that_catches_up_at_once_holds_nobody_back(client, device):
    """It falls behind in one batch, and has taken all of it before the client gets to wait for it."""
    device.on("feed", reply=None)
    stream = client.stream("feed")

    async def catch_up():
        for _ in range(MOST + 2):
            await anext(stream)

    beginning = asyncio.create_task(anext(stream))
    mid = (await device.received("feed")).mid
    head = f"#feed[{mid}]" if mid else "#feed"
    device.send(f"{head} first")
    assert (await beginning).arguments == (b"first",)
    readers = []
    client.on_inform("now", lambda _: readers.append(asyncio.create_task(catch_up())))
    device.send(*[f"{head} {number}" for number in range(MOST + 2)], "#now")
    while not readers:  # noqa: ASYNC110 - a matter of a few turns of the loop
        await asyncio.sleep(0)
    await readers[0]
    device.send(f"{head} next")
    assert (await anext(stream)).arguments == (b"next",)
    await stream.aclose()
