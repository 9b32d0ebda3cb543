"""Chunks into messages: the same result however the stream is cut, whatever the peer sends, within the bound."""

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.errors import LineTooLong, MalformedMessage
from katcp_aio.limits import Limits
from katcp_aio.wire.message import MAX_MID, Message, MessageType
from katcp_aio.wire.parser import MessageParser

__all__ = []


def as_data(found):
    """Everything that a message or a malformed line tells, in a form that compares."""
    if isinstance(found, Message):
        return found
    return (
        type(found).__name__,
        found.reason,
        found.position,
        found.raw,
        found.type,
        found.name,
        found.mid,
    )


def parse(*chunks, max_line=None):
    parser = MessageParser(max_line)
    return [as_data(found) for chunk in chunks for found in parser.feed(chunk)]


# A line -> the arguments of the one message in it, or None where it is malformed. Lines end in a newline unless shown.
LINES = [
    (b"#m \\\\ \\_ \\0 \\n \\r \\e \\t \\@", [b"\\", b" ", b"\0", b"\n", b"\r", b"\x1b", b"\t", b""]),
    (b"?foo a\\@b", [b"ab"]),
    (b"?foo \\@\\@", [b""]),
    (b"?foo \\@\\_", [b" "]),
    (b"?foo \\\\n", [b"\\n"]),
    (b"?foo a\\\\_b", [b"a\\_b"]),
    (b"?foo \\\\\\_\\0\\n\\r\\e\\t\\@", [b"\\ \0\n\r\x1b\t"]),
    (b"?foo a ", [b"a"]),
    (b"?foo a  ", [b"a"]),
    (b"?foo   ", []),
    (b"?foo\t", []),
    (b"?foo  a   b", [b"a", b"b"]),
    (b"?foo\ta\t b \t", [b"a", b"b"]),
    (b"!baz   \\@   ", [b""]),
    (b" ?foo", None),
    (b"\t?foo", None),
    (b"junk ?foo", None),
    (b"\xef\xbb\xbf?foo", None),
    (b"\xff\xfb\x01?foo", None),
    (b"?foo[0]", None),
    (b"?foo[007] a", None),
    (b"?foo[2147483648]", None),
    (b"?foo[4294967296]", None),
    (b"?foo[99999999999999999999]", None),
    (b"?foo[" + b"9" * 10_000 + b"]", None),
    (b"?foo[]", None),
    (b"?foo[-1]", None),
    (b"?foo[+1]", None),
    (b"?foo[ 1]", None),
    (b"?foo[a]", None),
    (b"?foo[0x1]", None),
    (b"?foo[1_0]", None),
    (b"?foo[1", None),
    (b"?foo[\xb2]", None),
    (b"?foo[1]bar", None),
    (b"?foo[1][2]", None),
    (b"?foo[", None),
    (b"?foo]", None),
    (b"?[1]", None),
    (b"?foo [1]", [b"[1]"]),
    (b"?foo a\\zb", None),
    (b"?foo \\1", None),
    (b"?foo \\N", None),
    (b"?foo a\\ b", None),
    (b"?foo a\\", None),
    (b"?foo a\0b", None),
    (b"?foo \0", None),
    (b"\0", None),
    (b"?foo a\x1bb", None),
    (b"?foo \x1b", None),
    (b"?foo \x01 \x7f a\vb \f", [b"\x01", b"\x7f", b"a\vb", b"\f"]),
    (b"?foo \v\f", [b"\v\f"]),
    (b"?foo\va", None),
    (b"\f?foo", None),
    (b"\v \f", None),
    (b"X", None),
    (b"?foo \xff\xfe\x80", [b"\xff\xfe\x80"]),
    (b"?foo \xc3\xa9 \xc2\xa0 \xe2\x80\xa8 \x85", [b"\xc3\xa9", b"\xc2\xa0", b"\xe2\x80\xa8", b"\x85"]),
    (b"?FOO", []),
    (b"?Foo-Bar", []),
    (b"?foo-", []),
    (b"?f", []),
    (b"?1foo", None),
    (b"?-foo", None),
    (b"?foo_bar", None),
    (b"?foo.bar", None),
    (b"?f\xc3\xa9", None),
    (b"?ba\0r", None),
    (b"??foo", None),
    (b"?", None),
    (b"? foo", None),
    (b"!", None),
    (b"#", None),
    (b"$foo", None),
    (b"%ok", None),
    (b">foo", None),
    (b"GET / HTTP/1.1", None),
    (b"?foo ?bar #x !y", [b"?bar", b"#x", b"!y"]),
    (b"#net [::1]:80 a[1]", [b"[::1]:80", b"a[1]"]),
]


