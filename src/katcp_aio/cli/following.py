"""Following a device's sensors on a screen. Law: what is shown is what the device sent, with its age.

On a terminal that is one table drawn anew in place, at most ten times a second however fast readings come; elsewhere
one line for each change worth one.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from katcp_aio import Reading, RequestError

from ..clock import SYSTEM_CLOCK
from ..reports import printable
from .screen import Row, Screen, show, sparkline

__all__ = ["SensorView"]

COLUMNS = ("sensor", "value", "units", "status", "age", "trend")
REDRAW = 0.1  # seconds
LINE_EVERY = 1.0  # seconds between two lines about one number, unless its status changes
TREND = 24  # readings in the column of trends


@attrs.define
class _Seen:
    """What was seen of one sensor."""

    history: deque[float] = attrs.field(factory=lambda: deque(maxlen=TREND))
    told: tuple[str, str] = ("", "")  # the value and status of its last line
    told_at: float = 0.0  # the timestamp of that reading


class SensorView:
    """Some of a device's sensors, as they are followed.

    Args:
        sensors: of a :class:`DeviceClient`.
        screen: where they are shown.
        on_reading: called with each sensor and reading besides.
    """

    def __init__(
        self,
        sensors: Sequence[Any],
        screen: Screen,
        on_reading: Callable[[Any, Reading[Any]], object] | None = None,
    ) -> None:
        self.statuses: Counter[str] = Counter()  #: how many readings came, by status
        self._note = ""
        self._screen = screen
        self._on_reading = on_reading
        self._seen: dict[str, _Seen] = {}
        self.renew(sensors)

    @property
    def silent(self) -> list[str]:
        """The sensors of which no reading came."""
        return [name for name, seen in self._seen.items() if seen.told == ("", "")]

    def renew(self, sensors: Sequence[Any]) -> None:
        """Show and follow these from now on: the device may have others, or others of the same names."""
        self.sensors = sensors
        self._renewed = True  # not all of them are followed yet
        self._seen = {sensor.name: self._seen.get(sensor.name) or _Seen() for sensor in sensors}
        self._width = max([len(printable(sensor.name)) for sensor in sensors], default=0)

    def tell(self, note: str) -> None:
        """Show something besides: below the table in place of the last, or as a line."""
        self._note = note
        if not self._screen.live:
            self._screen.line(f"  {note}")

    async def follow(self, done: Callable[[], bool], *sampling: Any, otherwise: str | None = None) -> None:
        """Have the sensors sampled and show them, until ``done()``; it is asked ten times a second.

        Args:
            done: whether that is enough.
            sampling: the strategy and its parameters.
            otherwise: the strategy for a sensor that the device refuses to sample so.

        Raises:
            ExceptionGroup: of what went wrong with the sensors, as FailReply.
        """
        async with asyncio.TaskGroup() as tasks:
            followers: dict[Any, asyncio.Task[None]] = {}
            with self._screen.watch(COLUMNS, self.rows, self.note) as refresh:
                while not done():
                    if self._renewed:
                        self._renewed = False
                        followers = {  # of those that are no more, they have ended
                            sensor: followers.get(sensor)
                            or tasks.create_task(self._follow(sensor, sampling, otherwise))
                            for sensor in self.sensors
                        }
                    refresh()
                    await asyncio.sleep(REDRAW)
                refresh()
            for follower in followers.values():
                follower.cancel()

    async def _follow(self, sensor: Any, sampling: tuple[Any, ...], otherwise: str | None) -> None:
        try:
            await self._read(sensor, *sampling)
        except RequestError:
            if otherwise is None:
                raise
            await self._read(sensor, otherwise)

    async def _read(self, sensor: Any, *sampling: Any) -> None:
        if sensor.removed:  # before this task came to it
            return
        async for reading in sensor.readings(*sampling):
            self._take(sensor, reading)
            if self._on_reading is not None:
                self._on_reading(sensor, reading)

    def _take(self, sensor: Any, reading: Reading[Any]) -> None:
        """Count a reading, and write a line about it where lines are all there is."""
        seen = self._seen.setdefault(sensor.name, _Seen())  # the last ones of a sensor that was removed come yet
        value, status = show(reading.value), reading.status.value
        self.statuses[status] += 1
        number = isinstance(reading.value, int | float) and not isinstance(reading.value, bool)
        if number:
            seen.history.append(reading.value)
        due = (value, status) != seen.told
        if number and status == seen.told[1]:  # of a clock that was set back, or tells no time, each line is due
            due = due and not 0 <= reading.timestamp - seen.told_at < LINE_EVERY
        if not due:
            return
        seen.told, seen.told_at = (value, status), reading.timestamp
        if not self._screen.live:
            name, time = printable(sensor.name), time_of_day(reading.timestamp)
            self._screen.line(f"  {time}  {name:<{self._width}} {value:>10} {show(sensor.units):<6} {status}")

    def note(self, most: int) -> str:
        """Return what is to be told below ``most`` rows of the table."""
        left = len(self.sensors) - most
        return self._note if left <= 0 else f"{self._note}  and {left} more: choose by PATTERN".strip()

    def rows(self, most: int) -> list[Row]:
        """Return the table of the first sensors as they are now."""
        now = SYSTEM_CLOCK.time()
        return [
            (
                printable(sensor.name),
                show(sensor.value),
                show(sensor.units),
                sensor.status.value,
                f"{max(0.0, now - sensor.timestamp):.1f} s" if sensor.timestamp else "",
                sparkline(list(self._seen[sensor.name].history), TREND),
            )
            for sensor in self.sensors[:most]
        ]


def time_of_day(timestamp: float) -> str:
    """Return the time of day, UTC; of a timestamp that is no time, as those of some devices, what it is."""
    try:
        return datetime.fromtimestamp(timestamp, UTC).strftime("%H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):
        return str(timestamp)
