"""What every device under load can be told to do over its pipe. Law: the same lines of code drive all of them."""

import asyncio
import time
from itertools import cycle, islice
from typing import Any

from .child import Role

__all__ = ["Served", "names"]

TURN = 100  # sensors that are set before the loop has its turn, as a device does that polls its hardware


def names(count: int) -> list[str]:
    """Names of sensors, of equal length."""
    return [f"rack.unit.temperature-{number:06d}" for number in range(count)]


class Served(Role):
    """A device with sensors of one type; sides say how one is made, and how the device is started.

    Args:
        sensors: how many it starts with.
    """

    def __init__(self, sensors: int = 0) -> None:
        self.count = sensors
        self.sensors: list[Any] = []

    def new_sensor(self, name: str) -> Any:
        raise NotImplementedError

    def add_sensors(self, count: int) -> None:
        """Add sensors to those that are there."""
        for name in names(len(self.sensors) + count)[len(self.sensors) :]:
            self.sensors.append(self.new_sensor(name))

    async def update(self, count: int, final: int, burst: int) -> float:
        """Set the first sensor ``count`` times, ``burst`` times in each turn of the loop; return when this began."""
        began = time.time()
        sensor = self.sensors[0]
        for number in range(1, count):
            sensor.value = number
            if number % burst == 0:
                await asyncio.sleep(0)
        sensor.value = final
        return began

    async def sweep(self, passes: int, final: int) -> float:
        """Set all sensors in turn, some times over, the very last one to ``final``; return when this began."""
        began = time.time()
        for number in range(passes):
            for place, sensor in enumerate(self.sensors, 1):
                sensor.value = number
                if place % TURN == 0:
                    await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.sensors[-1].value = final
        return began

    def add_cost(self, count: int) -> float:
        """As :meth:`add_sensors`; return seconds for each."""
        new = names(len(self.sensors) + count)[len(self.sensors) :]
        began = time.process_time()
        made = [self.new_sensor(name) for name in new]
        taken = time.process_time() - began
        self.sensors += made
        return taken / count

    def set_cost(self, count: int) -> float:
        """Set sensors that nobody samples, in turn; return seconds for each time."""
        turns = islice(cycle(self.sensors), count)
        began = time.process_time()
        for number, sensor in enumerate(turns):
            sensor.value = number
        return (time.process_time() - began) / count
