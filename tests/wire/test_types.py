"""What an annotation is on the wire: its type, parameters, usage and first value; and what is none."""

import enum
import math
import sys
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar

import pytest
from tests.wire.kinds import Level, Mode, Named

from katcp_aio.wire.datatypes import Address, Lru, Now, Range, Timestamp, TimestampOrNow
from katcp_aio.wire.dialect import V51
from katcp_aio.wire.values import decode, encode, registry

__all__ = []

T = TypeVar("T")


class MyInt(int):
    """A subclass that is built from one number."""


class MyText(str):
    __slots__ = ()


class Pair(int):
    """A subclass that is not."""

    def __new__(cls, first, second):
        return super().__new__(cls, first * second)


@pytest.mark.parametrize(
    ("annotation", "name", "params", "usage", "default"),
    [
        (int, "integer", (), "integer", 0),
        (float, "float", (), "float", 0.0),
        (bool, "boolean", (), "boolean", False),
        (str, "string", (), "string", ""),
        (bytes, "string", (), "string", b""),
        (bytearray, "string", (), "string", bytearray()),
        (MyInt, "integer", (), "integer", MyInt(0)),
        (MyText, "string", (), "string", MyText("")),
        (Fraction, "float", (), "float", Fraction(0)),
        (Timestamp, "timestamp", (), "timestamp", Timestamp(0)),
        (TimestampOrNow, "timestamp", (), "timestamp|now", Timestamp(0)),
        (Now, "timestamp", (), "now", Now.NOW),
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
        (bool | int, "string", (), "boolean|integer", False),
        (int | MyInt, "integer", (), "integer", 0),
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
    assert type(found.default) is type(default)
    assert found.python == (annotation if annotation != int | None else int)  # None says only that it may be missing
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


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        (dict, "no KATCP type for <class 'dict'>"),
        (int | dict, "no KATCP type for <class 'dict'>"),
        ("int", "no KATCP type for 'int'"),
        (enum.Enum("Empty", []), "<enum 'Empty'> has no options"),
        (
            enum.Enum("Clash", {"A_B": 1, "a_b": 2, "ONE": 3, "C": 4, "c": 5}),
            "<enum 'Clash'> has 'a-b, c' twice on the wire",
        ),
    ],
    ids=str,
)
def test_what_has_no_type_on_the_wire_is_named(annotation, told):
    with pytest.raises(TypeError) as caught:
        registry.resolve(annotation)
    assert str(caught.value) == told


def test_a_class_is_resolved_once():
    assert registry.resolve(MyInt) is registry.resolve(MyInt)


@pytest.mark.parametrize("annotation", [str, bool, Mode, Literal[1, 2], Mode | int, Address, Now])
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

    with pytest.raises(TypeError, match=r"^katcp_value of <Bad.A: 1> is neither str nor bytes$"):
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
    with pytest.raises(TypeError, match=r"of type Part is no discrete left\|right$"):
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
