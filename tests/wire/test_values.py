"""Python types and arguments: each way strict, whatever the annotation is made of."""

import enum
import math
import numbers
from fractions import Fraction
from typing import Annotated, Literal, NewType, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.kinds import Level, Mode, Named

from katcp_aio.wire.datatypes import Address, Lru, Now, Range, Timestamp, TimestampOrNow
from katcp_aio.wire.dialect import V4, V51
from katcp_aio.wire.values import decode, encode, registry

__all__ = []


class Text(enum.Enum):
    ONE = "1"


class MyInt(int):
    """A subclass that is built from one number."""


class MyText(str):
    __slots__ = ()


class Scalar:
    """What a numpy scalar looks like: its shape, and ``item()`` for what it holds."""

    shape = ()

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value

    def __repr__(self):
        return f"Scalar({self.value!r})"


class Several:
    """What a numpy array of one element looks like, which is not one value."""

    shape = (1,)

    def item(self):
        return 5


class Shop:
    """What has an ``item()`` of its own, and nothing to do with numbers."""

    def item(self):
        return 5


Metres = NewType("Metres", float)

VALUES = [
    # annotation, value, argument
    (int, 5, b"5"),
    (int, -(2**64), b"-18446744073709551616"),
    (MyInt, MyInt(5), b"5"),
    (float, 2.5, b"2.5"),
    (float, 1e20, b"1e+20"),
    (Fraction, Fraction(5, 4), b"1.25"),
    (bool, True, b"1"),
    (bool, False, b"0"),
    (str, "abc\N{LATIN SMALL LETTER E WITH ACUTE}", b"abc\xc3\xa9"),
    (str, "", b""),
    (MyText, MyText("a"), b"a"),
    (bytes, b"\xff\0", b"\xff\0"),
    (bytearray, bytearray(b"\xff"), b"\xff"),
    (Timestamp, Timestamp(123.5), b"123.5"),
    (Timestamp, Timestamp(1e-7), b"0.0000001"),
    (Now, Now.NOW, b"now"),
    (TimestampOrNow, Now.NOW, b"now"),
    (TimestampOrNow, Timestamp(5.25), b"5.25"),
    (Lru, Lru.ERROR, b"error"),
    (Address, Address("127.0.0.1", 80), b"127.0.0.1:80"),
    (Address, Address("::1"), b"[::1]"),
    (Mode, Mode.IDLE, b"idle"),
    (Mode, Mode.FAST_SLEW, b"fast-slew"),
    (Level, Level.HIGH, b"high"),
    (Named, Named.A, b"the a"),
    (Named, Named.B, b"the b"),
    (Text, Text.ONE, b"one"),
    (Metres, 2.5, b"2.5"),
    (Optional[int], 5, b"5"),  # noqa: UP045 - users write it
    (int | None, 5, b"5"),
    (int | float, 5, b"5"),
    (int | float, 5.5, b"5.5"),
    (Union[str, int], 5, b"5"),  # noqa: UP007 - users write it
    (Union[str, int], "five", b"five"),  # noqa: UP007 - as above
    (bool | str, True, b"1"),
    (bytes | str, b"\xff", b"\xff"),
    (bytes | str, "a", b"a"),
    (bool | Literal["1"], "1", b"1"),
    (int | bool, True, b"1"),
    (Timestamp | int, 5, b"5"),
    (float | Timestamp, Timestamp(5.5), b"5.5"),
    (Literal["auto"] | float, "auto", b"auto"),
    (Literal["auto"] | float, 2.5, b"2.5"),
    (Mode | int, Mode.IDLE, b"idle"),
    (Mode | int, 7, b"7"),
    (Address | str, Address("1.2.3.4"), b"1.2.3.4"),
    (Address | str, "host", b"host"),
    (Annotated[float, Range(0, 10)], 10.0, b"10.0"),
    (Annotated[int, "a note", Range(0, 10)], 0, b"0"),
    (Annotated[Timestamp, Range(low=100)], Timestamp(100.0), b"100.0"),
    (Annotated[TimestampOrNow, Range(low=100)], Now.NOW, b"now"),
    (Annotated[int | None, Range(0, 10)], 3, b"3"),
    (Annotated[int, Range(0, 10)] | None, 3, b"3"),
    (Annotated[int | float, Range(0, 10)] | bool, 2.5, b"2.5"),
    (Literal["hz", "rpm"], "rpm", b"rpm"),
    (Literal[1, 2], 2, b"2"),
    (Literal[True, "x"], True, b"1"),
    (Literal[Mode.IDLE, 5], Mode.IDLE, b"idle"),
    (Literal["a", None], "a", b"a"),  # noqa: PYI061 - users write it
    (Literal["a"] | Literal["b"], "b", b"b"),  # noqa: PYI030 - two aliases may meet so
]


