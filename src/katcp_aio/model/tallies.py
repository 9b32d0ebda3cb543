"""What several readings come to. Law: what was put in comes out again, exactly, so a tally never has to start over.

A tally is told of readings that come and go, and knows at any time what they come to; a new reading is the old one
going and the new one coming. The cost of that does not grow with the number of sensors. Tallies know neither time nor
observers; :class:`~katcp_aio.model.aggregate.AggregateSensor` makes sensors of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from .follower import Outcome
from .reading import Reading, Status
from .sensor import Sensor

__all__ = ["AllOf", "Count", "Latest", "RuleTally", "Sum", "Tally", "Worst"]


class Tally:
    """What some readings come to. Subclass it for an aggregate of one's own.

    Whatever was included is excluded once, with the same sensor and an equal reading, before the sensor is included
    again, or for good; what :meth:`include` raised for was not included. A tally belongs to one aggregate.
    """

    types: tuple[str, ...] = ()  #: the specification's names of the sensor types that it can use; empty: all
    repeats = True  #: whether an outcome that equals the last makes a reading of the aggregate, with a new timestamp

    def include(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Take in the reading of a sensor. Its value means something only if ``reading.status.valid``."""

    def exclude(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Take back a reading that was included."""

    def outcome(self) -> Outcome:
        """Return what the readings come to: a value, (status, value), or None to leave the aggregate as it is."""
        raise NotImplementedError


class Sum(Tally):
    """The sum of the valid readings of numbers, rounded once: their order and their history make no difference.

    Args:
        whole: sum integers as integers; else a float.
        least: with fewer valid readings than this the status is ``unknown``.
    """

    def __init__(self, *, whole: bool = False, least: int = 1) -> None:
        self.types = ("integer",) if whole else ("integer", "float")
        self._whole = whole
        self._least = least
        self._valid = 0
        # What is finite adds up to _units / _unit, exactly, so that taking away undoes adding. _unit is the largest
        # denominator seen: a power of two, and at most 2 ** 1074, for that is how small floats get.
        self._units = 0
        self._unit = 1
        self._special = {math.inf: 0, -math.inf: 0, math.nan: 0}

    def include(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Add it."""
        if reading.status.valid:
            self._add(reading.value, 1)

    def exclude(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Take it away again."""
        if reading.status.valid:
            self._add(reading.value, -1)

    def _add(self, value: Any, sign: int) -> None:
        self._valid += sign
        if not isinstance(value, int):
            value = float(value)
            if not math.isfinite(value):
                self._special[value if abs(value) == math.inf else math.nan] += sign
                return
        numerator, denominator = value.as_integer_ratio()
        if denominator > self._unit:
            self._units *= denominator // self._unit
            self._unit = denominator
        self._units += sign * numerator * (self._unit // denominator)

    def outcome(self) -> Outcome:
        """Return the sum, with the status of the aggregate's own ranges if there are enough readings."""
        status = None if self._valid >= self._least else Status.UNKNOWN
        if self._whole:
            return status, self._units
        high, low, nan = self._special.values()
        if nan or (high and low):
            return status, math.nan
        if high or low:
            return status, math.inf if high else -math.inf
        try:
            return status, self._units / self._unit  # rounded correctly: int / int is
        except OverflowError:
            return status, math.inf if self._units > 0 else -math.inf


class Count(Tally):
    """How many readings there are for which a condition is true.

    Args:
        where: the condition, asked once a reading; by default, that the reading is valid.
    """

    repeats = False

    def __init__(self, where: Callable[[Reading[Any]], object] | None = None) -> None:
        self._where = where or _is_valid
        self._counted: set[Sensor[Any]] = set()

    def include(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Count it, if it is to be counted."""
        if self._where(reading):
            self._counted.add(sensor)

    def exclude(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Count it no more."""
        self._counted.discard(sensor)

    def outcome(self) -> Outcome:
        """Return the number."""
        return len(self._counted)


class Worst(Tally):
    """The worst status, by :attr:`Status.severity`, as status and as value; ``unknown`` where there are no sensors."""

    repeats = False

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Status, 0)  #: status -> how many sensors have it

    def include(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Count its status."""
        self.counts[reading.status] += 1

    def exclude(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Count its status no more."""
        self.counts[reading.status] -= 1

    @property
    def worst(self) -> Status | None:
        """The worst status that there is; None without sensors."""
        there = [status for status, count in self.counts.items() if count]
        return max(there, key=_severity) if there else None

    def outcome(self) -> Outcome:
        """Return the worst status, twice."""
        worst = self.worst or Status.UNKNOWN
        return worst, worst


class Latest(Tally):
    """The valid reading with the latest timestamp, value and status; of several, the one that came last.

    When that one goes, or becomes invalid, the latest of the others takes its place: this alone takes time in
    proportion to the number of sensors. Where there is none, the value stays and the status is ``unknown``.

    Args:
        kind: the specification's name of the sensor type that it is for.
        keep: the value to begin with.
    """

    def __init__(self, kind: str, keep: object) -> None:
        self.types = (kind,)
        self._keep = keep
        self._valid: dict[Sensor[Any], Reading[Any]] = {}
        self._first: Sensor[Any] | None = None
        self._newest = -math.inf  # no valid reading has a later timestamp; it is that of the first, if there is one
        self._told: Reading[Any] | None = None

    def include(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Take it if it is not older than the latest."""
        if not reading.status.valid:
            return
        self._valid[sensor] = reading
        if reading.timestamp >= self._newest:
            self._first, self._newest = sensor, reading.timestamp

    def exclude(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Forget it."""
        self._valid.pop(sensor, None)
        if sensor is self._first:
            self._first = None

    def outcome(self) -> Outcome:
        """Return the status and value of the latest reading; None if that is still the same."""
        if self._first is None:
            last_first = reversed(self._valid)  # in the order in which they came; of equal ones max() takes the first
            self._first = max(last_first, key=lambda sensor: self._valid[sensor].timestamp, default=None)
        if self._first is None:
            self._newest, self._told = -math.inf, None
            return Status.UNKNOWN, self._keep
        reading = self._valid[self._first]
        if reading is self._told:
            return None
        self._told = reading
        self._newest, status, self._keep = reading
        return status, self._keep


class AllOf(Tally):
    """Whether all booleans are true.

    One that is false decides. If none is, one without a valid reading makes the status ``unknown``, and the value
    false. All of none is true.
    """

    types = ("boolean",)
    repeats = False

    def __init__(self) -> None:
        self._false = self._invalid = 0

    def include(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Count it, unless it is true."""
        self._add(reading, 1)

    def exclude(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Count it no more."""
        self._add(reading, -1)

    def _add(self, reading: Reading[Any], sign: int) -> None:
        if not reading.status.valid:
            self._invalid += sign
        elif not reading.value:
            self._false += sign

    def outcome(self) -> Outcome:
        """Return whether all are true."""
        if self._false:
            return None, False
        return (Status.UNKNOWN, False) if self._invalid else (None, True)


class RuleTally(Tally):
    """A function of all sensors, called anew for each reading: for sets of a size that allows it.

    Args:
        function: gets the sensors in the order in which they came, each to be asked for its ``reading``, ``name``, ...;
            returns an outcome: a value, (status, value), or None.
        types: the specification's names of the types that it can use; empty: all.
    """

    def __init__(self, function: Callable[[list[Sensor[Any]]], Outcome], types: Iterable[str] = ()) -> None:
        self.types = tuple(types)
        self._function = function
        self._sensors: dict[Sensor[Any], bool] = {}  # sensor -> included; one that is updated keeps its place

    def include(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Note the sensor."""
        self._sensors[sensor] = True

    def exclude(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Forget the sensor, unless it comes back."""
        self._sensors[sensor] = False

    def outcome(self) -> Outcome:
        """Call the function."""
        self._sensors = {sensor: True for sensor, there in self._sensors.items() if there}
        return self._function(list(self._sensors))


def _is_valid(reading: Reading[Any]) -> bool:
    return reading.status.valid


def _severity(status: Status) -> int:
    return status.severity
