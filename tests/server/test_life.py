import asyncio

import pytest

from katcp_aio.server.life import Interruptible


async def test_what_is_called_off_ends_and_its_task_goes_on():
    stretch = Interruptible()
    ended = []

    async def work():
        async with stretch:
            assert stretch.active
            await asyncio.Event().wait()
        ended.append(stretch.called_off)
        await asyncio.sleep(0)
        return "went on"

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    stretch.call_off()
    assert await task == "went on"
    assert ended == [True]
    assert not task.cancelling()
    assert not stretch.active


async def test_calling_off_at_the_end_counts_too():
    stretch = Interruptible()
    async with stretch:
        stretch.call_off()
    assert stretch.called_off
    await asyncio.sleep(0)  # and cancels nothing behind it
    async with stretch:
        await asyncio.sleep(0)
    assert not stretch.called_off
    stretch.call_off()  # nothing is under way
    assert not stretch.called_off


async def test_what_the_work_raises_is_passed_on():
    stretch = Interruptible()
    with pytest.raises(TimeoutError, match="its own"):
        async with stretch:
            raise TimeoutError("its own")


async def test_cancelling_the_task_cancels_it():
    stretch = Interruptible()

    async def work():
        async with stretch:
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
