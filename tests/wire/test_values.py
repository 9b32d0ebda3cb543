"""Python types and arguments: each way strict, whatever the annotation is made of."""

import enum
import math
import sys
from fractions import Fraction
from typing import Annotated, Any, Literal, NewType, Optional, TypeVar, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.wire.datatypes import Address, Lru, Now, Range, Timestamp, TimestampOrNow
from katcp_aio.wire.dialect import V4, V51, server_dialect
from katcp_aio.wire.values import TypeRegistry, decode, encode, registry

__all__ = []


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1
    FAST = 1  # noqa: PIE796 - another name for the same


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Named(enum.Enum):
    A = "a"
    B = "b"

    @property
    def katcp_value(self):
        return f"the {self.value}" if self is Named.A else b"the b"


class Text(enum.Enum):
    ONE = "1"


class MyInt(int):
    """A subclass that is built from one number."""


class Pair(int):
    """A subclass that is not."""

    def __new__(cls, first, second):
        return super().__new__(cls, first * second)


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


Metres = NewType("Metres", float)
T = TypeVar("T")

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
    assert found.check(value) == value
    assert type(found.check(value)) is type(value)
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
    (int, ["5", 5.5, 5.0, None, b"5", Mode.IDLE, Scalar("5"), [1]], TypeError),
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
        (bytes, memoryview(b"a"), b"a"),
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


# --- types ---


@pytest.mark.parametrize(
    ("annotation", "name", "params", "usage", "default"),
    [
        (int, "integer", (), "integer", 0),
        (float, "float", (), "float", 0.0),
        (bool, "boolean", (), "boolean", False),
        (str, "string", (), "string", ""),
        (bytes, "string", (), "string", b""),
        (Timestamp, "timestamp", (), "timestamp", 0.0),
        (TimestampOrNow, "timestamp", (), "timestamp|now", 0.0),
        (Address, "address", (), "address", Address("0.0.0.0")),
        (Lru, "lru", (), "nominal|error", Lru.NOMINAL),
        (Mode, "discrete", (b"idle", b"fast-slew"), "idle|fast-slew", Mode.IDLE),
        (Level, "discrete", (b"low", b"high"), "low|high", Level.LOW),
        (Named, "discrete", (b"the a", b"the b"), "the a|the b", Named.A),
        (Literal["hz", "rpm"], "discrete", (b"hz", b"rpm"), "hz|rpm", "hz"),
        (Literal["rpm", "hz"], "discrete", (b"rpm", b"hz"), "rpm|hz", "rpm"),
        (Literal[3, 1], "discrete", (b"3", b"1"), "3|1", 3),
        (int | None, "integer", (), "integer", 0),
        (int | float, "float", (), "integer|float", 0),
        (int | str, "string", (), "integer|string", 0),
        (Annotated[float, Range(0, 10)], "float", (), "float:[0,10]", 0.0),
        (Annotated[float, Range(0.5, None)], "float", (), "float:[0.5,]", 0.5),
        (Annotated[float, Range(high=-1.5)], "float", (), "float:[,-1.5]", -1.5),
        (Annotated[int, Range(0.5, 7.5)], "integer", (), "integer:[0.5,7.5]", 1),
        (Annotated[int, Range(-7.5, -1.5)], "integer", (), "integer:[-7.5,-1.5]", -2),
        (Annotated[int, Range(5, math.inf)], "integer", (), "integer:[5,inf]", 5),
        (Annotated[int, Range(-math.inf, -5)], "integer", (), "integer:[-inf,-5]", -5),
        (Pair, "integer", (), "integer", 0),
    ],
    ids=str,
)
def test_types(annotation, name, params, usage, default):
    found = registry.resolve(annotation)
    assert (found.name, found.params, found.usage, found.default) == (name, params, usage, default)
    assert found.check(default) == default if annotation is not Pair else True
    assert registry.resolve(found) is found


