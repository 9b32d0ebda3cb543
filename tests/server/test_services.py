import asyncio

import pytest

from katcp_aio import UsageError
from katcp_aio.testing import serve as serve_in_memory


class Ticker:
    def __init__(self):
        self.ticks = 0
        self.ended = None

    async def tick(self):
        try:
            while True:
                await asyncio.sleep(1)
                self.ticks += 1
        finally:
            self.ended = self.ticks


async def test_a_service_runs_with_the_server(manual_clock, device_class):
    ticker = Ticker()
    device = device_class(clock=manual_clock)
    device.add_service_task(ticker.tick(), name="ticker")
    async with serve_in_memory(device):
        await manual_clock.advance(3.5)
        assert any(task.get_name() == "ticker" for task in asyncio.all_tasks())
    assert ticker.ended == 3


async def test_a_service_added_while_the_server_runs_starts_at_once(manual_clock, device_class):
    ticker = Ticker()
    device = device_class(clock=manual_clock)
    async with serve_in_memory(device):
        device.add_service_task(ticker.tick())
        await manual_clock.advance(2.5)
    assert ticker.ended == 2


async def test_a_service_given_as_a_function_starts_with_each_start(manual_clock, device_class):
    ticker = Ticker()
    device = device_class(clock=manual_clock)
    device.add_service_task(ticker.tick)
    for expected in (2, 4):
        async with serve_in_memory(device):
            await manual_clock.advance(2.5)
        assert ticker.ended == expected


async def test_a_service_that_fails_stops_the_server_and_surfaces(device_class, caplog):
    async def fail():
        raise RuntimeError("the hardware is gone")

    device = device_class()
    device.add_service_task(fail())
    await device.start(listen=False)
    with pytest.raises(RuntimeError, match="the hardware is gone"):
        await device.serve_forever()
    assert not device.running
    assert "a service task failed" in caplog.text
    await device.stop()  # it is raised once


@pytest.mark.usefixtures("broken_log")
async def test_a_log_that_raises_does_not_keep_the_server_from_stopping(device_class):
    async def fail():
        raise RuntimeError("the hardware is gone")

    device = device_class()
    device.add_service_task(fail())
    device.add_service_task(fail())
    await device.start(listen=False)
    with pytest.raises(RuntimeError, match="the hardware is gone"):
        await device.serve_forever()
    assert not device.running


async def test_leaving_the_block_raises_it_too(device_class):
    async def fail():
        raise RuntimeError("the hardware is gone")

    device = device_class()
    device.add_service_task(fail())
    with pytest.raises(RuntimeError, match="the hardware is gone"):
        async with serve_in_memory(device):
            await asyncio.sleep(0)


async def test_a_service_may_end_or_be_cancelled_without_harm(device_class):
    async def nothing():
        pass

    async def cancelled():
        raise asyncio.CancelledError

    device = device_class()
    device.add_service_task(nothing())
    device.add_service_task(cancelled())
    async with serve_in_memory(device) as served:
        assert (await served.peer().ask("?watchdog"))[-1].ok
        assert device.running


async def test_a_service_that_ends_with_what_it_waited_for_is_told_in_the_log(device_class, caplog):
    inner = asyncio.get_running_loop().create_future()

    async def poll():
        await inner

    async def wait():
        await asyncio.Event().wait()

    device = device_class()
    device.add_service_task(poll(), name="poller")
    device.add_service_task(wait(), name="waiter")
    async with serve_in_memory(device) as served:
        inner.cancel()
        assert (await served.peer().ask("?watchdog"))[-1].ok
    assert [record.message for record in caplog.records] == [
        "service task poller ended, as what it waited for was cancelled"
    ]


async def test_a_service_may_be_waited_for(manual_clock, device_class):
    done = []

    async def finish():
        await asyncio.sleep(2)
        done.append("finished")

    async def for_ever():
        try:
            await asyncio.Event().wait()
        finally:
            done.append("cancelled")

    device = device_class(clock=manual_clock)
    device.add_service_task(finish(), wait_on_stop=True)
    device.add_service_task(for_ever(), wait_on_stop=True)
    await device.start(listen=False)
    await manual_clock.settle()
    stopping = asyncio.ensure_future(device.stop(timeout=3))
    await manual_clock.advance(2.5)
    assert done == ["finished"]
    await manual_clock.advance(1)
    assert done == ["finished", "cancelled"]
    await stopping


async def test_the_second_failure_is_logged(device_class, caplog):
    class Broken(device_class):
        async def on_stop(self):
            raise ValueError("and this as well")

    async def fail():
        raise RuntimeError("the hardware is gone")

    device = Broken()
    device.add_service_task(fail())
    await device.start(listen=False)
    with pytest.raises(RuntimeError, match="the hardware is gone"):
        await device.serve_forever()
    assert "and this as well" in caplog.text


async def test_what_is_no_service_is_told_at_once(device_class):
    async with device_class() as device:
        task = asyncio.ensure_future(asyncio.sleep(0))
        for work in (task, 5, None):
            with pytest.raises(UsageError, match="a service is a coroutine, or a function that returns one"):
                device.add_service_task(work)
        await task


async def test_a_service_that_cannot_begin_stops_the_server_rather_than_leave_it_half_started(device_class, caplog):
    def broken():
        raise RuntimeError("no such hardware")

    ended = []

    async def beside():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("beside")

    device = device_class()
    device.add_service_task(broken)
    device.add_service_task(beside)
    await device.start()
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="no such hardware"):
        await device.serve_forever()
    assert not device.running
    assert device.addresses == ()
    assert ended == ["beside"]
