"""The tree of exceptions: what each is besides, what it says, and that it survives being copied."""

import asyncio
import copy
import pickle

import pytest

from katcp_aio import errors
from katcp_aio.errors import (
    ConnectionLost,
    FailReply,
    GroupError,
    InvalidReply,
    KatcpError,
    LineTooLong,
    MalformedMessage,
    NotConnected,
    ProtocolError,
    ReplyTooLong,
    RequestError,
    RequestTimeout,
    UnsupportedProtocol,
    UsageError,
)
from katcp_aio.wire.message import Message, MessageType

__all__ = []

REQUEST = Message.request("set-rate", 2.5, mid=7)
HEAD = {"type": MessageType.REQUEST, "name": "set-rate", "mid": 7}

EXAMPLES = [
    (KatcpError("trouble"), "trouble"),
    (ProtocolError("trouble"), "trouble"),
    (MalformedMessage("bad escape \\z", 3, b"?x \\z", **HEAD), "bad escape \\z at byte 3"),
    (LineTooLong(16, b"?set-rate[7] 2.5", **HEAD), "line longer than 16 bytes at byte 16"),
    (UnsupportedProtocol("6.0-\x1b"), r"unsupported protocol version '6.0-\x1b'"),
    (ReplyTooLong(REQUEST, 100), "more than 100 informs in the reply to ?set-rate"),
    (UsageError("a second reply"), "a second reply"),
    (FailReply("too hot"), "too hot"),
    (FailReply(), ""),
    (FailReply("too hot", request=REQUEST), "?set-rate fail: too hot"),
    (FailReply("", request=REQUEST, device="pump:5000"), "pump:5000: ?set-rate fail"),
    (FailReply("busy", code="wait", request=REQUEST), "?set-rate wait: busy"),
    (FailReply("two\nlines\x1b[2J", code="w\n", request=REQUEST), r"?set-rate w\x0a: two\x0alines\x1b[2J"),
    (FailReply("x" * 2000, request=REQUEST), f"?set-rate fail: {'x' * 984}..."),
    (InvalidReply("no such unit", request=REQUEST, device="pump:5000"), "pump:5000: ?set-rate invalid: no such unit"),
    (
        FailReply(
            request=REQUEST,
            log=[
                Message.inform("log", "error", 1.0, "x", "overheated"),
                Message.inform("log"),
                Message.inform("log", b"\xff"),
            ],
        ),
        "?set-rate fail: overheated; \N{REPLACEMENT CHARACTER}",
    ),
    (ConnectionLost("reset by peer"), "reset by peer"),
    (ConnectionLost("bye\n\x1b[2J", device="pump:5000"), r"pump:5000: bye\x0a\x1b[2J"),
    (
        ConnectionLost("reset by peer", device="pump:5000", request=REQUEST),
        "pump:5000: reset by peer (?set-rate may have been carried out)",
    ),
    (NotConnected("refused", request=REQUEST), "refused (?set-rate was not sent)"),
    (RequestTimeout(REQUEST, 2.5), "?set-rate: no reply within 2.5 s"),
    (
        RequestTimeout(REQUEST, 5, device="pump:5000", sent=False),
        "pump:5000: ?set-rate: not sent within 5 s",
    ),
    (
        GroupError("2 of 3 devices failed", {"a": FailReply("too hot"), "b": ValueError()}),
        "2 of 3 devices failed\n  a: too hot\n  b: ValueError",
    ),
]
each_example = pytest.mark.parametrize(
    ("error", "text"), EXAMPLES, ids=[f"{type(error).__name__}-{n}" for n, (error, _) in enumerate(EXAMPLES)]
)


@each_example
def test_what_it_says(error, text):
    assert str(error) == text


@each_example
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_it_survives_being_copied(error, text, again):
    other = again(error)
    assert type(other) is type(error)
    assert str(other) == text
    assert repr(sorted(vars(other).items())) == repr(sorted(vars(error).items()))


def test_each_of_the_tree_has_an_example():
    assert {type(error).__name__ for error, _ in EXAMPLES} | {"RequestError"} == set(errors.__all__)


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (ProtocolError, (KatcpError, ValueError)),
        (MalformedMessage, (ProtocolError,)),
        (LineTooLong, (MalformedMessage,)),
        (UnsupportedProtocol, (ProtocolError,)),
        (ReplyTooLong, (ProtocolError,)),
        (UsageError, (KatcpError, RuntimeError)),
        (RequestError, (KatcpError,)),
        (FailReply, (RequestError,)),
        (InvalidReply, (RequestError,)),
        (ConnectionLost, (KatcpError, ConnectionError, OSError)),
        (NotConnected, (ConnectionLost,)),
        (RequestTimeout, (KatcpError, TimeoutError, asyncio.TimeoutError, OSError)),
        (GroupError, (KatcpError,)),
    ],
)
def test_each_is_also_what_one_would_catch_without_knowing_it(error, bases):
    for base in bases:
        assert issubclass(error, base)


def test_the_codes():
    assert (FailReply("x").code, InvalidReply("x").code) == ("fail", "invalid")
    assert FailReply("x", code="busy").code == "busy"
    assert FailReply.code == "fail"


def test_whether_a_request_may_have_been_carried_out_can_be_asked():
    assert ConnectionLost("x").sent is True
    assert NotConnected("x").sent is False
    assert RequestTimeout(REQUEST, 1).sent is True


def test_a_timeout_has_no_error_number():
    error = RequestTimeout(REQUEST, 1)
    assert error.errno is None
    assert (error.request, error.after) == (REQUEST, 1)
    assert ConnectionLost("x").errno is None


def test_a_malformed_message_keeps_what_could_be_read():
    error = LineTooLong(16, b"?set-rate[7] 2.5", **HEAD)
    assert (error.limit, error.position, error.raw) == (16, 16, b"?set-rate[7] 2.5")
    assert (error.type, error.name, error.mid) == (MessageType.REQUEST, "set-rate", 7)
    empty = MalformedMessage("blank line")
    assert (empty.position, empty.raw, empty.type, empty.name, empty.mid) == (0, b"", None, None, None)


def test_an_error_keeps_its_own_lists():
    informs = [Message.inform("x")]
    error = FailReply("no", informs=informs, reply=Message.reply("x", "fail", "no"))
    informs.clear()
    assert error.informs == [Message.inform("x")]
    assert error.reply == Message.reply("x", "fail", "no")
