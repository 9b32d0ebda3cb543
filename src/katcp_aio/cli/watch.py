"""``katcp watch``: a device's sensors as they change. Law: a device is told once what it is to send."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from typing import Any

from katcp_aio import Reading

from ..model.strategies import strategies
from .following import SensorView
from .output import as_json, print_json
from .screen import make_screen
from .sensors import chosen, make_client, matching

__all__ = ["main"]

USUAL = ["event-rate", "0.1", "5"]  # when it changes, at most ten times a second, and every five seconds besides


def main(options: argparse.Namespace) -> int:
    """Follow the sensors until interrupted, and return the exit code; raises what the client raises."""
    asyncio.run(watch(options))
    return 0


async def watch(options: argparse.Namespace) -> None:
    """Connect, have the sensors sampled, and show them."""
    screen = make_screen(sys.stdout, plain=options.plain, silent=options.json)
    pattern, sampling = sort_out(options.pattern, options.strategy or USUAL)
    # Version 4 has no event-rate, and neither have devices built on the C library.
    otherwise = None if options.strategy else "auto"
    async with make_client(options) as device:
        view = SensorView(chosen(device, pattern), screen, print_reading if options.json else None)
        loop = asyncio.get_running_loop()
        end = loop.time() + (options.seconds or math.inf)  # from now: connecting may take longer than that
        device.on_change(lambda _changes: view.renew(matching(device, pattern)))
        await view.follow(lambda: loop.time() >= end, *map(number, sampling), otherwise=otherwise)


def sort_out(pattern: str, words: list[str]) -> tuple[str, list[str]]:
    """Return the pattern, and the strategy with its parameters, where the pattern may stand behind these as well.

    How many there are is known of the strategies of the specification; to others belongs all that follows.
    """
    name, *params = words
    known = name in strategies.rows and len(params) > len(strategies.parameters(name))
    return (words[-1], words[:-1]) if known and not pattern else (pattern, words)


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
            "timestamp": as_json(reading.timestamp),
            "status": reading.status.value,
            "value": as_json(reading.value),
        }
    )
