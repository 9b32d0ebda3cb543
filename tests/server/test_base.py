import asyncio
import contextlib

import pytest
from tests.server.telling import Telling

from katcp_aio import Limits, RequestContext, Sensor, UsageError
from katcp_aio.testing import serve as serve_in_memory


class Device(Telling):
    async def request_wait(self, ctx: RequestContext):
        """Wait for the test."""
        await self.gate.wait()
        return "done"

    async def request_stubborn(self, ctx: RequestContext):
        """Wait, whatever happens, for a while."""
        while not self.gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.gate.wait()


async def test_stop_says_why_and_closes(greeted):
    peer = await greeted(Device())
    await peer.served.server.stop()
    assert await peer.end() == [rb"#disconnect server\_shutting\_down"]


async def test_halt_replies_disconnects_and_ends_serve_forever(greeted):
    device = Device()
    peer = await greeted(device)
    waiting = asyncio.ensure_future(device.serve_forever())
    peer.send("?halt[11]", "?watchdog[12]")
    lines = await peer.end()
    assert lines[0] == b"!halt[11] ok"
    assert lines[-1] == rb"#disconnect server\_shutting\_down"
    await waiting


async def test_stop_lets_handlers_end_in_the_time_that_they_are_given(manual_clock, greeted):
    device = Device(clock=manual_clock)
    peer = await greeted(device)
    peer.send("?wait[1]", "?wait[2]")
    await peer.ask("?watchdog[3]")
    stopping = asyncio.ensure_future(device.stop(timeout=2.0))
    await manual_clock.advance(1.5)
    assert not stopping.done()
    device.gate.set()
    await manual_clock.advance(device.limits.close_timeout)  # the peer does not close its side
    assert await peer.end() == [b"!wait[1] ok done", b"!wait[2] ok done", rb"#disconnect server\_shutting\_down"]
    await stopping


async def test_stop_cancels_handlers_that_do_not_end(manual_clock, greeted):
    device = Device(clock=manual_clock)
    peer = await greeted(device)
    peer.send("?wait[1]", "?wait[2]")
    await peer.ask("?watchdog[3]")
    stopping = asyncio.ensure_future(device.stop(timeout=2.0))
    await manual_clock.advance(2.0 + device.limits.close_timeout)
    *replies, farewell = await peer.end()
    assert sorted(replies) == [rb"!wait[1] fail request\_cancelled", rb"!wait[2] fail request\_cancelled"]
    assert farewell == rb"#disconnect server\_shutting\_down"
    await stopping


async def test_what_is_asked_while_the_server_stops_is_not_started(manual_clock, greeted):
    device = Device(clock=manual_clock)
    peer = await greeted(device)
    peer.send("?wait[1]")
    await peer.ask("?watchdog[2]")
    stopping = asyncio.ensure_future(device.stop(timeout=2.0))
    await manual_clock.settle()
    peer.send("?wait[3]")
    await manual_clock.advance(1)
    device.gate.set()
    await manual_clock.advance(device.limits.close_timeout)
    await stopping
    assert b"!wait[3]" not in b"".join(await peer.end())


async def test_stop_has_a_bound_whatever_clients_do(manual_clock, serve):
    """One client does not read, one never ends its handler, one leaves its half of the connection open."""
    limits = Limits(write_high=1000, write_low=100, close_timeout=1.0)
    device = Device(clock=manual_clock, limits=limits)
    served = await serve(device)
    deaf, stubborn, silent = served.peer(), served.peer(), served.peer()
    deaf.pause()
    deaf.send(*[f"?help[{i}]" for i in range(1, 50)])
    stubborn.send("?stubborn[1]")
    await silent.ask("?watchdog[1]")
    started = manual_clock.monotonic()
    stopping = asyncio.ensure_future(device.stop(timeout=3.0))
    await manual_clock.advance(10)
    assert stopping.done()
    assert device.clients == ()
    await stopping
    device.gate.set()
    await manual_clock.settle()
    assert manual_clock.monotonic() - started == 10


