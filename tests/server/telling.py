"""A device that tells what became of it, for the tests of how devices start, stop, restart and are visited."""

import asyncio

from katcp_aio import DeviceServer

__all__ = ["Telling"]


class Telling(DeviceServer):
    """Notes its hooks as they are called; ``gate`` is for the test to open."""

    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.told = []
        self.gate = asyncio.Event()

    async def on_start(self):
        self.told.append("start")

    async def on_stop(self):
        self.told.append("stop")

    async def on_client_connect(self, client):
        self.told.append(f"connect {client.description}")

    async def on_client_disconnect(self, client):
        self.told.append(f"disconnect {client.description}")