@pytest.mark.parametrize(("line", "arguments"), LINES, ids=[repr(line[:40]) for line, _ in LINES])
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n", b"\n\r", b"\r\0\n"], ids=repr)
def test_lines_that_implementations_disagree_about(line, arguments, end):
    found, *then = MessageParser().feed(line + end + b"?next[5] \\_\n")
    assert then == [Message.request("next", " ", mid=5)]
    if arguments is None:
        assert isinstance(found, MalformedMessage)
        assert found.raw == line[:1024]
    else:
        assert found.arguments == tuple(arguments)
        assert bytes(found)[:1] == line[:1]


def test_the_largest_id():
    assert MessageParser().feed(b"?foo[2147483647]\n") == [Message.request("foo", mid=MAX_MID)]


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n", b"  \t \n", b"\r\r\n\n", b"\t\r", b"\r\0\r\0"], ids=repr)
def test_blank_lines_are_no_lines(blank):
    assert parse(blank + b"?foo\n" + blank) == [Message.request("foo")]


def test_a_line_without_its_end_is_no_message_yet():
    parser = MessageParser()
    assert parser.feed(b"?foo") == []
    assert parser.pending == 4
    assert parser.feed(b"") == []
    assert parser.feed(b" a\r") == [Message.request("foo", "a")]
    assert parser.pending == 0


def test_a_backslash_does_not_swallow_the_line_end():
    malformed, message = MessageParser().feed(b"?foo a\\\n?bar\n")
    assert malformed.name == "foo"
    assert message == Message.request("bar")


def test_a_nul_after_a_carriage_return_is_telnet():
    assert parse(b"?a\r\0\n?b\r\0?c\r\n") == [Message.request("a"), Message.request("b"), Message.request("c")]
    assert parse(b"?a\r", b"\0", b"\n?b\r", b"\0?c\r") == [
        Message.request("a"),
        Message.request("b"),
        Message.request("c"),
    ]
    parser = MessageParser()
    for chunks in ([b"?a\r\0\0?b\n"], [b"?a\r", b"\0", b"\0?b\n"]):
        (message, malformed) = [found for chunk in chunks for found in parser.feed(chunk)]
        assert message == Message.request("a")
        assert malformed.raw == b"\0?b"


def test_many_messages_in_one_chunk_keep_their_order():
    data = b"".join(b"?echo[%d] %d\r\n" % (n, n) for n in range(1, 500))
    assert [message.mid for message in MessageParser().feed(data)] == list(range(1, 500))


def test_long_lines():
    megabyte = b"a" * 2**20
    assert parse(b"?x " + megabyte + b"\n")[0].arguments == (megabyte,)
    assert len(parse(b"?" + megabyte + b"\n")[0].name) == 2**20
    assert parse(b"?x" + b" 1" * 100_000 + b"\n")[0].arguments == (b"1",) * 100_000
    assert parse(b"?x " + b"\\\\\\_\\n" * 300_000 + b"\n")[0].arguments == (b"\\ \n" * 300_000,)
    ((_, reason, position, raw, *_),) = parse(b"?x " + b"\\_" * 500_000 + b"\\z\n")
    assert (reason, position, len(raw)) == ("bad escape \\z", 1_000_003, 1024)


# --- over-long lines ---


@pytest.mark.parametrize("unusual", [b"\t", b"\v", b"\f", b" \t "])
def test_long_lines_are_split_at_the_same_bytes_as_short_ones(unusual):
    for size in (1, 2000):
        word = b"a" * size
        (message,) = MessageParser().feed(b"?x " + word + unusual + word + b" end\n")
        assert message.arguments == (*((word, word) if b"\t" in unusual else (word + unusual + word,)), b"end")


