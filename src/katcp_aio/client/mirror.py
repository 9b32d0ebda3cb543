"""Another device's sensors among one's own. Law: the set shows what the device has now, and never anything else.

A proxy or gateway adds the sensors of its devices to its own set, each under a name of its choice, and they come, go,
change and become unreachable there as they do with the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, Self

from ..errors import UsageError
from ..model.matching import Match, selector
from ..model.reading import Reading, Status
from ..model.sensor import Sensor
from ..model.sensorset import SensorSet
from ..reports import report_exception
from ..wire.dialect import V51
from .device import DeviceClient
from .inventory import Changes
from .remote_sensor import RemoteSensor

__all__ = ["SensorMirror"]

Rename = Callable[[str], str | Iterable[str] | None]
Rewrite = Callable[[RemoteSensor, Reading[Any]], Reading[Any] | None]


class SensorMirror:
    """Keeps a device's sensors in a set, as ``server.sensors``, until it is closed. Needs no running loop.

    Args:
        client: of the device; it may be connected before or after.
        sensors: gets the sensors.
        prefix: put before their names.
        match: which ones, by the device's own names.
        rename: name -> the name here, in the place of ``prefix`` and the name; several names for several copies; None
            or none for none.
        rewrite: (sensor of the device, its reading) -> what to show in its place; None: skip this reading.
        on_loss: while the device is away its sensors read ``unreachable``, with the last value; or they are removed.
        strategy: how the device is asked for readings, unless the program has set a strategy for the sensor.

    A sensor whose name is taken already, by somebody else or by another of this device, is left out and logged.

    Raises:
        ValueError: ``match`` is no regular expression.
    """

    def __init__(
        self,
        client: DeviceClient,
        sensors: SensorSet,
        *,
        prefix: str = "",
        match: Match[RemoteSensor] = None,
        rename: Rename | None = None,
        rewrite: Rewrite | None = None,
        on_loss: Literal["unreachable", "remove"] = "unreachable",
        strategy: str | tuple[Any, ...] = "auto",
    ) -> None:
        if on_loss not in ("unreachable", "remove"):
            raise UsageError(f"on_loss is unreachable or remove, not {on_loss!r}")
        self._client = client
        self._sensors = sensors
        self._prefix = prefix
        self._wanted = selector(match)
        self._rename = rename
        self._rewrite = rewrite
        self._remove = on_loss == "remove"
        self._strategy: tuple[Any, ...] = (strategy,) if isinstance(strategy, str) else tuple(strategy)
        self._copies: dict[RemoteSensor, list[Sensor[Any]]] = {}
        self._endings: dict[RemoteSensor, Callable[[], None]] = {}
        self._cancels = (client.on_change(self._changed), client.on_synced(self._synced))
        self._update()

    def __len__(self) -> int:
        """How many sensors it shows, copies included."""
        return sum(map(len, self._copies.values()))

    def close(self) -> None:
        """Take the sensors out of the set, and stop following them. Closing again does nothing."""
        for cancel in self._cancels:
            cancel()
        for remote in list(self._copies):
            self._drop(remote)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # What there is

    def _changed(self, _changes: Changes) -> None:
        self._update()

    def _synced(self, synced: bool) -> None:
        if synced:
            self._update()
        elif self._remove:
            for remote in list(self._copies):
                self._drop(remote)

    def _update(self) -> None:
        """Bring the set in line with the device: first what goes, then what comes, for it may have the same name."""
        for remote in [remote for remote in self._copies if remote.removed]:
            self._drop(remote)
        if self._remove and not self._client.connected:
            return
        for remote in self._client.matching():
            if remote not in self._copies and self._wanted(remote):
                self._add(remote)

    def _names(self, remote: RemoteSensor) -> list[str]:
        if self._rename is None:
            return [self._prefix + remote.name]
        names = self._rename(remote.name)
        return [names] if isinstance(names, str) else list(names or ())

    def _add(self, remote: RemoteSensor) -> None:
        trouble = self._client.trouble
        copies: list[Sensor[Any]] = []
        try:
            for name in self._names(remote):
                if name in self._sensors:
                    trouble.tell("mirror", "sensor %s is not mirrored: there is a sensor %s", remote.name, name)
                else:
                    copies.append(self._sensors.add(_copy(remote, name)))
        except Exception as error:  # noqa: BLE001 - rename is the program's; one sensor must not cost the others
            trouble.tell("mirror", "sensor %s is not mirrored: %s", remote.name, error)
        self._copies[remote] = copies
        if copies:
            self._show(remote, remote.reading)
            self._endings[remote] = remote.follow(self._show, *self._strategy)

    def _drop(self, remote: RemoteSensor) -> None:
        end = self._endings.pop(remote, None)
        if end is not None:
            end()
        for sensor in self._copies.pop(remote):
            self._sensors.discard(sensor)

    # What it reads

    def _show(self, remote: RemoteSensor, reading: Reading[Any]) -> None:
        copies = self._copies[remote]
        if reading.value is None:  # nothing was read yet
            if reading.status is Status.UNKNOWN:
                return
            reading = reading._replace(value=copies[0].value)
        if self._rewrite is not None:
            try:
                rewritten = self._rewrite(remote, reading)
            except Exception:  # noqa: BLE001 - the program's; one sensor must not cost the others
                report_exception("rewriting sensor %s failed", remote.name)
                return
            if rewritten is None:
                return
            reading = rewritten
        for sensor in copies:
            self._set(sensor, reading)

    def _set(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Set a copy; what it cannot hold is told, and makes it ``unknown`` rather than wrong."""
        try:
            sensor.set(reading.value, reading.status, reading.timestamp)
        except (TypeError, ValueError) as error:
            self._client.trouble.tell("mirror", "sensor %s: %s", sensor.name, error)
            sensor.set(sensor.value, Status.UNKNOWN)


def _copy(remote: RemoteSensor, name: str) -> Sensor[Any]:
    """Return a sensor like the device's."""
    ranges = _ranges(remote)
    return Sensor(
        remote.type,
        name,
        remote.description,
        remote.units,
        status=Status.UNKNOWN,
        nominal=ranges[0],
        warn=ranges[1],
        labels=remote.labels,  # not set_by: that is a request of the device, which this server may not have
    )


def _ranges(remote: RemoteSensor) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Return the nominal and warn ranges of a number; none if they are broken, as some devices' are."""
    if remote.type.name not in ("integer", "float") or len(remote.params) not in (2, 4):
        return None, None
    try:
        bounds = [remote.type.decoder(V51, lenient=True)(param) for param in remote.params]
    except ValueError:
        return None, None
    nominal = (bounds[0], bounds[1])
    warn = (bounds[2], bounds[3]) if len(bounds) == 4 else None
    if not nominal[0] <= nominal[1] or (warn is not None and not warn[0] <= nominal[0] <= nominal[1] <= warn[1]):
        return None, None
    return nominal, warn