@pytest.mark.parametrize("grace", [0.0, 3.0])
async def test_stopping_takes_the_time_of_handlers_and_a_margin_whatever_clients_do(manual_clock, serve, grace):
    """Also those that go meanwhile, or have gone and left a handler that will not end."""
    limits = Limits(write_high=1000, write_low=100, stop_margin=0.5, close_timeout=1.0)
    device = Device(clock=manual_clock, limits=limits)
    served = await serve(device)
    deaf, stubborn, silent, gone, going = [served.peer() for _ in range(5)]
    deaf.pause()
    deaf.send(*[f"?help[{i}]" for i in range(1, 50)])
    for peer in (stubborn, gone, going):
        peer.send("?stubborn[1]")
    silent.send("?wait[1]")
    await silent.ask("?watchdog[2]")
    gone.abort()
    await manual_clock.settle()
    stopping = asyncio.ensure_future(device.stop(timeout=grace))
    await manual_clock.settle()
    going.abort()
    await manual_clock.advance(grace + 0.49)
    assert not stopping.done()
    await manual_clock.advance(0.01)
    assert stopping.done()
    assert await silent.end() == [rb"!wait[1] fail request\_cancelled", rb"#disconnect server\_shutting\_down"]
    device.gate.set()
    await manual_clock.settle()


async def test_a_server_can_be_started_again(serve):
    device = Device()
    for _ in range(2):
        async with serve_in_memory(device) as served:
            assert (await served.peer().ask("?watchdog"))[-1].ok
    assert device.told.count("start") == 2
    assert device.told.count("stop") == 2


def test_a_server_may_serve_in_one_loop_after_another():
    device = Device()
    count = device.sensors.add(Sensor(int, "count"))

    async def life(value):
        device.gate = asyncio.Event()
        async with serve_in_memory(device) as served:
            peer = served.peer()
            await peer.ask("?sensor-sampling count event")
            count.value = value
            assert (await peer.message("sensor-status")).arguments[-1] == b"%d" % value

    asyncio.run(life(1))
    asyncio.run(life(2))
    assert device.told == ["start", "connect memory", "disconnect memory", "stop"] * 2


async def test_starting_twice_and_waiting_for_what_was_never_started_are_errors(serve):
    device = Device()
    with pytest.raises(UsageError, match="not started"):
        await device.serve_forever()
    await device.stop()  # does nothing
    await serve(device)
    with pytest.raises(UsageError, match="running already"):
        await device.start()


async def test_building_a_server_needs_no_loop():
    device = await asyncio.to_thread(Device)
    async with serve_in_memory(device) as served:
        assert (await served.peer().ask("?watchdog"))[-1].ok


async def test_a_start_that_fails_leaves_the_server_stopped():
    class Broken(Device):
        async def on_start(self):
            await super().on_start()
            if self.told == ["start"]:
                raise OSError("no such hardware")

    device = Broken()
    with pytest.raises(OSError, match="no such hardware"):
        await device.start()
    assert device.addresses == ()
    async with device:
        assert device.address is not None


async def test_stopping_a_server_that_starts_makes_it_stop():
    class Slow(Device):
        async def on_start(self):
            await super().on_start()
            try:
                await self.gate.wait()
            finally:
                self.told.append("given up")

    device = Slow()
    starting = asyncio.ensure_future(device.start())
    await asyncio.sleep(0)
    forever = asyncio.ensure_future(device.serve_forever())
    await device.stop()
    await starting  # was not cancelled itself
    await forever
    assert not device.running
    assert device.addresses == ()
    assert device.told == ["start", "given up"]
    device.gate.set()
    async with device:
        assert device.running


async def test_stopping_it_in_the_very_turn_in_which_it_has_started():
    class Quick(Device):
        async def on_start(self):
            self.begin_stop()

    device = Quick()
    await device.start()
    assert not device.running
    assert device.addresses == ()
    await device.serve_forever()


