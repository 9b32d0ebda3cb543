"""How values are written and read: strictly, exactly, and with errors that name type and value in one line."""

import decimal
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from katcp_aio.wire import formats
from katcp_aio.wire.dialect import V4, V50, V51

__all__ = []


def one_line_about(error, raw, kind):
    """Check an error text: one line of printable characters, with the value (cut, if long) and the type."""
    text = str(error)
    assert text.isprintable()
    assert len(text) < 400
    assert kind in text
    if raw.isalnum() and len(raw) < 60:
        assert raw.decode() in text


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"0", 0),
        (b"5", 5),
        (b"-546", -546),
        (b"123", 123),
        (str(2**70).encode(), 2**70),
        (b"-1" + b"0" * 50, -(10**50)),
    ],
)
def test_integers(raw, value):
    assert formats.decode_integer(raw) == formats.decode_integer_leniently(raw) == value
    assert formats.encode_integer(value) == raw


NO_INTEGERS = [
    b"",
    b"-",
    b"1.0",
    b"0x1f",
    b"1e3",
    b"1_000",
    b"abc",
    b"\xff",
    b"--5",
    b"5-",
    b"1 2",
    b"\xd9\xa1",
    b"1\0",
]
ODD_INTEGERS = {b" 12": 12, b"12 ": 12, b"\t12": 12, b"12\n": 12, b"+5": 5, b"007": 7, b"-0": 0, b"-07": -7}


@pytest.mark.parametrize("raw", [*NO_INTEGERS, *ODD_INTEGERS, b"9" * 5000])
def test_an_integer_is_what_c_prints(raw):
    with pytest.raises(ValueError, match="is no integer") as caught:
        formats.decode_integer(raw)
    one_line_about(caught.value, raw, "integer")


def test_integers_read_leniently():
    for raw, value in ODD_INTEGERS.items():
        assert formats.decode_integer_leniently(raw) == value
    for raw in [*NO_INTEGERS, b"9" * 5000]:
        with pytest.raises(ValueError, match="is no integer") as caught:
            formats.decode_integer_leniently(raw)
        one_line_about(caught.value, raw, "integer")


def test_an_integer_too_long_for_python_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^<int> of 16610 bits is too long for an integer$"):
        formats.encode_integer(10**5000)
    with pytest.raises(ValueError, match=r"^'-9{59}\.\.\.' is no integer: its 5000 digits are too many$"):
        formats.decode_integer(b"-" + b"9" * 5000)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"1.7", 1.7),
        (b"-1.234e-05", -1.234e-05),
        (b"5", 5.0),
        (b"+5", 5.0),
        (b"5.", 5.0),
        (b".5", 0.5),
        (b"1e3", 1000.0),
        (b"1E+3", 1000.0),
        (b"-0.0", -0.0),
        (b"007.50", 7.5),
        (b"1e-400", 0.0),
    ],
)
def test_floats(raw, value):
    assert formats.decode_float(raw) == formats.decode_float_leniently(raw) == value


NO_FLOATS = [b"", b".", b"e5", b"1e", b"0x1p3", b"0x1f", b"1_0.5", b"abc", b"\xff", b"1.2.3", b"1,5", b"1\0", b"1 2"]
ODD_FLOATS = {b"inf": math.inf, b"-inf": -math.inf, b"Infinity": math.inf, b"1e400": math.inf, b" 1": 1.0, b"1 ": 1.0}


@pytest.mark.parametrize("raw", [*NO_FLOATS, *ODD_FLOATS, b"nan", b"NAN", b"-nan"])
def test_a_float_is_a_decimal(raw):
    with pytest.raises(ValueError, match="is no float") as caught:
        formats.decode_float(raw)
    one_line_about(caught.value, raw, "float")


def test_floats_read_leniently():
    for raw, value in ODD_FLOATS.items():
        assert formats.decode_float_leniently(raw) == value
    assert math.isnan(formats.decode_float_leniently(b"nan"))
    for raw in NO_FLOATS:
        with pytest.raises(ValueError, match="is no float") as caught:
            formats.decode_float_leniently(raw)
        one_line_about(caught.value, raw, "float")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_exactly(value):
    again = formats.decode_float(formats.encode_float(value))
    assert (again, math.copysign(1, again)) == (value, math.copysign(1, value))