@pytest.mark.parametrize("start", [b" ", b"\t"])
@pytest.mark.parametrize("junk", [b"\0", b"\x1b"])
def test_long_lines_are_as_malformed_as_short_ones(start, junk):
    for size in (1, 2000):
        (found, other) = MessageParser().feed(start + b"?x " + b"a" * size + b"\n?x " + b"a" * size + junk + b"\n")
        assert str(found) == "leading whitespace at byte 0"
        assert str(other).startswith("unescaped")


def test_a_line_at_the_bound_is_read_and_one_above_it_is_not():
    assert parse(b"?x 45678\n", max_line=8) == [Message.request("x", "45678")]
    (found,) = MessageParser(8).feed(b"?x 456789\n")
    assert isinstance(found, LineTooLong)
    assert found.limit == 8
    assert str(found) == "line longer than 8 bytes at byte 8"


def test_an_over_long_line_is_reported_once_when_it_is_known_and_then_dropped():
    parser = MessageParser(8)
    assert parser.feed(b"?x[3] 78") == []
    (found,) = parser.feed(b"9")
    assert (found.type, found.name, found.mid, found.raw) == (MessageType.REQUEST, "x", 3, b"?x[3] 78")
    for _ in range(10):
        assert parser.feed(b"more ?y\\ ") == []
    assert parser.feed(b"end\n?y\n") == [Message.request("y")]
    assert parser.pending == 0


@pytest.mark.parametrize("line", [b"?abcdefghij", b"?abc[123456]", b"?abcdef[12] x"])
def test_a_name_that_may_go_on_behind_the_cut_is_not_told(line):
    (found,) = MessageParser(8).feed(line + b"\n")
    assert (found.type, found.name, found.mid) == (MessageType.REQUEST, None, None)


def test_the_bound_is_the_library_s_unless_given():
    assert MessageParser().max_line == Limits().max_line == 16 * 2**20
    assert MessageParser(100).max_line == 100


@pytest.mark.parametrize("chunk", [b"ab", b"a" * 1000, b"a\0\\" * 3000])
def test_no_more_than_the_bound_and_a_chunk_is_kept(chunk):
    parser = MessageParser(100_000)

    def kept():
        """Return the bytes of all that the parser holds."""
        seen, size, todo = set(), 0, [parser]
        while todo:
            found = todo.pop()
            if id(found) in seen or isinstance(found, type):
                continue
            seen.add(id(found))
            size += sys.getsizeof(found)
            todo += gc.get_referents(found)
            if found is parser:
                todo += [getattr(parser, name) for name in type(parser).__slots__]
        return size

    told = []
    for _ in range(400_000 // len(chunk)):
        told += parser.feed(chunk)
        if len(told) == 0 and parser.pending % 4096 < len(chunk):
            assert kept() < parser.pending * 9 / 8 + len(chunk) + 1000
    assert [type(found) for found in told] == [LineTooLong]
    assert len(told[0].raw) == 1024
    assert kept() < 1000


def test_a_malformed_line_keeps_no_more_than_its_beginning():
    parser = MessageParser()
    (found,) = parser.feed(b"?x " + b"\\_" * 100_000 + b"\\z\n")
    assert found.__traceback__ is None
    assert found.__context__ is None
    assert found.__cause__ is None
    assert len(found.raw) == 1024


# --- properties ---

CHUNKS = st.lists(
    st.binary(max_size=30) | st.text(alphabet="?!#ab[]12 \\\t\0\x1b\r\n_@-", max_size=20).map(str.encode), max_size=12
)
LINE = st.builds(
    lambda kind, name, mid, rest, end: kind + name + mid + b" ".join([b"", *rest]) + end,
    st.sampled_from([b"?", b"!", b"#", b"", b" "]),
    st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True) | st.binary(max_size=4),
    st.sampled_from([b"", b"", b"[1]", b"[2147483647]", b"[0]", b"[", b"]"]),
    st.lists(st.binary(max_size=8) | st.sampled_from([b"\\@", b"\\_\\n", b"\\\\", b"\\", b"\0", b"\x1b"]), max_size=5),
    st.sampled_from([b"\n", b"\r", b"\r\n", b"\r\0", b"\r\0\n", b"\n\n"]),
)
STREAMS = CHUNKS.map(b"".join) | st.lists(LINE, max_size=8).map(b"".join)


