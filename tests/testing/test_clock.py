"""ManualClock and ManualLoop: time moves when the test says so, and never past a timer."""

import asyncio
import contextlib
import math
import os
import socket
import threading

import async_timeout
import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.testing import ManualClock, ManualLoop


def test_stands_still_without_a_loop_until_moved():
    clock = ManualClock(wall=100.0, monotonic=7.0)
    assert (clock.time(), clock.monotonic()) == (100.0, 7.0)
    clock.move(2.5)
    assert (clock.time(), clock.monotonic()) == (102.5, 9.5)


def test_wall_time_can_step_alone():
    clock = ManualClock(wall=100.0, monotonic=7.0)
    clock.shift_wall(-50)
    assert (clock.time(), clock.monotonic()) == (50.0, 7.0)
    assert repr(clock) == "<ManualClock monotonic=7 wall=50.000000>"
    assert "auto" in repr(ManualClock(auto=True))


def test_time_never_goes_back():
    clock = ManualClock()
    with pytest.raises(ValueError, match=r"back by 0.5 s"):
        clock.move(-0.5)
    with pytest.raises(ValueError, match=r"back by 1 s"):
        clock.run(clock.advance(-1))


def test_sleep_ends_when_its_time_is_reached_and_not_before():
    clock = ManualClock()

    async def scenario():
        task = asyncio.create_task(asyncio.sleep(10, "slept"))
        await clock.advance(9.999)
        assert not task.done()
        await clock.advance(0.001)
        assert task.done()
        return await task

    assert clock.run(scenario()) == "slept"
    assert clock.monotonic() == 10.0


def test_each_timer_fires_at_its_own_time_in_order():
    clock = ManualClock()
    fired = []

    async def scenario():
        loop = asyncio.get_running_loop()
        for delay in (3, 1, 2, 1):
            loop.call_later(delay, lambda delay=delay: fired.append((delay, clock.monotonic())))
        await clock.advance(5)

    clock.run(scenario())
    assert fired == [(1, 1.0), (1, 1.0), (2, 2.0), (3, 3.0)]


def test_of_timers_for_the_same_time_the_first_set_fires_first():
    """As where time goes on between setting the one and the other."""
    clock = ManualClock()
    order = []

    async def sleep(number):
        await asyncio.sleep(1)
        order.append(number)

    async def scenario():
        tasks = [asyncio.create_task(sleep(number)) for number in range(20)]
        await clock.advance(1)
        assert all(task.done() for task in tasks)
        handle = asyncio.get_running_loop().call_later(1, str)
        assert handle.when() == 2.0
        handle.cancel()

    clock.run(scenario())
    assert order == list(range(20))


def test_timers_set_on_the_way_fire_on_the_way():
    clock = ManualClock(wall=1000.0)
    seen = []

    async def ticker():
        while True:
            seen.append(clock.time())
            await asyncio.sleep(1)

    async def scenario():
        task = asyncio.create_task(ticker())
        await clock.advance(3.5)
        task.cancel()

    clock.run(scenario())
    assert seen == [1000.0, 1001.0, 1002.0, 1003.0]


def test_timeouts_obey():
    clock = ManualClock()

    async def late():
        async with async_timeout.timeout(5):
            await asyncio.Event().wait()

    async def scenario():
        task = asyncio.create_task(late())
        await clock.advance(4)
        assert not task.done()
        await clock.advance(1)
        with pytest.raises(TimeoutError):
            await task

    clock.run(scenario())


def test_settle_runs_everything_that_needs_no_time():
    clock = ManualClock()
    steps = []

    async def worker():
        for step in range(50):
            steps.append(step)
            await asyncio.sleep(0)
        await asyncio.sleep(1)
        steps.append("too far")

    async def scenario():
        task = asyncio.create_task(worker())
        await clock.settle()
        assert steps == list(range(50))
        task.cancel()

    clock.run(scenario())
    assert clock.monotonic() == 0.0


def test_settle_fires_timers_that_are_due_already():
    clock = ManualClock()
    fired = []

    async def scenario():
        asyncio.get_running_loop().call_later(2, lambda: fired.append(clock.monotonic()))
        clock.move(3)  # as a machine that was suspended
        assert not fired
        await clock.settle()

    clock.run(scenario())
    assert fired == [3.0]


