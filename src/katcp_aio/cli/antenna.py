"""A simulated antenna: what ``katcp demo`` shows, and a device to start your own from.

Law: the physics is in plain objects that are told how many seconds went by; the device moves them on, and tells its
clients. With a seed, and the clock of a test, each run is the same.
"""

import asyncio
import enum
import math
import random
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from katcp_aio import DeviceServer, FailReply, Range, RequestContext, Sensor, Status, request

__all__ = ["Antenna", "Drift", "Drive", "Fault", "Mode"]

STEP = 0.1  # seconds between two steps of the simulation
REPORT = 0.25  # seconds between two informs of ?slew
SKY_RATE = 0.25  # degrees a second: a hasty sky, so that one sees the antenna track it
STOW = (0.0, 90.0)  # azimuth and elevation in degrees: the dish looks up


class Mode(enum.Enum):
    """What the antenna is doing."""

    STOP = 0
    SLEW = 1
    TRACK = 2
    STOW = 3


class Fault(enum.Enum):
    """What is broken at the moment."""

    NONE = 0
    ENCODER = 1  # the azimuth that is read is not to be believed
    COOLER = 2  # the receiver warms up


class Drive:
    """One axis: it turns to its target within its speed (degrees/s) and acceleration (degrees/s²)."""

    def __init__(self, position: float, top_speed: float, acceleration: float) -> None:
        self.position = self.target = position
        self.speed = 0.0
        self.top_speed = top_speed
        self.acceleration = acceleration

    @property
    def arrived(self) -> bool:
        """Whether it stands at its target."""
        return self.position == self.target

    def halt(self) -> None:
        """Brake, hard."""
        self.target, self.speed = self.position, 0.0

    def step(self, seconds: float) -> None:
        """Move on by so many seconds."""
        way = self.target - self.position
        # As fast as allowed, and no faster than it can still brake from before the target.
        wanted = math.copysign(min(self.top_speed, math.sqrt(2 * self.acceleration * abs(way))), way)
        most = self.acceleration * seconds
        self.speed += max(-most, min(most, wanted - self.speed))
        self.position += self.speed * seconds
        if (self.target - self.position) * way <= 0:  # there, or past it
            self.position, self.speed = self.target, 0.0


class Drift:
    """A quantity that wanders about its mean, and follows when that changes, within about ``settle`` seconds."""

    def __init__(self, mean: float, noise: float, settle: float, dice: random.Random) -> None:
        self.mean = self.value = mean
        self.noise = noise
        self.settle = settle
        self.dice = dice

    def step(self, seconds: float) -> None:
        """Move on by so many seconds."""
        self.value += (self.mean - self.value) * -math.expm1(-seconds / self.settle)
        self.value += self.dice.gauss(0.0, self.noise * math.sqrt(seconds))