@pytest.mark.parametrize(("annotation", "value", "raw"), VALUES, ids=str)
def test_both_ways(annotation, value, raw):
    found = registry.resolve(annotation)
    again = found.decoder(V51)(raw)
    assert again == value
    assert type(again) is type(value)
    assert found.decoder(V51, lenient=True)(raw) == value
    assert found.check(value) is value or annotation is bytearray  # which is copied, as it may change
    assert found.encoder(V51)(value) == raw
    assert decode(annotation, raw) == value
    assert encode(value) == raw


REFUSED = [
    # annotation, arguments that it does not read
    (int, [b"", b"1.0", b"1_000", b" 1", b"0x10", b"+1", b"01", b"one", b"123.0"]),
    (MyInt, [b"1.0", b""]),
    (float, [b"", b"nan", b"inf", b"1_0", b" 1", b"0x1p1", b"abc"]),
    (Fraction, [b"5/4", b"nan"]),
    (bool, [b"2", b"true", b""]),
    (str, [b"abc\xc3e"]),
    (MyText, [b"\xff"]),
    (Timestamp, [b"-1", b"1e5", b"nan", b"now", b""]),
    (Now, [b"later", b"NOW", b""]),
    (TimestampOrNow, [b"later", b"-1"]),
    (Lru, [b"0", b"NOMINAL", b"fail"]),
    (
        Address,
        [
            b"",
            b"::1",
            b"[127.0.0.1]",
            b"127.0.0.1:",
            b"127.0.0.1:99999",
            b"127.0.0.1:080",
            b"127.0.0.1:65536",
            b"127.0.0.1:+1",
            b"1.2.3",
            b"1.2.3.256",
            b"01.2.3.4",
            b"[::1",
            b"[::1]80",
            b"[::1%eth0]",
            b"[:::]",
            b"localhost:80",
            b"\xff",
        ],
    ),
    (Mode, [b"two_face", b"IDLE", b"fast_slew", b"0", b""]),
    (Level, [b"1", b"LOW"]),
    (Named, [b"a", b"A"]),
    (int | float, [b"x", b"nan"]),
    (Literal["auto"] | float, [b"manual"]),
    (Annotated[float, Range(0, 10)], [b"10.1", b"-1", b"nan", b"x"]),
    (Annotated[int, Range(0, 10)], [b"11", b"5.0"]),
    (Annotated[TimestampOrNow, Range(low=100)], [b"99"]),
    (Literal["hz", "rpm"], [b"HZ", b"", b"mhz"]),
    (Literal[1, 2], [b"3", b"01"]),
]


@pytest.mark.parametrize(
    ("annotation", "raw"), [(annotation, raw) for annotation, raws in REFUSED for raw in raws], ids=str
)
def test_arguments_that_are_refused(annotation, raw):
    found = registry.resolve(annotation)
    with pytest.raises(ValueError, match="is no ") as caught:
        found.decoder(V51)(raw)
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    assert raw.decode("ascii", "backslashreplace") in text