@pytest.mark.parametrize(
    ("value", "raw"),
    [(1e20, b"1e+20"), (-123.5, b"-123.5"), (math.inf, b"inf"), (-math.inf, b"-inf"), (math.nan, b"nan")],
)
def test_floats_are_written_shortest(value, raw):
    assert formats.encode_float(value) == raw


def test_booleans():
    assert (formats.decode_boolean(b"1"), formats.decode_boolean(b"0")) == (True, False)
    assert (formats.encode_boolean(True), formats.encode_boolean(False)) == (b"1", b"0")


@pytest.mark.parametrize("raw", [b"", b"2", b"true", b"True", b" 1", b"01", b"1 ", b"yes", b"\xff"])
def test_a_boolean_is_1_or_0(raw):
    with pytest.raises(ValueError, match="is no boolean") as caught:
        formats.decode_boolean(raw)
    one_line_about(caught.value, raw, "boolean")


def test_texts():
    cafe = "abc\N{LATIN SMALL LETTER E WITH ACUTE}"
    assert formats.decode_text(cafe.encode()) == formats.decode_text_leniently(cafe.encode()) == cafe
    assert formats.encode_text(cafe) == b"abc\xc3\xa9"
    assert formats.decode_text(b"") == ""
    with pytest.raises(ValueError, match=r"^'abc\\xc3e' is no string in UTF-8$"):
        formats.decode_text(b"abc\xc3e")


def test_texts_written_leniently():
    assert formats.encode_text_leniently("abc\N{LATIN SMALL LETTER E WITH ACUTE}") == b"abc\xc3\xa9"
    assert formats.encode_text_leniently("a\udc80b") == rb"a\udc80b"
    assert formats.encode_text_leniently(ValueError("as it is shown")) == b"as it is shown"
    assert formats.decode_text_leniently(b"abc\xc3e") == r"abc\xc3e"


# --- times ---

EXAMPLES = [
    # seconds, as version 5 writes them, as version 4 does
    (0.0, b"0", b"0"),
    (-0.0, b"0", b"0"),
    (1.0, b"1.0", b"1000"),
    (1, b"1", b"1000"),
    (123.5, b"123.5", b"123500"),
    (1795345731.392, b"1795345731.392", b"1795345731392"),
    (1795345731.392123, b"1795345731.392123", b"1795345731392.123"),
    (1001.9, b"1001.9", b"1001900"),
    (1.001, b"1.001", b"1001"),
    (0.1, b"0.1", b"100"),
    (0.001, b"0.001", b"1"),
    (0.0005, b"0.0005", b"0.5"),
    (1e-7, b"0.0000001", b"0.0001"),
    (1e16, b"1" + b"0" * 16, b"1" + b"0" * 19),
    (1.5e16, b"15000000000000000", b"15000000000000000000"),
    (1e22, b"1" + b"0" * 22, b"1" + b"0" * 25),
    (5e-324, b"0." + b"0" * 323 + b"5", b"0." + b"0" * 320 + b"5"),
]


@pytest.mark.parametrize(("seconds", "in_v5", "in_v4"), EXAMPLES)
def test_times_are_written_without_an_exponent(seconds, in_v5, in_v4):
    assert formats.time_encoder(V51)(seconds) == in_v5
    assert formats.time_encoder(V50)(seconds) == formats.time_encoder(V51)(seconds)
    assert formats.time_encoder(V4)(seconds) == in_v4
    for dialect, raw in ((V51, in_v5), (V4, in_v4)):
        for lenient in (False, True):
            assert formats.time_decoder(dialect, lenient=lenient)(raw) == seconds


class Seconds(float):
    """A float of another class, such as numpy's."""

    def __repr__(self):
        return f"Seconds({float(self)})"


