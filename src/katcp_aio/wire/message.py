"""Messages as values, and the grammar of one line (5.1, section 2.1). Law: a message never changes.

The constructors encode their arguments, so a message always holds bytes: what was sent, or what will be.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..errors import MalformedMessage
from .values import encode

__all__ = ["KEPT", "MAX_MID", "Message", "MessageType", "escape", "parse_line", "read_head", "unescape"]

MAX_MID: Final = 2**31 - 1  #: the largest message id (5.1, section 2.2)

_MAX_HEADS = 2000  # message names that are remembered
_LONGEST_HEAD = 64  # bytes; a longer name is not worth remembering


class MessageType(enum.Enum):
    """The three kinds of message, by the character that starts the line."""

    REQUEST = "?"
    REPLY = "!"
    INFORM = "#"

    __hash__ = object.__hash__  # Enum's own is a Python function, 0.2 us each time a table is asked

    def __init__(self, character: str) -> None:
        # Names that were checked, with the start of their lines. Bounded: a program uses a few hundred at most.
        self.heads: dict[str, bytes] = {}

    def head(self, name: str) -> bytes:
        """Return the start of a line of this type, and remember it.

        Raises:
            ValueError: the grammar does not allow ``name`` as a message name.
        """
        if _NAME(name) is None:
            raise ValueError(f"message name {name!r} is not a letter followed by letters, digits and dashes")
        head = f"{self.value}{name}".encode("ascii")
        if len(self.heads) < _MAX_HEADS and len(name) < _LONGEST_HEAD:
            self.heads[name] = head
        return head


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII).fullmatch
_SPECIAL = b"\\ \0\n\r\x1b\t"
_CODES = {b"\\": b"\\", b"_": b" ", b"0": b"\0", b"n": b"\n", b"r": b"\r", b"e": b"\x1b", b"t": b"\t", b"@": b""}
_REPLACEMENTS = [(b"\\" + code, char) for code, char in _CODES.items() if char != b"\\"]


def escape(argument: bytes) -> bytes:
    r"""Return ``argument`` as it stands on the wire; an empty one is ``\@``."""
    if not argument:
        return b"\\@"
    # Nothing to escape is the common case, and this the fastest way to see it, for ten bytes and for a megabyte.
    if len(argument.translate(None, _SPECIAL)) == len(argument):
        return argument
    # replace() runs at the speed of memory, which matters for megabytes; the backslash has to be first.
    return (
        argument.replace(b"\\", b"\\\\")
        .replace(b" ", b"\\_")
        .replace(b"\0", b"\\0")
        .replace(b"\n", b"\\n")
        .replace(b"\r", b"\\r")
        .replace(b"\x1b", b"\\e")
        .replace(b"\t", b"\\t")
    )


def unescape(argument: bytes) -> bytes:
    """Return what an argument on the wire stands for.

    Raises:
        ValueError: an escape that the grammar does not have.
    """
    if b"\\" not in argument:
        return argument
    # Splitting at escaped backslashes first makes one pass of the rest, at the speed of replace().
    parts = argument.split(b"\\\\")
    for index, part in enumerate(parts):
        if b"\\" in part:
            parts[index] = _unescape_part(part, argument)
    return b"\\".join(parts)


def _unescape_part(part: bytes, argument: bytes) -> bytes:
    """Unescape a run without escaped backslashes; every backslash in it starts an escape of its own."""
    for code, char in _REPLACEMENTS:
        if code in part:
            part = part.replace(code, char)
    if b"\\" in part:
        raise ValueError(f"bad escape in {argument[:_SHOWN]!r}")
    return part


class _Fields(NamedTuple):
    """The fields of a message. A tuple is made in a third of the time of an object with four slots."""

    type: MessageType  #: request, reply or inform
    name: str  #: ASCII letters, digits and dashes
    arguments: tuple[bytes, ...] = ()  #: unescaped
    mid: int | None = None  #: message id, 1 to 2**31 - 1, or None


class Message(_Fields):
    """One message: type, name, arguments and message id. Immutable; compares and hashes by all four.

    Use :meth:`request`, :meth:`reply` and :meth:`inform`, which encode Python values and check the name; the plain
    constructor takes arguments that are bytes already and checks nothing, for the parser.
    """

    __slots__ = ()

    Type = MessageType

    @classmethod
    def request(cls, name: str, *arguments: object, mid: int | None = None) -> Message:
        """Make a request; arguments are encoded by their Python types.

        Raises:
            ValueError: a name or message id outside the grammar, or a value outside its type.
            TypeError: a value of a type that has no KATCP data type.
        """
        if name not in _request_heads:
            _REQUEST.head(name)
        return _new(cls, (_REQUEST, name, _encoded(arguments), mid if mid is None else _checked_mid(mid)))

    @classmethod
    def reply(cls, name: str, *arguments: object, mid: int | None = None) -> Message:
        """Make a reply; the first argument is the return code. Raises as :meth:`request`."""
        if name not in _reply_heads:
            _REPLY.head(name)
        return _new(cls, (_REPLY, name, _encoded(arguments), mid if mid is None else _checked_mid(mid)))

    @classmethod
    def inform(cls, name: str, *arguments: object, mid: int | None = None) -> Message:
        """Make an inform. Raises as :meth:`request`."""
        if name not in _inform_heads:
            _INFORM.head(name)
        return _new(cls, (_INFORM, name, _encoded(arguments), mid if mid is None else _checked_mid(mid)))

    @classmethod
    def reply_to(cls, request: Message, *arguments: object) -> Message:
        """Make the reply to a request: its name and its id."""
        return _new(cls, (_REPLY, request.name, _encoded(arguments), request.mid))

    @classmethod
    def inform_to(cls, request: Message, *arguments: object) -> Message:
        """Make an inform that is part of the reply to a request: its name and its id (5.1, section 2.3)."""
        return _new(cls, (_INFORM, request.name, _encoded(arguments), request.mid))

    @staticmethod
    def parse(raw: bytes) -> Message:
        """Return the message in ``raw``: exactly one line, with its end.

        Raises:
            MalformedMessage: anything else; it says what is wrong and where, and keeps the raw line.
        """
        line = raw[:-1]
        if raw[-1:] not in (b"\n", b"\r"):
            raise MalformedMessage("no line end", len(raw), raw)
        if raw.endswith(b"\r\n"):
            line = raw[:-2]
        if b"\n" in line or b"\r" in line:
            raise MalformedMessage("more than one line", re.search(rb"[\r\n]", line).start(), raw)  # type: ignore[union-attr]
        if not line.strip(b" \t"):
            raise MalformedMessage("blank line", 0, raw)
        return parse_line(line)

    @property
    def ok(self) -> bool:
        """Whether this is a reply that tells of success."""
        arguments = self.arguments
        return self.type is _REPLY and bool(arguments) and arguments[0] == b"ok"

    def __bytes__(self) -> bytes:
        """Return the line, ending in a newline."""
        kind, name, arguments, mid = self
        head = kind.heads.get(name) or kind.head(name)
        if not arguments:
            return head + b"\n" if mid is None else b"%b[%d]\n" % (head, mid)
        body = b" ".join(arguments)
        # One look at all arguments together: without special characters, only the blanks between them go missing.
        if len(body.translate(None, _SPECIAL)) != len(body) - len(arguments) + 1 or b"" in arguments:
            body = b" ".join([escape(argument) for argument in arguments])
        return b"%b %b\n" % (head, body) if mid is None else b"%b[%d] %b\n" % (head, mid, body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        line = bytes(self)[:-1]
        shown = repr(line if len(line) <= _SHOWN else line[:_SHOWN] + b"...")
        return f"<Message {shown[2:-1]}>"


_SHOWN = 1000  # bytes of a message in its repr
_REQUEST, _REPLY, _INFORM = MessageType.REQUEST, MessageType.REPLY, MessageType.INFORM
_request_heads, _reply_heads, _inform_heads = _REQUEST.heads, _REPLY.heads, _INFORM.heads
_new = tuple.__new__  # without the layer that a named tuple puts above it

# The types that no registry can change, encoded without a Python function in between.
_PLAIN: dict[type, Callable[[Any], bytes]] = {
    bytes: bytes,
    str: str.encode,
    int: b"%d".__mod__,
    float: b"%a".__mod__,
    bool: {False: b"0", True: b"1"}.__getitem__,
}


def _encoded(arguments: tuple[object, ...]) -> tuple[bytes, ...]:
    """Encode values by their Python types; the common ones without a call in between, half the time of the rest."""
    try:
        return tuple([_PLAIN[type(argument)](argument) for argument in arguments])
    except KeyError:
        return tuple(map(encode, arguments))


def _checked_mid(mid: int) -> int:
    """Return ``mid`` if the specification allows it as a message id."""
    if not 0 < mid <= MAX_MID:
        raise ValueError(f"message id {mid} is outside 1 to {MAX_MID}")
    return mid


# Messages without arguments and id that were read before: a message never changes, so it can be handed out again, and
# others with the same head take type and name from it. Bounded, for the peer chooses them.
_heads: dict[bytes, Message] = {}
_HEAD = re.compile(rb"([?!#])([A-Za-z][A-Za-z0-9-]*)").fullmatch
_TYPES = {kind.value.encode("ascii"): kind for kind in MessageType}


def parse_line(line: bytes) -> Message:
    """Return the message in one line, given without its end.

    Raises:
        MalformedMessage: the line is none.
    """
    known = _heads.get(line)
    if known is not None:
        return known
    if b"\t" in line:
        line = line.replace(b"\t", b" ")
    # split and dictionaries instead of one large regular expression: half the time.
    head, *arguments = line.split(b" ")
    mid = None
    if head[-1:] == b"]":
        head, _, digits = head[:-1].partition(b"[")
        if not digits.isdigit() or digits[0] == _ZERO or len(digits) > _MID_DIGITS or (mid := int(digits)) > MAX_MID:
            raise _diagnosis(line)
    known = _heads.get(head)
    if known is None:
        known = _new_head(head, line)
    if b"\0" in line or b"\x1b" in line:
        raise _diagnosis(line)
    if b"" in arguments:  # a run of blanks, or blanks at the end
        arguments = [argument for argument in arguments if argument]
    if b"\\" in line:
        try:
            arguments = [unescape(argument) if b"\\" in argument else argument for argument in arguments]
        except ValueError:
            raise _diagnosis(line) from None
    return _new(Message, (known.type, known.name, tuple(arguments), mid))


def _new_head(head: bytes, line: bytes) -> Message:
    """Read a head that was not seen before, and remember it."""
    match = _HEAD(head)
    if match is None:
        raise _diagnosis(line)
    message = Message(_TYPES[match[1]], match[2].decode("ascii"))
    if len(_heads) < _MAX_HEADS and len(head) < _LONGEST_HEAD:
        _heads[head] = message
    return message


_ZERO = ord("0")
_MID_DIGITS = len(str(MAX_MID))
KEPT = 1024  #: bytes of a malformed line that are kept with its error
_START = re.compile(rb"(?P<type>[?!#])?(?P<name>[A-Za-z][A-Za-z0-9-]*)?")
_ID = re.compile(rb"\[([1-9][0-9]{0,9})\](?=[ \t]|$)")
# Pairs of a backslash and its code are stepped over, so that the second of two backslashes never counts as a first.
_BAD = re.compile(rb"(?:[^\\\0\x1b]|\\[\\_0nret@])*+(?:[\0\x1b]|\\(.?))", re.DOTALL)


def read_head(line: bytes) -> tuple[MessageType | None, str | None, int | None, int]:
    """Return type, name and message id as far as they can be read from a broken line, and where its head is broken.

    A name and an id count only if the head is whole, for otherwise they may be part of others.
    """
    start = _START.match(line)
    assert start is not None  # noqa: S101 - both parts are optional
    if start["type"] is None or start["name"] is None:
        return _TYPES.get(start["type"]), None, None, start.end("type") if start["type"] else 0
    name, mid, end = start["name"].decode("ascii"), None, start.end()
    if (match := _ID.match(line, end)) is not None and int(match[1]) <= MAX_MID:
        mid, end = int(match[1]), match.end()
    if line[end : end + 1] not in (b"", b" ", b"\t"):
        return _TYPES[start["type"]], None, None, end
    return _TYPES[start["type"]], name, mid, end


def _diagnosis(line: bytes) -> MalformedMessage:
    """Say what is wrong with a line that could not be read, and keep what could be."""
    kind, name, mid, end = read_head(line)
    reason, position = _head_fault(line, kind, end) if name is None else _argument_fault(line, end)
    return MalformedMessage(reason, position, line[:KEPT], type=kind, name=name, mid=mid)


def _head_fault(line: bytes, kind: MessageType | None, end: int) -> tuple[str, int]:
    """Return what is wrong with the head of ``line``, and where."""
    if kind is None:
        return ("leading whitespace" if line[:1] in (b" ", b"\t") else "message type is not ?, ! or #"), 0
    if end <= 1:
        return "message name does not start with a letter", 1
    if line[end] == ord("["):
        return f"message id is not a number from 1 to {MAX_MID} in brackets", end
    return "bad character in message name", end


def _argument_fault(line: bytes, end: int) -> tuple[str, int]:
    """Return the first thing in the arguments of ``line`` that the grammar does not allow, and where."""
    match = _BAD.match(line, end)
    assert match is not None  # noqa: S101 - only called for lines that have a fault
    if match[1] is None:
        return ("unescaped NUL" if match[0].endswith(b"\0") else "unescaped ESC"), match.end() - 1
    if match[1] in (b"", b" ", b"\t"):
        return "backslash at the end of an argument", match.start(1) - 1
    return f"bad escape \\{ascii(match[1])[2:-1]}", match.start(1) - 1
