"""The sampling strategies as state machines. Law: a strategy decides; it never sends, waits or looks at a clock.

Each is a small state machine told of readings and wake-ups together with the time (5.1, section 7.1 and table 9). What
drives it (one sampler for each client) owes it four things::

    strategy.start(reading, now)        once; the reading is sent first, before the reply to ?sensor-sampling
    strategy.on_reading(reading, now)   every time the sensor is set       -> True: send this reading
    strategy.on_wake(reading, now)      at `wake_at` or any time after it  -> True: send the current reading
    strategy.wake_at                    to be looked at after each of these

``now`` is monotonic, in seconds. A client may hold ten thousand of them, so they have slots, no closures and no tasks,
and each is itself the observer that its sensor tells of readings: an object between the two would double the memory.
What a client's parameters may be is decided in :mod:`.strategies`; here they are numbers that have been checked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .reading import Reading
    from .sensor import Sensor

__all__ = [
    "Auto",
    "Differential",
    "DifferentialRate",
    "Event",
    "EventRate",
    "NoReports",
    "Period",
    "Strategy",
    "StrategyDriver",
]


class StrategyDriver(Protocol):
    """What acts upon the decisions of strategies."""

    def on_reading(self, strategy: Strategy, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Have ``strategy``, which is attached to ``sensor``, look at a reading that was just set."""

    def report(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Send a reading."""


class Strategy:
    """When one client hears of one sensor. Subclass it for a strategy of one's own; see ``register_strategy``.

    This class reports nothing after the first reading; override what should. Instances belong to one client and one
    sensor, and are dropped, not stopped.
    """

    __slots__ = ("driver", "name", "params", "wake_at")

    driver: StrategyDriver  #: set by whoever attaches the strategy to a sensor
    reports = True  #: False only for ``none``: not even the first reading is sent

    def __init__(self, name: str = "", params: tuple[bytes, ...] = ()) -> None:
        self.name = name  #: as the client knows it: ``auto`` even where the sensor says what that means
        self.params = params  #: the client's parameters, byte for byte as given
        self.wake_at = math.inf  #: when ``on_wake`` is due, in monotonic seconds; inf: never

    def __call__(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Pass on what the sensor that it is attached to tells its observers."""
        self.driver.on_reading(self, sensor, reading)

    @property
    def echo(self) -> tuple[bytes, ...]:
        """The strategy as ?sensor-sampling names it in its reply: name and parameters (section 7.2)."""
        return (self.name.encode("ascii"), *self.params)

    def start(self, reading: Reading[Any], now: float) -> None:
        """Begin with ``reading``, which is sent at ``now`` and counts as the last report."""

    def on_reading(self, reading: Reading[Any], now: float) -> bool:
        """Return whether ``reading``, just set, is to be sent; if so it counts as the last report."""
        return False

    def on_wake(self, reading: Reading[Any], now: float) -> bool:
        """Return whether ``reading``, the current one, is to be sent; late calls are expected, early ones harmless."""
        return False


class NoReports(Strategy):
    """``none``: nothing is sent."""

    __slots__ = ()
    reports = False


class Auto(Strategy):
    """``auto``: every reading is sent, also one equal to the last."""

    __slots__ = ()

    def __call__(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Report it, whatever the time."""
        self.driver.report(sensor, reading)

    def on_reading(self, reading: Reading[Any], now: float) -> bool:
        """Report it."""
        return True


class Period(Strategy):
    """``period``: the current reading at ``start + k * period``, whatever it is.

    A late wake-up reports once for all the slots that it missed; the slots themselves never move.

    Args:
        period: in seconds, above zero.
    """

    __slots__ = ("_period", "_start")

    def __init__(self, period: float) -> None:
        super().__init__()
        self._period = period

    def start(self, reading: Reading[Any], now: float) -> None:
        """Lay the grid from ``now`` on."""
        self._start = now
        self.wake_at = now + self._period

    def on_wake(self, reading: Reading[Any], now: float) -> bool:
        """Report once a slot has come."""
        if now < self.wake_at:
            return False
        slot = int((now - self._start) / self._period) + 1
        # The quotient may be rounded either way: take the first slot that is later than now.
        if self._start + slot * self._period <= now:
            slot += 1
        self.wake_at = self._start + slot * self._period
        return True


class _Changes(Strategy):
    """What looks for changes from the last report; the timestamp does not count, and NaN is no change from NaN."""

    __slots__ = ("_status", "_value")

    def start(self, reading: Reading[Any], now: float) -> None:
        """Remember what is sent."""
        _, self._status, self._value = reading

    def _differs(self, reading: Reading[Any]) -> bool:
        """Return whether ``reading`` is a change from the last report."""
        _, status, value = reading
        return status is not self._status or not (value == self._value or _both_nan(value, self._value))


class Event(_Changes):
    """``event``: every reading whose status or value differs from the last report."""

    __slots__ = ()

    def __call__(self, sensor: Sensor[Any], reading: Reading[Any]) -> None:
        """Report a change, whatever the time.

        As :meth:`on_reading`, without the calls in between: this runs for every reading and every client that asked for
        its events, and all of it takes 0.2 us.
        """
        _, status, value = reading
        sent = self._value
        if status is not self._status or not (value == sent or (value != value and sent != sent)):  # noqa: PLR0124
            self._status = status
            self._value = value
            self.driver.report(sensor, reading)

    def on_reading(self, reading: Reading[Any], now: float) -> bool:
        """Report a change."""
        if not self._differs(reading):
            return False
        _, self._status, self._value = reading
        return True


class Differential(_Changes):
    """``differential``: a reading that is more than ``difference`` away from the last report, or has another status.

    Exactly ``difference`` away is no change. To or from NaN is a change; NaN to NaN is none.

    Args:
        difference: from zero up, of the sensor's own type.
    """

    __slots__ = ("_difference",)

    def __init__(self, difference: float) -> None:
        super().__init__()
        self._difference = difference

    def on_reading(self, reading: Reading[Any], now: float) -> bool:
        """Report a change that is large enough."""
        status, value = reading.status, reading.value
        if status is self._status and _near(value, self._value, self._difference):
            return False
        self._status = status
        self._value = value
        return True


class EventRate(_Changes):
    """``event-rate``: as ``event``, but not within ``shortest`` of the last report, and at least every ``longest``.

    A change that comes too soon is looked at again when ``shortest`` is over: the reading of that moment is sent, and
    nothing is if it went back meanwhile. Without changes, reports come every ``longest``, on a grid laid by the last
    change.

    Args:
        shortest: in seconds, from zero up.
        longest: in seconds, above zero and at least ``shortest``; inf: no report without a change.
    """

    __slots__ = ("_due", "_longest", "_ready_at", "_shortest")

    def __init__(self, shortest: float, longest: float) -> None:
        super().__init__()
        self._shortest = shortest
        self._longest = longest

    def start(self, reading: Reading[Any], now: float) -> None:
        """Remember what is sent, and when the next report may and must come."""
        self._status = reading.status
        self._value = reading.value
        self._ready_at = now + self._shortest
        self._due = self.wake_at = now + self._longest

    def on_reading(self, reading: Reading[Any], now: float) -> bool:
        """Report a change, or have it looked at when ``shortest`` is over."""
        if not self._differs(reading):
            return False  # a wake-up that is now in vain is left to come: cheaper than to move it to and fro
        if now < self._ready_at:
            self.wake_at = self._ready_at
            return False
        EventRate.start(self, reading, now)
        return True

    def on_wake(self, reading: Reading[Any], now: float) -> bool:
        """Report what is due: a change held back, or a sign of life."""
        if now >= self._due:
            due = self._due + (int((now - self._due) / self._longest) + 1) * self._longest
            EventRate.start(self, reading, now)
            # Late wake-ups do not push the grid, but two reports are never closer than `shortest`.
            self._due = self.wake_at = max(due, self._ready_at)
            return True
        differs = self._differs(reading)
        if differs and now >= self._ready_at:
            EventRate.start(self, reading, now)
            return True
        self.wake_at = self._ready_at if differs else self._due
        return False


class DifferentialRate(EventRate):
    """``differential-rate``: as ``event-rate``, with the changes of ``differential`` and the arguments of both."""

    __slots__ = ("_difference",)

    def __init__(self, difference: float, shortest: float, longest: float) -> None:
        super().__init__(shortest, longest)
        self._difference = difference

    def _differs(self, reading: Reading[Any]) -> bool:
        return reading.status is not self._status or not _near(reading.value, self._value, self._difference)


def _both_nan(value: Any, other: Any) -> bool:
    """Return whether neither equals itself, which is what makes a NaN."""
    return bool(value != value and other != other)  # noqa: PLR0124 - the point of it


def _near(value: Any, sent: Any, difference: float) -> bool:
    """Return whether two numbers are within ``difference`` of each other."""
    if abs(value - sent) <= difference:
        return True
    # inf - inf, and whatever has to do with NaN, is not "within" anything.
    return bool(value == sent) or _both_nan(value, sent)
