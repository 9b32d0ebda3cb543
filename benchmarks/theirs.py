"""aiokatcp as its users use it, at its defaults. Law: what it does best is what is measured."""

import asyncio
from typing import Any

import aiokatcp

from .asking import Asking, Following, Grouped
from .served import Served

__all__ = ["Client", "Follower", "Group", "Server"]


class Device(aiokatcp.DeviceServer):
    VERSION = "benchmark-1.0"
    BUILD_STATE = "benchmark-1.0.0"

    async def request_echo(self, ctx: aiokatcp.RequestContext, *args: bytes) -> tuple:
        """Return the arguments."""
        return args

    async def request_add(self, ctx: aiokatcp.RequestContext, a: int, b: float) -> float:
        """Return the sum."""
        return a + b


class Server(Served):
    async def start(self) -> int:
        self.device = Device("127.0.0.1", 0)
        self.add_sensors(self.count)
        await self.device.start()
        return self.device.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        await self.device.stop()

    def new_sensor(self, name: str) -> Any:
        sensor = aiokatcp.Sensor(int, name, "A temperature of the benchmark", "K")
        self.device.sensors.add(sensor)
        return sensor


class Client(Asking):
    async def start(self) -> None:
        self.client = await aiokatcp.Client.connect("127.0.0.1", self.port)

        def blip(*_: bytes) -> None:
            self.hear()

        self.client.add_inform_callback("blip", blip)

    async def stop(self) -> None:
        self.client.close()
        await self.client.wait_closed()

    async def watchdog(self) -> None:
        await self.client.request("watchdog")

    async def read_all(self) -> dict[str, aiokatcp.Reading]:
        _, informs = await self.client.request("sensor-value")
        readings = {}
        for inform in informs:
            timestamp, _, name, status, value = inform.arguments
            readings[name.decode()] = aiokatcp.Reading(
                aiokatcp.decode(aiokatcp.Timestamp, timestamp),
                aiokatcp.decode(aiokatcp.Sensor.Status, status),
                aiokatcp.decode(int, value),
            )
        return readings


class Follower(Following):
    async def connect(self) -> None:
        self.client = aiokatcp.Client("127.0.0.1", self.port)
        self.watcher = aiokatcp.SensorWatcher(self.client)
        self.client.add_sensor_watcher(self.watcher)
        await self.watcher.synced.wait()

    async def disconnect(self) -> None:
        self.client.close()
        await self.client.wait_closed()

    def expect(self, final: int) -> None:
        super().expect(final)
        *_, last = self.watcher.sensors.values()
        last.attach(lambda _, reading: self.observe(reading))


class Group(Grouped):
    """It has no groups: a client and a watcher for each, all of them at once."""

    async def connect(self) -> None:
        self.clients = [aiokatcp.Client("127.0.0.1", port) for port in self.ports]
        watchers = [aiokatcp.SensorWatcher(client) for client in self.clients]
        for client, watcher in zip(self.clients, watchers, strict=True):
            client.add_sensor_watcher(watcher)
        await asyncio.gather(*(watcher.synced.wait() for watcher in watchers))

    async def disconnect(self) -> None:
        for client in self.clients:
            client.close()
        await asyncio.gather(*(client.wait_closed() for client in self.clients))