def test_two_tasks_may_advance_at_the_same_time():
    clock = ManualClock()
    order = []

    async def reach(seconds):
        await clock.advance(seconds)
        order.append((seconds, clock.monotonic()))

    async def scenario():
        await asyncio.gather(reach(2), reach(1), reach(2))

    clock.run(scenario())
    assert order == [(1, 1.0), (2, 2.0), (2, 2.0)]


def test_a_cancelled_advance_stops_the_clock_where_it_is():
    clock = ManualClock()

    async def scenario():
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(clock.advance(100))
        loop.call_later(3, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        await clock.settle()
        assert clock.monotonic() == 3.0
        await clock.advance(200)  # on its own account

    clock.run(scenario())
    assert clock.monotonic() == 203.0


def test_rounding_does_not_make_a_timer_late():
    clock = ManualClock()

    async def scenario():
        task = asyncio.create_task(asyncio.sleep(1))
        for _ in range(10):
            await clock.advance(0.1)  # ten times 0.1 are a little less than 1 in floats
        assert task.done()

    clock.run(scenario())


@pytest.mark.parametrize("start", [0.0, 12345.678, 3.2e7, 1.5e9])
def test_a_timer_can_become_due_however_far_from_zero(start):
    clock = ManualClock(monotonic=start)

    async def scenario():
        task = asyncio.create_task(asyncio.sleep(0.3))
        near = asyncio.get_running_loop().call_at(math.nextafter(start, math.inf), lambda: None)
        await clock.advance(0.3)
        assert task.done()
        near.cancel()

    clock.run(scenario())


def test_a_timer_that_is_all_but_due_fires():
    clock = ManualClock(monotonic=5.0)

    async def scenario():
        loop = asyncio.get_running_loop()
        fired = loop.create_future()
        loop.call_at(math.nextafter(5.0, 6.0), fired.set_result, "fired")
        return await fired  # nobody advances the clock

    assert clock.run(scenario()) == "fired"


@given(st.lists(st.floats(0, 50), min_size=1, max_size=20), st.lists(st.floats(0, 20), max_size=10))
def test_no_timer_is_early_late_or_out_of_order(delays, steps):
    clock = ManualClock()
    fired = []

    async def scenario():
        loop = asyncio.get_running_loop()
        for delay in delays:
            loop.call_at(delay, lambda delay=delay: fired.append((delay, clock.monotonic())))
        for step in steps:
            await clock.advance(step)
            now = clock.monotonic()
            assert [delay for delay, _ in fired] == sorted(delay for delay in delays if delay < now + 1e-9)

    clock.run(scenario())
    assert all(at == pytest.approx(delay, abs=2e-9) for delay, at in fired)


def test_cancelled_timers_are_no_stops_and_no_burden():
    clock = ManualClock()
    stops = []

    async def scenario():
        loop = asyncio.get_running_loop()
        loop.call_later(5, lambda: stops.append(clock.monotonic()))
        for _ in range(5000):
            loop.call_later(1, stops.append, "cancelled").cancel()
        await clock.advance(10)

    clock.run(scenario())
    assert stops == [5.0]


def test_auto_takes_no_time_to_sleep():
    clock = ManualClock(auto=True)

    async def scenario():
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(60))
        await clock.advance(40)

    clock.run(scenario())
    assert clock.monotonic() == 3640.0


def test_real_sockets_are_waited_for_without_moving_time():
    clock = ManualClock()

    async def echo(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def scenario():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"over the wire\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return line

    assert clock.run(scenario()) == b"over the wire\n"
    assert clock.monotonic() == 0.0


@pytest.mark.parametrize("auto", [False, True])
def test_jobs_in_threads_stop_the_time(auto):
    clock = ManualClock(auto=auto)

    def job():
        for _ in range(1000):
            os.sched_yield()
        return clock.monotonic()

    async def scenario():
        tick = asyncio.create_task(asyncio.sleep(1, "ticked"))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(job) == 0.0  # nobody moves the clock meanwhile, not even auto
        assert not tick.done()
        await clock.advance(1)
        return await tick

    assert clock.run(scenario()) == "ticked"


def test_other_threads_can_wake_the_loop():
    clock = ManualClock()

    async def scenario():
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(woken.set_result, "woken"))
        loop.call_soon(thread.start)
        result = await woken
        thread.join()
        return result

    assert clock.run(scenario()) == "woken"


