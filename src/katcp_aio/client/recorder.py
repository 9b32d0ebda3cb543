"""Readings for the record. Law: each reading that was wished for is written once in its order, or counted as lost.

The recorder follows sensors and hands over batches of what they read; what is done with these a sink decides, such as
those in ``sinks.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Self

import async_timeout

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import UsageError
from ..limits import Limits
from ..model.matching import Match, selector
from ..model.reading import Reading, Status
from ..reports import TroubleLog, logger
from .backoff import Backoff
from .device import DeviceClient
from .link import reason_of
from .metrics import Labels
from .remote_sensor import RemoteSensor
from .sinks import Recorded, Sink

__all__ = ["SensorRecorder"]

_BATCH = 5000  # readings; what makers of databases recommend to send at once
_LONGEST_WAIT = 60.0  # s between two attempts to write what a sink has refused

#: ends the following of one sensor
End = Callable[[], None]


class _Source:
    """What is told with each reading of a sensor, and the last one recorded."""

    __slots__ = ("device", "labels", "last")

    def __init__(self, device: str, labels: Mapping[str, str]) -> None:
        self.device = device
        self.labels = labels
        self.last: Reading[Any] | None = None


class _Member(NamedTuple):
    """A device, what ends hearing of its changes, and what ends following its sensors."""

    device: DeviceClient
    cancel: End
    ends: dict[RemoteSensor, End]


class SensorRecorder:
    """Follows sensors of devices, and writes what they read to a sink, in batches. Needs no running loop to be built.

    ``async with`` records from its beginning to its end, when what waits is written within ``Limits.record_timeout``,
    and the sink is closed. Sensors and members of a group that come later are recorded as well.

    A reading that a device tells again, with the same time, status and value, is recorded once.

    A batch that the sink refuses is tried again, after ``flush_interval`` first and then after longer and longer; after
    ``attempts`` of them it counts as lost. Meanwhile readings wait, ``Limits.max_recorded`` of them at most; then the
    oldest are dropped and counted.

    Args:
        devices: name -> device, as a :class:`DeviceGroup` is one. They are started and closed by whoever made them.
        sink: gets the readings.
        match: which sensors.
        labels: ``labels(device, sensor)`` -> what is told with each reading of the sensor, besides its own labels;
            where both have one of the same name, this one counts. Asked once for each sensor.
        valid_only: leave out readings without a valid value; or the statuses to be recorded.
        strategy: how devices are asked for readings, unless the program has set a strategy for the sensor.
        flush_interval: s between two writes.
        attempts: to write a batch.
        limits: bounds.
        clock: where the time comes from.

    Raises:
        ValueError: ``match`` is no regular expression, or a number is not above zero.
    """

    def __init__(
        self,
        devices: Mapping[str, DeviceClient],
        sink: Sink,
        *,
        match: Match[RemoteSensor] = None,
        labels: Labels | None = None,
        valid_only: bool | Collection[Status] = False,
        strategy: str | tuple[Any, ...] = "auto",
        flush_interval: float = 1.0,
        attempts: int = 10,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        if attempts < 1:
            raise ValueError(f"{attempts} attempts to write a batch")
        if not flush_interval > 0:  # nor NaN
            raise ValueError(f"{flush_interval:g} s between two writes")
        self._backoff = Backoff(initial=flush_interval, longest=max(flush_interval, _LONGEST_WAIT), randomness=0)
        self._devices = devices
        self._sink = sink
        self._wanted = selector(match)
        self._labels = labels
        if isinstance(valid_only, bool):
            valid_only = [status for status in Status if status.valid or not valid_only]
        self._statuses = frozenset(valid_only)
        self._strategy: tuple[Any, ...] = (strategy,) if isinstance(strategy, str) else tuple(strategy)
        self._attempts = attempts
        self._limits = limits or Limits()
        self.trouble = TroubleLog(
            logger.getChild("recorder"), (clock or SYSTEM_CLOCK).monotonic, self._limits.log_rate
        )  #: .counts: what went wrong
        self.recorded = 0  #: readings that the sink has taken
        self.lost = 0  #: readings dropped, or given up
        self._members: dict[str, _Member] = {}
        self._waiting: deque[Recorded] = deque()
        self._batch: list[Recorded] = []  # under way to the sink
        self._dropping = False
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many readings wait to be written, those under way to the sink included."""
        return len(self._waiting) + len(self._batch)

    # From start to end

    async def start(self) -> None:
        """Begin to record, in the background.

        Raises:
            UsageError: it was started or closed before.
        """
        if self._task is not None or self._closing:
            raise UsageError("a recorder is started once")
        self._task = asyncio.create_task(self._run(), name="katcp recorder")
        self._meet()

    async def close(self) -> None:
        """Stop following, write what waits within ``Limits.record_timeout``, and close the sink. Again does nothing.

        What is not written then counts as lost. The sink has ``Limits.close_timeout`` to close. Cancelling this gives
        up what waits, and the sink is closed all the same.
        """
        self._closing = True
        for name in list(self._members):
            self._part(name)
        self._hurry.set()
        task = self._task
        if task is not None and not task.done():
            try:
                await asyncio.wait([task], timeout=self._limits.record_timeout)
            finally:
                task.cancel()
            await asyncio.wait([task])

    async def __aenter__(self) -> Self:
        """Begin to record."""
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the recorder."""
        await self.close()

    # What is followed

    def _meet(self) -> None:
        """Bring what is followed in line with the devices that there are."""
        for name, member in list(self._members.items()):
            if self._devices.get(name) is not member.device:
                self._part(name)
        for name, device in self._devices.items():
            if name not in self._members:
                cancel = device.on_change(functools.partial(self._update, name))
                self._members[name] = _Member(device, cancel, {})
                self._update(name)

    def _part(self, name: str) -> None:
        """Follow no sensor of a device any more."""
        member = self._members.pop(name)
        for end in (member.cancel, *member.ends.values()):
            end()

    def _update(self, name: str, _changes: object = None) -> None:
        """Follow the sensors that a device has now."""
        device, _, ends = self._members[name]
        for sensor in [sensor for sensor in ends if sensor.removed]:
            ends.pop(sensor)()
        for sensor in device.matching():
            if sensor not in ends:
                try:
                    ends[sensor] = self._follow(name, sensor)
                except Exception as error:  # noqa: BLE001 - the program's own; one sensor must not cost the others
                    self.trouble.tell("recorder sensor", "sensor %s is not recorded: %s", sensor.name, error)
                    ends[sensor] = _nothing

    def _follow(self, name: str, sensor: RemoteSensor) -> End:
        if not self._wanted(sensor):
            return _nothing
        more = {} if self._labels is None else self._labels(name, sensor)
        observer = functools.partial(self._take, _Source(name, {**sensor.labels, **more}))
        sampled = sensor.sampling is not None and sensor.value is not None
        end = sensor.follow(observer, *self._strategy)
        if sampled:  # else the device sends the first one
            observer(sensor, sensor.reading)
        return end

    def _take(self, source: _Source, sensor: RemoteSensor, reading: Reading[Any]) -> None:
        timestamp, status, value = reading
        if status not in self._statuses or reading == source.last:  # sampled anew, a device tells what it did before
            return
        source.last = reading
        waiting = self._waiting
        if len(waiting) >= self._limits.max_recorded:
            waiting.popleft()
            self.lost += 1
            if not self._dropping:  # told once, until the sink takes something again
                self._dropping = True
                self.trouble.tell("recorder full", "%s readings wait: the oldest are dropped", len(waiting) + 1)
        elif len(waiting) == _BATCH:  # once, so that a sink that takes none is not hurried
            self._hurry.set()
        waiting.append(Recorded(source.device, sensor.name, timestamp, status, value, source.labels))

    # What is written

    async def _run(self) -> None:
        failures = 0
        try:
            while not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with async_timeout.timeout(self._backoff.delay(max(failures - 1, 0))):
                        await self._hurry.wait()
                self._hurry.clear()
                if not self._closing:
                    self._meet()
                    failures = await self._write(failures)
            await self._write(failures)
        finally:
            if self.waiting:
                self._give_up(self.waiting, "the recorder was closed")
            await self._close_sink()

    async def _write(self, failures: int) -> int:
        """Write what waits, in batches; return how often the one that is left then has been refused."""
        while self._batch or self._waiting:
            if not self._batch:
                self._batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            count = len(self._batch)
            error = await self._hand_over()
            if error is not None:
                failures += 1
                text = "%s readings not written, attempt %s of %s: %s"
                self.trouble.tell("recorder sink", text, count, failures, self._attempts, reason_of(error))
                if failures < self._attempts:
                    return failures
                self._give_up(count, "no attempts are left")
            else:
                self.recorded += count
                self._dropping = False
            self._batch = []
            failures = 0
            if len(self._waiting) < _BATCH and not self._closing:  # what came meanwhile has its own turn
                break
        return 0

    async def _hand_over(self) -> Exception | None:
        """Hand the batch to the sink; return why it was not taken."""
        try:
            await self._sink.write(self._batch)
        except Exception as error:  # noqa: BLE001 - a sink may be the program's own
            return error
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            return UsageError("what the sink waited for was cancelled")  # and not the recorder
        return None

    def _give_up(self, count: int, why: str) -> None:
        self.lost += count
        self.trouble.tell("recorder lost", "%s readings are lost: %s", count, why)

    async def _close_sink(self) -> None:
        try:
            async with async_timeout.timeout(self._limits.close_timeout):
                await self._sink.close()
        except Exception as error:  # noqa: BLE001 - as in _write
            self.trouble.tell("recorder sink", "the sink was not closed: %s", reason_of(error))


def _nothing() -> None:
    """End the following of a sensor that is not followed."""
