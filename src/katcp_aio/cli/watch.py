"""``katcp watch``: a device's sensors as they change. Law: a device is told once what it is to send."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from typing import Any

from katcp_aio import DeviceClient, Reading

from .following import SensorView
from .output import as_json, print_json
from .screen import make_screen
from .sensors import chosen

__all__ = ["main"]


def main(options: argparse.Namespace) -> int:
    """Follow the sensors until interrupted, and return the exit code; raises what the client raises."""
    asyncio.run(watch(options))
    return 0


async def watch(options: argparse.Namespace) -> None:
    """Connect, have the sensors sampled, and show them."""
    host, port = options.device
    screen = make_screen(sys.stdout, plain=options.plain, silent=options.json)
    loop = asyncio.get_running_loop()
    end = loop.time() + (options.seconds or math.inf)
    async with DeviceClient(host, port, timeout=options.timeout) as device:
        sensors = chosen(device, options.pattern)
        view = SensorView(sensors, screen, print_reading if options.json else None)
        await view.follow(lambda: loop.time() >= end, *map(number, options.strategy))


def number(text: str) -> str | float:
    """Return a parameter of a strategy as a number, so that times are told in the device's own unit."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def print_reading(sensor: Any, reading: Reading[Any]) -> None:
    """Write one reading as an object on a line."""
    print_json(
        {
            "sensor": sensor.name,
            "timestamp": reading.timestamp,
            "status": reading.status.value,
            "value": as_json(reading.value),
        }
    )
