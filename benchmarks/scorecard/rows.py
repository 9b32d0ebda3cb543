"""Rows of the scorecard and what they find. Law: a row says beforehand what passes; its figures decide.

A row is a function that is given a side, does its harm to a process that it starts itself, and returns figures. Each
runs in a process of its own, which is killed, with all that it started, when the row's time is over.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["DEVICES", "OLDER", "OURS", "ROWS", "THEIRS", "Figure", "Result", "Row", "Skip", "row"]

OURS, THEIRS, OLDER = "katcp_aio", "aiokatcp", "katcp-python"
DEVICES = (OURS, THEIRS, OLDER)  # the sides of rows that look at a device; katcp-python only where it can be had
NEVER = float("inf")  # a figure of what did not happen while it was waited for


class Skip(Exception):
    """The row cannot be run here; the text says why."""


@dataclass(frozen=True)
class Figure:
    """One thing that was measured.

    Args:
        at_most: passes if the value is no more than this.
        at_least: passes if it is no less.
        note: what the number does not say.
    """

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is within its bounds; a figure without a bound is told for what it is."""
        if self.at_most is not None and not self.value <= self.at_most:
            return False
        return self.at_least is None or self.value >= self.at_least


@dataclass
class Result:
    """What one side did in one row: figures, or why there are none."""

    figures: list[Figure] = field(default_factory=list)
    skipped: str = ""
    failed: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """``pass``, ``fail`` or ``not run``."""
        if self.skipped:
            return "not run"
        bounded = [figure for figure in self.figures if figure.at_most is not None or figure.at_least is not None]
        return "pass" if bounded and not self.failed and all(figure.passed for figure in bounded) else "fail"


Function = Callable[[str], list[Figure]]


@dataclass(frozen=True)
class Row:
    """One line of the scorecard.

    Args:
        number: of the row, as in the documentation.
        name: what is done.
        seconds: that it may take for one side; then it is killed.
        quick: part of ``--quick``.
        sides: who is put to it.
    """

    number: str
    name: str
    seconds: float
    quick: bool
    sides: tuple[str, ...]
    function: Function


ROWS: dict[str, Row] = {}


def row(
    number: str, name: str, *, seconds: float = 30.0, quick: bool = True, sides: tuple[str, ...] = (OURS, THEIRS)
) -> Callable[[Function], Function]:
    """Register a row."""

    def register(function: Function) -> Function:
        ROWS[number] = Row(number, name, seconds, quick, sides, function)
        return function

    return register
