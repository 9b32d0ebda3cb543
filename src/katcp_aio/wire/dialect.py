"""What differs between versions 4, 5.0 and 5.1 of the protocol. Law: no other module compares version numbers.

A :class:`Dialect` is what one peer speaks; whoever wants to know whether something exists there, in what unit or under
what name, asks it. The differences themselves are the rows of :class:`Rules`, one object for each version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import attrs

from ..errors import UnsupportedProtocol
from ..limits import Limits

__all__ = [
    "INTERFACE_CHANGED",
    "UNKNOWN_REQUEST",
    "UNKNOWN_SENSOR",
    "UNKNOWN_STRATEGY",
    "V4",
    "V50",
    "V51",
    "Detector",
    "Dialect",
    "Rules",
    "means_unknown",
    "means_unknown_sensor",
    "parse_version",
    "server_dialect",
]

# Fail texts that other implementations look for: katcp-python's inspecting client takes "Unknown sensor" and "Unknown
# request" for "there is none" and anything else for trouble. Use them with ``.format(name)``.
UNKNOWN_SENSOR = "Unknown sensor '{}'"
UNKNOWN_REQUEST = "Unknown request '{}'"
UNKNOWN_STRATEGY = "Unknown strategy '{}'"

# The same the other way round: how the devices in use say that they have no such sensor or request, in lower case.
_UNKNOWN = r"unknown[ _](sensor|request|command|strategy)|is not known|not-found|unable to handle request"
_NO_SENSOR = r"unknown[ _]sensor"

#: Names under which a device tells that its sensors or requests changed: the specification's, and that of C devices
#: built for version 5. All mean the same to a client.
INTERFACE_CHANGED = frozenset({"interface-changed", "device-changed"})


def means_unknown(text: str) -> bool:
    """Return whether the reason of a failed reply says that the sensor, request or strategy does not exist."""
    return re.search(_UNKNOWN, text, re.IGNORECASE) is not None


def means_unknown_sensor(text: str) -> bool:
    """Return whether the reason of a failed reply says that there is no such sensor."""
    return re.search(_NO_SENSOR, text, re.IGNORECASE) is not None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Rules:
    """One version's column of the table; every row is one difference."""

    time_scale: float  #: a time on the wire = seconds * this (5.1, section 1.1): timestamps, #log, sampling periods
    time_unit: str  #: its name, for help texts
    connect_informs: bool  #: the greeting is #version-connect; otherwise #version and #build-state (5.1, section 4.2)
    change_arguments: bool  #: #interface-changed says what changed (5.1, section 4.2)
    flags: Mapping[str, str]  #: protocol flag -> what it announces; others are kept but mean nothing
    strategies: tuple[str, ...]  #: the sampling strategies that exist (table 9)
    sensor_types: Mapping[str, str]  #: type of a sensor here -> type under which it is announced (section 3)
    range_counts: tuple[int, ...]  #: how many range parameters #sensor-list may have for integer and float
    statuses: Mapping[bytes, bytes]  #: sensor status here -> status on the wire (table 8)
    requests: Mapping[str, bool | str]  #: standard requests that not every server has: present, or with which flag


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_STATUSES_V4 = (b"unknown", b"nominal", b"warn", b"error", b"failure")
_STRATEGIES_V4 = ("none", "auto", "period", "event", "differential")
_TYPES_V4 = _same("integer", "float", "boolean", "lru", "timestamp", "discrete", "string")

_RULES_V4 = Rules(
    time_scale=1000.0,
    time_unit="milliseconds",
    connect_informs=False,
    change_arguments=False,
    # Version 4 announces no flags. C's duplex server says "4.9-M" all the same, and means by it what 5.0 means.
    flags=MappingProxyType({"M": "multi_client"}),
    strategies=_STRATEGIES_V4,
    sensor_types=MappingProxyType({**_TYPES_V4, "address": "string"}),
    range_counts=(2,),
    # "The sensor reading could not be determined" is the nearest that version 4 has to the two younger ones.
    statuses=MappingProxyType(
        {**{status: status for status in _STATUSES_V4}, b"unreachable": b"unknown", b"inactive": b"unknown"}
    ),
    requests=MappingProxyType({"client-list": "M", "version-list": False, "request-timeout-hint": False}),
)
_RULES_V50 = attrs.evolve(
    _RULES_V4,
    time_scale=1.0,
    time_unit="seconds",
    connect_informs=True,
    change_arguments=True,
    flags=MappingProxyType({"M": "multi_client", "I": "message_ids"}),
    strategies=(*_STRATEGIES_V4, "event-rate", "differential-rate"),
    sensor_types=MappingProxyType({**_TYPES_V4, "address": "address"}),
    range_counts=(0, 2, 4),
    statuses=MappingProxyType({status: status for status in (*_STATUSES_V4, b"unreachable", b"inactive")}),
    requests=MappingProxyType({"client-list": "M", "version-list": True, "request-timeout-hint": False}),
)
_RULES_V51 = attrs.evolve(
    _RULES_V50,
    flags=MappingProxyType({"M": "multi_client", "I": "message_ids", "T": "timeout_hints", "B": "bulk_sampling"}),
    requests=MappingProxyType({"client-list": "M", "version-list": True, "request-timeout-hint": "T"}),
)

