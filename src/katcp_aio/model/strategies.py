"""From what a client asks for to a strategy. Law: everything is checked before anything changes.

``make_strategy("event-rate", [b"1", b"10"], sensor, dialect, limits)`` returns one of the state machines of
:mod:`.reporting`, or raises ValueError with one line for the client; the machine that was in force is not touched. The
rules of table 9 (5.1, section 7.1) are the table at the end of this file; strategies of one's own are further rows.
"""

from __future__ import annotations

import math
import re
from collections import ChainMap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import attrs

from ..limits import Limits
from ..wire.dialect import UNKNOWN_STRATEGY, V51, Dialect
from ..wire.values import encode
from ..wire.values import registry as types
from .reporting import Auto, Differential, DifferentialRate, Event, EventRate, NoReports, Period
from .reporting import Strategy as Strategy  # noqa: PLC0414 - part of what this module offers

__all__ = ["StrategyParams", "StrategyRegistry", "StrategyRow", "make_strategy", "register_strategy", "strategies"]

StrategyFactory = Callable[["StrategyParams"], Strategy]  #: makes a strategy for one client and one sensor
_F = TypeVar("_F", bound=StrategyFactory)

_DEFAULT_LIMITS = Limits()
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_NUMERIC = ("integer", "float")
_LONGEST_SHOWN = 40  # characters of a client's text that an error repeats

_INFINITE = (b"inf", b"infinity")

_read_float: Callable[[bytes], float] = types.resolve(float).decoder(V51)
_read_integer: Callable[[bytes], int] = types.resolve(int).decoder(V51)


class SampledSensor(Protocol):
    """What a strategy has to know of a sensor; a ``Sensor`` is one."""

    @property
    def name(self) -> str:
        """Its name, for error texts."""

    @property
    def type_name(self) -> str:
        """The specification's name of its type: ``integer``, ``discrete``, ..."""

    @property
    def auto(self) -> Sequence[Any] | None:
        """What ``auto`` means for it, as ``("event-rate", 1, 60)`` in seconds; None: every reading."""


@attrs.define(eq=False)
class StrategyParams:
    """The parameters of a strategy as given, and readers that check them.

    Every reader takes the parameter's name as the strategy was registered with, and raises ValueError in one line that
    names it and repeats what was given.
    """

    given: tuple[bytes, ...]  #: the parameters
    names: tuple[str, ...]  #: what the parameters are called, in order
    sensor: SampledSensor  #: what is sampled
    dialect: Dialect  #: how the client writes time
    limits: Limits  #: ``min_period`` matters here

    def raw(self, parameter: str) -> bytes:
        """Return the parameter as it was given."""
        return self.given[self.names.index(parameter)]

    def number(self, parameter: str) -> float:
        """Return the parameter as a float that is neither infinite nor NaN."""
        value = self._float(parameter)
        if value == math.inf:
            raise self._refusal(parameter, "must be a finite number")
        return value

    def seconds(self, parameter: str, *, zero: bool = False, infinite: bool = False) -> float:
        """Return the parameter, a length of time in the client's unit (milliseconds before 5.0), in seconds.

        Above zero, or also zero where ``zero`` is true; finite, or also ``inf`` where ``infinite`` is true.
        """
        value = self._float(parameter) if infinite else self.number(parameter)
        if zero:
            if value < 0:
                raise self._refusal(parameter, "must not be negative")
        elif value <= 0:
            raise self._refusal(parameter, "must be above zero")
        return value / self.dialect.time_scale

    def difference(self, parameter: str) -> float:
        """Return the parameter, a finite number from zero up, as the sensor's own type: int or float.

        An integer sensor also takes a float without a fraction, such as ``5.0``: katcp-python's clients send that.
        """
        if self.sensor.type_name != "integer":
            value = self.number(parameter)
        else:
            try:
                value = _read_integer(self.raw(parameter))  # not by way of a float: integers have no bound
            except ValueError:
                value = self.number(parameter)
                if not value.is_integer():
                    raise self._refusal(parameter, "must be an integer") from None
                value = int(value)
        if value < 0:
            raise self._refusal(parameter, "must not be negative")
        return value

    def _float(self, parameter: str) -> float:
        raw = self.raw(parameter)
        try:
            return _read_float(raw)
        except ValueError:
            # The float of the specification knows no infinity, but strtod does, and so do clients: "no longest period".
            if raw.lower() in _INFINITE:
                return math.inf
            raise self._refusal(parameter, "must be a number") from None

    def _refusal(self, parameter: str, rule: str) -> ValueError:
        text = self.raw(parameter).decode("utf-8", "backslashreplace")
        return ValueError(f"{parameter} {rule}, found '{_shown(text)}'")


