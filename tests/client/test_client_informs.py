"""What a device says unasked, and who hears it."""

import asyncio

import pytest

from katcp_aio.client.client import Client
from katcp_aio.client.device import DeviceClient
from katcp_aio.errors import NotConnected
from katcp_aio.testing import FakeDevice, FakeSensor
from katcp_aio.wire.message import Message

__all__ = []


@pytest.fixture
async def client(fake_device):
    async with Client("fake", 7147, connector=fake_device.connector) as client:
        yield client


async def test_informs_go_to_whom_they_concern(client, fake_device):
    seen, others = [], []
    cancel = client.on_inform("fpga", seen.append)
    client.on_inform("fpga", others.append)
    fake_device.inform("fpga", "ready")
    await client.request("watchdog")
    cancel()
    cancel()
    fake_device.inform("fpga", "gone")
    await client.request("watchdog")
    assert seen == [Message.inform("fpga", "ready")]
    assert len(others) == 2


async def test_a_callback_that_raises_harms_nobody(client, fake_device, caplog):
    seen = []
    client.on_inform("x", lambda inform: 1 / 0)
    client.on_inform("x", seen.append)
    fake_device.inform("x")
    assert (await client.request("watchdog")).ok
    assert len(seen) == 1
    assert "ZeroDivisionError" in caplog.text


async def test_a_callback_that_asks_what_was_cancelled_for_its_result_cancels_nobody(time_flies, caplog):
    def ask(*_what):
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return future.result()

    device = FakeDevice(sensors={"temp": FakeSensor("float", 30.5)})
    async with device, DeviceClient(connector=device.connector) as client:
        client.on_inform("x", ask)
        client.on_state(ask)
        client.sensor.temp.attach(ask)
        device.inform("x")
        assert await client.sensor.temp.sample("event")
        device.end()
        await client.wait_disconnected()
        await client.wait_connected()
        assert (await client.request("watchdog")).ok
    assert all(f"raised on {what}" in caplog.text for what in ("#x", "state"))
    assert "of sensor temp failed" in caplog.text


async def test_methods_of_a_subclass_get_decoded_arguments(fake_device):
    class Listener(Client):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.heard = []

        def inform_foo_bar(self, text: str, number: int) -> None:
            self.heard.append((text, number))

        def inform_exception(self) -> None:
            raise RuntimeError("on purpose")

        def unhandled_inform(self, message) -> None:
            self.heard.append(message)

    async with Listener("fake", connector=fake_device.connector) as client:
        client.heard.clear()
        fake_device.send("#exception", "#foo-bar bad not-a-number", "#foo-bar \u00e9 123", "#other x")
        await client.request("watchdog")
        assert client.heard == [("\u00e9", 123), Message.inform("other", "x")]
        assert client.trouble.counts == {"bad inform": 1}


async def test_waiting_for_an_inform(client, fake_device, manual_clock):
    waiting = asyncio.create_task(client.wait_for_inform("fpga", lambda inform: inform.arguments == (b"ready",)))
    await manual_clock.settle()
    fake_device.send("#fpga loaded", "#fpga ready")
    assert (await waiting).arguments == (b"ready",)
    waiting = asyncio.create_task(client.wait_for_inform("fpga", timeout=10))
    await manual_clock.advance(10)
    with pytest.raises(TimeoutError):
        await waiting
    waiting = asyncio.create_task(client.wait_for_inform("fpga", timeout=None))
    await manual_clock.settle()
    await client.close()
    with pytest.raises(NotConnected, match="closed while waiting for #fpga"):
        await waiting


async def test_informs_that_a_request_brings_about_are_not_missed(client, fake_device):
    fake_device.on("progdev", raw=b"#fpga loaded\n#fpga ready\n!progdev[1] ok\n")
    async with client.informs("fpga") as informs:
        await client.request("progdev")
        seen = []
        async for inform in informs:
            seen.append(inform.arguments[0])
            if inform.arguments[0] == b"ready":
                break
    assert seen == [b"loaded", b"ready"]


async def test_an_inform_without_an_id_belongs_to_the_request_of_its_name(client, fake_device):
    fake_device.on("sensor-value", raw=b"#sensor-value 1 1 x nominal 3\n!sensor-value[1] ok 1\n")
    reply = await client.request("sensor-value", "x")
    assert len(reply.informs) == 1