# For a sensor without a range where one is mandatory: what a 32-bit client can read (Rev 4, section 3, notes).
_WIDEST = {"integer": (b"-2147483648", b"2147483647"), "float": (b"-3.4e+38", b"3.4e+38")}

_FLAG_ORDER = "MITB"
_LONGEST = 1000  # bytes kept of a version or build state
_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})(?:-([!-~]*))?")


@attrs.frozen(cache_hash=True)
class Dialect:
    """What one peer speaks: a version with its flags, and everything that follows from them. Immutable.

    Build one with :func:`parse_version`, or :func:`server_dialect` for a server of one's own.
    """

    major: int
    minor: int
    flags: frozenset[str] = frozenset()  #: as announced, unknown ones included
    rules: Rules = attrs.field(init=False, eq=False, repr=False)

    @rules.default
    def _find_rules(self) -> Rules:
        if self.major == 4:
            return _RULES_V4
        if self.major == 5:
            # A minor version may add, and add only: a 5.7 is spoken to as far as 5.1 goes.
            return _RULES_V50 if self.minor == 0 else _RULES_V51
        raise UnsupportedProtocol(f"{self.major}.{self.minor}")

    @property
    def version(self) -> str:
        """The version as #version-connect writes it: ``5.1-MITB``; unknown flags come last, sorted."""
        known = [flag for flag in _FLAG_ORDER if flag in self.flags]
        flags = "".join(known + sorted(self.flags.difference(_FLAG_ORDER)))
        return f"{self.major}.{self.minor}" + (f"-{flags}" if flags else "")

    def __str__(self) -> str:
        return self.version

    def _has(self, feature: str) -> bool:
        return any(self.rules.flags.get(flag) == feature for flag in self.flags)

    @property
    def message_ids(self) -> bool:
        """Whether replies to requests with an id carry that id (flag I; 5.1, section 2.2)."""
        return self._has("message_ids")

    @property
    def multi_client(self) -> bool:
        """Whether the server has ?client-list and #client-connected (flag M; 5.1, section 8)."""
        return self._has("multi_client")

    @property
    def timeout_hints(self) -> bool:
        """Whether the server has ?request-timeout-hint (flag T; 5.1, section 5.1)."""
        return self._has("timeout_hints")

    @property
    def bulk_sampling(self) -> bool:
        """Whether ?sensor-sampling takes several names at once (flag B; 5.1, section 7.2)."""
        return self._has("bulk_sampling")

    @property
    def time_scale(self) -> float:
        """A time on the wire is seconds times this: 1.0, or 1000.0 in version 4."""
        return self.rules.time_scale

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the sampling strategies that exist (5.1, table 9)."""
        return self.rules.strategies

    @property
    def sensor_types(self) -> tuple[str, ...]:
        """Names of the data types that exist (5.1, section 3)."""
        return tuple(name for name, announced in self.rules.sensor_types.items() if name == announced)

    @property
    def statuses(self) -> Mapping[bytes, bytes]:
        """Sensor status -> status on the wire; version 4 knows fewer (table 8)."""
        return self.rules.statuses

    def encode_status(self, status: bytes) -> bytes:
        """Return the nearest status that this dialect has: ``b"unreachable"`` is ``b"unknown"`` in version 4."""
        return self.rules.statuses[status]

    def sensor_type(self, name: str) -> str:
        """Return the type under which #sensor-list announces ``name``; types of one's own keep their name."""
        return self.rules.sensor_types.get(name, name)

    def sensor_params(self, name: str, params: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the parameters of a sensor of type ``name`` in #sensor-list (section 7.2).

        ``params`` of ``integer`` and ``float`` are none, nominal-min and -max, or these and warn-min and -max. Version
        4 demands exactly the minimum and maximum: the outer pair, or what 32 bits can hold where none is given.
        """
        if name not in _WIDEST or len(params) in self.rules.range_counts:
            return tuple(params)
        return tuple(params[-2:]) or _WIDEST[name]

    def has_request(self, name: str) -> bool:
        """Return whether a server that speaks this has the request; True if it depends on no version or flag."""
        present = self.rules.requests.get(name, True)
        return present if isinstance(present, bool) else present in self.flags

    def versions(
        self, library: Sequence[str], device: Sequence[str], extra: Mapping[str, Sequence[str]] | None = None
    ) -> list[tuple[str, ...]]:
        """Return the rows of ?version-list: role, version and, where known, build state (5.1, section 4.1).

        Args:
            library: version of this library, and its build state.
            device: API version of the device, and its build state.
            extra: further components by name, each with the same one or two strings.
        """
        rows = [("katcp-protocol", self.version), ("katcp-library", *library), ("katcp-device", *device)]
        return rows + [(name, *row) for name, row in (extra or {}).items()]

    def greeting(
        self, library: Sequence[str], device: Sequence[str], extra: Mapping[str, Sequence[str]] | None = None
    ) -> list[tuple[str, tuple[str, ...]]]:
        """Return the informs, as (name, arguments), that a client is sent when it connects (5.1, section 4.2)."""
        if self.rules.connect_informs:
            return [("version-connect", row) for row in self.versions(library, device, extra)]
        return [(name, (text,)) for name, text in zip(("version", "build-state"), device, strict=False)]

    def interface_changed(self, *what: str) -> tuple[str, tuple[str, ...]]:
        """Return the inform, as (name, arguments), that tells of a change; version 4 devices tell no details."""
        return "interface-changed", what if self.rules.change_arguments else ()


def parse_version(version: str | bytes) -> Dialect:
    """Read a version as #version-connect announces it: ``5.0-IM`` (5.1, section 4.2).

    Any 4.x and 5.x is accepted, and any flags, in any order; those unknown to that version are kept and mean nothing.

    Raises:
        UnsupportedProtocol: it is no version, or another major one.
    """
    if isinstance(version, bytes):
        version = version.decode("utf-8", "backslashreplace")
    match = _VERSION.fullmatch(version)
    if match is None:
        raise UnsupportedProtocol(version[:100])
    return Dialect(int(match[1]), int(match[2]), frozenset(match[3] or ""))


V4 = parse_version("4.0")
V50 = parse_version("5.0-MI")
V51 = parse_version("5.1-MITB")

_OWN = {"4": "4.0-M", "4.0": "4.0-M", "5.0": "5.0-MI", "5": "5.1-MITB", "5.1": "5.1-MITB"}


def server_dialect(protocol: str = "5.1", *, multi_client: bool = True) -> Dialect:
    """Return what a server of this library speaks when it is asked for ``protocol``.

    Args:
        protocol: ``"4.0"``, ``"5.0"`` or ``"5.1"`` stand for all that the version offers; ``"5.1-MI"`` for these flags
            only.
        multi_client: without it, flag M is left out.

    Raises:
        UnsupportedProtocol: a version that this library does not implement as a server.
        ValueError: a flag that the version does not define.
    """
    dialect = parse_version(_OWN.get(protocol, protocol))
    if f"{dialect.major}.{dialect.minor}" not in _OWN:
        raise UnsupportedProtocol(protocol)
    unknown = dialect.flags.difference(dialect.rules.flags)
    if unknown:
        raise ValueError(f"protocol {protocol}: flags {''.join(sorted(unknown))} do not exist in that version")
    if multi_client:
        return dialect
    return attrs.evolve(dialect, flags=dialect.flags - {"M"})


class Detector:
    """Works out from a server's first informs what it speaks. One for each connection.

    ``#version-connect katcp-protocol`` says it outright, wherever it comes among the others; ``#version`` or
    ``#build-state`` on their own mean version 4. What is said outright replaces what was only inferred.

    Args:
        max_versions: as in :class:`Limits`.
    """

    __slots__ = ("_most", "announced", "dialect", "versions")

    def __init__(self, max_versions: int | None = None) -> None:
        self._most = Limits().max_versions if max_versions is None else max_versions
        self.dialect: Dialect | None = None  #: what the server speaks, as far as is known by now
        self.announced = False  #: whether the server said so itself
        self.versions: dict[str, tuple[str, ...]] = {}  #: role or component -> version and, if given, build state

    def feed(self, name: str, arguments: Sequence[bytes]) -> Dialect | None:
        """Take one inform and return :attr:`dialect`. Informs of other names, or without arguments, change nothing.

        Raises:
            UnsupportedProtocol: the server speaks a version that this library does not.
        """
        texts = [argument[:_LONGEST].decode("utf-8", "backslashreplace") for argument in arguments[:3]]
        if name == "version-connect" and len(texts) > 1:
            if len(self.versions) < self._most or texts[0] in self.versions:
                self.versions[texts[0]] = tuple(texts[1:])
            if texts[0] == "katcp-protocol":
                self.dialect = None  # whatever was inferred before is void, also when this raises
                self.announced = True
                self.dialect = parse_version(texts[1])
        elif name in ("version", "build-state") and texts:
            self._feed_v4(name, texts[0])
        return self.dialect

    def _feed_v4(self, name: str, text: str) -> None:
        """Note one half of a version 4 greeting; #version-connect katcp-device replaced both (5.1, section 4.2.1)."""
        version, build = (*self.versions.get("katcp-device", ()), "", "")[:2]
        self.versions["katcp-device"] = (text, build) if name == "version" else (version, text)
        if not self.announced:
            self.dialect = V4