def test_a_loop_with_nothing_to_do_waits_for_threads():
    gate = threading.Event()

    class Idle(ManualClock):
        def on_idle(self, next_timer, *, jump=False):
            gate.set()  # the loop is about to wait
            return super().on_idle(next_timer, jump=jump)

    clock = Idle()

    async def scenario():
        loop = asyncio.get_running_loop()
        woken = loop.create_future()

        def wake():
            gate.wait()
            loop.call_soon_threadsafe(woken.set_result, "woken")

        thread = threading.Thread(target=wake)
        thread.start()
        result = await woken
        thread.join()
        return result

    assert clock.run(scenario()) == "woken"


def test_waiting_for_nothing_is_an_error_not_a_hang():
    clock = ManualClock()

    async def scenario():
        asyncio.current_task().set_name("the test")
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(1)  # cleaning up gets the time it needs

    told = r"next timer is 5 s ahead .* waiting: the test \(.*test_clock.py:[0-9]+\)"
    with pytest.raises(RuntimeError, match=told) as caught:
        clock.run(scenario())
    assert clock.monotonic() == 1.0
    assert "await asyncio.sleep(5)" in str(caught.getrepr())  # so the line of the test is shown


def test_what_waits_for_nothing_has_ended_when_it_is_told():
    """What its fixtures do after a test, in the same loop, does not run beside the rest of it."""
    clock, ended = ManualClock(), []

    async def scenario():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("here")

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=clock.new_loop) as runner:
        with pytest.raises(RuntimeError, match="there is no timer"):
            runner.run(scenario())
        assert ended == ["here"]
        assert runner.run(asyncio.sleep(0, "the loop goes on")) == "the loop goes on"
        with pytest.raises(RuntimeError, match="there is no timer"):
            runner.run(asyncio.Event().wait())

        async def taken_for_its_own():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        with pytest.raises(RuntimeError, match="there is no timer"):
            runner.run(taken_for_its_own())

        async def cancelled():
            asyncio.current_task().cancel()
            await asyncio.sleep(1)

        with pytest.raises(asyncio.CancelledError):
            runner.run(cancelled())
    with pytest.raises(RuntimeError, match="there is no timer"):
        clock.run(stubborn())
    loop = clock.new_loop()
    with pytest.raises(RuntimeError, match="waiting: nobody"):  # nothing is run until it is complete
        loop.run_forever()
    loop.close()


def test_waiting_for_nothing_without_a_timer():
    async def scenario():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match=r"there is no timer"):
        ManualClock().run(scenario())


def test_only_its_own_loop_can_be_advanced():
    clock = ManualClock()
    with pytest.raises(RuntimeError, match=r"does not drive"):
        asyncio.run(clock.advance(1))
    with pytest.raises(RuntimeError, match=r"does not drive"):
        ManualClock().run(clock.advance(1))


def test_a_loop_makes_its_own_clock():
    with asyncio.Runner(loop_factory=ManualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop.clock, ManualClock)
        runner.run(loop.clock.advance(2))
        assert loop.time() == loop.clock.monotonic() == 2.0


def test_signals_and_watched_files_work():
    clock = ManualClock()
    left, right = socket.socketpair()
    got = []

    async def scenario():
        loop = asyncio.get_running_loop()
        readable, writable = loop.create_future(), loop.create_future()
        loop.add_reader(left, lambda: readable.done() or readable.set_result(left.recv(10)))
        loop.add_writer(left, lambda: writable.done() or writable.set_result(None))
        await writable
        loop.remove_writer(left)
        right.send(b"x")
        got.append(await readable)
        loop.remove_reader(left)

    with left, right:
        clock.run(scenario())
    assert got == [b"x"]
