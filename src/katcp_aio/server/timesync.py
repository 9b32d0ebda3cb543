"""Whether the host's clock is right. Law: what the kernel says, asked for and never set.

Timestamps are worth what the clock of the host is worth; these sensors say that. They are here and not on the model's
floor because reading them is a system call.
"""

from __future__ import annotations

import asyncio
import ctypes
import enum
import errno
import os
from collections.abc import Callable

import attrs

from ..model.reading import Status
from ..model.sensor import Sensor
from ..model.sensorset import SensorSet

__all__ = ["ClockState", "KernelClock", "TimeSync", "read_kernel_clock"]

_MICROSECOND = 1e-6
_NOT_HERE = (errno.ENOSYS, errno.EPERM, errno.EACCES)  # the call is missing, or a container does not let it through


class ClockState(enum.Enum):
    """What adjtimex(2) returns."""

    OK = 0  #: synchronised
    INS = 1  #: synchronised; a leap second will be inserted at the end of the day
    DEL = 2  #: synchronised; a leap second will be deleted at the end of the day
    OOP = 3  #: synchronised; a leap second is in progress
    WAIT = 4  #: synchronised; a leap second is over
    ERROR = 5  #: not synchronised


@attrs.frozen
class KernelClock:
    """What the kernel knows of its clock."""

    state: ClockState
    maxerror: float  #: the most that the clock is wrong, in seconds
    esterror: float  #: about how much the clock is wrong, in seconds


class _Timex(ctypes.Structure):
    """``struct timex`` of Linux up to the last field that is read here, and room for all the others."""

    _fields_ = (
        ("modes", ctypes.c_uint),  # zero: change nothing
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("esterror", ctypes.c_long),  # microseconds
        ("others", ctypes.c_byte * 512),
    )


def read_kernel_clock() -> KernelClock | None:
    """Ask the kernel about its clock; None where there is nothing to ask: not on Linux, or not allowed.

    Raises:
        OSError: the kernel refuses for another reason.
    """
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError, TypeError):  # another system, or no C library
        return None
    timex = _Timex()
    state = adjtimex(ctypes.pointer(timex))
    if state < 0:
        number = ctypes.get_errno()
        if number in _NOT_HERE:
            return None
        raise OSError(number, os.strerror(number))
    return KernelClock(ClockState(state), timex.maxerror * _MICROSECOND, timex.esterror * _MICROSECOND)


class TimeSync:
    """Three sensors that tell how well the host's clock is synchronised, added to a set.

    They are ``state`` (discrete: ok, ins, del, oop, wait, error; its status is ``warn`` for error), ``maxerror`` and
    ``esterror`` (float, seconds). Where the kernel has nothing to tell they are ``inactive``; where it refuses,
    ``failure``. Somebody has to call :meth:`update`, or to keep :meth:`run` running::

        device.add_service_task(TimeSync(device.sensors, "time-sync.").run())

    Args:
        sensors: the set to add them to.
        prefix: goes before their names.
        nominal: the most, in seconds, that ``maxerror`` may be for its status to be ``nominal``; more: ``warn``.
        read: where to ask.
    """

    def __init__(
        self,
        sensors: SensorSet,
        prefix: str = "",
        *,
        nominal: float | None = None,
        read: Callable[[], KernelClock | None] = read_kernel_clock,
    ) -> None:
        self._read = read
        self.state = sensors.add(
            Sensor(ClockState, f"{prefix}state", "State of the host's clock", status_func=_status_of)
        )
        self.maxerror = sensors.add(
            Sensor(
                float,
                f"{prefix}maxerror",
                "Largest error of the host's clock",
                "s",
                nominal=None if nominal is None else (0.0, nominal),
            )
        )
        self.esterror = sensors.add(Sensor(float, f"{prefix}esterror", "Estimated error of the host's clock", "s"))

    def update(self) -> None:
        """Read the kernel's clock and set the sensors, with the present time of their clocks."""
        try:
            found = self._read()
        except OSError:
            self._have_no_value(Status.FAILURE)
            return
        if found is None:
            self._have_no_value(Status.INACTIVE)
            return
        self.state.value = found.state
        self.maxerror.value = found.maxerror
        self.esterror.value = found.esterror

    async def run(self, period: float = 10.0) -> None:
        """Update now and every ``period`` seconds, until cancelled."""
        while True:
            self.update()
            await asyncio.sleep(period)

    def _have_no_value(self, status: Status) -> None:
        for sensor in (self.state, self.maxerror, self.esterror):
            sensor.status = status


def _status_of(state: ClockState) -> Status:
    return Status.WARN if state is ClockState.ERROR else Status.NOMINAL
