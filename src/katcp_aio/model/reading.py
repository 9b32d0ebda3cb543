"""Readings. Law: a reading is a fact; it is made once, never changed, and may be read from any thread.

A sensor's value is three things together (5.1, section 7): when it was read, what can be said about it, and the value
itself. Sensors swap one whole reading for the next, so nobody ever sees half of one.
"""

from __future__ import annotations

import enum
from typing import Generic, NamedTuple, Self, TypeVar

__all__ = ["Reading", "Status"]

T = TypeVar("T")


class Status(enum.Enum):
    """What is known about a reading (5.1, table 8). ``Status("warn")`` finds a member by its name on the wire.

    The members stand in the order of the table; see :attr:`severity` for the order from good to bad.
    """

    valid: bool  #: whether the reading has a value that may be used
    wire: bytes  #: the status as a message argument
    severity: int  #: from 0, nominal, to 6, error: what the worst status of several sensors is decided by

    UNKNOWN = "unknown", False, 2  #: no value has been seen yet, or not for too long
    NOMINAL = "nominal", True, 0  #: the value is in its expected range
    WARN = "warn", True, 3  #: the value is outside its nominal range
    ERROR = "error", True, 6  #: the value tells of a critical condition of the device
    FAILURE = "failure", False, 5  #: reading the sensor failed, and will until somebody mends it
    UNREACHABLE = "unreachable", False, 4  #: for proxies: the device that has the sensor cannot be reached
    INACTIVE = "inactive", False, 1  #: there is no value to be had, and nothing wrong with that

    def __new__(cls, name: str, valid: bool, severity: int) -> Self:
        """Make a member whose ``value`` is its name on the wire."""
        member = object.__new__(cls)
        member._value_ = name
        member.wire = name.encode("ascii")
        member.valid = valid
        member.severity = severity
        return member


class Reading(NamedTuple, Generic[T]):
    """One reading of a sensor. Immutable; equal to a reading with the same three parts; hashable if its value is.

    A named tuple, since readings are made more often than anything else here: it costs a third of a frozen attrs class
    to make and takes as little memory. It also unpacks: ``timestamp, status, value = reading``.
    """

    timestamp: float  #: when it was read: seconds since the Unix epoch, UTC, by the wall clock of who read it
    status: Status  #: what is known about it
    value: T  #: the value; where the status is not ``valid``, the last one known or the sensor's default
