"""Clients of both sides as their users use them, behind one face. Law: the same lines of a row drive all of them."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from .rows import OURS

__all__ = ["Asker", "Follower", "make_asker", "make_follower", "soon"]


class Asker:
    """Makes requests; ``ask`` returns the reply's arguments after ``ok``, or raises. Sides say how."""

    async def start(self) -> None:
        raise NotImplementedError

    async def ask(self, name: str, *arguments: Any) -> list[bytes]:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class OurAsker(Asker):
    def __init__(self, host: str, port: int, **options: Any) -> None:
        from katcp_aio import Client

        self.client = Client(host, port, **options)

    async def start(self) -> None:
        await self.client.start()

    async def ask(self, name: str, *arguments: Any) -> list[bytes]:
        reply = await self.client.request(name, *arguments)
        return list(reply.arguments)

    async def close(self) -> None:
        await self.client.close()


class TheirAsker(Asker):
    def __init__(self, host: str, port: int, **_: Any) -> None:
        self.address = host, port

    async def start(self) -> None:
        import aiokatcp

        self.client = aiokatcp.Client(*self.address)

    async def ask(self, name: str, *arguments: Any) -> list[bytes]:
        if not self.client.is_connected:
            await asyncio.wait_for(self.client.wait_connected(), 5)
        return (await self.client.request(name, *arguments))[0]

    async def close(self) -> None:
        self.client.close()
        await self.client.wait_closed()


def make_asker(side: str, host: str, port: int, **options: Any) -> Asker:
    """Return a client of that side."""
    return (OurAsker if side == OURS else TheirAsker)(host, port, **options)


class Follower:
    """Follows all sensors of a device; tells when it is in step, and what it takes for true meanwhile."""

    async def start(self) -> None:
        raise NotImplementedError

    def in_step(self) -> bool:
        """Whether it is connected, and knows all sensors."""
        raise NotImplementedError

    def nominal(self) -> int:
        """How many sensors it holds for nominal now."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class OurFollower(Follower):
    def __init__(self, port: int) -> None:
        from katcp_aio import DeviceClient, Status

        self.client = DeviceClient("127.0.0.1", port)
        self.good = Status.NOMINAL

    async def start(self) -> None:
        await self.client.start()
        await self.client.sample("/./", "event")

    def in_step(self) -> bool:
        return self.client.synced

    def nominal(self) -> int:
        return sum(self.client.sensor[name].status is self.good for name in self.client.sensor)

    async def close(self) -> None:
        await self.client.close()


class TheirFollower(Follower):
    def __init__(self, port: int) -> None:
        self.port = port

    async def start(self) -> None:
        import aiokatcp

        self.good = aiokatcp.Sensor.Status.NOMINAL
        self.client = aiokatcp.Client("127.0.0.1", self.port)
        self.watcher = aiokatcp.SensorWatcher(self.client)
        self.client.add_sensor_watcher(self.watcher)

    def in_step(self) -> bool:
        return self.client.is_connected and self.watcher.synced.is_set()

    def nominal(self) -> int:
        return sum(sensor.status is self.good for sensor in self.watcher.sensors.values())

    async def close(self) -> None:
        self.client.close()
        await self.client.wait_closed()


def make_follower(side: str, port: int) -> Follower:
    """Return a following client of that side."""
    return (OurFollower if side == OURS else TheirFollower)(port)


async def soon(look: Callable[[], bool], seconds: float) -> float:
    """Wait until ``look()`` is true, and return the seconds; infinity if it never was in its time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if look():
            return time.monotonic() - began
        await asyncio.sleep(0.01)
    return float("inf")