class Antenna(DeviceServer):
    """An antenna with two drives, a cooled receiver and an anemometer.

    Args:
        args: host and port, as for any :class:`DeviceServer`; so are the other keywords.
        seed: makes drifts and faults the same in every run.
        fault_every: mean time between faults, in seconds.
    """

    VERSION = "antenna-1.0"
    BUILD_STATE = "antenna-1.0.0"

    def __init__(self, *args: Any, seed: int | None = None, fault_every: float = 30.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        add = self.sensors.add
        self.mode = add(Sensor(Mode, "mode", "What the antenna is doing"))
        self.azimuth = add(
            Sensor(float, "az.position", "Azimuth", "deg", STOW[0], nominal=(-175, 175), warn=(-180, 180))
        )
        self.elevation = add(Sensor(float, "el.position", "Elevation", "deg", STOW[1], nominal=(15, 90)))
        self.receiver = add(
            Sensor(float, "rx.temperature", "Temperature of the receiver", "K", 18.0, nominal=(14, 22), warn=(10, 26))
        )
        self.motor = add(
            Sensor(float, "drive.temperature", "Temperature of the motors", "degC", 25.0, nominal=(5, 60), warn=(0, 80))
        )
        self.wind = add(Sensor(float, "wind.speed", "Wind speed", "m/s", 6.0, nominal=(0, 12), warn=(0, 16)))
        self.fault = add(Sensor(Fault, "fault", "What is broken", status_func=_fault_status))
        self.slews = add(Sensor(int, "slews", "Slews that reached their target", "count"))
        # What is set once is known; the others are unknown until they are measured.
        self.mode.value, self.fault.value, self.slews.value = Mode.STOW, Fault.NONE, 0

        self._dice = dice = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        self._fault_every = fault_every
        self._az, self._el = Drive(STOW[0], 10.0, 5.0), Drive(STOW[1], 5.0, 2.5)
        self._receiver, self._motor = Drift(18.0, 0.3, 2.0, dice), Drift(25.0, 0.2, 5.0, dice)
        self._wind = Drift(6.0, 0.8, 4.0, dice)
        self._slew_ended: asyncio.Future[bool] | None = None  # and whether it arrived
        self._then = Mode.STOP  # what comes after a slew
        self._fault_in = self._next_fault()  # seconds
        self._repair_in = 0.0

    async def on_start(self) -> None:
        """Start the simulation; if it fails, the device stops and says why."""
        self._step(0.0)  # so that the first client finds everything measured
        self.add_service_task(self._simulate())

    # Requests: annotations say how arguments are read, and the docstring is the answer to ?help.

    @request(timeout_hint=60)
    async def request_slew(
        self,
        ctx: RequestContext,
        az: Annotated[float, Range(-180, 180)],
        el: Annotated[float, Range(15, 90)],
        then: Literal["stop", "track"] = "stop",
    ) -> AsyncIterator[tuple[float, float]]:
        """Move to azimuth and elevation, in degrees, then stop or track the sky.

        The informs tell the azimuth and elevation on the way; the reply comes when the antenna has arrived.
        """
        if self.mode.value is Mode.SLEW:
            raise FailReply("The antenna is slewing: wait for it, or ?stop first")
        if self.wind.status is Status.ERROR:
            raise FailReply(f"Not in a wind of {self.wind.value:.0f} m/s")
        self._az.target, self._el.target = az, el
        self._then = Mode[then.upper()]
        self._slew_ended = ended = asyncio.get_running_loop().create_future()
        self.mode.value = Mode.SLEW
        while not ended.done():
            yield self.azimuth.value, self.elevation.value
            await asyncio.wait([ended], timeout=REPORT)
        if not ended.result():  # another request stopped it on its way
            raise FailReply(f"Stopped at azimuth {self.azimuth.value:.1f}, elevation {self.elevation.value:.1f}")

    async def request_stop(self, ctx: RequestContext) -> tuple[float, float]:
        """Stop where it is, and return azimuth and elevation in degrees."""
        self._halt(Mode.STOP)
        return self.azimuth.value, self.elevation.value

    async def request_stow(self, ctx: RequestContext) -> None:
        """Begin to move to where the wind does no harm."""
        self._halt(Mode.STOW)
        self._az.target, self._el.target = STOW

    async def request_fault(
        self, ctx: RequestContext, fault: Fault, seconds: Annotated[float, Range(0, 60)] = 3.0
    ) -> None:
        """Break something, for some seconds; none mends it."""
        self._break(fault, seconds)

    # The simulation

    async def _simulate(self) -> None:
        """Move everything on, ten times a second."""
        last = self.clock.monotonic()
        while True:
            await asyncio.sleep(STEP)
            now = self.clock.monotonic()
            self._step(now - last)
            last = now

    def _step(self, seconds: float) -> None:
        self._step_fault(seconds)
        self._step_drives(seconds)
        fault = self.fault.value
        self._motor.mean = 25.0 + 2.0 * abs(self._az.speed) + 2.0 * abs(self._el.speed)
        self._receiver.mean = 35.0 if fault is Fault.COOLER else 18.0
        for drift in (self._motor, self._receiver, self._wind):
            drift.step(seconds)
        encoder = Status.FAILURE if fault is Fault.ENCODER else None  # None: as the ranges say
        self.azimuth.set(round(self._az.position, 3), encoder)
        self.elevation.value = round(self._el.position, 3)
        self.motor.value = round(self._motor.value, 1)
        self.receiver.value = round(self._receiver.value, 2)
        self.wind.value = round(max(0.0, self._wind.value), 1)

    def _step_drives(self, seconds: float) -> None:
        mode = self.mode.value
        if mode is Mode.TRACK:
            self._az.target += SKY_RATE * seconds
            if self._az.target > 180:  # the end of the cable wrap
                self._halt(Mode.STOP)
        self._az.step(seconds)
        self._el.step(seconds)
        if mode is Mode.SLEW and self._az.arrived and self._el.arrived:
            self.slews.value += 1
            self._end_slew(self._then, arrived=True)

    def _step_fault(self, seconds: float) -> None:
        if self.fault.value is Fault.NONE:
            self._fault_in -= seconds
            if self._fault_in <= 0:
                self._break(self._dice.choice([Fault.ENCODER, Fault.COOLER]), self._dice.uniform(1.5, 2.5))
        else:
            self._repair_in -= seconds
            if self._repair_in <= 0:
                self.fault.value = Fault.NONE

    def _break(self, fault: Fault, seconds: float) -> None:
        self.fault.value = fault
        self._repair_in = seconds
        self._fault_in = self._next_fault()

    def _next_fault(self) -> float:
        return self._dice.expovariate(1 / self._fault_every)

    def _halt(self, mode: Mode) -> None:
        self._az.halt()
        self._el.halt()
        self._end_slew(mode, arrived=False)

    def _end_slew(self, mode: Mode, *, arrived: bool) -> None:
        self.mode.value = mode
        if self._slew_ended is not None and not self._slew_ended.done():
            self._slew_ended.set_result(arrived)


def _fault_status(fault: Fault) -> Status:
    return Status.NOMINAL if fault is Fault.NONE else Status.ERROR
