"""A device that starts afresh: who may have it do so, where it listens then, and who has the last word."""

import asyncio
import socket

import pytest
from tests.server.telling import Telling

from katcp_aio.testing import Peer
from katcp_aio.testing import serve as serve_in_memory

__all__ = []


async def test_who_stops_a_server_that_restarts_has_his_way():
    class Phoenix(Telling):
        async def on_restart(self):
            self.told.append("restart")
            await self.gate.wait()

    device = Phoenix()
    async with serve_in_memory(device) as served:
        forever = asyncio.ensure_future(device.serve_forever())
        await served.peer().ask("?restart")
        while "restart" not in device.told:  # noqa: ASYNC110 - it is never for long, and there is no event for it
            await asyncio.sleep(0)
        stopping = asyncio.ensure_future(device.stop())
        await asyncio.sleep(0)
        device.gate.set()
        await stopping
        await forever
        assert not device.running
        assert device.told.count("start") == 1


@pytest.mark.parametrize("first", [True, False])
async def test_who_restarts_a_server_that_starts_has_his_way_too(first):
    class Phoenix(Telling):
        async def on_restart(self):
            self.told.append("restart")

        async def on_start(self):
            self.told.append("start")
            await self.gate.wait()

    device = Phoenix()
    starting = asyncio.ensure_future(device.start(listen=False))
    await asyncio.sleep(0)
    if not first:
        device.gate.set()
        await starting
        device.gate.clear()
        device.begin_stop(restart=True)
        while "restart" not in device.told:  # noqa: ASYNC110 - it is never for long, and there is no event for it
            await asyncio.sleep(0)
    device.begin_stop(restart=True)
    device.gate.set()
    for _ in range(10):  # more turns than it takes
        await asyncio.sleep(0)
    await starting
    assert device.running
    await device.stop()
    assert not device.running


async def test_restart_needs_a_device_that_can(greeted):
    peer = await greeted(Telling())
    (reply,) = await peer.ask("?restart[1]")
    assert reply.arguments == (b"fail", b"This device cannot be restarted")
    await peer.ask("?watchdog[2]")


async def test_restart_starts_afresh_at_the_same_address():
    class Phoenix(Telling):
        async def on_restart(self):
            self.told.append("restart")

    async with Phoenix() as device:
        address = device.address
        forever = asyncio.ensure_future(device.serve_forever())
        peer = await Peer.connect(str(address.host), address.port)
        await peer.ask("?watchdog")
        peer.send("?restart[1]")
        await peer.expect("!restart[1] ok", r"#disconnect server\_restarting")
        await peer.end()
        await peer.close()
        while device.address is None:  # noqa: ASYNC110 - it is never for long, and there is no event for it
            await asyncio.sleep(0)
        assert device.address == address
        assert not forever.done()
        again = await Peer.connect(str(address.host), address.port)
        assert (await again.ask("?watchdog"))[-1].ok
        await again.close()
    await forever
    assert [word for word in device.told if " " not in word] == ["start", "stop", "restart", "start", "stop"]


@pytest.mark.parametrize("kind", ["path", "sock"])
async def test_restart_of_a_device_that_listens_elsewhere(kind, tmp_path):
    class Phoenix(Telling):
        async def on_restart(self):
            self.told.append("restart")

    path = str(tmp_path / "device")
    where = {"path": path}
    if kind == "sock":
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        where = {"sock": sock}
    async with Phoenix(**where) as device:
        peer = await Peer.connect(path=path)
        await peer.ask("?restart")
        await peer.end()
        await peer.close()
        while not device.running:  # noqa: ASYNC110 - it is never for long, and there is no event for it
            await asyncio.sleep(0)
        again = await Peer.connect(path=path)
        assert (await again.ask("?watchdog"))[-1].ok
        await again.close()
    assert "restart" in device.told
    with pytest.raises(OSError, match=r"No such file|refused"):
        await Peer.connect(path=path)
    if kind == "sock":
        assert sock.fileno() == -1


async def test_a_restart_that_fails_stops_the_server():
    class Ashes(Telling):
        async def on_restart(self):
            raise RuntimeError("no second life")

    device = Ashes()
    async with serve_in_memory(device) as served:
        forever = asyncio.ensure_future(device.serve_forever())
        await served.peer().ask("?restart")
        with pytest.raises(RuntimeError, match="no second life"):
            await forever
