"""Messages as values, and the grammar of one line (5.1, section 2.1). Law: a message never changes.

The constructors encode their arguments, so a message always holds bytes: what was sent, or what will be.
"""

from __future__ import annotations

import enum
import operator
import re
from typing import Final, NamedTuple, TypeVar

from ..errors import MalformedMessage
from .escapes import ESCAPES, escape_all, unescape_known
from .values import registry

__all__ = ["KEPT", "MAX_MID", "UNUSUAL", "Message", "MessageType", "parse_line", "read_head", "write_line"]

K = TypeVar("K")
V = TypeVar("V")

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
        if len(name) < _LONGEST_HEAD:
            _remember(self.heads, name, head)
        return head


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII).fullmatch


class _Fields(NamedTuple):
    """The fields of a message. A tuple is made in a third of the time of an object with four slots."""

    type: MessageType  #: request, reply or inform
    name: str  #: ASCII letters, digits and dashes
    arguments: tuple[bytes, ...] = ()  #: unescaped
    mid: int | None = None  #: message id, 1 to 2**31 - 1, or None


def write_line(message: tuple[MessageType, str, tuple[bytes, ...], int | None]) -> bytes:
    """Return the line of a message, ending in a newline. A plain tuple of the four fields will do for one.

    Raises:
        ValueError: the grammar does not allow the name of such a tuple; that of a :class:`Message` is known to be good.
    """
    kind, name, arguments, mid = message
    try:
        head = kind.heads[name]
    except KeyError:
        head = kind.head(name)
    if not arguments:
        return head + b"\n" if mid is None else b"%b[%d]\n" % (head, mid)
    # join() is as quick as % for a short line, and takes a tenth of its time for a megabyte.
    return b"".join((head, b" " if mid is None else b"[%d] " % mid, escape_all(arguments), b"\n"))


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
        if mid is not None and (type(mid) is not int or not 0 < mid <= MAX_MID):
            mid = _checked_mid(mid)
        return _new(cls, (_REQUEST, name, _encoded(arguments) if arguments else (), mid))

    @classmethod
    def reply(cls, name: str, *arguments: object, mid: int | None = None) -> Message:
        """Make a reply; the first argument is the return code. Raises as :meth:`request`."""
        if name not in _reply_heads:
            _REPLY.head(name)
        if mid is not None and (type(mid) is not int or not 0 < mid <= MAX_MID):
            mid = _checked_mid(mid)
        return _new(cls, (_REPLY, name, _encoded(arguments) if arguments else (), mid))

    @classmethod
    def inform(cls, name: str, *arguments: object, mid: int | None = None) -> Message:
        """Make an inform. Raises as :meth:`request`."""
        if name not in _inform_heads:
            _INFORM.head(name)
        if mid is not None and (type(mid) is not int or not 0 < mid <= MAX_MID):
            mid = _checked_mid(mid)
        return _new(cls, (_INFORM, name, _encoded(arguments) if arguments else (), mid))

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
        raw = bytes(raw)  # a str is a TypeError
        line = raw[:-1]
        if raw[-1:] not in (b"\n", b"\r"):
            raise MalformedMessage("no line end", len(raw), raw)
        if raw.endswith(b"\r\n"):
            line = raw[:-2]
        if b"\n" in line or b"\r" in line:
            position = min(place for place in (line.find(b"\n"), line.find(b"\r")) if place >= 0)
            raise MalformedMessage("more than one line", position, raw)
        if not line.strip(b" \t"):
            raise MalformedMessage("blank line", 0, raw)
        try:
            return parse_line(line)
        except MalformedMessage as error:
            error.raw = line
            raise

    @property
    def ok(self) -> bool:
        """Whether this is a reply that tells of success."""
        arguments = self.arguments
        return self.type is _REPLY and bool(arguments) and arguments[0] == b"ok"

    __bytes__ = write_line

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Message):
            return tuple.__eq__(self, other)
        return False if isinstance(other, tuple) else NotImplemented

    def __ne__(self, other: object) -> bool:
        same = self.__eq__(other)
        return same if same is NotImplemented else not same

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        try:
            line = bytes(self)[:-1]
        except (AttributeError, TypeError, ValueError):  # made of what the constructor does not check
            return f"<Message {tuple(self)!r}>"
        shown = repr(line if len(line) <= _SHOWN else line[:_SHOWN] + b"...")
        return f"<Message {shown[2:-1]}>"


_SHOWN = 1000  # bytes of a message in its repr
_REQUEST, _REPLY, _INFORM = MessageType.REQUEST, MessageType.REPLY, MessageType.INFORM
_request_heads, _reply_heads, _inform_heads = _REQUEST.heads, _REPLY.heads, _INFORM.heads
_new = tuple.__new__  # without the layer that a named tuple puts above it

_encoders = registry.encoders()


def _encoded(arguments: tuple[object, ...]) -> tuple[bytes, ...]:
    """Encode values by their Python types; the commonest types here, without a call for each."""
    encoded: list[bytes] = []
    try:
        for argument in arguments:  # not a comprehension: in Python 3.11 that is a call
            kind = type(argument)
            if kind is str:
                encoded.append(argument.encode())  # type: ignore[attr-defined]
            elif kind is bytes:
                encoded.append(argument)  # type: ignore[arg-type]
            elif kind is float:
                encoded.append(repr(argument).encode())
            elif kind is int:
                encoded.append(b"%d" % argument)  # type: ignore[str-format]
            else:
                encoded.append(_encoders[kind](argument))
        return tuple(encoded)
    except ValueError:  # raised again below, by who names value and type
        pass
    return tuple([_encoders[type(argument)](argument) for argument in arguments])


