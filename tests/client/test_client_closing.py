"""Closing a client: at any point, again, cancelled, and from elsewhere."""

import asyncio

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.client.device import DeviceClient
from katcp_aio.client.states import State
from katcp_aio.errors import ConnectionLost, UsageError
from katcp_aio.testing import FakeDevice

__all__ = []


async def started(device):
    client = Client(connector=device.connector)
    await client.start()
    await client.wait_connected()
    return client


@pytest.mark.parametrize("reconnect", [None, Backoff()], ids=["once", "for ever"])
@pytest.mark.parametrize("steps", range(12))
async def test_closing_works_at_any_point(steps, reconnect):
    async with FakeDevice() as device:
        client = Client(connector=device.connector, reconnect=reconnect)
        await client.start()
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.gather(client.close(), client.close())
        assert client.state is State.CLOSED
        await asyncio.sleep(0)
        assert not device.peers


async def test_closing_can_be_cancelled_and_still_closes(fake_device, manual_clock):
    client = await started(fake_device)
    fake_device.pause()
    task = asyncio.create_task(client.close())
    await manual_clock.settle()
    task.cancel()
    await asyncio.wait([task])
    assert client.state is State.CLOSED
    await asyncio.gather(client.close(), manual_clock.advance(1))  # the device has some time yet


async def test_closing_again_meanwhile_breaks_off_nothing(fake_device, manual_clock):
    client = await started(fake_device)
    fake_device.pause()
    asked = asyncio.create_task(client.request("stop"))
    await manual_clock.settle()
    closing = []
    for _ in range(3):
        closing.append(asyncio.create_task(client.close()))
        await manual_clock.settle()
    fake_device.resume()
    await asyncio.gather(*closing)
    await fake_device.received("stop")
    with pytest.raises(ConnectionLost):
        await asked


@pytest.mark.parametrize("kind", [Client, DeviceClient])
def test_a_client_of_another_loop_cannot_be_closed_and_says_so(kind):
    loop = asyncio.new_event_loop()
    device = FakeDevice()
    client = kind("fake", connector=device.connector)
    loop.run_until_complete(client.__aenter__())
    with pytest.raises(UsageError, match="fake:0: a client is closed in the loop that it was started in"):
        asyncio.run(client.close())
    assert client.connected
    loop.run_until_complete(client.close())
    asyncio.run(client.close())  # there is nothing to wait for
    loop.run_until_complete(device.close())
    loop.close()


@pytest.mark.parametrize("kind", [Client, DeviceClient])
async def test_a_callback_may_close_a_client_that_is_being_started(kind, fake_device):
    """At once, as tasks do that begin at once, which Python has from 3.12 on."""
    client, states = kind(connector=fake_device.connector), []
    closing = client.close()

    def close(state):
        if state is State.CONNECTING:
            with pytest.raises(StopIteration):
                closing.send(None)

    client.on_state(close)
    client.on_state(states.append)
    before = asyncio.all_tasks()
    await client.start()
    assert states == [State.CONNECTING, State.CLOSED]
    assert asyncio.all_tasks() == before
    with pytest.raises(UsageError, match="the client is closed"):
        await client.request("watchdog")


@pytest.mark.parametrize("when", [State.NEGOTIATING, State.CONNECTED, State.WAITING, "version-connect"])
async def test_a_callback_may_close_a_client_at_any_point(when, fake_device, manual_clock, caplog):
    client, states = Client(connector=fake_device.connector), []

    def close():
        if client.state is not State.CLOSED:
            closing = client.close()
            closing.send(None)
            closing.close()

    if isinstance(when, State):
        client.on_state(lambda state: close() if state is when else None)
    else:
        client.on_inform(when, lambda _inform: close())
    client.on_state(states.append)
    await client.start()
    await manual_clock.settle()
    fake_device.end()
    await manual_clock.settle()
    assert states.index(State.CLOSED) == len(states) - 1
    assert "cannot take" not in caplog.text
    await client.close()