WRONG = [
    # annotation, values that it does not hold
    (int, ["5", 5.5, 5.0, None, b"5", Mode.IDLE, Scalar("5"), [1], Several(), Shop()], TypeError),
    (float, ["5", None, 1j, b"5", Scalar(None)], TypeError),
    (float, [10**400, Fraction(10**400)], ValueError),
    (bool, [1, 0, "1", None, Scalar(1)], TypeError),
    (str, [b"a", 5, None], TypeError),
    (str, ["\udc80"], ValueError),
    (bytes, ["a", 5, None], TypeError),
    (Timestamp, ["5", None, True], TypeError),
    (Timestamp, [-1, -1.0, math.nan, math.inf, 10**400], ValueError),
    (Address, ["127.0.0.1", None, ("127.0.0.1", 80)], TypeError),
    (Mode, [0, "idle", Level.LOW, None, []], TypeError),
    (Level, [1, "low"], TypeError),
    (Lru, [0, "error"], TypeError),
    (int | float, ["5", None], TypeError),
    (int | str, [None, b"a"], TypeError),
    (Annotated[float, Range(0, 10)], [11, -1, math.nan], ValueError),
    (Annotated[float, Range(0, 10)], ["5"], TypeError),
    (Annotated[int, Range(0, 10)] | bool, [11], ValueError),
    (Literal["hz", "rpm"], ["mhz", 5, None, {}], TypeError),
    (Literal[1, 2], [True, 1.0, "1"], TypeError),
]


@pytest.mark.parametrize(
    ("annotation", "value", "error"),
    [(annotation, value, error) for annotation, values, error in WRONG for value in values],
    ids=lambda item: repr(item)[:40],
)
def test_values_that_are_refused(annotation, value, error):
    with pytest.raises(error, match="is no ") as caught:
        registry.resolve(annotation).check(value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("annotation", "value", "told"),
    [
        (int, "5", "'5' of type str is no integer"),
        (float, "5", "'5' of type str is no float"),
        (float, 10**400, f"1{'0' * 59}... is no float"),
        (bool, 1, "1 of type int is no boolean"),
        (str, 5, "5 of type int is no string"),
        (bytes, "a", "'a' of type str is no string of bytes"),
        (Timestamp, "5", "'5' of type str is no timestamp"),
        (Timestamp, -1, "-1 is no timestamp"),
        (Address, "host", "'host' of type str is no address"),
        (Mode, 0, "0 of type int is no discrete idle|fast-slew"),
        (int | float, "5", "'5' of type str is no integer|float"),
        (Annotated[float, Range(0, 10)], 11, "11 is no float in [0,10]"),
    ],
    ids=lambda item: repr(item)[:40],
)
def test_a_value_that_is_refused_is_told_with_the_type_that_was_wanted(annotation, value, told):
    with pytest.raises((TypeError, ValueError)) as caught:
        registry.resolve(annotation).check(value)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("annotation", "raw", "told"),
    [
        (int | float, b"five", "'five' is no integer|float"),
        (Annotated[float, Range(0, 10)], b"11", "'11' is no float in [0,10]"),
        (Mode, b"IDLE", "'IDLE' is no discrete idle|fast-slew"),
    ],
    ids=str,
)
@pytest.mark.parametrize("lenient", [False, True])
def test_an_argument_that_is_refused_is_told_with_the_type_that_was_wanted(annotation, raw, told, lenient):
    with pytest.raises(ValueError) as caught:
        registry.resolve(annotation).decoder(V51, lenient=lenient)(raw)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("annotation", "raw", "value"),
    [
        (Timestamp, b"-1.5e1", Timestamp(-15)),
        (Annotated[int, Range(0, 10)], b"+5", 5),
        (int | bool, b"007", 7),
    ],
    ids=str,
)
def test_what_is_made_of_others_reads_as_leniently_as_they_do(annotation, raw, value):
    found = registry.resolve(annotation)
    assert found.decoder(V51, lenient=True)(raw) == value
    with pytest.raises(ValueError, match="is no "):
        found.decoder(V51)(raw)


