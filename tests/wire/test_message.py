"""Messages as values: what they hold, how they are written, and that they never change."""

import copy
import enum
import pickle
import re
import tracemalloc
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.errors import MalformedMessage
from katcp_aio.wire.datatypes import Now, Timestamp
from katcp_aio.wire.message import MAX_MID, Message, MessageType, parse_line, read_head

__all__ = []

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,80}", fullmatch=True)
ARGUMENTS = st.lists(
    st.binary(max_size=20) | st.text(alphabet="\\_0nret@ \t\r\n\0\x1bab", max_size=12).map(str.encode), max_size=8
)
MIDS = st.none() | st.integers(1, MAX_MID)
MESSAGES = st.builds(Message, st.sampled_from(MessageType), NAMES, ARGUMENTS.map(tuple), MIDS)


class Mode(enum.Enum):
    TWO_FACE = 1


def test_arguments_are_encoded_by_their_python_types():
    message = Message.request("hello", "world", b"binary\xff\x00", 123, 234.5, True, False)
    assert message.arguments == (b"world", b"binary\xff\x00", b"123", b"234.5", b"1", b"0")


def test_arguments_of_other_types_too():
    message = Message.inform("x", Mode.TWO_FACE, Now.NOW, Timestamp(1e-7), bytearray(b"raw"), 2**70)
    assert message.arguments == (b"two-face", b"now", b"0.0000001", b"raw", str(2**70).encode())


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (Message.request("watchdog"), b"?watchdog\n"),
        (Message.request("watchdog", mid=1), b"?watchdog[1]\n"),
        (Message.request("set-rate", 2.5, mid=7), b"?set-rate[7] 2.5\n"),
        (Message.reply("fail", "on fire", mid=234), b"!fail[234] on\\_fire\n"),
        (Message.inform("one", ""), b"#one \\@\n"),
        (Message.inform("two", "", ""), b"#two \\@ \\@\n"),
        (Message.inform("x", "a", "", "b c"), b"#x a \\@ b\\_c\n"),
        (
            Message.request("hello", "abcé", b"_bin ary\xff\0\n\r\t\\\x1b", 123, 234.5, True, False, ""),
            b"?hello abc\xc3\xa9 _bin\\_ary\xff\\0\\n\\r\\t\\\\\\e 123 234.5 1 0 \\@\n",
        ),
    ],
)
def test_bytes(message, line):
    assert bytes(message) == line
    assert Message.parse(line) == message


@pytest.mark.parametrize("make", [Message.request, Message.reply, Message.inform])
@pytest.mark.parametrize(
    "name", ["", "1st", "-x", "under_score", "a.b", "a b", "abc\N{LATIN SMALL LETTER E WITH ACUTE}", "a\n"]
)
def test_a_bad_name_is_refused_where_it_is_made(make, name):
    with pytest.raises(ValueError, match="message name"):
        make(name)


@pytest.mark.parametrize("make", [Message.request, Message.reply, Message.inform])
@pytest.mark.parametrize(("mid", "error"), [(0, ValueError), (-1, ValueError), (2**31, ValueError), (2.5, TypeError)])
def test_a_bad_id_is_refused_where_it_is_made(make, mid, error):
    with pytest.raises(error) as caught:
        make("x", mid=mid)
    if error is ValueError:
        assert str(caught.value) == f"message id {mid} is outside 1 to 2147483647"


