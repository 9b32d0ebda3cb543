"""What a device says it has. Law: rows in, differences out; a row that is broken is skipped, and harms no other.

Rows come from ?help and ?sensor-list; which of them to ask for again comes from ``#interface-changed`` (5.1, section
4.2), whose arguments, where a device gives them, keep one changed sensor from costing a list of ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import NamedTuple, TypeVar

import attrs

from ..model.metadata import NO_METADATA, Metadata
from ..reports import TroubleLog
from ..wire.message import Message

__all__ = ["Changes", "Scope", "SensorInfo", "compare", "read_help", "read_hints", "read_metadata", "read_sensors"]

T = TypeVar("T")

_make = tuple.__new__  # what SensorInfo(...) comes down to, without the call in between


class SensorInfo(NamedTuple):
    """One row of ?sensor-list (5.1, section 7.2)."""

    name: str
    description: str  #: for humans
    units: str  #: for humans, short; may be empty
    type_name: str  #: the type, by its name in the specification or the device's own
    params: tuple[bytes, ...]  #: what follows the type: options, or ranges
    metadata: Metadata = NO_METADATA  #: what ?sensor-metadata adds, which few devices have

    @classmethod
    def from_arguments(cls, arguments: Sequence[bytes]) -> SensorInfo:
        """Read the arguments of #sensor-list; missing ones are empty.

        Raises:
            ValueError: not even a name.
        """
        if not arguments or not arguments[0]:
            raise ValueError("sensor without a name")
        try:
            name, description, units, type_name = (
                arguments[0].decode(),
                arguments[1].decode(),
                arguments[2].decode(),
                arguments[3].decode(),
            )
        except (IndexError, UnicodeDecodeError):
            texts = [argument.decode("utf-8", "backslashreplace") for argument in arguments[:4]]
            name, description, units, type_name = (*texts, "", "", "")[:4]
        # A device has ten thousand sensors and a handful of units and types.
        return _make(cls, (name, description, intern(units), intern(type_name), tuple(arguments[4:]), NO_METADATA))


def read_sensors(informs: Iterable[Message]) -> dict[str, SensorInfo]:
    """Return the rows of ?sensor-list by name; those without a name are left out."""
    rows: dict[str, SensorInfo] = {}
    for inform in informs:
        if inform.arguments and inform.arguments[0]:
            row = SensorInfo.from_arguments(inform.arguments)
            rows[row.name] = row
    return rows


def read_metadata(informs: Iterable[Message], trouble: TroubleLog) -> dict[str, Metadata]:
    """Return the rows of ?sensor-metadata by the sensors' names; those that cannot be read are told, and left out."""
    rows: dict[str, Metadata] = {}
    for inform in informs:
        try:
            name = inform.arguments[0].decode()
            rows[name] = Metadata.from_words(name, inform.arguments[1:])
        except (IndexError, ValueError) as error:
            trouble.tell("sensor metadata", "#%s cannot be read: %s", inform.name, error)
    return rows


def read_help(informs: Iterable[Message]) -> dict[str, str]:
    """Return the rows of ?help: request -> its help text."""
    rows: dict[str, str] = {}
    for inform in informs:
        if inform.arguments and inform.arguments[0]:
            name, text = (*inform.arguments[:2], b"")[:2]
            rows[name.decode("utf-8", "backslashreplace")] = text.decode("utf-8", "backslashreplace")
    return rows


def read_hints(informs: Iterable[Message]) -> dict[str, float]:
    """Return the rows of ?request-timeout-hint: request -> seconds; what is no positive number is left out."""
    hints: dict[str, float] = {}
    for inform in informs:
        if len(inform.arguments) > 1:
            try:
                seconds = float(inform.arguments[1])
            except ValueError:
                continue
            if 0.0 < seconds < float("inf"):
                hints[inform.arguments[0].decode("utf-8", "backslashreplace")] = seconds
    return hints


@attrs.frozen
class Changes:
    """What became different in a device's interface. False where nothing did.

    A sensor or request that was modified is another one of the same name.
    """

    sensors_added: frozenset[str] = frozenset()
    sensors_removed: frozenset[str] = frozenset()
    sensors_modified: frozenset[str] = frozenset()
    requests_added: frozenset[str] = frozenset()
    requests_removed: frozenset[str] = frozenset()
    requests_modified: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return any(attrs.astuple(self, recurse=False))


def compare(old: Mapping[str, T], new: Mapping[str, T]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the names that were added, removed and modified."""
    added = frozenset(name for name in new if name not in old)
    removed = frozenset(name for name in old if name not in new)
    return added, removed, frozenset(name for name, row in new.items() if name in old and old[name] != row)


class Scope:
    """What has to be asked for again. Told of changes one by one; false while there are none.

    Attributes:
        sensor_list: all sensors.
        request_list: all requests.
        sensors: single sensors, each with whether it was removed.
        requests: single requests, likewise.
    """

    __slots__ = ("request_list", "requests", "sensor_list", "sensors")

    def __init__(self, *, everything: bool = False) -> None:
        self.sensor_list = self.request_list = everything
        self.sensors: dict[str, bool] = {}
        self.requests: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return self.sensor_list or self.request_list or bool(self.sensors) or bool(self.requests)

    def add(self, arguments: Sequence[bytes]) -> None:
        """Take the arguments of one #interface-changed; what they do not narrow down is everything."""
        texts = [argument.decode("utf-8", "backslashreplace") for argument in arguments]
        if texts == ["sensor-list"]:
            self.sensor_list = True
        elif texts == ["request-list"]:
            self.request_list = True
        elif len(texts) == 3 and texts[0] in ("sensor", "request"):
            names = self.sensors if texts[0] == "sensor" else self.requests
            # Removed and then added, or the other way round: the last word is how it is now.
            names[texts[1]] = texts[2] == "removed"
        else:
            self.sensor_list = self.request_list = True

    def include(self, earlier: Scope) -> None:
        """Take in what ``earlier`` did not get done; single changes of this scope are younger and win."""
        self.sensor_list |= earlier.sensor_list
        self.request_list |= earlier.request_list
        self.sensors = {**earlier.sensors, **self.sensors}
        self.requests = {**earlier.requests, **self.requests}

    def widen(self, most: int) -> None:
        """Ask for whole lists where more than ``most`` single ones would be asked for; then no names are kept."""
        if self.sensor_list or len(self.sensors) > most:
            self.sensor_list = True
            self.sensors.clear()
        if self.request_list or len(self.requests) > most:
            self.request_list = True
            self.requests.clear()
