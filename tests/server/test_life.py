import asyncio

import pytest

from katcp_aio.server.life import Interruptible, await_hook


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


async def test_calling_off_again_while_it_cleans_up_changes_nothing():
    stretch = Interruptible()
    gate = asyncio.Event()

    async def work():
        async with stretch:
            try:
                await asyncio.Event().wait()
            finally:
                await gate.wait()
        return "went on"

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    stretch.call_off()
    for _ in range(3):
        await asyncio.sleep(0)
    stretch.call_off()
    assert not task.done()
    gate.set()
    assert await task == "went on"


async def test_a_hook_that_is_cancelled_from_outside_is_just_that():
    task = asyncio.ensure_future(await_hook("on_stop", asyncio.sleep(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


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