def _checked_mid(mid: int) -> int:
    """Return ``mid`` as an int if the specification allows it as a message id."""
    mid = operator.index(mid)
    if not 0 < mid <= MAX_MID:
        raise ValueError(f"message id {mid} is outside 1 to {MAX_MID}")
    return mid


# What was read before, bounded, for the peer chooses it: messages without arguments and id, which can be handed out
# again since they never change, and the type and name of heads.
_bare: dict[bytes, Message] = {}
_heads: dict[bytes, tuple[MessageType, str]] = {}
# The first word of the last inform: the ten thousand of a listing have the same, and this is a third of their time.
_last_inform: dict[bytes, tuple[MessageType, str, int | None]] = {}
_HEAD = re.compile(rb"([?!#])([A-Za-z][A-Za-z0-9-]*)").fullmatch
_TYPES = {kind.value.encode("ascii"): kind for kind in MessageType}


def parse_line(line: bytes, usual: bool = False) -> Message:
    """Return the message in one line, given without its end and not blank.

    Args:
        line: the line.
        usual: it is known that none of :data:`UNUSUAL` is in it.

    Raises:
        MalformedMessage: the line is none.
    """
    # Split and dictionaries take half the time of one large regular expression. A byte is looked for as a number:
    # 20 ns, and 130 as b"\\" (Python 3.11).
    size = len(line)
    if size < _LONGEST_HEAD and (known := _bare.get(line)) is not None:
        return known
    if size > _LONG:
        arguments = _split_long(line)
    elif line[0] <= _BLANK or not (usual or len(line.translate(None, UNUSUAL)) == size):
        arguments = _split_unusual(line)
    else:
        arguments = line.split()
    head = arguments.pop(0)
    if (known_head := _last_inform.get(head)) is not None:
        kind, name, mid = known_head
    else:
        whole, mid = head, None
        if head[-1] == _BRACKET:
            head, _, digits = head.partition(b"[")
            digits = digits[:-1]
            if (
                not digits.isdigit()
                or digits[0] == _ZERO
                or len(digits) > _MID_DIGITS
                or (mid := int(digits)) > MAX_MID
            ):
                raise _diagnosis(line)
        kind, name = _heads.get(head) or _new_head(head, line)
        if kind is _INFORM and len(whole) < _LONGEST_HEAD:
            _last_inform.clear()
            _last_inform[whole] = kind, name, mid
    if _BACKSLASH in line:
        try:
            arguments = [unescape_known(argument) if _BACKSLASH in argument else argument for argument in arguments]
        except ValueError:
            arguments = []
        if not arguments:  # raised here, where no other exception holds on to the line
            raise _diagnosis(line)
    elif not arguments and mid is None and len(line) < _LONGEST_HEAD:
        _remember(_bare, line, message := _new(Message, (kind, name, (), None)))
        return message
    return _new(Message, (kind, name, tuple(arguments), mid))


def _split_long(line: bytes) -> list[bytes]:
    """Split a line at the speed of memory; translate() and split() take 20 times as long for a megabyte, each."""
    if 0 in line or _ESC in line or 9 in line or 11 in line or 12 in line or line[0] <= _BLANK:  # TAB, VT, FF
        return _split_unusual(line)
    head, _, rest = line.partition(b" ")
    return [head, rest] if rest and _BLANK not in rest else [head, *rest.split()]


def _split_unusual(line: bytes) -> list[bytes]:
    """Split a line with bytes that ``bytes.split`` takes for blanks and the grammar does not, or refuse it."""
    if line[0] in b" \t" or 0 in line or _ESC in line:
        raise _diagnosis(line)
    return [part for part in line.replace(b"\t", b" ").split(b" ") if part]


def _new_head(head: bytes, line: bytes) -> tuple[MessageType, str]:
    """Read a head that was not seen before, and remember it."""
    match = _HEAD(head)
    if match is None:
        raise _diagnosis(line)
    found = _TYPES[match[1]], match[2].decode("ascii")
    if len(head) < _LONGEST_HEAD:
        _remember(_heads, head, found)
    return found


def _remember(table: dict[K, V], key: K, value: V) -> None:
    """Put an entry into a bounded table. A full one starts afresh: a peer may have filled it with what nobody uses."""
    if len(table) >= _MAX_HEADS:
        table.clear()
    table[key] = value


UNUSUAL = b"\0\x1b\v\f"  #: what splits a line otherwise than the grammar says, or must not be in one
_BLANK, _BACKSLASH, _BRACKET, _ESC = b" \\]\x1b"
_ZERO = ord("0")
_LONG = 1000  # bytes of a line, above which looking for each byte by itself takes less time than for all at once
_MID_DIGITS = len(str(MAX_MID))
KEPT = 1024  #: bytes of a malformed line that are kept with its error
_START = re.compile(rb"(?P<type>[?!#])?(?P<name>[A-Za-z][A-Za-z0-9-]*)?")
_ID = re.compile(rb"\[([1-9][0-9]{0,9})\](?=[ \t]|\Z)")


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
    reason, position = _head_fault(line, kind, end) if name is None else _argument_fault(line)
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


def _argument_fault(line: bytes) -> tuple[str, int]:
    """Return the first thing in ``line``, whose head is whole, that the grammar does not allow, and where."""
    rest = line
    for escaped in ESCAPES:  # blotted out at their length, in half the time of an expression
        rest = rest.replace(escaped, b"__")
    position = min(place for place in (rest.find(fault) for fault in (b"\0", b"\x1b", b"\\")) if place >= 0)
    if line[position] != _BACKSLASH:
        return ("unescaped ESC" if line[position] == _ESC else "unescaped NUL"), position
    code = line[position + 1 : position + 2]
    if code in (b"", b" ", b"\t"):
        return "backslash at the end of an argument", position
    return f"bad escape \\{ascii(code)[2:-1]}", position
