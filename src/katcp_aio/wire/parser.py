"""Chunks of bytes in, messages and malformed lines out. Law: nothing that a peer sends raises, or is kept past a bound.

Cutting the stream into chunks elsewhere never changes what comes out (5.1, section 2.1).
"""

from __future__ import annotations

from ..errors import LineTooLong, MalformedMessage
from ..limits import Limits
from .message import KEPT, Message, parse_line, read_head

__all__ = ["MessageParser"]

_LIMITS = Limits()
_CR, _LF = b"\r\n"
_MOST_PIECES = 1024  # of an unfinished line, before they are put together: a byte alone costs ten


class MessageParser:
    """Cuts a stream into lines and reads each.

    Args:
        max_line: bytes of a line without its end; a longer one is dropped up to its end and reported once.
        max_arguments: of one message; one with more is malformed.
    """

    __slots__ = ("_after_cr", "_merged", "_pending", "_size", "max_arguments", "max_line")

    def __init__(self, max_line: int | None = None, max_arguments: int | None = None) -> None:
        self.max_line = _LIMITS.max_line if max_line is None else max_line
        self.max_arguments = _LIMITS.max_arguments if max_arguments is None else max_arguments
        self._pending: list[bytes] = []  # the unfinished line, as it came: a bytearray takes ten times as long to grow
        self._merged = 0  # of these, how many were put together from smaller ones, so that its size is its cost
        self._size = 0  # its length; over the bound: it was reported, and the rest of it is being dropped
        self._after_cr = False  # the last byte was a CR: a NUL may follow it, as telnet sends

    @property
    def pending(self) -> int:
        """Bytes of the unfinished last line that came so far; those beyond ``max_line`` are counted and not kept."""
        return self._size

    def feed(self, data: bytes) -> list[Message | MalformedMessage]:
        """Take the next bytes of the stream; return what they complete, in order.

        A malformed line comes as a :class:`MalformedMessage` (or :class:`LineTooLong`), never as an exception.
        """
        if self._after_cr or _CR in data:  # as a number: a fifth of the time of b"\r"
            data = self._only_newlines(data)
        out: list[Message | MalformedMessage] = []
        if _LF not in data:  # a piece of a long line: split() would take a hundred times as long to see that
            if data:
                self._keep(data, out)
            return out
        lines = data.split(b"\n")
        rest = lines.pop()
        # One look for all lines, but for the start of the first, which came before.
        clean = not (0 in data or 27 in data or 11 in data or 12 in data)  # each of UNUSUAL
        usual = clean and not self._size
        if self._size:
            lines[0] = self._complete(lines[0])
        limit, most = self.max_line, self.max_arguments
        for line in lines:
            size = len(line)
            if size > limit:
                out.append(_too_long(line, limit))
            elif size > most and _has_more(line, most):
                out.append(_too_many(line, most))
            elif size:
                try:
                    out.append(parse_line(line, usual))
                except MalformedMessage as error:
                    if line.strip(b" \t"):  # a line of blanks is ignored
                        out.append(error.with_traceback(None))
            usual = clean
        if rest:
            self._keep(rest, out)
        return out

    def _keep(self, rest: bytes, out: list[Message | MalformedMessage]) -> None:
        """Hold the start of a line, or report it once if it has become too long."""
        dropping = self._size > self.max_line
        self._size += len(rest)
        if dropping:
            return
        self._pending.append(rest)
        if self._size > self.max_line:
            # Its beginning is all that is told, and the whole in one piece would take as much memory again.
            self._pending = [piece[:KEPT] for piece in self._pending[:KEPT]]
            out.append(_too_long(self._take_pending(), self.max_line))
        elif len(self._pending) - self._merged >= _MOST_PIECES:
            self._pending[self._merged :] = [b"".join(self._pending[self._merged :])]
            self._merged += 1

    def _complete(self, end: bytes) -> bytes:
        """Return the line that ``end`` completes; an empty one if it was dropped."""
        line = b""
        if self._size <= self.max_line:
            self._pending.append(end)
            line = self._take_pending()
        self._size = 0
        return line

    def _take_pending(self) -> bytes:
        """Return what was kept, in one piece, and keep it no longer."""
        line = b"".join(self._pending)
        self._pending.clear()
        self._merged = 0
        return line

    def _only_newlines(self, data: bytes) -> bytes:
        """Turn CR into LF, and drop a NUL that follows a CR: telnet sends CR NUL LF when fed from a pipe."""
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\0")
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\0", b"\r").replace(b"\r", b"\n")


def _has_more(line: bytes, most: int) -> bool:
    """Return whether a line has more arguments than that; blanks are looked for first: most long lines have one."""
    if line.find(b" ", line.find(b" ") + 1) < 0 and line.find(b"\t") < 0:
        return False
    if line.count(b" ") + line.count(b"\t") <= most:
        return False
    # Any number of blanks may be between two arguments, and split() sees to that; but it splits at VT and FF as well.
    return len(line.replace(b"\v", b"-").replace(b"\f", b"-").split(None, most + 1)) > most + 1


def _too_many(line: bytes, most: int) -> MalformedMessage:
    """Report a line that would take too long to take apart."""
    kind, name, mid, end = read_head(line)
    return MalformedMessage(f"more than {most} arguments", end, line[:KEPT], type=kind, name=name, mid=mid)


def _too_long(line: bytes, limit: int) -> LineTooLong:
    """Report an over-long line by its first bytes: as many as are there however the stream was cut."""
    raw = line[: min(KEPT, limit)]
    kind, name, mid, end = read_head(raw)
    if end == len(raw):  # the name, or the id, may go on behind the cut
        name = mid = None
    return LineTooLong(limit, raw, type=kind, name=name, mid=mid)