@pytest.mark.parametrize(
    "annotation",
    [
        None,
        type(None),
        dict,
        list[int],
        dict[str, int],
        tuple[int, ...],
        object,
        Any,
        T,
        "int",
        5,
        complex,
        int | dict,
        Literal[None],  # noqa: PYI061 - nothing is left of it
        enum.Enum("Empty", []),
        Annotated[list, 5],
    ],
    ids=str,
)
def test_what_has_no_type_on_the_wire(annotation):
    with pytest.raises(TypeError):
        registry.resolve(annotation)


@pytest.mark.parametrize("annotation", [str, bool, Mode, Literal[1, 2], Mode | int, Address])
def test_only_numbers_have_a_range(annotation):
    with pytest.raises(TypeError, match="bounds numbers"):
        registry.resolve(Annotated[annotation, Range(0, 1)])


def test_a_range_without_a_whole_number_is_none_for_integers():
    with pytest.raises(ValueError, match="is no integer"):
        registry.resolve(Annotated[int, Range(0.2, 0.8)])


def test_names_that_collide_on_the_wire_are_refused():
    with pytest.raises(TypeError, match="'a-b' twice"):
        registry.resolve(enum.Enum("Clash", {"A_B": 1, "a_b": 2}))
    with pytest.raises(TypeError, match="'1' twice"):
        registry.resolve(Literal[1, "1"])


def test_a_name_on_the_wire_is_text():
    class Bad(enum.Enum):
        A = 1

        @property
        def katcp_value(self):
            return 5

    with pytest.raises(TypeError, match="neither str nor bytes"):
        registry.resolve(Bad)


def test_another_name_for_a_member_is_read_and_not_written():
    found = registry.resolve(Mode)
    assert found.decoder(V51)(b"fast") is Mode.FAST_SLEW
    assert found.encoder(V51)(Mode.FAST) == b"fast-slew"
    assert b"fast" not in found.params


def test_flags_combined_are_no_member():
    class Part(enum.Flag):
        LEFT = 1
        RIGHT = 2

    assert encode(Part.LEFT) == b"left"
    with pytest.raises(TypeError, match=r"is no discrete left\|right"):
        encode(Part.LEFT | Part.RIGHT)


def test_a_class_that_cannot_be_built_from_a_number_is_still_written():
    assert encode(Pair(2, 3)) == b"6"


def test_the_abstract_numbers_are_python_s():
    import numbers

    assert decode(numbers.Integral, b"5") == 5
    assert decode(numbers.Real, b"5") == 5.0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is of Python 3.12")
def test_type_aliases():
    names = {"Annotated": Annotated, "Range": Range}
    exec("type Rate = Annotated[float, Range(0, 10)]", names)
    assert registry.resolve(names["Rate"]).usage == "float:[0,10]"


class OldAlias:
    """What such an alias looks like, for the Pythons that have none."""

    __value__ = Annotated[float, Range(0, 10)]


def test_what_looks_like_a_type_alias():
    assert registry.resolve(OldAlias()).usage == "float:[0,10]"


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


def test_a_table_for_who_encodes_many():
    types = registry.child()
    old, new = types.encoders(V4), types.encoders()
    values = [1, True, "a", 2.5, Timestamp(1001.9), Mode.IDLE, Now.NOW]
    for _ in range(2):
        assert [old[type(value)](value) for value in values] == [b"1", b"1", b"a", b"2.5", b"1001900", b"idle", b"now"]
        assert new[Timestamp](Timestamp(1001.9)) == b"1001.9"
    with pytest.raises(TypeError, match="no KATCP type"):
        new[type(None)](None)
    types.register(Mode, "mode", lambda mode: b"own", Mode)
    assert new[Mode](Mode.IDLE) == b"own"  # the table is kept up to date
    assert types.encoders(server_dialect("5.1-MI")) is new  # flags have nothing to do with values


# --- ranges ---


def test_ranges():
    assert 5 in Range(0, 10)
    assert 0 in Range(0, 10)
    assert 10.5 not in Range(0, 10)
    assert not any(math.nan in bounds for bounds in (Range(), Range(0), Range(0, 10)))  # noqa: PLW0177 - the point
    assert -1e300 in Range(high=0)
    assert (str(Range(0, 10)), str(Range(0.5)), str(Range(high=1e-7)), str(Range())) == (
        "[0,10]",
        "[0.5,]",
        "[,1e-07]",
        "[,]",
    )
    assert repr(Range(0, 10)) == "Range(low=0, high=10)"
    assert Range(0, 10) == Range(0, 10)


