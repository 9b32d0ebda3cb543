"""Sensors made from sensors. Law: an aggregate says what those sensors say that are there now.

An :class:`AggregateSensor` is a sensor like any other, which clients list and sample; what sets it are the readings of
others. It follows those that come to its set and lets go of those that leave, and it keeps nothing alive but itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from ..wire.valuetype import ValueType
from .follower import Follower, Outcome, settle
from .matching import selector
from .reading import Reading, Status
from .sensor import Sensor
from .sensorset import Match, SensorSet
from .tallies import AllOf, Count, Latest, RuleTally, Sum, Tally, Worst

__all__ = ["AggregateSensor"]

T = TypeVar("T")
V = TypeVar("V")
PyType = type[T]  # inside the class, `type` is the sensor's

Sources = SensorSet | Iterable[Sensor[Any]]  #: a set, which is followed; or some sensors, for good


class AggregateSensor(Sensor[T]):
    """A sensor whose readings follow from those of other sensors.

    It is set when one of them is, and when one comes or goes. Its timestamp is that of the reading which caused it, or
    the time at which a sensor came or went; it never goes back. A rule that raises is logged, and the aggregate keeps
    its reading. An aggregate never follows itself, nor an aggregate that is made from it.

    To live, an aggregate has to be referred to, by the set that it was added to or by its owner. When it is forgotten,
    nothing of it stays attached; a sensor that was removed from the set is no longer referred to.

    Args:
        type: as for a :class:`Sensor`; so are ``name``, ``description``, ``units`` and ``options``: ``default``,
            ``nominal``, ``warn``, ``status_func``, ``auto``, ``stale_after``, ``clock`` (by default that of the set).
        sensors: a :class:`SensorSet`, whose sensors are followed as they come and go; or the sensors themselves.
        match: which of them; see :meth:`SensorSet.match`. Asked once, when a sensor is added.
        rule: a :class:`Tally`, or a function from the list of the sensors to a value, to (status, value), or to None
            for "as it is".

    Raises:
        TypeError, ValueError: as :class:`Sensor`, and ``match`` is no regular expression. What the rule raises for the
            sensors that are there already is raised as well.
    """

    __slots__ = ("_aggregates", "_follower", "_left_out", "_tally")

    @overload
    def __init__(
        self,
        type: PyType[T] | ValueType[T],
        name: str,
        description: str = "",
        units: str = "",
        *,
        sensors: Sources,
        match: Match = None,
        rule: Tally | Callable[[list[Sensor[Any]]], Outcome],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: AggregateSensor[Any],
        type: object,
        name: str,
        description: str = "",
        units: str = "",
        *,
        sensors: Sources,
        match: Match = None,
        rule: Tally | Callable[[list[Sensor[Any]]], Outcome],
        **options: Any,
    ) -> None: ...
    def __init__(
        self,
        type: Any,  # noqa: A002 - the specification's own word
        name: str,
        description: str = "",
        units: str = "",
        *,
        sensors: Sources,
        match: Match = None,
        rule: Tally | Callable[[list[Sensor[Any]]], Outcome],
        **options: Any,
    ) -> None:
        if isinstance(sensors, SensorSet):
            options["clock"] = options.get("clock") or sensors.clock
        super().__init__(type, name, description, units, **options)
        self._tally: Tally | None = None  # none yet: those that are there already make one reading, not one each
        self._aggregates: dict[AggregateSensor[Any], None] = {}
        self._left_out: set[Sensor[Any]] = set()  # members whose last reading the tally would not take
        tally = rule if isinstance(rule, Tally) else RuleTally(rule)
        follower = self._follower = Follower(self)
        wanted = _wanted(selector(match), tally.types, follower)
        try:
            if isinstance(sensors, SensorSet):
                follower.follow_set(sensors, wanted)
            else:
                for sensor in sensors:
                    if wanted(sensor):
                        follower.follow(sensor)
            for sensor, reading in follower.readings.items():
                tally.include(sensor, reading)
            settle(self, tally.outcome(), self.clock.time(), repeats=True)
        except Exception:
            follower.close()
            raise
        self._tally = tally

    @property
    def members(self) -> tuple[Sensor[Any], ...]:
        """The sensors that it is made from now, in the order in which they came."""
        return tuple(self._follower.readings)

    @property
    def aggregates(self) -> tuple[AggregateSensor[Any], ...]:
        """The aggregates among its members."""
        return tuple(self._aggregates)

    def release(self) -> None:
        """Follow no sensor any more; the reading stays. An aggregate that is forgotten does this by itself."""
        self._follower.close()
        self._aggregates.clear()
        self._left_out.clear()

    def followed(self, sensor: Sensor[Any], old: Reading[Any] | None, new: Reading[Any] | None) -> None:
        """Take in what became of one sensor; the follower calls this."""
        if isinstance(sensor, AggregateSensor):
            if old is None:
                self._aggregates[sensor] = None
            elif new is None:
                del self._aggregates[sensor]
        tally = self._tally
        if tally is None:
            return
        left_out = self._left_out
        try:
            if old is not None and sensor not in left_out:
                tally.exclude(sensor, old)
            left_out.discard(sensor)
            if new is not None:
                tally.include(sensor, new)
        except Exception:
            if new is not None:
                left_out.add(sensor)  # what was not included must not be excluded
            raise
        timestamp = self.clock.time() if old is None or new is None else new.timestamp
        settle(self, tally.outcome(), timestamp, repeats=tally.repeats)

    # --- the usual ones ---

    @classmethod
    def sum(
        cls,
        name: str,
        sensors: Sources,
        match: Match = None,
        *,
        type: PyType[Any] = float,  # noqa: A002 - as above
        least: int = 1,
        description: str = "Sum of other sensors",
        units: str = "",
        **options: Any,
    ) -> AggregateSensor[float]:
        """Return the sum of numbers. Readings without a valid value do not count.

        ``type`` is float, for integer and float sensors, or int, for integer sensors. With fewer than ``least`` valid
        readings the status is ``unknown``. The sum of floats is exact, and then rounded once.
        """
        tally = Sum(whole=issubclass(type, int), least=least)
        return cls(type, name, description, units, sensors=sensors, match=match, rule=tally, **options)

    @classmethod
    def count(
        cls,
        name: str,
        sensors: Sources,
        match: Match = None,
        *,
        where: Callable[[Reading[Any]], object] | None = None,
        description: str = "Number of other sensors",
        units: str = "",
        **options: Any,
    ) -> AggregateSensor[int]:
        """Return the number of sensors with a reading for which ``where`` is true; by default, with a valid one."""
        return cls(int, name, description, units, sensors=sensors, match=match, rule=Count(where), **options)

    @classmethod
    def worst(
        cls,
        name: str,
        sensors: Sources,
        match: Match = None,
        *,
        description: str = "Worst status of other sensors",
        **options: Any,
    ) -> AggregateSensor[Status]:
        """Return the worst status (:attr:`Status.severity`), as status and as value; ``unknown`` without sensors."""
        return cls(Status, name, description, sensors=sensors, match=match, rule=Worst(), **options)

    @overload
    @classmethod
    def latest(
        cls,
        type: PyType[V] | ValueType[V],
        name: str,
        sensors: Sources,
        match: Match = None,
        *,
        description: str = ...,
        units: str = ...,
        **options: Any,
    ) -> AggregateSensor[V]: ...
    @overload
    @classmethod
    def latest(
        cls,
        type: object,
        name: str,
        sensors: Sources,
        match: Match = None,
        *,
        description: str = ...,
        units: str = ...,
        **options: Any,
    ) -> AggregateSensor[Any]: ...
    @classmethod
    def latest(
        cls,
        type: Any,  # noqa: A002 - as above
        name: str,
        sensors: Sources,
        match: Match = None,
        *,
        description: str = "Latest reading of other sensors",
        units: str = "",
        **options: Any,
    ) -> AggregateSensor[Any]:
        """Return the valid reading with the latest timestamp, from sensors of one type; see :class:`Latest`."""
        plate: Sensor[Any] = Sensor(type, name, default=options.get("default"))
        tally = Latest(plate.type_name, plate.value)
        return cls(plate.type, name, description, units, sensors=sensors, match=match, rule=tally, **options)

    @classmethod
    def all_of(
        cls,
        name: str,
        sensors: Sources,
        match: Match = None,
        *,
        description: str = "Whether all other sensors are true",
        **options: Any,
    ) -> AggregateSensor[bool]:
        """Return whether all boolean sensors are true.

        One that is false decides. If none is, one without a valid reading makes the status ``unknown``.
        """
        return cls(bool, name, description, sensors=sensors, match=match, rule=AllOf(), **options)


def _wanted(
    match: Callable[[Sensor[Any]], object], types: tuple[str, ...], follower: Follower
) -> Callable[[Sensor[Any]], bool]:
    """Return which sensors an aggregate follows; the function knows its follower, and so not itself."""

    def wanted(sensor: Sensor[Any]) -> bool:
        if types and sensor.type_name not in types:
            return False
        return bool(match(sensor)) and not _is_made_from(sensor, follower)

    return wanted


def _is_made_from(sensor: Sensor[Any], follower: Follower) -> bool:
    """Return whether a sensor is the aggregate that has this follower, or is made from it in any number of steps."""
    if not isinstance(sensor, AggregateSensor):
        return False
    owner: object = follower.owner()
    seen: set[Sensor[Any]] = set()
    to_see = [sensor]
    while to_see:
        aggregate = to_see.pop()
        if aggregate is owner:
            return True
        seen.add(aggregate)
        to_see += [inner for inner in aggregate.aggregates if inner not in seen]
    return False
