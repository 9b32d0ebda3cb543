"""What the operator is told. Law: text that came from a peer passes through here before it reaches a log.

One door to :mod:`logging`: control characters are escaped, long arguments are cut, and trouble that a peer can cause as
often as it likes is counted and told at a bounded rate.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable

__all__ = ["TroubleLog", "logger", "plain", "printable", "report_exception", "safely", "text_of"]

logger = logging.getLogger("katcp_aio")  #: the parent of every logger of this library

_LONGEST = 200  # characters of a peer's text in one log line
_LONGEST_CODE = 400  # characters of one line of a traceback

# C0, DEL and C1 controls, the two Unicode line ends and the controls and marks of writing direction: none of them may
# move a cursor, forge a second line or make one read otherwise than it is.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_ESCAPES.update({code: f"\\u{code:04x}" for code in _DIRECTIONS})


def text_of(thing: object) -> str:
    """Return ``str(thing)``, also of an exception of the program's that cannot say what it is."""
    try:
        return str(thing)
    except Exception:  # noqa: BLE001 - whatever it raises
        return f"<{type(thing).__name__} without a text>"


def safely(log: Callable[..., object], *args: object, **options: object) -> None:
    """Call a logger's method, and go on whatever the program's filters and handlers raise.

    A reply to a client, or the end of a server, is not to depend on them. What they raise is shown on stderr, as
    :mod:`logging` does by itself with most of it.
    """
    try:
        log(*args, **options)
    except Exception:  # noqa: BLE001 - the program's
        if logging.raiseExceptions:
            traceback.print_exc()


def printable(text: object, longest: int = _LONGEST) -> str:
    """Return ``text`` (bytes are read as UTF-8) as one line without control characters, cut at ``longest``."""
    if isinstance(text, bytes):
        text = text[: longest * 4 + 1].decode("utf-8", "backslashreplace")
    text = text_of(text)
    if len(text) > longest:
        text = text[:longest] + "..."
    # Half a surrogate pair cannot be encoded, and would make a log handler fail.
    return text.translate(_ESCAPES).encode("utf-8", "backslashreplace").decode()


def plain(text: object, longest: int = _LONGEST) -> str:
    """Return ``text`` as :func:`printable` does and in ASCII, as texts for people are to be on the wire (section 2)."""
    return printable(text, longest).encode("ascii", "backslashreplace").decode("ascii")


def report_exception(what: str, *args: object) -> None:
    """Log the exception that is being handled, with its traceback, for trouble that no caller is there to be told.

    The text of the exception may be a peer's: the traceback is indented, so that none of its lines passes for a line of
    the log, and has no control characters in it.
    """
    record = logger.makeRecord(logger.name, logging.ERROR, "", 0, what, args, sys.exc_info())
    record.exc_text = "\n".join("  " + printable(line, _LONGEST_CODE) for line in traceback.format_exc().splitlines())
    if logger.isEnabledFor(logging.ERROR):
        safely(logger.handle, record)


class TroubleLog:
    """Trouble of one kind after another, counted all, told at most ``rate`` lines a second for each kind.

    Args:
        target: where the lines go.
        monotonic: the time in seconds, as :meth:`Clock.monotonic`.
        rate: lines a second for each kind; what is over it is told as a count with the next line.
    """

    __slots__ = ("_monotonic", "_rate", "_target", "_windows", "counts")

    def __init__(self, target: logging.Logger, monotonic: Callable[[], float], rate: int) -> None:
        self._target = target
        self._monotonic = monotonic
        self._rate = rate
        self._windows: dict[str, list[float]] = {}  # kind -> [start of its second, told in it, suppressed]
        self.counts: dict[str, int] = {}  #: kind -> how often, ever

    def count(self, kind: str) -> int:
        """Count one trouble of ``kind`` that is told elsewhere; return how many there have been."""
        number = self.counts[kind] = self.counts.get(kind, 0) + 1
        return number

    def tell(self, kind: str, text: str, *args: object, level: int = logging.WARNING) -> None:
        """Count one trouble of ``kind`` and log it, if its second has room; ``args`` are made printable first."""
        self.count(kind)
        now = self._monotonic()
        window = self._windows.setdefault(kind, [now, 0, 0])
        if now - window[0] >= 1.0:
            window[0], window[1] = now, 0
        if window[1] >= self._rate:
            window[2] += 1
            return
        window[1] += 1
        suppressed, window[2] = int(window[2]), 0
        more = f" ({suppressed} more like it before)" if suppressed else ""
        safely(self._target.log, level, text + more, *(printable(arg) for arg in args))