@pytest.mark.parametrize(
    ("low", "high", "error"),
    [
        (2, 1, ValueError),
        (math.nan, 1, ValueError),
        (math.nan, None, ValueError),
        (None, math.nan, ValueError),
        ("a", "b", TypeError),
        (None, "b", TypeError),
    ],
)
def test_ranges_that_hold_nothing(low, high, error):
    with pytest.raises(error):
        Range(low, high)


# --- timestamps and addresses ---


def test_timestamps_are_floats_that_show_themselves():
    assert repr(Timestamp(1.5)) == "Timestamp(1.5)"
    assert str(Timestamp(1.5)) == f"{Timestamp(1.5)}" == "1.5"
    assert Timestamp(1.5) == 1.5


def test_addresses():
    assert Address("::1", 7148) == Address("00:00::1", 7148)
    assert hash(Address("::1", 7148)) == hash(Address("00:00::1", 7148))
    assert len({Address("127.0.0.1"), Address("127.0.0.1", 7148), Address("::1", 7148)}) == 3
    assert Address("127.0.0.1") != "127.0.0.1"
    assert not "127.0.0.1" == Address("127.0.0.1")  # noqa: SIM201, SIM300 - the other operand is asked first
    assert repr(Address("127.0.0.1", 7148)) == "Address(host=IPv4Address('127.0.0.1'), port=7148)"
    assert Address("fe80::1%eth0") == Address("fe80::1")
    assert [*Address("::1", 7148)] == ["::1", 7148]
    assert [*Address("127.0.0.1")] == ["127.0.0.1", None]


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "127.0.0.1:7148", "[::1]", "[::1]:7148", "1.2.3.4:0", "[2001:db8::1]:65535"]
)
def test_addresses_read_back(text):
    address = Address.parse(text)
    assert str(address) == text
    assert bytes(address) == text.encode()
    assert Address.parse(bytes(address)) == address
    assert Address(address.host, address.port) == address


def test_the_long_form_of_an_address():
    assert (
        str(Address.parse(b"[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:4000")) == "[2001:db8:85a3::8a2e:370:7334]:4000"
    )


@pytest.mark.parametrize(
    ("host", "port", "error"),
    [
        ("localhost", None, ValueError),
        ("", None, ValueError),
        (b"127.0.0.1", None, TypeError),
        (5, None, TypeError),
        ("127.0.0.1", "80", TypeError),
        ("127.0.0.1", True, TypeError),
        ("127.0.0.1", 65536, ValueError),
        ("127.0.0.1", -1, ValueError),
    ],
)
def test_addresses_that_are_refused_where_they_are_made(host, port, error):
    with pytest.raises(error):
        Address(host, port)


def test_an_address_that_cannot_be_read_is_shown():
    with pytest.raises(ValueError, match=r"^'\\x1blocalhost' is no address$"):
        Address.parse("\x1blocalhost")
    with pytest.raises(ValueError, match="is no address"):
        Address.parse("\udc80")


# --- registries ---


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return type(other) is type(self) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None


class Pixel(Point):
    pass


def write_point(point):
    return b"%d/%d" % (point.x, point.y)


def read_point(raw):
    x, y = raw.split(b"/")
    return Point(int(x), int(y))


@pytest.fixture
def types():
    return registry.child()


def test_a_type_of_one_s_own(types):
    types.register(Point, "point", write_point, read_point, default=lambda: Point(0, 0))
    found = types.resolve(Point)
    assert (found.name, found.usage, found.default) == ("point", "point", Point(0, 0))
    assert types.encode(Point(1, 2)) == b"1/2"
    assert types.encode(Pixel(1, 2)) == b"1/2"
    assert types.decode(Point, b"1/2") == Point(1, 2)
    assert types.decode(Point | None, b"1/2") == Point(1, 2)
    assert found.check(Pixel(1, 2)) == Pixel(1, 2)
    with pytest.raises(TypeError, match="of type str is no point"):
        found.check("1/2")
    with pytest.raises(ValueError, match=r"^'1' is no point: not enough values"):
        types.decode(Point, b"1")


