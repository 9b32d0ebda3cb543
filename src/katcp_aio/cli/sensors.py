"""``katcp sensors``: what a device measures. Law: one look, one request for all values."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from katcp_aio import DeviceClient, KatcpError, Limits, Reading

from ..model.matching import expression
from ..reports import printable
from .output import as_json, as_text, print_json
from .screen import Screen, make_screen, show

__all__ = ["chosen", "main", "make_client", "matching", "show_sensors"]


def main(options: argparse.Namespace) -> int:
    """List the sensors, and return the exit code; raises what the client raises."""
    asyncio.run(list_sensors(options))
    return 0


async def list_sensors(options: argparse.Namespace) -> None:
    """Connect, ask, and write the table, or a list of objects."""
    async with make_client(options, reconnect=None) as device:
        sensors = chosen(device, options.pattern)
        found = await device.read(expression(options.pattern) if options.pattern else None)
        # One that the device has removed meanwhile, or does not tell of, is unknown.
        readings = {sensor.name: found.get(sensor.name, sensor.reading) for sensor in sensors}
    if options.json:
        print_json([describe(sensor, readings[sensor.name]) for sensor in sensors])
    else:
        show_sensors(make_screen(sys.stdout, plain=options.plain), sensors, readings)


def make_client(options: argparse.Namespace, **more: Any) -> DeviceClient:
    """Return a client of the device, with the timeout that was asked for, if one was, for whatever it has to wait."""
    host, port = options.device
    times = {} if options.timeout is None else {"timeout": options.timeout, "sync_timeout": options.timeout}
    # Nothing is left to be said after the answers, or after Ctrl-C, so there is no waiting for the device's goodbye.
    return DeviceClient(host, port, limits=Limits(close_timeout=0.05), **times, **more)


def chosen(device: DeviceClient, pattern: str) -> list[Any]:
    """Return the sensors in whose names the regular expression is found.

    Raises:
        KatcpError: there are none.
        ValueError: it is no regular expression.
    """
    sensors = matching(device, pattern)
    if not sensors:
        raise KatcpError(f"{device.description} has no sensor that matches {pattern!r}" if pattern else "no sensors")
    return sensors


def matching(device: DeviceClient, pattern: str) -> list[Any]:
    """Return the sensors as :func:`chosen` does, if only there are any."""
    return device.matching(expression(pattern) if pattern else None)


def show_sensors(screen: Screen, sensors: Iterable[Any], readings: Mapping[str, Reading[Any]]) -> None:
    """Write a table of sensors with these readings."""
    rows = []
    for sensor in sensors:
        reading = readings[sensor.name]
        name, value = printable(sensor.name), show(reading.value)
        rows.append((name, value, show(sensor.units), reading.status.value, show(sensor.description)))
    screen.table(("sensor", "value", "units", "status", "description"), rows)


def describe(sensor: Any, reading: Reading[Any]) -> dict[str, Any]:
    """Return a sensor as an object."""
    return {
        "name": sensor.name,
        "value": as_json(reading.value),
        "units": sensor.units,
        "status": reading.status.value,
        "timestamp": as_json(reading.timestamp),
        "type": sensor.type_name,
        "params": [as_text(param) for param in sensor.params],
        "description": sensor.description,
    }
