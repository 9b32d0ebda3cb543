"""What every client under test can be told to do over its pipe. Law: the same lines of code drive all of them."""

import asyncio
import time
from typing import Any

from .child import Role

__all__ = ["Asking", "Following", "Grouped"]


class Asking(Role):
    """A client that asks; sides say how it connects, asks one thing, and hears informs.

    Args:
        port: the device's.
        sensors: how many the device has.
    """

    def __init__(self, port: int, sensors: int) -> None:
        self.port = port
        self.sensors = sensors
        self.heard = self.wanted = 0
        self.all_heard: asyncio.Event

    async def watchdog(self) -> None:
        raise NotImplementedError

    async def read_all(self) -> dict[str, Any]:
        """Return all sensors' readings by name, decoded."""
        raise NotImplementedError

    async def sequential(self, seconds: float) -> dict[str, float]:
        """Ask ?watchdog over and over."""
        count, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            await self.watchdog()
            count += 1
        return {"requests": count, "seconds": time.perf_counter() - began}

    async def in_flight(self, seconds: float, requests: int = 100) -> dict[str, float]:
        """Keep many requests in flight, each asked by its own task."""
        counts = await asyncio.gather(*(self.sequential(seconds) for _ in range(requests)))
        return {"requests": sum(one["requests"] for one in counts), "seconds": max(one["seconds"] for one in counts)}

    async def values(self, seconds: float) -> dict[str, float]:
        """Read all sensors over and over."""
        count, taken = 0, 0.0
        while taken < seconds:
            began = time.perf_counter()
            found = await self.read_all()
            taken += time.perf_counter() - began
            if {reading.value for reading in found.values()} != {17}:
                raise RuntimeError(f"the readings are not the device's: {list(found.items())[:3]}")
            count += len(found)
        return {"sensors": count, "seconds": taken}

    def listen(self, count: int) -> None:
        """Expect informs."""
        self.heard, self.wanted = 0, count
        self.all_heard = asyncio.Event()

    def hear(self) -> None:
        """Take note of one inform."""
        self.heard += 1
        if self.heard == self.wanted:
            self.all_heard.set()

    async def hear_all(self) -> float:
        """Wait for the last inform; return when it came."""
        await self.all_heard.wait()
        return time.time()


class Following(Role):
    """A client that mirrors all sensors of a device; sides say how.

    Args:
        port: the device's.
        sensors: how many the device has.
    """

    def __init__(self, port: int, sensors: int) -> None:
        self.port = port
        self.sensors = sensors
        self.final = 0
        self.told: asyncio.Event

    async def connect(self) -> None:
        """Connect and follow all sensors, until each has a reading."""
        raise NotImplementedError

    async def disconnect(self) -> None:
        raise NotImplementedError

    async def follow(self) -> float:
        """Return the seconds that :meth:`connect` takes."""
        began = time.perf_counter()
        await self.connect()
        return time.perf_counter() - began

    def expect(self, final: int) -> None:
        """Expect the last sensor to become ``final``."""
        self.final = final
        self.told = asyncio.Event()

    def observe(self, reading: Any) -> None:
        """Take note of a reading of the last sensor."""
        if reading.value == self.final:
            self.told.set()

    async def told_all(self) -> float:
        """Wait for that; return when it came."""
        await self.told.wait()
        return time.time()


class Grouped(Role):
    """A client that mirrors all sensors of many devices at once; sides say how.

    Args:
        port: of the first device.
        sensors: how many each has.
    """

    def __init__(self, port: int, sensors: int) -> None:
        self.sensors = sensors
        self.ports: list[int] = [port]

    async def connect(self) -> None:
        """Connect to all devices, and follow all their sensors, until each has a reading."""
        raise NotImplementedError

    async def disconnect(self) -> None:
        raise NotImplementedError

    async def follow(self, ports: list[int]) -> float:
        """Return the seconds that :meth:`connect` takes."""
        self.ports = ports
        began = time.perf_counter()
        await self.connect()
        return time.perf_counter() - began