@given(STREAMS, st.lists(st.integers(1, 12), min_size=1), st.sampled_from([None, 1, 5, 16]))
def test_cutting_the_stream_elsewhere_changes_nothing(stream, sizes, max_line):
    at_once = parse(stream, max_line=max_line)
    assert parse(*(stream[i : i + 1] for i in range(len(stream))), max_line=max_line) == at_once
    chunks, start = [], 0
    while start < len(stream):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(stream[start : start + size])
        start += size
    assert parse(*chunks, max_line=max_line) == at_once


@given(STREAMS)
def test_what_is_read_is_what_is_sent_and_each_line_counts_once(stream):
    parser = MessageParser()
    found = parser.feed(stream)
    lines = [
        line for line in stream.replace(b"\r\0", b"\r").replace(b"\r", b"\n").split(b"\n")[:-1] if line.strip(b" \t")
    ]
    assert len(found) == len(lines)
    for line, one in zip(lines, found, strict=True):
        if isinstance(one, Message):
            assert one == Message.parse(line + b"\n")
            assert MessageParser().feed(bytes(one)) == [one]
        else:
            assert one.raw == line


@given(st.binary())
def test_after_anything_the_next_line_is_read(junk):
    parser = MessageParser()
    parser.feed(junk)
    parser.feed(b"\n")
    assert parser.feed(b"?watchdog[1]\n") == [Message.request("watchdog", mid=1)]


# --- too many arguments ---


def test_a_message_with_too_many_arguments_is_malformed_and_what_can_be_answered_is_kept():
    parser = MessageParser(max_arguments=5)
    fine, many, tabs, after = parser.feed(b"?a[1] 1 2 3 4 5\n?b[2] 1 2 3 4 5 6\n#c\t1\t2\t3\t4\t5\t6\n?d\n")
    assert fine.arguments == (b"1", b"2", b"3", b"4", b"5")
    assert (str(many), many.type, many.name, many.mid) == (
        "more than 5 arguments at byte 5",
        MessageType.REQUEST,
        "b",
        2,
    )
    assert isinstance(tabs, MalformedMessage)
    assert (many.raw, tabs.raw) == (b"?b[2] 1 2 3 4 5 6", b"#c\t1\t2\t3\t4\t5\t6")
    assert after == Message.request("d")


@pytest.mark.parametrize("blanks", [b" " * 50, b"\t" * 50, b" \t" * 25])
def test_any_number_of_blanks_may_be_between_arguments(blanks):
    parser = MessageParser(max_arguments=5)
    five = blanks.join([b"?a", b"1", b"\v2", b"\f", b"4", b"5"])
    fine, after = parser.feed(five + blanks + b"\n" + blanks + b"\n?b" + blanks + b"\n")
    assert fine == Message.request("a", b"1", b"\v2", b"\f", b"4", b"5")
    assert after == Message.request("b")
    (many,) = parser.feed(five + blanks + b"6\n")
    assert many.reason == "more than 5 arguments"


def test_a_long_name_with_too_many_arguments_is_told_whole():
    (many,) = MessageParser(max_arguments=5).feed(b"?" + b"a" * 2000 + b"[3] 1 2 3 4 5 6\n")
    assert (len(many.name), many.mid, len(many.raw)) == (2000, 3, 1024)


def test_informs_of_one_reply_and_others_between_them_keep_their_own_heads():
    lines = [b"#x[1] 1", b"#x[1] 2", b"#x[2] 3", b"#x 4", b"!x[1] 5", b"#x[1] 6", b"#y[1] 7", b"#x[0] 8", b"#x[1] 9"]
    *read, broken, last = MessageParser().feed(b"".join(line + b"\n" for line in lines))
    assert [bytes(message)[:-1] for message in read] == lines[:-2]
    assert isinstance(broken, MalformedMessage)
    assert bytes(last) == lines[-1] + b"\n"


@pytest.mark.parametrize("unusual", [b"\v", b"\f"])
def test_a_line_of_two_pieces_is_looked_at_whole(unusual):
    """What splits a line otherwise than the grammar says may have come with the piece before."""
    parser = MessageParser()
    assert parser.feed(b"#first 1\n#x a" + unusual) == [Message.inform("first", 1)]
    joined = Message.inform("x", b"a" + unusual + b"b", "c")
    assert parser.feed(b"b c\n#last 2\n") == [joined, Message.inform("last", 2)]
