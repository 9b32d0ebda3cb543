"""The requests that every device has, answered from a small table of sensors. Law: enough for a client to be at home.

It is written without the library's server, so that a test of a client meets another mind at the far end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import FailReply, InvalidReply
from ..wire.dialect import UNKNOWN_REQUEST, UNKNOWN_SENSOR
from ..wire.message import Message
from .script import Script

if TYPE_CHECKING:
    from .device import FakeDevice
    from .peer import Peer

__all__ = ["FakeSensor", "Standard"]


@attrs.define
class FakeSensor:
    """A row of a fake device's table of sensors.

    Attributes:
        type: data type by its name in the specification (5.1, section 3).
        value: the value; any Python value that can be written as an argument.
        params: what ``#sensor-list`` gives after the type: limits, or the values of a discrete.
        status: by its name in the specification (table 8).
        timestamp: when it was read: seconds since the Unix epoch.
    """

    type: str = "integer"
    value: object = 0
    params: tuple[object, ...] = ()
    description: str = "a sensor"
    units: str = ""
    status: str = "nominal"
    timestamp: float = 1_500_000_000.0


class Standard:
    """Answers ``help``, ``watchdog``, ``version-list``, ``client-list`` and others, and the requests about sensors."""

    def __init__(self, device: FakeDevice) -> None:
        self._device = device
        # client -> sensor -> (strategy, *parameters) as the client gave them
        self.sampling: dict[Peer, dict[str, tuple[bytes, ...]]] = {}
        self._requests: Mapping[str, Callable[[Peer, Message], Script]] = {
            "client-list": self._client_list,
            "help": self._help,
            "request-timeout-hint": self._timeout_hint,
            "sensor-list": self._sensor_list,
            "sensor-sampling": self._sensor_sampling,
            "sensor-value": self._sensor_value,
            "version-list": self._version_list,
            "watchdog": lambda _peer, _request: Script(),
        }

    def answer(self, peer: Peer, request: Message) -> Script:
        """Return the answer to a request for which the test has no script."""
        answer = self._requests.get(request.name) if self._device.dialect.has_request(request.name) else None
        if answer is None:
            return Script(reply=("invalid", UNKNOWN_REQUEST.format(request.name)))
        try:
            return answer(peer, request)
        except (FailReply, InvalidReply) as error:
            return Script().raised(error)

    def row(self, name: str) -> tuple[object, ...]:
        """Return the arguments of ``#sensor-status`` for one sensor (5.1, section 7.2)."""
        sensor, dialect = self._device.sensors[name], self._device.dialect
        status = dialect.encode_status(sensor.status.encode())
        return self._device.timestamp(sensor.timestamp), 1, name, status, sensor.value

    def gone(self, peer: Peer) -> None:
        """Forget what a client that went had sampled."""
        self.sampling.pop(peer, None)

    # The requests

    def _help(self, _peer: Peer, request: Message) -> Script:
        names = self._named(request)
        return _rows((name, self._device.help.get(name, f"?{name} of a fake device")) for name in names)

    def _timeout_hint(self, _peer: Peer, request: Message) -> Script:
        """Have no hints (5.1, section 5.1), which is 0 for a request that is named."""
        return _rows((name, 0.0) for name in self._named(request) if request.arguments)

    def _named(self, request: Message) -> list[str]:
        """Return the request that the first argument names, or all."""
        names = sorted({*self._requests, *self._device.scripted})
        names = [name for name in names if self._device.dialect.has_request(name)]
        if not request.arguments:
            return names
        wanted = request.arguments[0].decode()
        if wanted not in names:
            raise FailReply(UNKNOWN_REQUEST.format(wanted))
        return [wanted]

    def _version_list(self, _peer: Peer, _request: Message) -> Script:
        return _rows(iter(self._device.versions()))

    def _client_list(self, _peer: Peer, _request: Message) -> Script:
        return _rows((f"192.0.2.{index}:7000",) for index, _ in enumerate(self._device.peers, 1))

    def _sensor_list(self, _peer: Peer, request: Message) -> Script:
        return _rows(
            (name, sensor.description, sensor.units, sensor.type, *sensor.params)
            for name, sensor in self._matching(request)
        )

    def _sensor_value(self, _peer: Peer, request: Message) -> Script:
        return _rows(self.row(name) for name, _ in self._matching(request))

    def _sensor_sampling(self, peer: Peer, request: Message) -> Script:
        """Note the strategy, and report each sensor once; later ones come when the test sets a sensor."""
        if not request.arguments:
            raise InvalidReply("no sensor named")
        given, *strategy = request.arguments
        names = given.decode().split(",") if strategy and self._device.dialect.bulk_sampling else [given.decode()]
        for name in names:
            if name not in self._device.sensors:
                raise FailReply(UNKNOWN_SENSOR.format(name))
        sampled = self.sampling.setdefault(peer, {})
        if not strategy:
            return Script(reply=("ok", given, *sampled.get(names[0], (b"none",))))
        for name in names:
            if strategy[0] == b"none":
                sampled.pop(name, None)
            else:
                sampled[name] = tuple(strategy)
                peer.send(self._device.message("sensor-status", *self.row(name)))
        return Script(reply=("ok", given, *strategy))

    def _matching(self, request: Message) -> list[tuple[str, FakeSensor]]:
        """Return the sensors that the first argument names: one, those that match a /pattern/, or all."""
        sensors = sorted(self._device.sensors.items())
        if not request.arguments:
            return sensors
        wanted = request.arguments[0].decode()
        if len(wanted) > 1 and wanted[0] == wanted[-1] == "/":
            return [(name, sensor) for name, sensor in sensors if re.search(wanted[1:-1], name)]
        if wanted not in self._device.sensors:
            raise FailReply(UNKNOWN_SENSOR.format(wanted))
        return [(wanted, self._device.sensors[wanted])]


def _rows(rows: Iterator[tuple[Any, ...]]) -> Script:
    """Return an answer of one inform a row, and their number in the reply."""
    informs = tuple(rows)
    return Script(reply=("ok", len(informs)), informs=informs)
