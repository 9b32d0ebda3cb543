"""``katcp demo``: a device and a client of it, from nothing to numbers on the screen.

Law: all that is shown was asked of the device over TCP; nothing is told that did not happen.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections import Counter
from typing import Any

from katcp_aio import (
    Address,
    DeviceClient,
    DeviceServer,
    InvalidReply,
    KatcpError,
    Limits,
    Reading,
    run,
)

from ..reports import printable
from ..version import library_version
from .antenna import Antenna
from .following import SensorView
from .screen import Screen, make_screen, show
from .sensors import show_sensors

__all__ = ["DemoError", "demonstrate", "main"]

SAMPLING = ("event-rate", 0.1, 5.0)  # when it changes, at most ten times a second, and every five seconds besides
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
    screen.title(f"katcp_aio {library_version()}: a simulated antenna and its client")
    # Ctrl-C ends it in the middle of a slew, and nobody wants to wait for that.
    limits = Limits(stop_timeout=0.05, close_timeout=0.05)
    async with Antenna(host, port, seed=seed, fault_every=FAULT_EVERY, limits=limits) as antenna:
        assert antenna.address is not None  # noqa: S101 - it listens
        async with DeviceClient(*antenna.address, limits=limits) as device:
            story = Story(device, screen)
            screen.section("What the client found")
            story.introduce(antenna.address)
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
        self.view = SensorView(self.sensors, screen)
        self.asked: Counter[str] = Counter()  # requests by name
        self.faults: list[str] = []
        device.sensor.fault.attach(self.note_fault)

    def note_fault(self, _sensor: Any, reading: Reading[Any]) -> None:
        """Remember each fault; the sensor tells of each change, and of what is so every few seconds."""
        if reading.value != (self.faults or ["none"])[-1]:
            self.faults.append(reading.value)

    def introduce(self, address: Address) -> None:
        """Show what the device's greeting told."""
        versions = self.device.versions
        name, protocol = (versions.get(role, ("?",))[-1] for role in ("katcp-device", "katcp-protocol"))
        self.screen.line(f"  {name} at {address}, KATCP {protocol}")
        self.screen.line()

    def list_requests(self) -> None:
        """Show the requests that only this device has."""
        own = [name for name in self.device.req if not hasattr(DeviceServer, f"request_{name.replace('-', '_')}")]
        for name in own:
            summary, usage, *_ = [*(self.device.req[name].__doc__ or "").splitlines(), "", ""]
            self.screen.item(usage or f"?{name}", summary)
        self.screen.line(f"  and the {len(self.device.req) - len(own)} requests that every device has")
        self.screen.line()

    async def list_sensors(self) -> None:
        """Ask for all sensors at once, and show them."""
        self.asked["sensor-value"] += 1
        show_sensors(self.screen, self.sensors, await self.device.read())

    async def ask_for_too_much(self) -> None:
        """Show that a wrong request is refused by what its handler's annotations say."""
        self.screen.section("A request that cannot be: ?slew 30 5")
        self.asked["slew"] += 1
        try:
            await self.device.req.slew(30, 5)
        except InvalidReply as error:
            self.screen.line(f"  {error}")
        else:
            raise DemoError("the antenna went where it cannot look")

    async def slew_and_follow(self, seconds: float) -> None:
        """Move the antenna and watch its sensors for so many seconds, or until it has arrived."""
        azimuth, elevation = choose_target(seconds * 0.6)
        self.screen.section(f"?slew {azimuth:g} {elevation:g}, and the sensors meanwhile")
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        async with asyncio.TaskGroup() as tasks:
            slew = tasks.create_task(self.slew(azimuth, elevation))
            await self.view.follow(lambda: slew.done() and loop.time() >= end, *SAMPLING)

    async def slew(self, azimuth: float, elevation: float) -> None:
        """Have the antenna move, tell its progress, and check where it got."""
        self.asked["slew"] += 1
        stream = self.device.stream("slew", azimuth, elevation)
        async for inform in stream:
            self.view.tell(printable(bytes(inform).strip()))
        if stream.reply is not None:  # pragma: no branch - a stream that was read to its end has its reply
            self.view.tell(printable(bytes(stream.reply.message).strip()))
        self.asked["sensor-value"] += 2
        position = [(await sensor.read()).value for sensor in self.position]
        if math.dist(position, (azimuth, elevation)) > PRECISION:
            raise DemoError(f"the antenna arrived at {position}, and not where it was told to go")

    @property
    def position(self) -> tuple[Any, Any]:
        """The sensors of the direction in which the antenna looks."""
        return self.device.sensor["az.position"], self.device.sensor["el.position"]

    def sum_up(self) -> None:
        """Show what came of it.

        Raises:
            DemoError: a sensor was never heard of.
        """
        if self.view.silent:
            raise DemoError(f"no readings of {', '.join(self.view.silent)}")
        requests = ", ".join(f"{count} ?{name}" for name, count in self.asked.items())
        statuses = ", ".join(f"{count} {status}" for status, count in self.view.statuses.most_common())
        azimuth, elevation = (show(sensor.value) for sensor in self.position)
        faults = ", ".join(fault for fault in self.faults if fault != "none") or "none"
        self.screen.section("In short")
        self.screen.line(f"  requests   {self.asked.total()} made: {requests}")
        self.screen.line(f"  readings   {self.view.statuses.total()} received: {statuses}")
        self.screen.line(f"  position   azimuth {azimuth} deg, elevation {elevation} deg")
        self.screen.line(f"  faults     {faults}")
        self.screen.line()
        self.screen.line("katcp demo --serve --port 7147 keeps the antenna running, for clients of yours.")


def choose_target(seconds: float) -> tuple[float, float]:
    """Return an azimuth and an elevation to which the antenna gets from its stow position in so many seconds."""
    return round(min(160.0, reach(seconds, 10.0, 5.0)), 1), round(max(20.0, 90 - reach(seconds, 5.0, 2.5)), 1)


def reach(seconds: float, top_speed: float, acceleration: float) -> float:
    """Return how far a drive gets, from rest to rest, in so many seconds."""
    ramp = top_speed / acceleration
    if seconds < 2 * ramp:
        return acceleration * seconds**2 / 4
    return top_speed * (seconds - ramp)
