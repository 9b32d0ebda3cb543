"""Who may connect, and ask what. Law: decided once when a client connects; asking costs one look into a set.

::

    access = Access([
        AccessRule(certificate="CN=operator", allow="*"),
        AccessRule(network="127.0.0.0/8", allow="*"),
        AccessRule(network="10.8.0.0/16", allow=READ_ONLY),
    ])

The first rule that fits a client is the one that counts. A client that none fits is turned away. A server without
rules of its own has :data:`DEFAULT_ACCESS`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from ..wire.datatypes import Address

__all__ = [
    "ADMINISTRATIVE",
    "DEFAULT_ACCESS",
    "EVERYTHING",
    "OPEN_ACCESS",
    "READ_ONLY",
    "Access",
    "AccessRule",
    "Host",
    "Permission",
    "certificate_name",
    "host_of",
]

#: Requests that end the device's work, or change it for everybody's eyes. Not ``log-limit``, which is the client's own.
ADMINISTRATIVE = frozenset({"halt", "log-level", "restart"})

#: Requests that change nothing but what this client itself is sent. Not ``log-level``, which is the whole device's.
READ_ONLY = frozenset(
    {
        "client-list",
        "help",
        "log-limit",
        "log-local",
        "request-timeout-hint",
        "sensor-list",
        "sensor-metadata",
        "sensor-sampling",
        "sensor-sampling-clear",
        "sensor-value",
        "version-list",
        "watchdog",
    }
)

_TELLING = frozenset({"log-level"})  # without arguments they only tell what is set: that is not what is denied
_REQUEST = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII)
# Short names of what a subject consists of (RFC 4514), by the long ones that Python's ssl gives.
_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "userId": "UID",
}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Host = ipaddress.IPv4Address | ipaddress.IPv6Address


@attrs.frozen
class Permission:
    """What one client may ask."""

    requests: frozenset[str] | None  #: names of requests; None: all
    denied: frozenset[str] = frozenset()  #: names of those that it may not send all the same

    def allows(self, name: str, arguments: Sequence[bytes]) -> bool:
        """Return whether the client may send the request ``name`` with these arguments."""
        if name in self.denied:
            return name in _TELLING and not arguments
        return self.requests is None or name in self.requests


EVERYTHING = Permission(None)  #: of the clients that need not be asked what they may


def host_of(address: Address) -> Host:
    """Return the host of a client; a socket for both families sees IPv4 clients as IPv6 addresses."""
    host = address.host
    if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped is not None:
        return host.ipv4_mapped
    return host


def _networks(given: Any) -> tuple[Network, ...] | None:
    """Read one network or address, or several."""
    if given is None:
        return None
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Network):
        return tuple(map(ipaddress.ip_network, given))
    return (ipaddress.ip_network(given),)


def _certificate(given: str | Mapping[str, str] | None) -> frozenset[tuple[str, str]] | None:
    """Read what a certificate has to say of its owner."""
    if given is None:
        return None
    if isinstance(given, str):
        pairs = [part.partition("=") for part in given.split(",")]
        if not all(separator and key.strip() and value.strip() for key, separator, value in pairs):
            raise ValueError(f"certificate {given!r} is not of the form 'CN=operator' or 'O=SARAO, CN=operator'")
        given = {key: value for key, _, value in pairs}
    if not given:
        raise ValueError("a certificate that says nothing would fit everybody's")
    return frozenset((_SHORT.get(key.strip(), key.strip()), value.strip()) for key, value in given.items())


def _requests(given: str | Iterable[str]) -> frozenset[str] | None:
    """Read names of requests."""
    return None if given == "*" else _names(given)


def _names(given: str | Iterable[str]) -> frozenset[str]:
    names = frozenset([given] if isinstance(given, str) else given)
    for name in names:
        if _REQUEST.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not the name of a request, nor '*' on its own")
    return names


@attrs.frozen(kw_only=True)
class AccessRule:
    """One rule: which clients it is for, and what they may ask. What is left out fits every client.

    Args:
        network: address or network of the client, ``"10.8.0.0/16"``, or several. Clients without an address, as those
            of Unix sockets, are in no network.
        certificate: what the client's verified TLS certificate has to say, all of it: ``"CN=operator"``,
            ``"O=SARAO, CN=operator"``, or a mapping where values have commas in them. Names of its subject, by their
            short or long names, and alternative names, as ``"DNS=operator.example"``.
        allow: names of the requests that they may send, ``"*"`` for all; none at all: they are turned away.
        deny: names of those that they may not send all the same. Who is denied ``log-level`` may still ask what it is.

    Raises:
        ValueError: no network, certificate or name of a request.
    """

    network: tuple[Network, ...] | None = attrs.field(default=None, converter=_networks)
    certificate: frozenset[tuple[str, str]] | None = attrs.field(default=None, converter=_certificate)
    allow: frozenset[str] | None = attrs.field(converter=_requests)
    deny: frozenset[str] = attrs.field(default=(), converter=_names)

    def fits(self, host: Host | None, certificate: frozenset[tuple[str, str]]) -> bool:
        """Return whether the rule is for a client on that host, with that certificate."""
        if self.certificate is not None and not self.certificate <= certificate:
            return False
        if self.network is None:
            return True
        return host is not None and any(host in network for network in self.network)


class Access:
    """The rules of one server, in order; pass it as ``access=``.

    Args:
        rules: the first that fits a client decides. Without a rule nobody is let in.
    """

    def __init__(self, rules: Iterable[AccessRule]) -> None:
        self.rules = tuple(rules)
        self._permissions = [
            EVERYTHING if rule.allow is None and not rule.deny else Permission(rule.allow, rule.deny)
            for rule in self.rules
        ]

    def permission(self, address: Address | None, peercert: Mapping[str, Any] | None) -> Permission | None:
        """Return what a client may ask, or None for one that is to be turned away.

        Args:
            address: the client's address, if it has one.
            peercert: its verified certificate as ``ssl.SSLSocket.getpeercert`` gives it; None or empty without one.
        """
        certificate = frozenset(_pairs(peercert)) if peercert else frozenset()
        host = None if address is None else host_of(address)
        for rule, permission in zip(self.rules, self._permissions, strict=True):
            if rule.fits(host, certificate):
                return None if rule.allow is not None and not rule.allow else permission
        return None


#: The rules of a server that was given none: everybody may come and ask for everything, but what is the device's own
#: life is for those on its host: by the loopback, a Unix socket, or from within the program.
DEFAULT_ACCESS = Access(
    [
        AccessRule(network=("127.0.0.0/8", "::1"), allow="*"),
        AccessRule(network=("0.0.0.0/0", "::/0"), allow="*", deny=ADMINISTRATIVE),
        AccessRule(allow="*"),
    ]
)
#: Everything for everybody, as the protocol has it.
OPEN_ACCESS = Access([AccessRule(allow="*")])


def certificate_name(peercert: Mapping[str, Any] | None) -> str | None:
    """Return what a verified certificate says of its owner, in its order: ``O=SARAO, CN=operator``; None without one.

    Args:
        peercert: as ``ssl.SSLSocket.getpeercert`` gives it; None or empty without one.
    """
    pairs = _pairs(peercert or {})
    return ", ".join(f"{key}={value}" for key, value in pairs) if pairs else None


def _pairs(peercert: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a certificate says of its owner, as pairs."""
    subject = [(_SHORT.get(key, key), value) for names in peercert.get("subject", ()) for key, value in names]
    return subject + [(kind, value) for kind, value in peercert.get("subjectAltName", ()) if isinstance(value, str)]
