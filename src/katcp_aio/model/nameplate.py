"""What is said of a sensor once and for all. Law: checked where it is given, and never changed after.

A client that caches ?sensor-list relies on that: a sensor with another type, unit or range is another sensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from ..wire.datatypes import Range
from ..wire.dialect import V51, Dialect, parse_version
from ..wire.formats import time_encoder
from ..wire.values import registry
from ..wire.valuetype import ValueType
from .checks import check_auto, check_name, check_text
from .metadata import NO_METADATA, Metadata
from .ranges import Ranges
from .reading import Reading
from .strategies import strategies

__all__ = ["Nameplate"]

T = TypeVar("T")

_PLAIN: tuple[None, Metadata] = (None, NO_METADATA)  # shared by all sensors of which nothing rare is said


class Nameplate(Generic[T]):
    """Name, type, description, units, ranges and more of a sensor, and how ?sensor-list tells them (section 7.2).

    The arguments are those of :class:`~katcp_aio.model.sensor.Sensor`, which is one.
    """

    __slots__ = ("_description", "_name", "_ranges", "_rare", "_type", "_units")

    def __init__(
        self,
        type: Any,  # noqa: A002 - the specification's own word
        name: str,
        description: str,
        units: str,
        nominal: tuple[float, float] | Range | None,
        warn: tuple[float, float] | Range | None,
        auto: str | tuple[Any, ...] | None,
        labels: Mapping[str, str] | None,
        set_by: str | None,
    ) -> None:
        self._type: ValueType[T] = type if isinstance(type, ValueType) else registry.resolve(type)
        self._name = check_name(name)
        self._description = check_text(description, "description", name)
        self._units = check_text(units, "units", name)
        self._ranges = Ranges.make(self._type, nominal, warn)
        self._rare: tuple[tuple[Any, ...] | None, Metadata] = _PLAIN
        if auto is not None or labels or set_by is not None:
            strategy = check_auto(auto)
            self._rare = strategy, Metadata.make(name, labels, set_by)
            if strategy is not None and strategy[0] in strategies.rows:  # what one server alone has is not known here
                strategies.maker("auto", ())(self)

    @property
    def name(self) -> str:
        """The name, as on the wire."""
        return self._name

    @property
    def description(self) -> str:
        """What it measures, for humans."""
        return self._description

    @property
    def units(self) -> str:
        """The units of the value, for humans; may be empty."""
        return self._units

    @property
    def type(self) -> ValueType[T]:
        """The type of the values: what checks, encodes and decodes them."""
        return self._type

    @property
    def type_name(self) -> str:
        """The type by its name in the specification: ``float``, ``discrete``, ..."""
        return self._type.name

    @property
    def params(self) -> tuple[bytes, ...]:
        """What ?sensor-list tells after the type, in protocol 5.1: options or ranges."""
        return self.format_params(V51)

    @property
    def nominal(self) -> tuple[T, T] | None:
        """The range of expected values, both ends included, or None."""
        return None if self._ranges is None else self._ranges.nominal

    @property
    def warn(self) -> tuple[T, T] | None:
        """The range outside which a value is an error, both ends included, or None."""
        return None if self._ranges is None else self._ranges.warn

    @property
    def auto(self) -> tuple[Any, ...] | None:
        """What the strategy ``auto`` means here, as (name, parameter, ...); None: every reading is sent."""
        return self._rare[0]

    @property
    def labels(self) -> Mapping[str, str]:
        """What it belongs to, for programs; empty for most."""
        return self._rare[1].labels

    @property
    def set_by(self) -> str | None:
        """The request of its device that sets it, or None."""
        return self._rare[1].set_by

    @property
    def metadata(self) -> Metadata:
        """Both, as ?sensor-metadata tells them."""
        return self._rare[1]

    def format_params(self, protocol: Dialect | str) -> tuple[bytes, ...]:
        """Return what ?sensor-list tells after the type: discrete options, or ranges of numbers (section 7.2).

        ``protocol`` is a dialect or a version, as "5.1"; UnsupportedProtocol if there is no such version.
        """
        dialect = protocol if isinstance(protocol, Dialect) else parse_version(protocol)
        params = self._type.params
        if self._ranges is not None:
            params = tuple(map(self._type.encoder(dialect), self._ranges.bounds))
        return dialect.sensor_params(self._type.name, params)

    def format_reading(self, reading: Reading[T], protocol: Dialect | str) -> tuple[bytes, bytes, bytes]:
        """Return (timestamp, status, value) of a reading of this type as ``protocol`` writes them; not escaped yet.

        ``protocol`` is a dialect or a version, as "5.1"; UnsupportedProtocol if there is no such version.
        """
        dialect = protocol if isinstance(protocol, Dialect) else parse_version(protocol)
        return (
            time_encoder(dialect)(reading.timestamp),
            dialect.encode_status(reading.status.wire),
            self._type.encoder(dialect)(reading.value),
        )
