"""What waits on a client, cancelled wherever it waits: nothing is lost or left behind, and the next request works."""

import asyncio
import functools

import pytest
from tests.chance.cases import Cases
from tests.chance.stage import PROTOCOLS, on_stage, works

from katcp_aio import Client, Limits, NotConnected, Retry
from katcp_aio.client.states import State

__all__ = []

CASES = Cases(on_stage)


@CASES.add
async def start_and_wait(stage):
    client = Client(**stage.options)

    async def work():
        await client.start()
        await client.wait_connected()

    async def check():
        if client.state is State.IDLE:
            await client.start()
        await client.wait_connected()
        await works(client)

    yield work, check
    await client.close()


@CASES.add
async def a_block(stage):
    async def work():
        async with Client(**stage.options) as client:
            await client.request("watchdog")

    async def check():
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@CASES.add
async def connect(stage):
    async def work():
        await (await Client.connect(**stage.options)).close()

    async def check():
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield work, check


@CASES.add
async def request_alone(stage):
    async with Client(**stage.options) as client:
        yield lambda: client.request("echo", "x"), lambda: works(client)


@CASES.add
async def request_that_waits_for_others(stage):
    async with Client(**stage.options) as client:
        before = [asyncio.create_task(client.request("echo", word, returns=(str,))) for word in "ab"]
        await asyncio.sleep(0)

        async def check():
            assert await asyncio.gather(*before) == [("a",), ("b",)]
            await works(client)

        yield lambda: client.request("echo", "x"), check


@CASES.add
async def request_while_away(stage):
    async with Client(**stage.options) as client:
        stage.server.clients[0].disconnect("for a while")
        await client.wait_disconnected()

        async def check():
            await client.wait_connected()
            await works(client)

        yield lambda: client.request("echo", "x"), check


@CASES.add
async def request_that_takes_ages(stage):
    async with Client(**stage.options | {"limits": Limits(late_timeout=1, max_pending=3)}) as client:

        async def work():
            await client.request("ages", timeout=None)

        async def check():
            await asyncio.sleep(3)
            await client.wait_connected()  # without ids, all hope was in a new connection
            await works(client)  # takes as many slots as there are

        yield work, check


@CASES.add
async def stream(stage):
    async with Client(**stage.options) as client:

        async def work():
            reading = client.stream("rows", 3)
            assert [inform.arguments async for inform in reading] == [(b"0",), (b"1",), (b"2",)]
            assert reading.reply.arguments == [b"3"]

        yield work, lambda: works(client)


@CASES.add
async def stream_in_a_block(stage):
    async with Client(**stage.options) as client:

        async def work():
            async with client.stream("rows", 3) as reading:
                await anext(reading)

        yield work, lambda: works(client)


@CASES.add
async def wait_for_inform(stage):
    async with Client(**stage.options) as client:
        stage.later(1, stage.server.inform_all, "news", "a")
        stage.later(3, stage.server.inform_all, "news", "b")

        async def check():
            stage.later(10, stage.server.inform_all, "news", "c")
            await client.wait_for_inform("news", lambda inform: inform.arguments == (b"c",), timeout=20)
            await works(client)

        yield lambda: client.wait_for_inform("news", lambda inform: inform.arguments == (b"b",)), check


@CASES.add
async def wait_disconnected(stage):
    async with Client(**stage.options) as client:
        stage.later(1, lambda: stage.server.clients[0].disconnect("for a while"))

        async def check():
            await asyncio.sleep(2)
            await client.wait_connected()
            await works(client)

        yield client.wait_disconnected, check


@CASES.add
async def close(stage):
    client = await Client(**stage.options).__aenter__()
    waiting = asyncio.create_task(client.request("echo", "x", timeout=None))
    await asyncio.sleep(0)

    async def check():
        await client.close()
        await asyncio.wait([waiting])
        assert waiting.exception() is not None
        assert client.state is State.CLOSED
        await asyncio.sleep(2)
        assert stage.server.clients == ()

    yield client.close, check


@CASES.add
async def stream_that_is_closed(stage):
    async with Client(**stage.options) as client:

        async def work():
            reading = client.stream("rows", 3)
            await anext(reading)
            await reading.aclose()

        yield work, lambda: works(client)


@CASES.add
async def informs_that_are_collected(stage):
    async with Client(**stage.options) as client:
        stage.later(1, stage.server.inform_all, "news", "a")

        async def work():
            async with client.informs("news") as news:
                await anext(news)
                await news.aclose()

        yield work, lambda: works(client)


@CASES.add
async def retry(stage):
    calls = []

    async def call():
        calls.append(None)
        await asyncio.sleep(0.1)
        if len(calls) < 3:
            raise NotConnected("away", device="m0")

    async def check():
        made = len(calls)
        await asyncio.sleep(100)
        assert len(calls) == made  # who gave up asks no more

    yield lambda: Retry(attempts=5).run(call), check


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CASES)
def test_whatever_waits_may_be_cancelled_where_it_waits(name, protocol, cancel_everywhere):
    cancel_everywhere(functools.partial(CASES[name], protocol=protocol))