class StrategyRow(NamedTuple):
    """One strategy of a registry."""

    factory: StrategyFactory
    parameters: tuple[str, ...]  #: their names; all are required
    types: tuple[str, ...]  #: the specification's names of the sensor types that it is for; empty: all
    kind: type[Strategy] | None = None  #: what it is, where neither parameters nor the sensor matter: made more quickly


class StrategyRegistry:
    """Strategies by name. A registry with a parent adds to it, and may put another in the place of one of its.

    Args:
        parent: where to look for what is not here.
    """

    def __init__(self, parent: StrategyRegistry | None = None) -> None:
        #: name -> row, those of the parents included; change it with :meth:`register` only
        self.rows: ChainMap[str, StrategyRow] = ChainMap() if parent is None else parent.rows.new_child()

    def child(self) -> StrategyRegistry:
        """Return an empty registry on top of this one, for one server's own strategies."""
        return StrategyRegistry(self)

    def register(self, name: str, *parameters: str, types: Sequence[str] = ()) -> Callable[[_F], _F]:
        """Return a decorator for a function from :class:`StrategyParams` to a :class:`Strategy`.

        Args:
            name: what clients ask for: lower-case letters, digits and dashes.
            parameters: the names of its parameters, all required, in order.
            types: the specification's names of the sensor types that it is for; none: all.

        Raises:
            ValueError: the name is malformed, or this registry has it already.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"malformed strategy name {name!r}: use lower-case letters, digits and dashes")
        if name in self.rows.maps[0]:
            raise ValueError(f"strategy {name} is registered already")

        def add(factory: _F) -> _F:
            self.rows[name] = StrategyRow(factory, parameters, tuple(types))
            return factory

        return add

    def names(self, dialect: Dialect = V51) -> list[str]:
        """Return the names of the strategies that a client of ``dialect`` may ask for, sorted."""
        return sorted(name for name in self.rows if _spoken(name, dialect))

    def parameters(self, name: str) -> tuple[str, ...]:
        """Return the names of a strategy's parameters. Raises ValueError if there is no such strategy."""
        return self._row(name).parameters

    def make(
        self,
        name: str,
        params: Sequence[bytes],
        sensor: SampledSensor,
        dialect: Dialect = V51,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> Strategy:
        """Return a new strategy, not yet started; see :func:`make_strategy`."""
        return self.maker(name, params, dialect, limits)(sensor)

    def maker(
        self, name: str, params: Sequence[bytes], dialect: Dialect = V51, limits: Limits = _DEFAULT_LIMITS
    ) -> Callable[[SampledSensor], Strategy]:
        """Return what makes the same strategy for many sensors: what is the same for all is checked once, here.

        Raises:
            ValueError: as :func:`make_strategy`, for what does not depend on the sensor; the function, for what does.
        """
        row = self._row(name)
        if not _spoken(name, dialect):
            raise ValueError(f"protocol {dialect.version} has no strategy {name}")
        given = tuple(params)
        _check_count(name, row, given)
        kind, is_auto = row.kind, name == "auto"

        def make(sensor: SampledSensor) -> Strategy:
            if is_auto and sensor.auto is not None:
                strategy = self._sensors_own(sensor, sensor.auto, limits)
            elif kind is not None:
                return kind(name)
            else:
                strategy = _build(name, row, StrategyParams(given, row.parameters, sensor, dialect, limits))
            strategy.name, strategy.params = name, given
            return strategy

        return make

    def _row(self, name: str) -> StrategyRow:
        row = self.rows.get(name)
        if row is None:
            raise ValueError(UNKNOWN_STRATEGY.format(_shown(name)))
        return row

    def _sensors_own(self, sensor: SampledSensor, auto: Sequence[Any], limits: Limits) -> Strategy:
        """Return what ``auto`` means for this sensor. It comes from the device, so every dialect has it, in seconds."""
        name, *values = auto
        if name in ("auto", "none"):
            # Table 9: auto is never equivalent to none; and auto as auto would be a roundabout way to say nothing.
            raise ValueError(f"auto of sensor {sensor.name} must not be {name}")
        try:
            row, given = self._row(name), tuple(map(encode, values))
            _check_count(name, row, given)
            return _build(name, row, StrategyParams(given, row.parameters, sensor, V51, limits))
        except ValueError as error:
            raise ValueError(f"auto of sensor {sensor.name}: {error}") from None


def _spoken(name: str, dialect: Dialect) -> bool:
    """Return whether a dialect has a strategy: what the specification does not name is for all."""
    return name in dialect.strategies or name not in V51.strategies


def _check_count(name: str, row: StrategyRow, given: Sequence[bytes]) -> None:
    """Raise ValueError unless a strategy is given as many parameters as it has."""
    expected, found = len(row.parameters), len(given)
    if found != expected:
        raise ValueError(f"expected {expected or 'no'} parameter{'s' * (expected != 1)} for {name}, found {found}")


def _build(name: str, row: StrategyRow, params: StrategyParams) -> Strategy:
    """Check whether a strategy is for this type of sensor, and make one."""
    sensor = params.sensor
    if row.types and sensor.type_name not in row.types:
        types = " and ".join(row.types)
        raise ValueError(f"{name} is for {types} sensors only, and {sensor.name} is {sensor.type_name}")
    return row.factory(params)


def _shown(text: str) -> str:
    """Return a client's text as one short line of plain ASCII."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
    return cut.encode("unicode_escape").decode("ascii")


strategies = StrategyRegistry()
"""The strategies of table 9, and what :func:`register_strategy` added, for all servers of this process."""


def _without_parameters(kind: type[Strategy]) -> StrategyRow:
    return StrategyRow(lambda _params: kind(), (), (), kind)


strategies.rows["none"] = _without_parameters(NoReports)
strategies.rows["auto"] = _without_parameters(Auto)
strategies.rows["event"] = _without_parameters(Event)


@strategies.register("period", "period")
def _period(params: StrategyParams) -> Strategy:
    return Period(max(params.seconds("period"), params.limits.min_period))


@strategies.register("differential", "difference", types=_NUMERIC)
def _differential(params: StrategyParams) -> Strategy:
    return Differential(params.difference("difference"))


@strategies.register("event-rate", "shortest-period", "longest-period")
def _event_rate(params: StrategyParams) -> Strategy:
    return EventRate(*_rate(params))


@strategies.register("differential-rate", "difference", "shortest-period", "longest-period", types=_NUMERIC)
def _differential_rate(params: StrategyParams) -> Strategy:
    return DifferentialRate(params.difference("difference"), *_rate(params))


def _rate(params: StrategyParams) -> tuple[float, float]:
    """Read the two periods of the rate-limited strategies."""
    shortest = params.seconds("shortest-period", zero=True)
    longest = params.seconds("longest-period", infinite=True)
    if shortest > longest:  # the specification leaves the meaning open: a client that asks has swapped the two
        raise ValueError("shortest-period must not be more than longest-period")
    return shortest, max(longest, params.limits.min_period)


register_strategy = strategies.register
"""Add a strategy to the default registry; as :meth:`StrategyRegistry.register`."""


def make_strategy(
    name: str,
    params: Sequence[bytes],
    sensor: SampledSensor,
    dialect: Dialect = V51,
    limits: Limits = _DEFAULT_LIMITS,
    registry: StrategyRegistry = strategies,
) -> Strategy:
    """Return a new strategy for one client and one sensor, not yet started.

    A period shorter than ``limits.min_period`` is raised to it; the reply still repeats what was given.

    Args:
        name: of the strategy, as the client gave it.
        params: its parameters, as the client gave them.
        sensor: what is sampled. A sensor with ``auto`` of its own has ``auto`` behave as that.
        dialect: what the client speaks: which strategies there are, and whether time is in seconds or milliseconds.
        limits: ``min_period``, in seconds.
        registry: where strategies are looked up.

    Raises:
        ValueError: there is no such strategy (in this dialect, for this type of sensor), or a parameter is missing,
            superfluous, malformed or out of its range. The text is one line, in ASCII, for the client.
    """
    return registry.make(name, params, sensor, dialect, limits)
