"""Which sensors a request means. Law: in the order of their names, and looking for them holds nobody up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from ..errors import FailReply
from ..limits import Limits
from ..model.sensor import Sensor
from ..model.sensorset import SensorSet
from ..reports import plain
from ..wire.dialect import UNKNOWN_SENSOR
from .patterns import compile_pattern
from .turns import Turns

__all__ = ["SensorFinder"]

_NAMES = 16  # between two looks at the time: 10 us of work with most patterns


class SensorFinder:
    """Finds the sensors of a set by name or /regular expression/, and keeps them sorted, as sorting 100,000 takes long.

    Args:
        sensors: the set; it is followed from now on.
        limits: ``max_pattern``.
    """

    def __init__(self, sensors: SensorSet, limits: Limits) -> None:
        self._sensors = sensors
        self._limits = limits
        self._sorted: list[Sensor[Any]] | None = None  # not before it is needed
        sensors.on_change(self._changed)

    def _changed(self, name: str, old: Sensor[Any] | None, new: Sensor[Any] | None) -> None:
        if self._sorted is not None:
            at = bisect_left(self._sorted, name, key=_name)
            self._sorted[at : at + (old is not None)] = [] if new is None else [new]

    def all(self) -> list[Sensor[Any]]:
        """Return all sensors, sorted by name; the list is the caller's own."""
        if self._sorted is None:
            self._sorted = sorted(self._sensors.values(), key=_name)
        return self._sorted.copy()

    def named(self, raw: bytes) -> Sensor[Any]:
        """Return the sensor of a name. Raises FailReply if there is none."""
        name = raw.decode("utf-8", "backslashreplace")
        if name not in self._sensors:
            raise FailReply(UNKNOWN_SENSOR.format(plain(name)))
        return self._sensors[name]

    async def find(self, raw: bytes | None, turns: Turns) -> list[Sensor[Any]]:
        """Return the sensors that a client named, sorted by name.

        Args:
            raw: a name; a regular expression between slashes, to be found anywhere in the name (``//``: everything);
                or None for all. A single slash is a name, which no sensor has.
            turns: whose time it is; others have their turn while many names are looked through.

        Raises:
            FailReply: there is no such sensor, or the regular expression is malformed, not allowed or takes too long.
                One that nothing matches is no failure.
            ConnectionLost: the client went.
        """
        if raw is None or raw == b"//":
            return self.all()
        if len(raw) < 2 or raw[:1] != b"/" or raw[-1:] != b"/":
            return [self.named(raw)]
        try:
            return await self._search(compile_pattern(raw[1:-1], self._limits), turns)
        except ValueError as error:
            raise FailReply(str(error)) from None

    async def _search(self, matches: Callable[[str], bool], turns: Turns) -> list[Sensor[Any]]:
        found = []
        turns.begin_turn()
        for number, sensor in enumerate(self.all()):
            if matches(sensor.name):
                found.append(sensor)
            if not number % _NAMES and turns.turn_is_over():
                await turns.end_turn()
        return found


def _name(sensor: Sensor[Any]) -> str:
    return sensor.name