@pytest.mark.parametrize("turns", range(8))
async def test_stopping_it_while_it_opens_its_sockets_leaves_none_open(turns):
    device = Device(["127.0.0.1", "127.0.0.2"])
    starting = asyncio.ensure_future(device.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    await device.stop()
    await starting
    if turns:  # otherwise it had not begun, and a stop before a start means nothing
        assert not device.running
        assert device.addresses == ()
    await device.stop()


async def test_waiting_for_a_server_whose_start_failed_ends():
    class Broken(Device):
        async def on_start(self):
            raise OSError("no such hardware")

    device = Broken()
    with pytest.raises(OSError, match="no such hardware"):
        await device.start()
    await device.serve_forever()


async def test_stopping_what_never_ran_does_nothing():
    device = Device()
    device.inform_all("news")
    await device.stop()
    assert (device.addresses, device.address, device.clients, device.told) == ((), None, (), [])


async def test_an_address_in_use_is_an_error_and_nothing_stays_behind():
    async with Device() as device:
        other = Device("127.0.0.1", device.address.port)
        with pytest.raises(OSError, match="address already in use"):
            await other.start()
        assert not other.running


async def test_cancelling_stop_leaves_nothing_half_done(manual_clock, greeted):
    device = Device(clock=manual_clock)
    peer = await greeted(device)
    peer.send("?wait[1]")
    await peer.ask("?watchdog[2]")
    stopping = asyncio.ensure_future(device.stop(timeout=2.0))
    await manual_clock.advance(1)
    stopping.cancel()
    await manual_clock.advance(5)
    assert stopping.cancelled()
    assert not device.running
    assert device.told[-1] == "stop"


async def test_who_cancels_every_task_has_the_server_stopped_all_the_same(greeted):
    async def take_time_to_end():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    device = Device()
    device.add_service_task(take_time_to_end())
    peer = await greeted(device)
    peer.send("?wait[1]")
    await peer.ask("?watchdog[2]")
    device.begin_stop()
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await device.stop()
    await device.serve_forever()
    assert not device.running
    await peer.end()
    await peer.close()
    await device.start(listen=False)
    await device.stop()


async def test_stopping_in_another_thread_is_an_error_and_the_server_runs_on(greeted):
    device = Device()
    peer = await greeted(device)
    with pytest.raises(RuntimeError, match="no running event loop"):
        await asyncio.to_thread(device.begin_stop)
    assert device.running
    await peer.ask("?watchdog")
    await peer.close()
    await device.stop()
    assert not device.running


async def test_nor_does_another_thread_stop_a_server_that_starts():
    class Slow(Device):
        async def on_start(self):
            await self.gate.wait()

    device = Slow()
    starting = asyncio.ensure_future(device.start(listen=False))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="no running event loop"):
        await asyncio.to_thread(device.begin_stop)
    device.gate.set()
    await starting
    assert device.running
    await device.stop()


async def test_informs_go_to_all_and_are_never_taken_for_parts_of_a_reply(greeted):
    device = Device()
    first = await greeted(device)
    second = await greeted(first.served, announced_to=[first])
    device.inform_all("news", 1, "two words")
    for peer in (first, second):
        await peer.expect(r"#news 1 two\_words")
    with pytest.raises(UsageError, match=r"#help would be taken for part of the reply to \?help"):
        device.inform_all("help", "me")


async def test_changes_of_the_interface_are_told_by_themselves(greeted):
    device = Device()
    peer = await greeted(device)
    device.sensors.add(Sensor(int, "one"))
    await peer.expect("#interface-changed sensor one added")
    device.sensors.add(Sensor(int, "one", "another"))
    await peer.expect("#interface-changed sensor one modified")
    device.sensors.remove("one")
    await peer.expect("#interface-changed sensor one removed")
    for i in range(100):
        device.sensors.add(Sensor(int, f"s{i}"))
    await peer.expect("#interface-changed sensor-list")


async def test_a_client_says_who_it_is(manual_clock):
    async with serve_in_memory(Device(clock=manual_clock)) as served:
        await served.peer().ask("?watchdog")
        assert [repr(client) for client in served.server.clients] == ["<ClientConnection memory>"]
