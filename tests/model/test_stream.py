import asyncio
from contextlib import aclosing

import pytest

from katcp_aio.errors import UsageError
from katcp_aio.model import Stream


async def test_items_come_in_order_and_then_the_end():
    stream = Stream()
    for item in "abc":
        stream.push(item)
    stream.close()
    stream.push("late")
    assert len(stream) == 3
    assert [item async for item in stream] == ["a", "b", "c"]
    assert stream.closed


def test_a_stream_is_true_also_when_it_is_empty():
    assert Stream()
    assert len(Stream()) == 0


def test_the_oldest_are_dropped_and_counted():
    stream = Stream(2)
    for item in range(5):
        stream.push(item)
    assert (len(stream), stream.dropped) == (2, 3)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_stream_holds_something(limit):
    with pytest.raises(ValueError, match="a stream of at most"):
        Stream(limit)


async def test_closing_wakes_the_reader_and_tells_once():
    told = []
    stream = Stream(5, lambda: told.append("closed"))
    reader = asyncio.create_task(anext(stream, "end"))
    await asyncio.sleep(0)
    stream.close()
    stream.close()
    assert await reader == "end"
    assert told == ["closed"]


async def test_closing_by_contextlib():
    async with aclosing(Stream()) as stream:
        assert not stream.closed
    assert stream.closed


async def test_a_cancelled_reader_loses_nothing():
    stream = Stream()
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    stream.push("a")  # the reader would get it in its next turn
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    stream.push("b")
    assert [await anext(stream), await anext(stream)] == ["a", "b"]


async def test_pushing_twice_before_the_reader_wakes():
    stream = Stream()
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    stream.push("a")
    stream.push("b")
    assert await reader == "a"
    assert len(stream) == 1


async def test_a_stream_has_one_reader():
    stream = Stream()
    reader = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="one reader"):
        await anext(stream)
    stream.push("a")
    assert await reader == "a"
