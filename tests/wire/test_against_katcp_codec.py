"""The same streams through this parser and through katcp-codec's: docs/reference/messages.md lists what differs."""

import katcp_codec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from katcp_aio.errors import LineTooLong
from katcp_aio.wire.message import MAX_MID, Message, MessageType
from katcp_aio.wire.parser import MessageParser

__all__ = []

TYPES = {
    MessageType.REQUEST: katcp_codec.MessageType.REQUEST,
    MessageType.REPLY: katcp_codec.MessageType.REPLY,
    MessageType.INFORM: katcp_codec.MessageType.INFORM,
}
PIECES = [b"?", b"!", b"#", b"foo", b"x-1", b"[1]", b"[2147483647]", b"[2147483648]", b"[0]", b"[", b"]", b" ", b"\t"]
PIECES += [
    b"\\",
    b"\\_",
    b"\\@",
    b"\\n",
    b"\\0",
    b"\\e",
    b"\\z",
    b"\0",
    b"\x1b",
    b"\n",
    b"\r",
    b"\r\n",
    b"\xff",
    b"\v",
    b"9",
]
STREAMS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=30).map(b"".join)


def ours(stream, max_line=10_000):
    found = MessageParser(max_line).feed(stream)
    return [
        (TYPES[one.type], one.name.encode(), one.mid, list(one.arguments)) if isinstance(one, Message) else None
        for one in found
    ]


def theirs(stream, max_line=10_001):
    found = katcp_codec.Parser(max_line).append(stream)
    return [None if isinstance(one, ValueError) else (one.mtype, one.name, one.mid, one.arguments) for one in found]


@settings(max_examples=300)
@given(STREAMS)
def test_the_same_lines_are_messages_with_the_same_content(stream):
    while b"\r\0" in stream:  # the one thing that is read here and not there
        stream = stream.replace(b"\r\0", b"\r")
    assert ours(stream) == theirs(stream)


def test_a_nul_behind_a_carriage_return():
    assert len(ours(b"?a\r\0\n")) == 1
    assert theirs(b"?a\r\0\n")[1:] == [None]


@settings(max_examples=200)
@given(
    st.sampled_from(MessageType),
    st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True),
    st.lists(st.binary(max_size=12) | st.sampled_from([b"", b" ", b"a b", b"\\", b"\n"]), max_size=8),
    st.none() | st.integers(1, MAX_MID),
)
def test_the_same_message_is_written_as_the_same_bytes(kind, name, arguments, mid):
    written = bytes(Message(kind, name, tuple(arguments), mid))
    assert written == bytes(katcp_codec.Message(TYPES[kind], name.encode(), mid, arguments))


@pytest.mark.parametrize("length", [9, 10, 11, 12])
def test_the_bound_counts_the_line_end_there_and_not_here(length):
    line = b"?x " + b"a" * (length - 3) + b"\n"
    assert ours(line, max_line=10) == theirs(line, max_line=11)


def test_an_over_long_line_is_told_at_once_here_and_at_its_end_there():
    parser, other = MessageParser(10), katcp_codec.Parser(10)
    (error,) = parser.feed(b"?x " + b"a" * 20)
    assert isinstance(error, LineTooLong)
    assert other.append(b"?x " + b"a" * 20) == []
    assert parser.feed(b"\n?y\n") == [Message.request("y")]
    assert [type(one) for one in other.append(b"\n?y\n")] == [ValueError, katcp_codec.Message]
