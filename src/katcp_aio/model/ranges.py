"""Nominal and warn ranges. Law: what ?sensor-list tells of them and the status that is set come from one object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from ..wire.datatypes import Range
from ..wire.valuetype import ValueType
from .reading import Status

__all__ = ["Ranges"]

T = TypeVar("T")

_TYPES = ("integer", "float")  # those which may have ranges (section 7.2)


class Ranges(Generic[T]):
    """The ranges of one sensor; called with a value, it returns the status (5.1, section 7.2).

    Build it with :meth:`make`, which checks the bounds.
    """

    __slots__ = ("nominal", "warn")

    def __init__(self, nominal: tuple[T, T], warn: tuple[T, T] | None) -> None:
        self.nominal = nominal  #: lowest and highest nominal value
        self.warn = warn  #: lowest and highest value that is no error, or None

    def __call__(self, value: Any) -> Status:
        """Return the status of ``value``. NaN is outside every range."""
        low, high = self.nominal
        if low <= value <= high:
            return Status.NOMINAL
        if self.warn is None:  # here the specification leaves the choice between warn and error
            return Status.WARN
        low, high = self.warn
        return Status.WARN if low <= value <= high else Status.ERROR

    @property
    def bounds(self) -> tuple[T, ...]:
        """Nominal minimum and maximum, then the warn ones if there are any: the order of ?sensor-list."""
        return self.nominal if self.warn is None else (*self.nominal, *self.warn)

    @classmethod
    def make(
        cls,
        type_: ValueType[T],
        nominal: Range | Sequence[float] | None,
        warn: Range | Sequence[float] | None,
    ) -> Ranges[T] | None:
        """Return the ranges of a sensor of this type, or None if there are none.

        Raises:
            TypeError: a bound is no value of the type.
            ValueError: the type has no ranges; a bound is missing or NaN; a range is empty; a warn range without, or
                not around, the nominal one.
        """
        if nominal is None and warn is None:
            return None
        if type_.name not in _TYPES:
            raise ValueError(f"only integer and float sensors have ranges, not {type_.name}")
        if nominal is None:
            raise ValueError("a warn range goes with a nominal range")
        expected: Any = _pair(type_, nominal, "nominal")
        if warn is None:
            return cls(expected, None)
        outer: Any = _pair(type_, warn, "warn")
        if not (outer[0] <= expected[0] and expected[1] <= outer[1]):
            raise ValueError(f"the warn range {outer} does not contain the nominal range {expected}")
        return cls(expected, outer)


def _pair(type_: ValueType[T], given: Range | Sequence[float], which: str) -> tuple[T, T]:
    """Return both bounds of a range, checked."""
    bounds: Sequence[float | None] = (given.low, given.high) if isinstance(given, Range) else given
    if not hasattr(bounds, "__len__") or len(bounds) != 2 or None in bounds:
        raise ValueError(f"the {which} range needs a lowest and a highest value, not {given!r}")
    low, high = (type_.check(bound) for bound in bounds)
    ordered: Any = low
    if not ordered <= high:  # false for NaN as well
        raise ValueError(f"the {which} range {given!r} has no values in it")
    return low, high
