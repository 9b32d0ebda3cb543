"""Sampling: what clients hear of sensors, and when. Law: what waits for a client that does not read is bounded.

A subscription is one :class:`Strategy`, attached to its sensor as an observer. It decides; the client's
:class:`Sampler` sends what it says, in its one task wakes it when it asked to be, and holds back what a client does not
take: of each sensor the newest report, or ``Limits.max_held`` of them, until the client reads again or the connection's
``Limits.stall_timeout`` ends it. What all clients of a server share (the time and the line of one reading, encoded
once) is its :class:`Sampling`.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..errors import ConnectionLost
from ..model.reporting import NoReports
from ..reports import TroubleLog, report_exception
from .statuslines import StatusLines
from .turns import Turns, in_turns

if TYPE_CHECKING:
    from ..connection import Connection
    from ..model.reading import Reading
    from ..model.reporting import Strategy
    from ..model.sensor import Sensor
    from ..model.sensorset import SensorSet
    from ..wire.dialect import Dialect

__all__ = ["Sampler", "Sampling"]

_NEVER = math.inf
_TOGETHER = 8  # sensors subscribed to between two looks at the time: 20 us
_MIN_STALE = 64  # wake-ups out of date that are not worth looking for
_NONE = NoReports()

_Wish = tuple["Sensor[Any]", "Strategy"]
_WakeUp = tuple[float, int, "Sensor[Any]"]  # when, in monotonic seconds; a number that tells ties apart; of which


class Sampling:
    """What the samplers of one server share. Follows the set: a sensor that is removed or replaced is sampled no more.

    Args:
        sensors: what can be sampled.
        dialect: how the server writes its lines.
        clock: the time, on the scale of the event loop's.
        trouble: is told of clients that reports were conflated for.
    """

    __slots__ = ("has", "lines", "monotonic", "samplers", "sensors", "trouble")

    def __init__(self, sensors: SensorSet, dialect: Dialect, clock: Clock, trouble: TroubleLog) -> None:
        self.sensors = sensors
        self.has = sensors.__contains__  #: whether a sensor, this very object, is there to be sampled
        self.trouble = trouble
        self.monotonic = clock.monotonic
        self.lines = StatusLines(dialect, clock.monotonic)
        self.samplers: set[Sampler] = set()  #: of the clients that there are
        sensors.on_change(self._changed)

    def sampler(self, connection: Connection) -> Sampler:
        """Return a new sampler for a client. Whoever takes it closes it."""
        sampler = Sampler(self, connection)
        self.samplers.add(sampler)
        return sampler

    def drop(self, sensor: Sensor[Any]) -> None:
        """End all subscriptions of a sensor, for all clients."""
        for sampler in self.samplers:
            sampler.unsubscribe(sensor)

    def close(self) -> None:
        """End all sampling, and follow the set no longer."""
        self.sensors.off_change(self._changed)
        for sampler in list(self.samplers):
            sampler.close()

    def _changed(self, _name: str, old: Sensor[Any] | None, _new: Sensor[Any] | None) -> None:
        if old is not None:
            self.drop(old)


class Sampler:
    """The subscriptions of one client; made by :meth:`Sampling.sampler`, in the loop that the client is served in.

    ``len`` is the number of subscriptions, for ``Limits.max_subscriptions``.
    """

    __slots__ = (
        "__weakref__",
        "_armed",
        "_closed",
        "_heap",
        "_held",
        "_lines",
        "_loop",
        "_monotonic",
        "_order",
        "_running",
        "_sampling",
        "_strategies",
        "_task",
        "_told",
        "_waiter",
        "conflated",
        "connection",
    )

    def __init__(self, sampling: Sampling, connection: Connection) -> None:
        self.connection = connection
        self.conflated = 0  #: reports that were not sent since newer ones of the same sensor took their place
        self._sampling = sampling
        self._lines = sampling.lines
        self._monotonic = sampling.monotonic
        self._strategies: dict[Sensor[Any], Strategy] = {}
        self._armed: dict[Sensor[Any], _WakeUp] = {}  # when each strategy that waits for a time is looked at next
        self._heap: list[_WakeUp] = []  # the same by time; others that are in it are out of date
        self._order = 0  # tells entries of the same time apart
        self._held: OrderedDict[Sensor[Any], list[bytes]] = OrderedDict()  # reports that the client does not take yet
        self._told = False  # that it loses some
        self._loop = asyncio.get_running_loop()
        self._running = False  # the task is there, or just being made
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[float] | None = None  # what the task sleeps on
        self._closed = False

    def __len__(self) -> int:
        """How many sensors are sampled."""
        return len(self._strategies)

    @property
    def held(self) -> int:
        """How many reports wait until the client reads; for each subscription ``Limits.max_held`` at most."""
        return sum(map(len, self._held.values()))

    # What the client asks for

    def strategy(self, sensor: Sensor[Any]) -> Strategy | None:
        """Return the strategy in force for a sensor; None stands for ``none``."""
        return self._strategies.get(sensor)

    def subscribe(self, sensor: Sensor[Any], strategy: Strategy) -> bool:
        """Put ``strategy``, new and not started, in the place of the sensor's old one, and send the current reading.

        ``none`` only ends the old one. Returns False, and changes nothing, if the sensor is in the set no more or the
        client has gone.
        """
        return bool(self._subscribe([(sensor, strategy)], []))

    async def commit(self, pairs: Iterable[tuple[Sensor[Any], Strategy]], turns: Turns) -> int:
        """Subscribe to many sensors, in turns, and return to how many; those removed meanwhile are left out.

        Whatever can be refused must have been by now. Cancelling it leaves the subscriptions made so far.

        Raises:
            ConnectionLost: the client went.
            Exception: of a strategy of the device's own that cannot begin; then all are as they were, and begin anew.
        """
        before: list[_Wish] = []
        try:
            return sum(await in_turns((self._subscribe(some, before) for some in _batches(pairs)), turns, together=1))
        except Exception:
            await in_turns((self._subscribe(some, []) for some in _batches(before)), turns, together=1)
            raise

    def _subscribe(self, pairs: Iterable[_Wish], before: list[_Wish]) -> int:
        """Subscribe to some sensors, at one time and in one write, and return to how many. ``before``: what it was."""
        strategies, has, line = self._strategies, self._sampling.has, self._lines.line
        now = self._monotonic()
        lines = []
        count = 0
        try:
            for sensor, strategy in pairs:
                if self._closed or not has(sensor):
                    continue
                if strategy.reports:  # what may fail, of types and strategies of the device's own, before what counts
                    reading = sensor.reading
                    strategy.start(reading, now)
                    lines.append(line(sensor, reading))
                old = strategies.get(sensor, _NONE)
                before.append((sensor, old))
                if old is not _NONE:
                    self.unsubscribe(sensor)
                if strategy.reports:
                    strategies[sensor] = strategy
                    strategy.driver = self
                    sensor.attach(strategy)
                    if strategy.wake_at < _NEVER:
                        self._arm(sensor, strategy.wake_at)
                count += 1
        finally:
            if lines:  # never held back: they come before the reply (5.1, section 7.2), which is not held back either
                self.connection.write(b"".join(lines))
        return count

    def unsubscribe(self, sensor: Sensor[Any]) -> bool:
        """End the subscription of a sensor; what waits to be sent of it is not sent. Returns whether there was one."""
        strategy = self._strategies.pop(sensor, None)
        if strategy is None:
            return False
        sensor.detach(strategy)
        self._armed.pop(sensor, None)
        self._held.pop(sensor, None)
        return True

    async def clear(self, turns: Turns) -> int:
        """End all subscriptions, in turns, and return how many there were. Cancelling it leaves the rest.

        Raises:
            ConnectionLost: the client went.
        """
        return sum(await in_turns(map(self.unsubscribe, list(self._strategies)), turns))

    def close(self) -> None:
        """End it all, as the client has gone: nothing more is sent. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._sampling.samplers.discard(self)
        self._armed.clear()
        self._heap.clear()
        self._held.clear()
        if self._task is not None:
            self._task.cancel()
        self._sweep()

    def _sweep(self) -> None:
        """Detach from the sensors; those of 10,000 take 10 ms, so the loop has its turns between them."""
        ends = self._monotonic() + self.connection.limits.batch_time
        while self._strategies:
            sensor, strategy = self._strategies.popitem()
            sensor.detach(strategy)
            if self._monotonic() >= ends:
                self._loop.call_soon(self._sweep)
                return

    # What sensors say

    def on_reading(self, strategy: Strategy, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Have a strategy look at a reading, and send it if that is what it says."""
        if strategy.on_reading(reading, self._lines.heard(reading)):
            self.report(sensor, reading)
        if strategy.wake_at < _NEVER:
            self._arm(sensor, strategy.wake_at)

    def report(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Send a reading: at once, or behind those that wait already, so that reports stay in order."""
        line = self._lines.line(sensor, reading)
        if self._held or self.connection.paused:
            self._hold(sensor, line)
        else:
            self.connection.write(line)

    def _hold(self, sensor: Sensor[Any], line: bytes) -> None:
        """Keep a report until the client takes it, in the place of the oldest of this sensor if there are enough."""
        if self._closed:  # pragma: no cover - the client goes while its last reports are made
            return
        held, limits = self._held, self.connection.limits
        lines = held.setdefault(sensor, [])
        lines.append(line)
        if len(lines) > limits.max_held:
            del lines[0]
            self.conflated += 1
            if not self._told:
                self._told = True
                who = self.connection.description
                self._sampling.trouble.tell(
                    "conflated", "client %s does not keep up and gets only the newest reports", who
                )
        if len(held) == 1:
            self._rouse()

    # What time says

    def _arm(self, sensor: Sensor[Any], when: float) -> None:
        """See to it that the task looks at a sensor's strategy at ``when`` at the latest."""
        # One that is to be looked at later than before is left where it is: the task then finds out.
        armed = self._armed.get(sensor)
        if (armed is not None and when >= armed[0]) or self._closed:
            return
        self._order += 1
        self._armed[sensor] = wake_up = (when, self._order, sensor)
        heap = self._heap
        heapq.heappush(heap, wake_up)
        if len(heap) > 2 * len(self._armed) + _MIN_STALE:
            heap[:] = [entry for entry in heap if self._armed.get(entry[2]) is entry]
            heapq.heapify(heap)
        if heap[0] is wake_up:
            self._rouse()

    def _rouse(self) -> None:
        """Have the task look at what there is to do; it is started when there is something for the first time."""
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(-_NEVER)
        elif not self._running:
            self._running = True
            name = f"katcp sampler {self.connection.description}"
            self._task = self._loop.create_task(self._run(), name=name)

    async def _run(self) -> None:
        """Wake what asked for it, and send what was held back; one task for all subscriptions of a client."""
        connection = self.connection
        now = -_NEVER
        try:
            while not self._closed:  # pragma: no branch - closing cancels this task, usually where it waits
                if self._held or connection.paused:
                    # Strategies are not woken meanwhile either: they take late calls as one.
                    await connection.drain()
                now = max(now, self._monotonic())
                if self._wake_due(now) and self._release():
                    now = await self._sleep()
                elif not connection.paused:
                    now = -_NEVER
                    await asyncio.sleep(0)
        except ConnectionLost:  # pragma: no cover - usually closing cancels this task before it hears of that
            pass
        except Exception:  # noqa: BLE001  # pragma: no cover - a fault of this library; nobody awaits this task
            report_exception("sampling for client %s", connection.description)
            connection.abort("internal error")

    async def _sleep(self) -> float:
        """Wait for the next wake-up; return its time, or -inf if the task was roused before."""
        self._waiter = waiter = self._loop.create_future()
        timer = None
        if self._heap:
            when = self._heap[0][0]
            timer = self._loop.call_at(when, _wake, waiter, when)
        try:
            return float(await waiter)
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake_due(self, now: float) -> bool:
        """Wake the strategies that are due at ``now``, for one turn; return whether that was all."""
        heap, armed, strategies, monotonic = self._heap, self._armed, self._strategies, self._monotonic
        ends = monotonic() + self.connection.limits.batch_time
        while heap and heap[0][0] <= now:
            wake_up = heapq.heappop(heap)
            sensor = wake_up[2]
            if armed.get(sensor) is not wake_up:
                continue  # out of date
            del armed[sensor]
            strategy = strategies[sensor]
            if strategy.wake_at <= now:
                self._wake(sensor, strategy, now)
            # Otherwise it ended the wish, or has no more to say: not in every run of the tests.
            if strategies.get(sensor) is strategy and strategy.wake_at < _NEVER:  # pragma: no branch
                self._arm(sensor, strategy.wake_at)
            if monotonic() >= ends:
                return False
        return True

    def _wake(self, sensor: Sensor[Any], strategy: Strategy, now: float) -> None:
        """Wake one strategy, and send the current reading if that is what it says."""
        reading = sensor.reading
        try:
            if strategy.on_wake(reading, now):
                self.report(sensor, reading)
        except Exception:  # noqa: BLE001 - a strategy or type of the device's own must not end those of the library
            report_exception("strategy %s of sensor %s failed", strategy.name, sensor.name)
        if strategy.wake_at <= now:  # as it raised, or never looked: not to be asked without an end
            strategy.wake_at = now + self.connection.limits.min_period

    def _release(self) -> bool:
        """Send what was held back, oldest first, for one turn, until the client is full; return whether it was all."""
        held, connection, monotonic = self._held, self.connection, self._monotonic
        ends = monotonic() + connection.limits.batch_time
        while held and not connection.paused:
            _, lines = held.popitem(last=False)
            connection.write(b"".join(lines))
            if monotonic() >= ends:
                break
        if held:
            return False
        self._told = False
        return not connection.paused


def _batches(pairs: Iterable[_Wish]) -> Iterator[list[_Wish]]:
    left = iter(pairs)
    return iter(lambda: list(islice(left, _TOGETHER)), [])


def _wake(waiter: asyncio.Future[float], when: float) -> None:
    if not waiter.done():  # pragma: no branch - roused in the turn in which its time came
        waiter.set_result(when)
