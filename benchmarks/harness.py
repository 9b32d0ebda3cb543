"""Measures and how they are run. Law: all sides of a measure take turns, and the median of their rounds counts.

A measure is a generator: what comes before its first ``yield`` sets up, each ``yield`` is one round and gives the
figures of its rows, and closing it takes down. The harness makes one for each side and turns them in rotation (ours,
theirs, the floor, ours, ...), so that whatever else the machine does at a moment falls on all of them. One round
before the first that counts warms up. A text in place of a figure says why there is none.
"""

import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = [
    "EVERYONE",
    "FLOOR",
    "LESS",
    "MEASURES",
    "MORE",
    "OLDER",
    "OURS",
    "SIDES",
    "THEIRS",
    "Measure",
    "Result",
    "Row",
    "Settings",
    "measure",
    "run",
]

OURS, THEIRS, OLDER, FLOOR = "ours", "theirs", "older", "floor"
SIDES = {OURS: "katcp_aio", THEIRS: "aiokatcp", OLDER: "katcp-python", FLOOR: "floor"}  # as the tables call them
EVERYONE = tuple(SIDES)
MORE, LESS = "more", "less"  # which of two figures is the better one


@dataclass(frozen=True)
class Settings:
    """How long and on which loop; the same for all sides."""

    loop: str = "asyncio"
    rounds: int = 7
    seconds: float = 1.0  # of load, in a round of what runs for a time
    quick: bool = False
    katcp_python: str | None = None  # an interpreter that has it


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        key: the figure's name in what the measure yields.
        target: how many times better than aiokatcp is aimed at; None: nothing is.
        bound: our own figure may be no worse than this, whatever the others do.
        axis: what there is more of from row to row, where the rows of one name are the points of a curve.
        step: how many of it.
        growth: our own figure at the last point may be no more than so many times that at the first.
    """

    key: str
    name: str
    unit: str
    better: str = MORE
    target: float | None = None
    bound: float | None = None
    axis: str = ""
    step: int = 0
    growth: float | None = None


Generator = Iterator[dict[str, float]]


@dataclass(frozen=True)
class Measure:
    """Rows that one piece of load gives, for each side."""

    group: str
    rows: tuple[Row, ...]
    sides: tuple[str, ...]
    rounds: int | None  # at most, and one of a quick run; None: as many as the settings say
    function: Callable[[str, Settings], Generator]


@dataclass
class Result:
    """The figures of one row: all rounds of each side, or why a side has none."""

    row: Row
    rounds: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # why a side was not asked for a figure

    def median(self, side: str) -> float | None:
        """The side's figure; None if it has none."""
        figures = self.rounds.get(side)
        return statistics.median(figures) if figures else None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is than theirs; None if either is missing or nothing was used."""
        ours, theirs = self.median(OURS), self.median(THEIRS)
        if not ours or not theirs:
            return None
        return ours / theirs if self.row.better == MORE else theirs / ours

    @property
    def verdict(self) -> str:
        """``met`` or ``short`` of what is aimed at, ``failed``, or nothing where nothing is aimed at."""
        if OURS in self.errors:
            return "failed"
        ours, target, bound = self.median(OURS), self.row.target, self.row.bound
        met = []
        if target is not None and self.ratio is not None:
            met.append(self.ratio >= target)
        if bound is not None and ours is not None:
            met.append(ours >= bound if self.row.better == MORE else ours <= bound)
        return "" if not met else "met" if all(met) else "short"


MEASURES: list[Measure] = []


def measure(
    group: str, *rows: Row, sides: tuple[str, ...] = (OURS, THEIRS, FLOOR), rounds: int | None = None
) -> Callable[[Callable[[str, Settings], Generator]], Callable[[str, Settings], Generator]]:
    """Register a measure; its place in the tables is where it stands in its module."""

    def register(function: Callable[[str, Settings], Generator]) -> Callable[[str, Settings], Generator]:
        MEASURES.append(Measure(group, rows, sides, rounds, function))
        return function

    return register


def begin(subject: Measure, side: str, settings: Settings) -> Generator:
    """Start a measure with its first round, not before: what goes wrong in its set-up is that side's failure."""
    yield from subject.function(side, settings)


def run(subject: Measure, settings: Settings) -> list[Result]:
    """Run one measure, its sides in rotation, and return the figures of its rows."""
    results = [Result(row) for row in subject.rows]
    rounds = settings.rounds
    if subject.rounds:
        rounds = 1 if settings.quick else min(rounds, subject.rounds)
    sides = [side for side in subject.sides if side != OLDER or settings.katcp_python]
    turns = {side: begin(subject, side, settings) for side in sides}
    began = time.monotonic()
    try:
        for number in range(rounds + 1):
            for side in list(turns):
                try:
                    figures = next(turns[side])
                except Exception as error:  # noqa: BLE001 - a side that fails must not hide the figures of the others
                    traceback.print_exc()
                    del turns[side]
                    for result in results:
                        result.errors[side] = f"{type(error).__name__}: {error}"
                    continue
                for result in results:
                    found = figures.get(result.row.key)
                    if isinstance(found, str):
                        result.notes[side] = found
                    elif number and found is not None:
                        result.rounds.setdefault(side, []).append(found)
    finally:
        for turn in turns.values():
            turn.close()
    print(f"{subject.rows[0].name}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    return results