def test_a_reason_is_one_line_and_may_be_missing(types):
    def refuse(raw):
        raise ValueError(*([b"two\nlines"] if raw else []))

    types.register(Point, "point", write_point, refuse)
    assert types.resolve(Point).default is None
    with pytest.raises(ValueError, match=r"^'' is no point$"):
        types.decode(Point, b"")
    with pytest.raises(ValueError, match="is no point: ") as caught:
        types.decode(Point, b"x")
    assert "\n" not in str(caught.value)


def test_an_encoder_gives_bytes(types):
    types.register(Point, "point", str, read_point)
    with pytest.raises(TypeError, match="the encoder of point returned str, not bytes"):
        types.encode(Point(1, 2))


def test_registering_twice_is_refused(types):
    types.register(Point, "point", write_point, read_point)
    with pytest.raises(ValueError, match="registered already"):
        types.register(Point, "point", write_point, read_point)
    with pytest.raises(ValueError, match="registered already"):
        registry.register(int, "integer", str.encode, int)


def test_what_a_child_learns_stays_with_it(types):
    types.register(Point, "point", write_point, read_point)
    for other in (registry, registry.child()):
        with pytest.raises(TypeError, match="no KATCP type"):
            other.encode(Point(1, 2))


def test_a_child_knows_what_its_parents_learn_later():
    parent = TypeRegistry()
    child = parent.child().child()
    with pytest.raises(TypeError):
        child.encode(Point(1, 2))
    parent.register(Point, "point", write_point, read_point)
    assert child.encode(Point(1, 2)) == b"1/2"
    assert child.from_wire("point").decoder(V51)(b"1/2") == Point(1, 2)


def test_a_child_may_write_a_known_type_in_its_own_way(types):
    assert types.encode(True) == b"1"
    types.register(bool, "boolean", lambda value: b"yes" if value else b"no", {b"yes": True, b"no": False}.__getitem__)
    assert types.encode(True) == b"yes"
    assert types.encode(1) == b"1"
    assert registry.encode(True) == b"1"


def test_an_enum_may_have_its_own_way(types):
    types.register(Level, "integer", lambda value: b"%d" % value, lambda raw: Level(int(raw)))
    assert types.encode(Level.HIGH) == b"2"
    assert types.decode(Level, b"2") is Level.HIGH
    assert types.encode(Mode.IDLE) == b"idle"


def test_what_is_remembered_of_classes_is_bounded():
    types = registry.child()
    for number in range(1100):
        found = enum.Enum(f"Mode{number}", {"A": 1})
        assert types.encode(found.A) == b"a"
        assert types.decode(found, b"a") is found.A
        assert types.encode(Timestamp(number)) == b"%d.0" % number if number else True


# --- sensors of other devices ---


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("integer", b"+5", 5),
        ("float", b"nan", None),
        ("boolean", b"1", True),
        ("lru", b"error", Lru.ERROR),
        ("timestamp", b"1.5", Timestamp(1.5)),
        ("address", b"1.2.3.4:5", Address("1.2.3.4", 5)),
        ("string", b"\xff", r"\xff"),
        ("discrete", b"idle", "idle"),
        ("of-another-device", b"\xff", b"\xff"),
    ],
)
def test_types_of_other_devices(name, raw, value):
    found = registry.from_wire(name)
    read = found.decoder(V51, lenient=True)(raw)
    assert read == value if value is not None else math.isnan(read)


def test_a_discrete_sensor_of_another_device():
    found = registry.from_wire("discrete", [b"a", b"b", b"a", b"\xff"])
    assert (found.name, found.params, found.python) == ("discrete", (b"a", b"b", b"a", b"\xff"), str)
    assert found.decoder(V51)(b"a") == "a"
    assert found.encoder(V51)(r"\xff") == b"\xff"
    assert found.decoder(V51, lenient=True)(b"unlisted") == "unlisted"
    with pytest.raises(ValueError, match="is no discrete"):
        found.decoder(V51)(b"unlisted")
    with pytest.raises(TypeError, match="is no discrete"):
        found.check("unlisted")
