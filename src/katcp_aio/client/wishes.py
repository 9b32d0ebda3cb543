"""Which sensor is to be sampled how. Law: a table without a connection; what is wished stands until it is refused.

Three may wish: a program for one sensor, a program for all sensors that a pattern matches, and somebody who looks at a
sensor for a while (a loan). The first goes before the second and that before the third: a loan never changes what a
program has set, for the device knows one strategy for each sensor of a client (5.1, section 7.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import attrs

from ..wire.dialect import Dialect
from ..wire.values import TypeRegistry
from .replies import encode_values

__all__ = ["NONE", "Loan", "Sampling", "Wishes", "batches"]


class Sampling(NamedTuple):
    """A strategy with its parameters, times in seconds."""

    strategy: str
    params: tuple[object, ...] = ()

    def check(self, dialect: Dialect, types: TypeRegistry) -> None:
        """Raise TypeError or ValueError for a parameter that cannot be written, at the line that gives it."""
        encode_values("sensor-sampling", ("", self.strategy, *self.params), dialect, types)
        hash(self.params)  # wishes are told apart by them


NONE = Sampling("none")


@attrs.define(eq=False)
class Loan:
    """A sensor wanted for a while.

    Attributes:
        name: of the sensor.
        choices: strategies, the preferred one first; one that the device refuses makes way for the next.
        on_refused: called with the device's error once all are refused.
    """

    name: str
    choices: list[Sampling]
    on_refused: Callable[[Exception], object]


class Wishes:
    """The table of one client."""

    __slots__ = ("former", "loans", "named", "patterns", "refused")

    def __init__(self) -> None:
        self.named: dict[str, Sampling] = {}  #: sensor -> as it was wished by its name
        self.former: dict[str, Sampling] = {}  #: sensor -> what holds on should the device refuse the one above
        self.patterns: dict[re.Pattern[str], Sampling] = {}  #: the youngest first
        self.loans: dict[str, list[Loan]] = {}  #: sensor -> who wants to see it, in order
        self.refused: dict[str, set[Sampling]] = {}  #: sensor -> what patterns wish for it and the device will not

    def __bool__(self) -> bool:
        return bool(self.named or self.patterns or self.loans)

    def effective(self, name: str) -> Sampling | None:
        """Return how the sensor is to be sampled; None: not at all."""
        wish = self.named.get(name) if self.named else None
        if wish is None and self.patterns:
            wish = self._by_pattern(name)
        if wish is None or wish.strategy == "none":
            return self.loans[name][0].choices[0] if name in self.loans else None
        return wish

    def _by_pattern(self, name: str) -> Sampling | None:
        for pattern, wish in self.patterns.items():
            if pattern.search(name):
                refused = self.refused.get(name)
                return None if refused and wish in refused else wish
        return None

    def set(self, name: str, wish: Sampling) -> None:
        """Wish a strategy for one sensor."""
        if name in self.named:
            self.former.setdefault(name, self.named[name])
        else:
            self.former.pop(name, None)
        self.named[name] = wish
        if wish == NONE and not self.patterns:
            del self.named[name]

    def set_pattern(self, pattern: re.Pattern[str], wish: Sampling) -> None:
        """Wish a strategy for all sensors in whose name the pattern is found, those to come included.

        It goes before what was wished earlier for those that are there, by pattern or by name.
        """
        self.patterns.pop(pattern, None)
        for name in [name for name in self.named if pattern.search(name)]:
            del self.named[name]
        for name in [name for name in self.refused if pattern.search(name)]:
            self.refused[name].discard(wish)
        if wish != NONE or self.patterns:
            self.patterns = {pattern: wish, **self.patterns}

    def lend(self, loan: Loan) -> None:
        """Take note of somebody who wants to see a sensor."""
        self.loans.setdefault(loan.name, []).append(loan)

    def end(self, loan: Loan) -> bool:
        """Take note that they have seen enough; return whether they still looked."""
        loans = self.loans.get(loan.name, [])
        if loan not in loans:
            return False
        loans.remove(loan)
        if not loans:
            del self.loans[loan.name]
        return True

    def refuse(self, name: str, wish: Sampling, error: Exception, *, absent: bool = False) -> None:
        """Take note that the device will not: whoever wished just this wishes it no more.

        Args:
            name: of the sensor.
            wish: what it was asked.
            error: what it answered.
            absent: this was that it has no such sensor. What a program wishes holds on then, for one that may come.
        """
        if self.named.get(name) == wish:
            if absent:
                return
            del self.named[name]
            former = self.former.pop(name, None)
            if former is not None and former != wish:
                self.named[name] = former
        if not absent and any(other == wish and pattern.search(name) for pattern, other in self.patterns.items()):
            self.refused.setdefault(name, set()).add(wish)
        for loan in [loan for loan in self.loans.get(name, ()) if loan.choices[0] == wish]:
            if len(loan.choices) > 1:
                loan.choices.pop(0)
            else:
                self.end(loan)
                loan.on_refused(error)

    def accept(self, names: Iterable[str], wish: Sampling) -> None:
        """Take note that the device does as was wished; what has been wished since then may still be refused."""
        if self.former:
            for name in names:
                if self.named.get(name, wish) == wish:
                    self.former.pop(name, None)

    def forget_refusals(self, names: Iterable[str]) -> None:
        """Try again what was refused for these sensors: they are others now."""
        for name in names:
            self.refused.pop(name, None)


def batches(wanted: Mapping[str, Sampling], most: int) -> list[tuple[Sampling, list[str]]]:
    """Group sensors by what is wished for them, at most ``most`` to a group; in order."""
    groups: dict[tuple[object, ...], list[str]] = {}
    last: Sampling | None = None
    group: list[str] = []
    for name, wish in wanted.items():
        if wish is not last:  # nearly always the very same
            last = wish
            # The types too: 1 equals 1.0, and an integer sensor takes only the one.
            group = groups.setdefault((wish, *map(type, wish.params)), [])
        group.append(name)
    return [
        (wanted[names[0]], names[start : start + most])
        for names in groups.values()
        for start in range(0, len(names), most)
    ]
