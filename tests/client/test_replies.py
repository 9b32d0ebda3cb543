"""What a request brings back, and how times are told."""

import enum

import pytest

from katcp_aio.client.replies import Reply, decode_values, encode_values, in_seconds, reply_error, telling_log
from katcp_aio.errors import FailReply, InvalidReply, ProtocolError
from katcp_aio.wire.dialect import V4, V50, V51
from katcp_aio.wire.message import Message
from katcp_aio.wire.values import Timestamp

__all__ = []

REQUEST = Message.request("x")


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


def test_a_reply_is_a_value():
    reply = Reply(Message.reply("x", "ok", 1), [Message.inform("x")])
    assert reply == Reply(Message.reply("x", "ok", 1), [Message.inform("x")])
    with pytest.raises(AttributeError):
        reply.message = None


def test_a_reply_without_anything_has_no_code():
    reply = Reply(Message.reply("x"))
    assert (reply.code, reply.ok, reply.arguments, reply.informs) == ("", False, [], [])


@pytest.mark.parametrize(
    ("arguments", "kind", "code", "text"),
    [
        (("fail", "no"), FailReply, "fail", "no"),
        (("fail",), FailReply, "fail", ""),
        (("fail", b"\xaf"), FailReply, "fail", "\ufffd"),
        (("invalid", "what?", "more"), InvalidReply, "invalid", "what?"),
        ((b"\xff", 42), FailReply, "\\xff", "42"),
        ((), FailReply, "", "reply without a return code"),
    ],
)
def test_refusals(arguments, kind, code, text):
    error = reply_error(REQUEST, Message.reply("x", *arguments), [], [], "here")
    assert type(error) is kind
    assert (error.code, error.text) == (code, text)


def test_the_log_lines_that_explain():
    log = [Message.inform("log", level, 1, "x", level) for level in ("info", "error", "warn")] + [Message.inform("log")]
    assert telling_log(log) == tuple(log[1:3])
    assert telling_log(log[:1]) == tuple(log[:1])
    assert telling_log([]) == ()


def test_values_are_decoded_by_type_and_dialect():
    reply = Message.reply("x", "ok", "fast-slew", 1500, True)
    assert decode_values(REQUEST, reply, (Mode, Timestamp), V51) == (Mode.FAST_SLEW, 1500.0)
    assert decode_values(REQUEST, reply, (str, Timestamp, bool), V4) == ("fast-slew", 1.5, True)
    assert decode_values(REQUEST, reply, (), V4) == ()


def test_values_that_do_not_fit():
    reply = Message.reply("x", "ok", "blue")
    with pytest.raises(ProtocolError, match=r"\?x, value 1"):
        decode_values(REQUEST, reply, (Mode,), V51)
    with pytest.raises(ProtocolError, match="has 1 values, not 2"):
        decode_values(REQUEST, reply, (str, str), V51)
    with pytest.raises(TypeError):
        decode_values(REQUEST, reply, (object,), V51)


@pytest.mark.parametrize(
    ("dialect", "values", "wire"),
    [
        (V51, ("s", "period", 1.5), (b"s", b"period", b"1.5")),
        (V50, ("s", "period", 1.5), (b"s", b"period", b"1.5")),
        (V4, ("s", "period", 1.5), (b"s", b"period", b"1500")),
        (V4, ("s", b"period", "0.0001"), (b"s", b"period", b"1")),
        (V4, ("s", "period", 0), (b"s", b"period", b"0")),
        (V4, ("s", "period", "often"), (b"s", b"period", b"often")),
        (V4, ("s", "period", "1e400"), (b"s", b"period", b"1e400")),
        (V4, ("s", "period", 1, "x"), (b"s", b"period", b"1000", b"x")),
        (V4, ("s", "event"), (b"s", b"event")),
        (V4, ("s",), (b"s",)),
        (V4, (Timestamp(1.5),), (b"1500",)),
        (V4, (), ()),
    ],
)
def test_arguments_as_each_dialect_has_them(dialect, values, wire):
    assert encode_values("sensor-sampling", values, dialect) == wire


def test_other_requests_may_have_periods_of_their_own():
    assert encode_values("blink", ("led", "period", 2), V4) == (b"led", b"period", b"2")


def test_replies_in_seconds():
    reply = Message.reply("sensor-sampling", "ok", "s", "period", 1500, mid=3)
    assert in_seconds(reply, V4) == Message.reply("sensor-sampling", "ok", "s", "period", 1.5, mid=3)
    assert in_seconds(reply, V51) is reply
    other = Message.reply("sensor-sampling", "ok", "s", "event")
    assert in_seconds(other, V4) is other
    bare = Message.reply("sensor-sampling", "ok", "s", "period")
    assert in_seconds(bare, V4) == bare


@pytest.mark.parametrize("dialect", [V4, V51])
def test_what_has_no_katcp_type_is_refused(dialect):
    with pytest.raises(TypeError):
        encode_values("x", (object(),), dialect)
    with pytest.raises(ValueError, match="timestamp"):
        encode_values("x", (Timestamp(-1),), dialect)
