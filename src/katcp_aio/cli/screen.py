"""What a person sees. Law: the same story on every output, and not one escape sequence where nobody can see colours.

On a terminal, and with rich installed, tables are redrawn in place; into a pipe or a file goes one line after another.
What came from a device is made printable before it is shown: it can neither move the cursor nor pass for markup.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TextIO

from ..reports import printable

__all__ = ["PlainScreen", "RichScreen", "Row", "Screen", "SilentScreen", "make_screen", "show", "sparkline"]

Row = tuple[str, ...]
Rows = Callable[[int], Sequence[Row]]  # the first so many
Note = Callable[[int], str]  # besides so many rows
Refresh = Callable[[], None]

_BARS = "▁▂▃▄▅▆▇█"
_BESIDES = 4  # lines of a terminal that a watched table needs besides its rows: two above, the note, the cursor's
_COLOURS = {
    "nominal": "green",
    "warn": "yellow",
    "error": "bold red",
    "failure": "bold magenta",
    "unreachable": "red",
    "unknown": "dim",
    "inactive": "dim",
}


class Screen(Protocol):
    """Where a command writes what people are to read."""

    live: bool  #: whether something can be redrawn in place

    def title(self, text: str) -> None:
        """Begin."""

    def section(self, text: str) -> None:
        """Begin the next part."""

    def line(self, text: str = "") -> None:
        """Write one line."""

    def item(self, name: str, text: str) -> None:
        """Write what is called ``name``, and below it what it is."""

    def table(self, columns: Row, rows: Sequence[Row]) -> None:
        """Write a table; the words of the column ``status`` have their colours."""

    def watch(self, columns: Row, rows: Rows, note: Note) -> AbstractContextManager[Refresh]:
        """Show a table and a note below it. What the context gives is to be called whenever they may be drawn anew."""


def make_screen(out: TextIO | None, *, plain: bool = False, silent: bool = False) -> Screen:
    """Return the best screen for ``out``: rich's on a terminal that can, plain lines elsewhere; or one for nobody."""
    if silent or out is None:  # as Python has it for an output that is closed
        return SilentScreen()
    if not plain and out.isatty() and os.environ.get("TERM") not in {None, "", "dumb"}:
        try:
            return RichScreen(out)
        except ImportError:  # without the extra `cli`
            pass
    return PlainScreen(out)


def show(value: object) -> str:
    """Return a value for people, in one line: three decimals, no control characters, and nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return printable(value, longest=60)


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last ``width`` values as a row of bars, from the lowest of them to the highest.

    What is not finite has no bar.
    """
    values = values[-width:] if width > 0 else []
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    steps = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * steps)] if math.isfinite(value) else " " for value in values)


class PlainScreen:
    """Lines, as they come."""

    live = False

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def title(self, text: str) -> None:
        """Begin."""
        self.line(text)

    def section(self, text: str) -> None:
        """Begin the next part, after an empty line."""
        self.line()
        self.line(text)

    def line(self, text: str = "") -> None:
        """Write one line, at once: who reads a pipe reads along."""
        print(text, file=self._out, flush=True)

    def item(self, name: str, text: str) -> None:
        """Write two lines."""
        self.line(f"  {name}")
        self.line(f"      {text}")

    def table(self, columns: Row, rows: Sequence[Row]) -> None:
        """Write the rows, in columns that are as wide as they need to be."""
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        for row in (columns, *rows):
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.line(("  " + "  ".join(cells)).rstrip())

    @contextmanager
    def watch(self, columns: Row, rows: Rows, note: Note) -> Iterator[Refresh]:
        """Show nothing: what changes is told in lines by whoever knows of it."""
        yield lambda: None


class SilentScreen(PlainScreen):
    """Shows nothing: for when programs read what is written besides."""

    live = True  # nobody needs to be told of changes in lines

    def __init__(self) -> None:
        pass

    def line(self, text: str = "") -> None:
        """Drop the line, as everything else comes down to lines."""


class RichScreen:
    """A terminal, by way of rich, which also knows NO_COLOR.

    Raises:
        ImportError: rich is not installed.
    """

    live = True

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=out, highlight=False, markup=False, emoji=False)

    def title(self, text: str) -> None:
        """Begin, in bold."""
        self._console.print(text, style="bold")

    def section(self, text: str) -> None:
        """Begin the next part, under a rule."""
        from rich.rule import Rule
        from rich.text import Text

        self._console.print()
        self._console.print(Rule(Text(text, style="bold"), align="left", style="blue"))

    def line(self, text: str = "") -> None:
        """Write one line."""
        self._console.print(text)

    def item(self, name: str, text: str) -> None:
        """Write two lines, the first in colour."""
        self._console.print(f"  {name}", style="cyan")
        self._console.print(f"      {text}")

    def table(self, columns: Row, rows: Sequence[Row]) -> None:
        """Write a table."""
        self._console.print(_rich_table(columns, rows))

    @contextmanager
    def watch(self, columns: Row, rows: Rows, note: Note) -> Iterator[Refresh]:
        """Show a table that is drawn anew in place, as much of it as the terminal has lines for."""
        from rich.console import Group
        from rich.live import Live
        from rich.text import Text

        def picture() -> Group:
            most = max(1, self._console.height - _BESIDES)  # to draw ten thousand takes seconds, and shows no more
            below = Text(f"  {note(most)}", style="cyan", no_wrap=True, overflow="ellipsis")
            return Group(_rich_table(columns, rows(most)), below)

        # Not drawn by rich's own thread: rows are read in the thread that changes them.
        with Live(picture(), console=self._console, auto_refresh=False) as live:
            yield lambda: live.update(picture(), refresh=True)


def _rich_table(columns: Row, rows: Sequence[Row]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for column in columns:
        right, gives_way = column in {"value", "age"}, column in {"description", "trend"}
        table.add_column(Text(column), justify="right" if right else "left", no_wrap=not gives_way)
    for row in rows:
        styles = [
            _COLOURS.get(cell, "") if column == "status" else "" for column, cell in zip(columns, row, strict=True)
        ]
        table.add_row(*[Text(cell, style=style) for cell, style in zip(row, styles, strict=True)])
    return table
