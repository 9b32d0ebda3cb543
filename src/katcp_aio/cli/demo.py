"""``katcp demo``: a device and a client of it, from nothing to numbers on the screen.

Law: all that is shown was asked of the device over TCP; nothing is told that did not happen.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections import Counter, deque
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from katcp_aio import DeviceClient, DeviceServer, InvalidReply, KatcpError, Reading, run

from ..clock import SYSTEM_CLOCK
from .antenna import Antenna
from .screen import Row, Screen, make_screen, show, sparkline

__all__ = ["DemoError", "demonstrate", "main"]

SAMPLING = ("event-rate", 0.1, 5.0)  # when it changes, at most ten times a second, and every five seconds besides
REDRAW = 0.1  # seconds
PLAIN_EVERY = 1.0  # seconds between two lines about one sensor, unless its status changes
TREND = 24  # readings in the column of trends
FAULT_EVERY = 6.0  # seconds on average: most demonstrations are to have one
PRECISION = 0.01  # degrees: how near to its target the antenna has to end up


class DemoError(KatcpError):
    """The demonstration did not show what it is to show."""


def main(options: argparse.Namespace) -> int:
    """Run the demonstration, or with ``--serve`` the antenna alone, and return the exit code."""
    screen = make_screen(sys.stdout, plain=options.plain)
    if options.serve:
        run(Served(options.host, options.port, seed=options.seed, screen=screen))
    else:
        asyncio.run(demonstrate(screen, options.host, options.port, options.seconds, options.seed))
    return 0


class Served(Antenna):
    """The antenna, telling what to do with it."""

    def __init__(self, *args: Any, screen: Screen, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._screen = screen

    async def serve_forever(self) -> None:
        """Serve, and say where."""
        address = self.address
        assert address is not None  # noqa: S101 - it listens
        self._screen.line(f"The antenna listens at {address}; Ctrl-C stops it. In another terminal:")
        self._screen.line(f"  telnet {address.host} {address.port}")
        self._screen.line("and there: ?help, ?sensor-value, ?slew 30 60 track, ?sensor-sampling az.position event")
        await super().serve_forever()


async def demonstrate(screen: Screen, host: str, port: int, seconds: float, seed: int) -> None:
    """Tell the story; ``seconds`` is how long the antenna is followed.

    Raises:
        KatcpError, OSError: what went wrong.
    """
    screen.title(f"katcp_aio {version('katcp-aio')}: a simulated antenna, and a client that gets to know it")
    async with Antenna(host, port, seed=seed, fault_every=FAULT_EVERY) as antenna:
        assert antenna.address is not None  # noqa: S101 - it listens
        async with DeviceClient(*antenna.address) as device:
            story = Story(device, screen)
            screen.section("What the client found")
            screen.line(f"A device at {antenna.address}.")
            story.list_requests()
            await story.list_sensors()
            await story.ask_for_too_much()
            await story.slew_and_follow(seconds)
            story.sum_up()


class Story:
    """What the client does with the device, and what it counts meanwhile."""

    def __init__(self, device: DeviceClient, screen: Screen) -> None:
        self.device = device
        self.screen = screen
        self.sensors = [device.sensor[name] for name in device.sensor]
        self.requests = 0
        self.readings: Counter[str] = Counter()  # by status
        self.faults: list[str] = []
        self.history: dict[str, deque[float]] = {sensor.name: deque(maxlen=TREND) for sensor in self.sensors}
        self.last: dict[str, tuple[str, str, float]] = {}  # sensor: status and value, and when it was told of in lines

    def list_requests(self) -> None:
        """Show the requests that only this device has."""
        rows: list[Row] = []
        standard = 0
        for name in self.device.req:
            if hasattr(DeviceServer, f"request_{name.replace('-', '_')}"):
                standard += 1
                continue
            summary, usage, *_ = [*(self.device.req[name].__doc__ or "").splitlines(), "", ""]
            rows.append((usage or f"?{name}", summary))
        self.screen.table(("request", "what it does"), rows)
        self.screen.line(f"  and {standard} requests that every device has")
        self.screen.line()

    async def list_sensors(self) -> None:
        """Ask for all sensors at once, and show them."""
        self.requests += 1
        readings = await self.device.read("/./")
        self.screen.table(
            ("sensor", "value", "units", "status", "description"),
            [
                (sensor.name, show(reading.value), sensor.units, reading.status.value, sensor.description)
                for sensor in self.sensors
                if (reading := readings[sensor.name])
            ],
        )

    async def ask_for_too_much(self) -> None:
        """Show that a wrong request is refused by what its handler's annotations say."""
        self.screen.section("A request that is wrong: ?slew 30 5")
        self.requests += 1
        try:
            await self.device.req.slew(30, 5)
        except InvalidReply as error:
            self.screen.line(f"  {error}")
        else:
            raise DemoError("the antenna went where it cannot look")

    async def slew_and_follow(self, seconds: float) -> None:
        """Move the antenna and watch its sensors for so many seconds."""
        azimuth, elevation = round(reach(seconds * 0.6, 10.0, 5.0), 1), round(90 - reach(seconds * 0.6, 5.0, 2.5), 1)
        self.screen.section(f"Slew to azimuth {azimuth:g}, elevation {elevation:g}, and follow the sensors")
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        columns = ("sensor", "value", "units", "status", "age", "trend")
        async with asyncio.TaskGroup() as tasks:
            followers = [tasks.create_task(self.follow(sensor)) for sensor in self.sensors]
            slew = tasks.create_task(self.slew(azimuth, elevation))
            with self.screen.watch(columns, self.rows) as refresh:
                while loop.time() < end or not slew.done():
                    refresh()
                    await asyncio.sleep(REDRAW)
                refresh()
            for follower in followers:
                follower.cancel()

    async def slew(self, azimuth: float, elevation: float) -> None:
        """Have the antenna move, tell its progress, and check where it got."""
        self.requests += 1
        async for inform in self.device.stream("slew", azimuth, elevation, "stop"):
            if not self.screen.live:
                self.screen.line(f"  #slew {b' '.join(inform.arguments).decode()}")
        position = {name: (await self.device.sensor[name].read()).value for name in ("az.position", "el.position")}
        self.requests += len(position)
        if math.dist(position.values(), (azimuth, elevation)) > PRECISION:
            raise DemoError(f"the antenna arrived at {position}, not at azimuth {azimuth}, elevation {elevation}")

    async def follow(self, sensor: Any) -> None:
        """Take all readings of one sensor, until cancelled."""
        self.requests += 1
        async for reading in sensor.readings(*SAMPLING):
            self.take(sensor, reading)

    def take(self, sensor: Any, reading: Reading[Any]) -> None:
        """Count a reading, and tell of it where lines are all there is."""
        name, status, value = sensor.name, reading.status.value, show(reading.value)
        self.readings[status] += 1
        if isinstance(reading.value, float):
            self.history[name].append(reading.value)
        if name == "fault" and value not in {"none", self.last.get(name, ("", "", 0.0))[1]}:
            self.faults.append(value)
        old_status, old_value, told = self.last.get(name, ("", "", 0.0))
        discrete = not isinstance(reading.value, float) and value != old_value
        if status != old_status or discrete or reading.timestamp - told >= PLAIN_EVERY:
            told = reading.timestamp
            if not self.screen.live:
                self.screen.line(f"  {clock_time(told)}  {name:<18} {value:>9} {sensor.units:<5} {status}".rstrip())
        self.last[name] = status, value, told

    def rows(self) -> list[Row]:
        """Return the table of the sensors as they are now."""
        now = SYSTEM_CLOCK.time()
        return [
            (
                sensor.name,
                show(sensor.value),
                sensor.units,
                sensor.status.value,
                f"{max(0.0, now - sensor.reading.timestamp):.1f} s",
                sparkline(list(self.history[sensor.name]), TREND),
            )
            for sensor in self.sensors
        ]

    def sum_up(self) -> None:
        """Show what came of it.

        Raises:
            DemoError: a sensor was never heard of.
        """
        silent = [sensor.name for sensor in self.sensors if sensor.name not in self.last]
        if silent:
            raise DemoError(f"no readings of {', '.join(silent)}")
        position = ", ".join(
            f"{what} {show(self.device.sensor[name].value)} deg"
            for what, name in (("azimuth", "az.position"), ("elevation", "el.position"))
        )
        statuses = ", ".join(f"{count} {status}" for status, count in self.readings.most_common())
        self.screen.section("In short")
        self.screen.line(f"  requests   {self.requests} made, one of them wrong on purpose")
        self.screen.line(f"  readings   {self.readings.total()} received: {statuses}")
        self.screen.line(f"  position   {position}")
        self.screen.line(f"  faults     {', '.join(self.faults) or 'none'}")


def reach(seconds: float, top_speed: float, acceleration: float) -> float:
    """Return how far a drive gets, from rest to rest, in so many seconds."""
    ramp = top_speed / acceleration
    if seconds < 2 * ramp:
        return acceleration * seconds**2 / 4
    return top_speed * (seconds - ramp)


def clock_time(timestamp: float) -> str:
    """Return the time of day, UTC, to milliseconds."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%H:%M:%S.%f")[:-3]
