"""How long to wait before the next attempt to connect. Law: pure; chance is an argument, and no time is read.

Attempts grow apart exponentially, so that a device that is down is not hammered, and each delay is drawn at random, so
that a hundred clients that lost the same device at the same moment do not all come back at the same moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import attrs

__all__ = ["Backoff"]


@attrs.frozen(kw_only=True)
class Backoff:
    """Random exponential backoff: delay number n lies between ``(1 - randomness) * base`` and ``base`` seconds.

    ``base`` is ``initial * factor**n``, but never more than ``longest``. Counting starts again after a success: a
    connection that was negotiated and then lasted ``settle`` seconds. What ended sooner, as with a device that turns
    its clients away after the greeting, counts as one more failure.

    Raises:
        ValueError: a bound that makes no sense.
    """

    initial: float = attrs.field(default=0.25, validator=attrs.validators.gt(0))  #: s, the longest first delay
    longest: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))  #: s, no delay is longer
    factor: float = attrs.field(default=2.0, validator=attrs.validators.ge(1))  #: growth from one delay to the next
    randomness: float = attrs.field(  #: part of the delay left to chance; 0: none, 1: all of it
        default=0.5, validator=[attrs.validators.ge(0), attrs.validators.le(1)]
    )
    settle: float = attrs.field(default=2.0, validator=attrs.validators.ge(0))  #: s, what counts as a success
    draw: Callable[[], float] = attrs.field(default=random.random, repr=False)  #: gives numbers from 0 to below 1

    def __attrs_post_init__(self) -> None:
        if self.longest < self.initial:
            raise ValueError(f"longest delay {self.longest:g} s is shorter than the first, {self.initial:g} s")

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after so many failures before this one (0: the first)."""
        try:
            base = min(self.initial * self.factor**failures, self.longest)
        except OverflowError:
            base = self.longest
        return base * (1.0 - self.randomness * self.draw())

    def delays(self) -> Iterator[float]:
        """Yield the delays of one row of failures, without end."""
        failures = 0
        while True:
            yield self.delay(failures)
            failures += 1
