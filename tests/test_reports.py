"""What reaches the operator: one line, harmless to a terminal, at a bounded rate."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.reports import TroubleLog, logger, printable, report_exception, text_of
from katcp_aio.testing.clock import ManualClock

__all__ = []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        (b"plain", "plain"),
        ("abc\N{LATIN SMALL LETTER E WITH ACUTE}", "abc\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("abc\N{LATIN SMALL LETTER E WITH ACUTE}".encode(), "abc\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("a\nb\r\tc\0", r"a\x0ab\x0d\x09c\x00"),
        ("\x1b[31m", r"\x1b[31m"),
        (b"\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x7f\x80\x85\x9b", r"\x7f\x80\x85\x9b"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("abc\u202edcba\u2066", r"abc\u202edcba\u2066"),
        ("a\u200eb\u200fc\u061cd", r"a\u200eb\u200fc\u061cd"),
        ("\udc80", r"\udc80"),
        (12, "12"),
        (None, "None"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("letter", ["a", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{GRINNING FACE}"])
def test_printable_is_cut(letter):
    for text in (letter * 200, (letter * 200).encode()):
        assert printable(text) == letter * 200
    for text in (letter * 201, (letter * 201).encode(), letter * 100_000, (letter * 100_000).encode()):
        assert printable(text) == letter * 200 + "..."
    assert printable("abcdef", 3) == "abc..."


@given(st.binary() | st.text(alphabet=st.characters()))
def test_printable_is_one_line_that_can_be_written(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    shown.encode()


def test_an_exception_is_logged_with_its_traceback(caplog):
    try:
        raise LookupError("lost")
    except LookupError:
        report_exception("could not find %s", "it")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("katcp_aio", "ERROR")
    assert record.getMessage() == "could not find it"
    assert record.exc_info[0] is LookupError
    assert logger.name == "katcp_aio"


class Mute(Exception):
    """An exception that cannot say what it is."""

    def __str__(self):
        raise LookupError


def test_what_cannot_say_what_it_is_is_told_by_its_kind():
    assert (printable(Mute()), text_of(Mute()), text_of(b"x")) == (*["<Mute without a text>"] * 2, "b'x'")


@pytest.fixture
def broken_log():
    """Have the library's log raise, as a filter of the program's may."""

    def refuse(record):
        raise LookupError("broken filter")

    logger.addFilter(refuse)
    yield
    logger.removeFilter(refuse)


@pytest.mark.usefixtures("broken_log")
@pytest.mark.parametrize("shown", [True, False])
def test_a_log_that_raises_harms_nobody_who_logs(monkeypatch, capsys, shown):
    monkeypatch.setattr(logging, "raiseExceptions", shown)
    report_exception("could not find it")
    TroubleLog(logger, ManualClock().monotonic, rate=3).tell("malformed", "line")
    assert capsys.readouterr().err.count("LookupError: broken filter") == 2 * shown


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def trouble(clock):
    return TroubleLog(logging.getLogger("katcp_aio.test"), clock.monotonic, rate=3)


def told(caplog):
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


def test_trouble_is_told_at_a_bounded_rate_and_counted_all(trouble, clock, caplog):
    for number in range(10):
        trouble.tell("malformed", "line %s", number)
    assert told(caplog) == ["line 0", "line 1", "line 2"]
    assert trouble.counts == {"malformed": 10}
    clock.move(0.9)
    trouble.tell("malformed", "line %s", 10)
    assert told(caplog) == []
    clock.move(0.2)
    trouble.tell("malformed", "line %s", 11)
    trouble.tell("malformed", "line %s", 12)
    assert told(caplog) == ["line 11 (8 more like it before)", "line 12"]
    assert trouble.counts == {"malformed": 13}


def test_each_kind_of_trouble_has_its_own_rate(trouble, caplog):
    for _ in range(5):
        trouble.tell("one", "one")
    trouble.tell("other", "other", level=logging.ERROR)
    assert told(caplog) == ["one"] * 3 + ["other"]
    assert trouble.counts == {"one": 5, "other": 1}


def test_what_a_peer_wrote_is_made_printable_first(trouble, caplog):
    trouble.tell("malformed", "%s said %s", b"\x1b[2J", "a\nERROR forged")
    assert told(caplog) == [r"\x1b[2J said a\x0aERROR forged"]


def test_the_level_is_the_caller_s(trouble, caplog):
    trouble.tell("a", "a")
    trouble.tell("b", "b", level=logging.ERROR)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


def test_a_traceback_cannot_forge_lines_or_move_a_cursor(caplog):
    try:
        raise ValueError("\x1b[2J\n2026-01-01 CRITICAL all is lost")
    except ValueError:
        report_exception("handler of %s", "127.0.0.1:1")
    (record,) = caplog.records
    text = logging.Formatter("%(levelname)s %(message)s").format(record)
    first, *rest = text.splitlines()
    assert first == "ERROR handler of 127.0.0.1:1"
    assert all(line.startswith("  ") for line in rest)
    assert "\x1b" not in text
    assert record.exc_info[0] is ValueError
