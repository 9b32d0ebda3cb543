"""Types of the specification that Python has no type for (5.1, section 3). Law: values only; they know no dialect."""

from __future__ import annotations

import enum
import math
import numbers
import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Union

import attrs

from ..reports import plain, printable

__all__ = ["Address", "Lru", "Now", "Range", "Timestamp", "TimestampOrNow"]

_ADDRESS = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(0|[1-9][0-9]{0,4}))?")
_HIGHEST_PORT = 65535


class Timestamp(float):
    """Seconds since the Unix epoch, UTC; the dialect decides in which unit they are written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Timestamp({float(self)!r})"

    def __str__(self) -> str:
        return float.__repr__(self)


class Now(enum.Enum):
    """The word ``now`` in the place of a timestamp; see :data:`TimestampOrNow`."""

    NOW = 0


TimestampOrNow = Union[Timestamp, Now]  # noqa: UP007 - at run time, and so that it can be used in annotations


class Lru(enum.Enum):
    """A line replaceable unit: whether a part works. Deprecated since version 5 for ``bool``."""

    NOMINAL = 0
    ERROR = 1

    def __str__(self) -> str:
        """Return what the wire has, for tables and files."""
        return self.name.lower()


def _host(value: Any) -> IPv4Address | IPv6Address:
    """Convert to an IP address. A scope id means something on one machine only, and is dropped."""
    if isinstance(value, str):
        value = IPv6Address(value) if ":" in value else IPv4Address(value)
    if isinstance(value, IPv6Address):
        return IPv6Address(int(value))
    if isinstance(value, IPv4Address):
        return value
    raise TypeError(f"{printable(repr(value))} is no IP address")


def _inet_ntop(host: IPv6Address) -> str:
    """Return the text of an address; an IPv4 address in it is written as one, as Python itself does from 3.13 on."""
    mapped = host.ipv4_mapped
    return str(host) if mapped is None else f"::ffff:{mapped}"


def _check_port(_address: Address, _attribute: Any, port: int | None) -> None:
    if port is None:
        return
    if type(port) is not int:  # bool is an int, and no port
        raise TypeError(f"port {printable(repr(port))} is no int")
    if not 0 <= port <= _HIGHEST_PORT:
        raise ValueError(f"port {port} is outside 0 to {_HIGHEST_PORT}")


@attrs.frozen
class Address:
    """An IPv4 or IPv6 address and perhaps a port. Immutable, ``==`` and hash by value; never a host name.

    Args:
        host: the address, or its text without brackets.
        port: 0 to 65535, or None.

    Raises:
        TypeError: ``host`` is no address, or ``port`` no int.
        ValueError: text that is no IP address (host names are not looked up), or a port out of range.
    """

    host: IPv4Address | IPv6Address = attrs.field(converter=_host)
    port: int | None = attrs.field(default=None, validator=_check_port)

    @classmethod
    def parse(cls, raw: bytes | str) -> Address:
        """Read ``1.2.3.4``, ``1.2.3.4:80``, ``[::1]`` or ``[::1]:80``.

        Raises:
            ValueError: anything else.
        """
        encoded = raw.encode("utf-8", "backslashreplace") if isinstance(raw, str) else raw
        match = _ADDRESS.fullmatch(encoded)
        try:
            if match is None:
                raise ValueError
            v6, v4, port = match.groups()
            host = IPv4Address(v4.decode()) if v6 is None else IPv6Address(v6.decode())
            return cls(host, None if port is None else int(port))
        except ValueError:
            raise ValueError(f"'{plain(raw, 60)}' is no address") from None

    def __str__(self) -> str:
        host = str(self.host) if self.host.version == 4 else f"[{_inet_ntop(self.host)}]"
        return host if self.port is None else f"{host}:{self.port}"

    def __bytes__(self) -> bytes:
        return str(self).encode("ascii")

    def __iter__(self) -> Iterator[Any]:
        """Yield the host as text and the port, as what connects takes them: ``Client(*device.address)``."""
        yield str(self.host)
        yield self.port


@attrs.frozen
class Range:
    """Bounds on a number, both inclusive: ``Annotated[float, Range(0, 10)]``. None leaves a side open.

    Raises:
        TypeError: a bound is no number.
        ValueError: no number is within: the bounds are the wrong way round, or one of them is NaN.
    """

    low: float | None = None
    high: float | None = None

    def __attrs_post_init__(self) -> None:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not all(isinstance(side, numbers.Real) for side in (low, high)):
            raise TypeError(f"{self!r} is not made of numbers")
        if not low <= high:
            raise ValueError(f"range {self} holds no value")

    def __contains__(self, value: Any) -> bool:
        """Return whether ``value`` is within; NaN never is."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return bool(low <= value <= high)

    def __str__(self) -> str:
        low, high = ("" if side is None else str(side) for side in (self.low, self.high))
        return f"[{low},{high}]"
