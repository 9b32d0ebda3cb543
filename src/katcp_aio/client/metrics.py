"""Devices for Prometheus. Law: a value is shown only while its status says that it may be used; the status always is.

What is asked of a device is not decided here: sensors show what they last read, as ``device.sample`` had it sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..model.matching import Match, selector
from ..reports import printable
from .device import DeviceClient
from .remote_sensor import RemoteSensor

__all__ = ["metrics_text"]

Labels = Callable[[str, RemoteSensor], Mapping[str, str]]
_Sample = tuple[Mapping[str, str], float]

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = frozenset({"device", "sensor", "state", "status"})  # labels that tell the lines of one sensor apart
_HELP = {
    "katcp_device_up": "Whether the device is connected and its sensors are known and sampled as was wished.",
    "katcp_sensor_value": "The last value of a sensor that has a number; times are seconds since the Unix epoch.",
    "katcp_sensor_state": "1 for the option that a discrete sensor has, 0 for its others.",
    "katcp_sensor_status": "1 for the status of the last reading.",
    "katcp_sensor_timestamp_seconds": "When the device took the last reading, in seconds since the Unix epoch.",
}


def metrics_text(
    devices: Mapping[str, DeviceClient], *, match: Match[RemoteSensor] = None, labels: Labels | None = None
) -> str:
    """Return what devices and their sensors read now, in the text format that Prometheus takes (version 0.0.4).

    Args:
        devices: name -> device, as a :class:`DeviceGroup` is one; a device that is away is told as down.
        match: which sensors.
        labels: ``labels(device, sensor)`` -> further labels of a sensor's lines. The sensor's own come before them, and
            where both have one of the same name, this one counts.

    Raises:
        ValueError: ``match`` is no regular expression, or a label has a name that Prometheus does not take, or that the
            lines have themselves: device, sensor, state, status.
    """
    wanted = selector(match)
    families: dict[str, list[_Sample]] = {name: [] for name in _HELP}
    for name, device in devices.items():
        families["katcp_device_up"].append(({"device": name}, float(device.synced)))
        for sensor in filter(wanted, device.matching()):
            head = {"device": name, "sensor": sensor.name}
            more = {} if labels is None else labels(name, sensor)
            if unfit := [label for label in more if label in _OWN or not _LABEL.fullmatch(label)]:
                raise ValueError(f"{unfit[0]!r} is no name for a further label")
            own = {label: text for label, text in sensor.labels.items() if label not in _OWN}
            for family, label, value in _samples(sensor):
                families[family].append(({**head, **own, **more, **label}, value))
    return "".join(line for family, samples in families.items() for line in _lines(family, samples))


def _samples(sensor: RemoteSensor) -> Iterator[tuple[str, Mapping[str, str], float]]:
    reading = sensor.reading
    yield "katcp_sensor_status", {"status": reading.status.value}, 1.0
    if reading.value is None:  # nothing was read yet
        return
    yield "katcp_sensor_timestamp_seconds", {}, reading.timestamp
    if not reading.status.valid:
        return
    number = _number(reading.value)
    if number is not None:
        yield "katcp_sensor_value", {}, number
    elif sensor.type_name == "discrete":
        for option in dict.fromkeys([*(param.decode("utf-8", "replace") for param in sensor.params), reading.value]):
            yield "katcp_sensor_state", {"state": str(option)}, float(option == reading.value)


def _number(value: Any) -> float | None:
    """Return a number, a truth value or a time as Prometheus has it; None for what is none of them."""
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # integers have no bound on the wire, and one sensor must not cost the others
        return math.inf if value > 0 else -math.inf


def _lines(family: str, samples: list[_Sample]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {family} {_HELP[family]}\n# TYPE {family} gauge\n"
    for labels, value in samples:
        text = ",".join(f'{label}="{_quoted(word)}"' for label, word in labels.items())
        yield f"{family}{{{text}}} {_written(value)}\n"


def _quoted(text: str) -> str:
    """Return the value of a label: one line without control characters, whatever the device has said."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _written(value: float) -> str:
    """Return a number as Prometheus reads it, infinities and NaN included."""
    return repr(value).replace("inf", "Inf").replace("nan", "NaN")
