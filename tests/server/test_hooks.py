"""What a device does when it starts, stops, restarts and is visited, and what its server makes of faults in that."""

import asyncio

import pytest
from tests.server.telling import Telling

from katcp_aio import UsageError
from katcp_aio.testing import serve as serve_in_memory


async def test_hooks_are_called_in_order(manual_clock):
    device = Telling(clock=manual_clock)
    async with serve_in_memory(device) as served:
        peer = served.peer()
        await peer.ask("?watchdog")
        assert device.told == ["start", "connect memory"]
    assert device.told == ["start", "connect memory", "disconnect memory", "stop"]
    assert not device.running


async def test_what_on_stop_raises_surfaces(serve):
    class Broken(Telling):
        async def on_stop(self):
            raise RuntimeError("cannot be stopped")

    device = Broken()
    await device.start(listen=False)
    with pytest.raises(RuntimeError, match="cannot be stopped"):
        await device.stop()
    assert not device.running
    await device.stop()  # once is enough


async def cancelled_meanwhile():
    """Wait for a task that is cancelled, as one's own poller is at the end."""
    task = asyncio.ensure_future(asyncio.Event().wait())
    task.cancel()
    await task


async def test_on_stop_that_waits_for_what_it_has_cancelled_does_not_keep_the_server_from_stopping():
    class Poller(Telling):
        async def on_stop(self):
            await cancelled_meanwhile()

    device = Poller()
    device.add_service_task(asyncio.Event().wait())
    await device.start(listen=False)
    with pytest.raises(UsageError, match="on_stop waited for something that was cancelled"):
        await device.stop()
    assert not device.running
    assert asyncio.all_tasks() == {asyncio.current_task()}  # services have ended, too
    await device.serve_forever()  # which is over
    await device.start(listen=False)
    assert device.running
    with pytest.raises(UsageError, match="on_stop"):
        await device.stop()


@pytest.mark.parametrize("hook", ["on_restart", "on_start"])
async def test_a_restart_that_waits_for_what_was_cancelled_stops_the_server(hook):
    class Phoenix(Telling):
        async def on_start(self):
            await super().on_start()
            if hook == "on_start" and self.told.count("start") > 1:
                await cancelled_meanwhile()

        async def on_restart(self):
            if hook == "on_restart":
                await cancelled_meanwhile()

    device = Phoenix()
    await device.start(listen=False)
    forever = asyncio.ensure_future(device.serve_forever())
    device.begin_stop(restart=True)
    for _ in range(50):  # more turns than it takes
        await asyncio.sleep(0)
    with pytest.raises(UsageError, match=f"{hook} waited for something that was cancelled"):
        forever.result()
    assert not device.running
    await device.stop()


async def test_a_client_is_told_that_its_hook_waited_for_what_was_cancelled(greeted, caplog):
    class Greeter(Telling):
        async def on_client_connect(self, client):
            await cancelled_meanwhile()

    peer = await greeted(Greeter())
    assert await peer.end() == [rb"#disconnect internal\_error"]
    assert "on_client_connect waited for something that was cancelled" in caplog.text


async def test_a_failing_disconnect_hook_is_logged(serve, caplog):
    class Clumsy(Telling):
        async def on_client_disconnect(self, client):
            raise ValueError("dropped the book")

    served = await serve(Clumsy())
    peer, other = served.peer(), served.peer()
    await peer.ask("?watchdog")
    await peer.close()
    await other.ask("?watchdog")
    assert "dropped the book" in caplog.text


async def test_a_disconnect_hook_that_waited_for_what_was_cancelled_is_logged(serve, caplog):
    class Clumsy(Telling):
        async def on_client_disconnect(self, client):
            await cancelled_meanwhile()

    served = await serve(Clumsy())
    peer = served.peer()
    await peer.ask("?watchdog")
    await peer.close()
    for _ in range(50):  # more turns than it takes
        await asyncio.sleep(0)
    assert "on_client_disconnect waited for something that was cancelled" in caplog.text


async def test_a_disconnect_hook_that_is_no_coroutine_is_called_and_logged(serve, caplog):
    class Plain(Telling):
        def on_client_disconnect(self, client):
            self.told.append("gone")

    served = await serve(Plain())
    peer, other = served.peer(), served.peer()
    await peer.ask("?watchdog")
    await peer.close()
    await other.ask("?watchdog")
    assert served.server.told[-1] == "gone"
    assert [(record.name, record.message) for record in caplog.records] == [("katcp_aio", "on_client_disconnect")]


async def test_hooks_may_be_those_of_one_device_alone(device_class):
    told = []

    async def tell_who(client):
        told.append(client.description)

    device = device_class()
    device.on_client_connect = device.on_client_disconnect = tell_who
    async with serve_in_memory(device) as served:
        await served.peer().ask("?watchdog")
    assert told == ["memory", "memory"]


@pytest.mark.parametrize("hook", ["on_stop", "on_restart"])
async def test_a_hook_that_stopping_waits_for_may_stop_the_device(device_class, hook):
    async def stop():
        await device.stop()

    device = device_class()
    device.on_restart = stop
    setattr(device, hook, stop)
    await device.start(listen=False)
    device.begin_stop(restart=True)
    for _ in range(50):  # more turns than it takes
        await asyncio.sleep(0)
    assert not device.running
    await device.serve_forever()
    await device.start(listen=False)
    await device.stop()


class Way(BaseException):
    """What nobody is to catch."""


@pytest.mark.parametrize("hook", ["on_stop", "on_restart"])
async def test_a_hook_that_ends_otherwise_than_by_an_exception_does_not_keep_the_server_from_stopping(
    device_class, hook
):
    async def leave():
        raise Way

    async def nothing():
        pass

    device = device_class()
    device.on_restart = nothing
    await device.start(listen=False)
    setattr(device, hook, leave)
    device.begin_stop(restart=True)
    with pytest.raises(Way):
        await device.serve_forever()
    assert not device.running
    await device.stop()
