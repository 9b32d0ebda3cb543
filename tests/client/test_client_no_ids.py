"""Devices without message ids: one request at a time, and a late reply never passes for the answer to the next.

Both older libraries return it for that; on register reads this corrupts data without a sound.
"""

import asyncio

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.errors import ConnectionLost, RequestTimeout
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice

__all__ = []

LATE = Limits().late_timeout


@pytest.fixture(params=["5.0-M", "4.0"])
async def device(request):
    async with FakeDevice(request.param) as device:
        yield device


@pytest.fixture
async def client(device, manual_clock):
    backoff = Backoff(initial=1, randomness=0)
    async with Client("board", 7147, connector=device.connector, reconnect=backoff, clock=manual_clock) as client:
        yield client


async def test_one_request_at_a_time_each_with_its_own_reply(client, device, manual_clock):
    async def echo(peer, request):
        await asyncio.sleep(1)
        return request.arguments[0]

    device.on("echo", echo)
    asked = [asyncio.create_task(client.request("echo", number, returns=(int,))) for number in range(3)]
    await manual_clock.advance(0.5)
    assert len(device.requests) == 1
    await manual_clock.advance(2.5)
    assert [await task for task in asked] == [(0,), (1,), (2,)]
    assert all(request.mid is None for request in device.requests)


async def test_informs_of_its_name_are_part_of_the_reply(client, device):
    device.on("count", raw=b"#count 0\n#log info 1 x y\n#count 1\n!count ok 2\n")
    logs = []
    client.on_inform("log", logs.append)
    reply = await client.request("count")
    assert [inform.arguments for inform in reply.informs] == [(b"0",), (b"1",)]
    assert len(logs) == 1


@pytest.mark.parametrize("at_once", [False, True], ids=["asked behind it", "asked at once"])
async def test_a_reply_that_comes_twice_is_not_the_answer_to_the_next(client, device, at_once):
    """Not even where one piece brings both: the next request was not sent yet when that came."""
    device.on("get", lambda peer, request: request.arguments[0])
    device.on("get", reply=("ok", "a"), copies=2, times=1)

    async def ask(*which):
        return [await client.request("get", one, returns=(str,)) for one in which]

    asked = [ask("a"), ask("b")] if at_once else [ask("a", "b")]
    assert [one for answers in await asyncio.gather(*asked) for one in answers] == [("a",), ("b",)]
    assert client.trouble.counts == {"unknown reply": 1}


async def test_what_comes_behind_an_inform_is_not_the_answer_to_what_its_callback_asks(client, device):
    """It asks at once with tasks that begin at once, which Python has from 3.12 on."""
    device.on("get", reply=None)
    asked = []

    def ask(_inform):
        asked.append(client.request("get"))
        asked[0].send(None)

    client.on_inform("go", ask)
    device.send("#go", "!get ok old")
    await device.received("get")
    assert client.trouble.counts == {"unknown reply": 1}
    device.send("!get ok new")
    await client.request("watchdog")
    with pytest.raises(StopIteration) as caught:
        asked[0].send(None)
    assert caught.value.value.arguments == [b"new"]


async def test_a_late_reply_is_not_the_answer_to_the_next(client, device, manual_clock):
    device.on("get", lambda peer, request: request.arguments[0])
    device.on("get", reply=("ok", "a"), informs=["of a"], delay=2, times=1)
    first = asyncio.create_task(client.request("get", "a", timeout=1))
    await manual_clock.advance(1)
    with pytest.raises(RequestTimeout):
        await first
    second = asyncio.create_task(client.request("get", "b"))
    await manual_clock.advance(0.5)
    assert len(device.requests) == 1  # held back until the first has its answer
    await manual_clock.advance(0.5)
    reply = await second
    assert reply.arguments == [b"b"]
    assert reply.informs == []
    assert client.trouble.counts == {"late reply": 1}


async def test_the_same_after_a_request_was_cancelled(client, device, manual_clock):
    device.on("get", lambda peer, request: request.arguments[0])
    device.on("get", reply=("ok", "a"), delay=2, times=1)
    first = asyncio.create_task(client.request("get", "a"))
    await device.received("get")
    first.cancel()
    second = asyncio.create_task(client.request("get", "b"))
    await manual_clock.advance(2)
    assert (await second).arguments == [b"b"]
    assert first.cancelled()


async def test_a_request_that_was_never_sent_leaves_nothing_behind(client, device, manual_clock):
    device.on("slow", delay=2)
    slow = asyncio.create_task(client.request("slow"))
    queued = asyncio.create_task(client.request("get", "a", timeout=1))
    cancelled = asyncio.create_task(client.request("get", "b"))
    await manual_clock.advance(0.5)
    cancelled.cancel()
    await manual_clock.advance(1.5)
    with pytest.raises(RequestTimeout, match=r"\?get: not sent within 1 s") as caught:  # for it is connected
        await queued
    assert not caught.value.sent
    assert (await slow).ok
    assert [request.name for request in device.requests] == ["slow"]


async def test_an_answer_that_never_comes_costs_the_connection_and_not_the_queue(client, device, manual_clock):
    device.on("check-pause", reply=None)
    with pytest.raises(RequestTimeout):
        await asyncio.gather(client.request("check-pause", timeout=1), manual_clock.advance(1))
    asked = asyncio.create_task(client.request("watchdog", timeout=60))
    await manual_clock.advance(LATE - 0.5)
    assert client.connected
    assert len(device.requests) == 1
    await manual_clock.advance(0.5)
    assert not client.connected
    assert str(client.last_error) == f"board:7147: no reply to an earlier request within {LATE:g} s"
    await manual_clock.advance(1)  # the backoff
    assert (await asked).ok
    assert [request.name for request in device.requests] == ["check-pause", "watchdog"]


async def test_nothing_is_done_about_a_missing_answer_while_nobody_waits(client, device, manual_clock):
    device.on("check-pause", reply=None)
    with pytest.raises(RequestTimeout):
        await asyncio.gather(client.request("check-pause", timeout=1), manual_clock.advance(1))
    await manual_clock.advance(100)
    assert client.connected


async def test_a_lost_connection_fails_what_was_sent_and_keeps_what_was_not(client, device, manual_clock):
    device.on("bye", reply=None, then="reset")
    sent = asyncio.create_task(client.request("bye", timeout=60))
    kept = asyncio.create_task(client.request("watchdog", timeout=60))
    await manual_clock.settle()
    with pytest.raises(ConnectionLost, match="may have been carried out") as caught:
        await sent
    assert caught.value.sent
    await manual_clock.advance(1)
    assert (await kept).ok


async def test_a_malformed_reply_lets_the_next_one_go(client, device):
    device.on("x", raw=b"!x ok \\q\n")
    asked = await asyncio.gather(client.request("x"), client.request("watchdog"), return_exceptions=True)
    assert "bad escape" in str(asked[0])
    assert asked[1].ok