@given(st.floats(min_value=0, allow_infinity=False))
@example(5e-324)
@example(1.7976931348623157e308)
@example(9007199254740993.0)
@example(0.00010000000000000002)
def test_times_read_back_exactly(seconds):
    for dialect in (V4, V51):
        raw = formats.time_encoder(dialect)(seconds)
        assert set(raw) <= set(b"0123456789.")
        assert formats.time_decoder(dialect)(raw) == seconds
        assert formats.time_decoder(dialect, lenient=True)(raw) == seconds
        assert formats.time_encoder(dialect)(Seconds(seconds)) in (raw, raw.removesuffix(b".0"))


@given(st.integers(0, 10**16), st.integers(0, 999))
def test_milliseconds_are_exact_both_ways(whole, milliseconds):
    raw = b"%d%03d" % (whole % 10**10, milliseconds)
    raw = raw.lstrip(b"0") or b"0"
    seconds = formats.time_decoder(V4)(raw)
    assert seconds == float(decimal.Decimal(raw.decode()).scaleb(-3))
    assert formats.time_encoder(V4)(seconds) == raw


@pytest.mark.parametrize("seconds", [-1.0, -1e-300, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dialect", [V4, V51], ids=str)
def test_what_is_no_time_is_not_written(seconds, dialect):
    with pytest.raises(ValueError, match="is no timestamp"):
        formats.time_encoder(dialect)(seconds)


NO_TIMES = [b"", b".", b"-", b"abc", b"1_0", b"\xff", b"0x1", b"1.2.3", b"now", b"1\0"]
ODD_TIMES = {b"-1": -1.0, b"+1": 1.0, b"1e3": 1000.0, b"1.": 1.0, b".5": 0.5, b" 1": 1.0, b"1 ": 1.0, b"inf": math.inf}


@pytest.mark.parametrize("raw", [*NO_TIMES, *ODD_TIMES, b"nan", b"9" * 400])
@pytest.mark.parametrize("dialect", [V4, V51], ids=str)
def test_a_time_has_digits_and_perhaps_a_fraction(raw, dialect):
    with pytest.raises(ValueError, match="is no timestamp") as caught:
        formats.time_decoder(dialect)(raw)
    one_line_about(caught.value, raw, "timestamp")


def test_times_read_leniently():
    for raw, value in ODD_TIMES.items():
        assert formats.time_decoder(V51, lenient=True)(raw) == value
        assert formats.time_decoder(V4, lenient=True)(raw) == value / 1000
    for dialect in (V4, V51):
        assert math.isnan(formats.time_decoder(dialect, lenient=True)(b"nan"))
        for raw in NO_TIMES:
            with pytest.raises(ValueError, match="is no timestamp") as caught:
                formats.time_decoder(dialect, lenient=True)(raw)
            one_line_about(caught.value, raw, "timestamp")


def test_the_program_s_own_decimal_context_does_not_matter():
    with decimal.localcontext(prec=3):
        assert formats.time_encoder(V51)(1.2345678e-5) == b"0.000012345678"
        assert formats.time_encoder(V4)(0.123456789) == b"123.456789"


# --- showing values ---


class Broken:
    def __repr__(self):
        raise RuntimeError("cannot")


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "'a'"), (b"\x1b", r"b'\x1b'"), (Broken(), "<Broken>"), (10**5000, "<int>"), ("\N{CSI}", r"'\x9b'")],
    ids=["str", "bytes", "broken", "long", "control"],
)
def test_shown(value, text):
    assert formats.shown(value) == text


def test_shown_is_bounded():
    assert len(formats.shown("x" * 1000)) == 63
    assert formats.shown("a\nb") == r"'a\nb'"


def test_errors():
    assert str(formats.bad_value(b"\x1b" + b"x" * 100, "integer")) == "'\\x1b" + "x" * 59 + "...' is no integer"
    assert str(formats.wrong_type(5, "string")) == "5 of type int is no string"
    assert str(formats.wrong_value(11, "float:[0,10]")) == "11 is no float:[0,10]"