def test_a_union_holds_a_value_of_a_members_class_as_that_member():
    assert type(registry.resolve(int | MyInt).check(MyInt(5))) is MyInt
    assert registry.resolve(float | Timestamp).encoder(V4)(2.5) == b"2.5"
    assert registry.resolve(float | Timestamp).encoder(V4)(Timestamp(2.5)) == b"2500"


@pytest.mark.parametrize(
    ("annotation", "value", "held"),
    [
        (float, 5, 5.0),
        (float, True, 1.0),
        (float, Fraction(1, 2), 0.5),
        (int, True, 1),
        (int, MyInt(5), 5),
        (MyInt, 5, MyInt(5)),
        (Fraction, 0.5, Fraction(1, 2)),
        (Timestamp, 5, Timestamp(5)),
        (Timestamp, 5.5, Timestamp(5.5)),
        (str, MyText("a"), "a"),
        (MyText, "a", MyText("a")),
        (bytes, bytearray(b"a"), b"a"),
        pytest.param(bytes, memoryview(b"a"), b"a", id="memoryview"),  # its own text is another in each process
        (int, Scalar(5), 5),
        (float, Scalar(5), 5.0),
        (bool, Scalar(True), True),
        (Literal[1, 2], Scalar(2), 2),
        (int | None, Scalar(5), 5),
    ],
    ids=str,
)
def test_values_that_lose_nothing_are_converted(annotation, value, held):
    found = registry.resolve(annotation).check(value)
    assert found == held
    if annotation is not str:
        assert type(found) is type(held)


def test_whole_numbers_of_another_class_are_written_as_integers():
    class Count:
        def __init__(self, value):
            self.value = value

        def __int__(self):
            return self.value

        def __repr__(self):
            return "Count"

    numbers.Integral.register(Count)
    assert encode(Count(-5)) == b"-5"
    assert registry.resolve(int).check(Count(5)) == 5
    assert registry.resolve(Count).check(5).value == 5
    with pytest.raises(ValueError, match=r"^Count of 16610 bits is too long for an integer$"):
        encode(Count(10**5000))


def test_scalars_are_encoded_as_what_they_hold():
    assert encode(Scalar(True)) == b"1"
    assert encode(Scalar(2.5)) == b"2.5"
    assert encode(Scalar("a")) == b"a"
    with pytest.raises(TypeError, match="no KATCP type"):
        encode(Scalar(None))


def test_numpy_s_own_scalars():
    numpy = pytest.importorskip("numpy")
    for value, raw in [
        (numpy.int32(-5), b"-5"),
        (numpy.uint64(2**64 - 1), b"18446744073709551615"),
        (numpy.float64(0.1), b"0.1"),
        (numpy.bool_(True), b"1"),
        (numpy.str_("a"), b"a"),
    ]:
        assert encode(value) == raw
    assert registry.resolve(int).check(numpy.int16(5)) == 5
    assert registry.resolve(bool).check(numpy.bool_(False)) is False
    assert decode(numpy.int16, b"-5") == -5
    with pytest.raises(ValueError, match=r"^'40000' is no int16$"):
        decode(numpy.int16, b"40000")


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_with_their_type(value):
    again = decode(int | float, encode(value))
    assert (again, type(again)) == (value, type(value))


@given(st.one_of(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.binary()))
def test_texts_read_back(value):
    assert decode(type(value), encode(value)) == value


# --- dialects ---


def test_only_times_depend_on_the_dialect():
    assert encode(Timestamp(1001.9), V4) == b"1001900"
    assert encode(Timestamp(1001.9), V51) == b"1001.9"
    assert decode(Timestamp, b"1001900", V4) == 1001.9
    assert decode(TimestampOrNow, b"1001900", V4) == 1001.9
    assert encode(Now.NOW, V4) == b"now"
    assert encode(2.5, V4) == b"2.5"