class Scalar:
    """Like numpy's integers."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


@pytest.mark.parametrize("make", [Message.request, Message.reply, Message.inform])
def test_the_least_and_the_largest_id(make):
    for mid in (1, MAX_MID):
        assert make("x", mid=mid).mid == mid


def test_an_id_may_be_any_whole_number():
    for mid in (1, 12, MAX_MID):
        assert bytes(Message.request("x", mid=Scalar(mid))) == b"?x[%d]\n" % mid


@pytest.mark.parametrize("value", [None, {}, [], (1,), object(), 1j])
def test_what_has_no_type_on_the_wire_is_refused(value):
    with pytest.raises(TypeError, match=f"^no KATCP type for <class '{type(value).__name__}'>$"):
        Message.request("x", "fine", value)


def test_a_value_that_cannot_be_written_is_named_with_its_type():
    with pytest.raises(ValueError, match=r"^'.udc80' is no string in UTF-8$"):
        Message.request("x", "\udc80")
    with pytest.raises(ValueError, match="is too long for an integer"):
        Message.request("x", 10**5000)


def test_replies_and_informs_take_name_and_id_of_their_request():
    request = Message.request("set-rate", 2.5, mid=7)
    assert Message.reply_to(request, "ok", 2.5) == Message.reply("set-rate", "ok", 2.5, mid=7)
    assert Message.inform_to(request, "step") == Message.inform("set-rate", "step", mid=7)
    assert Message.reply_to(Message.request("x")).mid is None


def test_ok():
    assert Message.reply("x", "ok").ok is True
    assert Message.reply("x", "fail", "ok").ok is False
    assert Message.reply("x").ok is False
    assert Message.request("x", "ok").ok is False


def test_equal_by_all_four_and_to_nothing_else():
    message = Message.request("x", "a", mid=1)
    assert message == Message.request("x", b"a", mid=1)
    assert hash(message) == hash(Message.request("x", b"a", mid=1))
    others = [
        Message.reply("x", "a", mid=1),
        Message.request("y", "a", mid=1),
        Message.request("x", "b", mid=1),
        Message.request("x", "a", mid=2),
        Message.request("x", "a"),
        tuple(message),
        5,
        b"?x[1] a\n",
    ]
    for other in others:
        assert message != other
        assert other != message
        assert (message == other) is False
    assert len({message, *others[:5]}) == 6


def test_equality_leaves_the_last_word_to_the_other_side():
    message = Message.request("x")
    assert message == mock.ANY
    assert (message != mock.ANY) is False


def test_a_message_never_changes():
    message = Message.request("x", "a")
    for name in ("type", "name", "arguments", "mid", "anything"):
        with pytest.raises(AttributeError):
            setattr(message, name, None)


def test_copies_and_pickles_are_equal():
    message = Message.inform("x", "a", b"\xff", mid=3)
    for again in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert again == message
        assert type(again) is Message
        assert again.type is MessageType.INFORM


def test_repr_is_the_line():
    assert repr(Message.request("set-rate", "a b", mid=7)) == r"<Message ?set-rate[7] a\\_b>"
    assert str(Message.reply("x", b"\xff")) == r"<Message !x \xff>"


def test_repr_is_bounded_and_never_raises():
    assert repr(Message.request("x", b"a" * 10_000)) == f"<Message ?x {'a' * 997}...>"
    assert repr(Message.request("x", b"a" * 997)) == f"<Message ?x {'a' * 997}>"
    assert repr(Message(MessageType.REQUEST, "no name")).startswith("<Message (")
    assert repr(Message(None, "x")).startswith("<Message (")


def test_many_names_are_written_and_read_right():
    for number in range(5000):
        line = b"?name-%d %d\n" % (number, number)
        assert bytes(Message.parse(line)) == line
        bare = b"#bare-%d\n" % number
        assert bytes(Message.parse(bare)) == bare


def test_what_is_remembered_of_a_peers_names_is_bounded():
    for number in range(5000):
        bytes(Message.parse(b"!peer-%d ok\n" % number))
        assert len(MessageType.REPLY.heads) <= 2000
    long = "x" * 1000
    assert bytes(Message.reply(long)) == b"!" + long.encode() + b"\n"
    assert long not in MessageType.REPLY.heads


@pytest.mark.parametrize("kind", [b"?", b"!", b"#"])
def test_a_huge_name_is_forgotten_with_its_message(kind):
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        assert len(Message.parse(kind + b"x" * 1_000_000 + b"\n").name) == 1_000_000
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


# --- one line ---


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_parse_takes_each_line_end(end):
    assert Message.parse(b"?x a" + end) == Message.request("x", "a")


@pytest.mark.parametrize(
    ("raw", "reason", "position"),
    [
        (b"", "no line end", 0),
        (b"?x", "no line end", 2),
        (b"\n", "blank line", 0),
        (b"  \t\r\n", "blank line", 0),
        (b"?x\n?y\n?z\n", "more than one line", 2),
        (b"?x\n\r", "more than one line", 2),
        (b"?x\r?y\r?z\n", "more than one line", 2),
        (b"\n?x\n", "more than one line", 0),
    ],
)
def test_parse_wants_exactly_one_line(raw, reason, position):
    with pytest.raises(MalformedMessage) as caught:
        Message.parse(raw)
    assert (caught.value.reason, caught.value.position) == (reason, position)
    assert caught.value.raw == raw


def test_parse_keeps_the_whole_raw_line():
    line = b"?x " + b"a" * 5000 + b"\\z"
    with pytest.raises(MalformedMessage) as caught:
        Message.parse(line + b"\n")
    assert caught.value.raw == line
    assert caught.value.position == len(line) - 2


def test_parse_takes_bytes_only():
    with pytest.raises(TypeError):
        Message.parse("?x\n")
    assert Message.parse(bytearray(b"?x\n")) == Message.request("x")


@pytest.mark.parametrize(
    ("line", "reason", "position", "head"),
    [
        (b"junk", "message type is not ?, ! or #", 0, (None, None, None)),
        (b"X", "message type is not ?, ! or #", 0, (None, None, None)),
        (b"\v\f", "message type is not ?, ! or #", 0, (None, None, None)),
        (b" ?foo", "leading whitespace", 0, (None, None, None)),
        (b"\t?foo", "leading whitespace", 0, (None, None, None)),
        (b"?", "message name does not start with a letter", 1, (MessageType.REQUEST, None, None)),
        (b"!1", "message name does not start with a letter", 1, (MessageType.REPLY, None, None)),
        (b"#a_b", "bad character in message name", 2, (MessageType.INFORM, None, None)),
        (b"?foo]", "bad character in message name", 4, (MessageType.REQUEST, None, None)),
        (b"?foo[1]x", "message id is not a number", 4, (MessageType.REQUEST, None, None)),
        (b"?foo[0] a", "message id is not a number", 4, (MessageType.REQUEST, None, None)),
        (b"?foo[1][2]", "message id is not a number", 4, (MessageType.REQUEST, None, None)),
        (b"?echo[5] a\\zb", "bad escape \\z", 10, (MessageType.REQUEST, "echo", 5)),
        (b"?echo[5] a\\\xff", "bad escape \\\\xff", 10, (MessageType.REQUEST, "echo", 5)),
        (b"?echo a\\", "backslash at the end of an argument", 7, (MessageType.REQUEST, "echo", None)),
        (b"?echo a\\\\\\ b", "backslash at the end of an argument", 9, (MessageType.REQUEST, "echo", None)),
        (b"?echo[2147483647]\ta\\\tb", "backslash at the end", 19, (MessageType.REQUEST, "echo", MAX_MID)),
        (b"#log a\0b", "unescaped NUL", 6, (MessageType.INFORM, "log", None)),
        (b"#log a \x1b[0m", "unescaped ESC", 7, (MessageType.INFORM, "log", None)),
        (b"#log \\q \0", "bad escape \\q", 5, (MessageType.INFORM, "log", None)),
        (b"#log \\_ \0 \\q", "unescaped NUL", 8, (MessageType.INFORM, "log", None)),
        (b"#log \\q \\q", "bad escape \\q", 5, (MessageType.INFORM, "log", None)),
    ],
)
def test_a_malformed_line_says_what_where_and_whose(line, reason, position, head):
    with pytest.raises(MalformedMessage) as caught:
        parse_line(line)
    with pytest.raises(MalformedMessage, match=re.escape(str(caught.value))):
        Message.parse(line + b"\n")
    error = caught.value
    assert error.reason.startswith(reason)
    assert error.reason.isascii()
    assert error.reason.isprintable()
    assert (error.position, error.raw) == (position, line)
    assert (error.type, error.name, error.mid) == head
    assert str(error) == f"{error.reason} at byte {position}"


def test_read_head_reads_what_there_is():
    assert read_head(b"") == (None, None, None, 0)
    assert read_head(b"? x") == (MessageType.REQUEST, None, None, 1)
    assert read_head(b"?foo[7]") == (MessageType.REQUEST, "foo", 7, 7)
    assert read_head(b"?foo[7] \0") == (MessageType.REQUEST, "foo", 7, 7)
    assert read_head(b"?foo[2147483648]") == (MessageType.REQUEST, None, None, 4)


@given(MESSAGES)
def test_what_is_written_reads_back(message):
    line = bytes(message)
    assert line.count(b"\n") == 1
    assert Message.parse(line) == message
    assert Message.parse(line[:-1] + b"\r\n") == message


@given(st.binary(max_size=60) | st.text(alphabet="?!#ab[]12 \\\t\0\x1b\r\n_@", max_size=30).map(str.encode))
def test_any_bytes_are_a_message_or_malformed(raw):
    found = error = None
    try:
        found = Message.parse(raw)
    except MalformedMessage as malformed:
        error = malformed
    if error is None:
        assert Message.parse(bytes(found)) == found
    else:
        assert 0 <= error.position <= len(raw)
        assert str(error).isprintable()
