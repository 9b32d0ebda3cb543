import enum
import functools
import textwrap
from typing import Annotated, Literal, Optional, Union

import decorator
import pytest

from katcp_aio.errors import InvalidReply, UsageError
from katcp_aio.model.signature import Signature
from katcp_aio.wire.datatypes import Address, Range, Timestamp, TimestampOrNow
from katcp_aio.wire.dialect import parse_version


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


def signature(function, **options):
    return Signature(function, **({"skip": 1} | options))


def bound(function, *arguments):
    return list(signature(function).bind(arguments))


async def request_set_rate(ctx, rate: Annotated[float, Range(0, 10)], unit: Literal["hz", "rpm"] = "hz"):
    """Set the pump rate and return
    the rate in force, in Hz.

    The pump takes a while:

        rate    seconds
        1       5
    """


# ---------------------------------------------------------------------------------------------------------------------
# Names, kinds, help


def test_the_usage_line_comes_from_the_annotations():
    assert signature(request_set_rate).usage() == "?set-rate rate:float:[0,10] [unit:hz|rpm]"
    assert signature(request_set_rate).usage("other") == "?other rate:float:[0,10] [unit:hz|rpm]"


def test_the_help_is_summary_usage_and_the_rest_without_its_indent():
    assert signature(request_set_rate).summary == "Set the pump rate and return the rate in force, in Hz."
    assert signature(request_set_rate).help() == textwrap.dedent("""\
        Set the pump rate and return the rate in force, in Hz.
        ?set-rate rate:float:[0,10] [unit:hz|rpm]

        The pump takes a while:

            rate    seconds
            1       5""")
    assert signature(request_set_rate).help("x").splitlines()[1] == "?x rate:float:[0,10] [unit:hz|rpm]"


def test_without_a_docstring_the_usage_line_is_the_help():
    def request_x(ctx, count: int):
        pass

    assert signature(request_x).summary == ""
    assert signature(request_x).help() == "?x count:integer"


@pytest.mark.parametrize("doc", ["\n        Do it.\n        ", "Do it.", "   Do it.\n"])
def test_wherever_the_docstring_begins(doc):
    def request_x(ctx):
        pass

    request_x.__doc__ = doc
    assert signature(request_x).help() == "Do it.\n?x"


@pytest.mark.parametrize("doc", ["", "   ", "\n\n"])
def test_an_empty_docstring_is_none(doc):
    def request_x(ctx):
        pass

    request_x.__doc__ = doc
    assert signature(request_x).help() == "?x"


def test_parameters_lose_their_underscores():
    def request_x(ctx, dead_time: int, type_: str, _id: int, *more_of_it: float):
        pass

    assert signature(request_x).usage() == "?x dead-time:integer type:string id:integer [more-of-it:float ...]"
    assert [parameter.required for parameter in signature(request_x).parameters] == [True, True, True, False]


@pytest.mark.parametrize(
    ("annotation", "usage"),
    [
        (int, "integer"),
        (float, "float"),
        (bool, "boolean"),
        (str, "string"),
        (bytes, "string"),
        (Timestamp, "timestamp"),
        (Address, "address"),
        (Mode, "idle|fast-slew"),
        (Literal["a", "b"], "a|b"),
        (Annotated[int, Range(low=1)], "integer:[1,]"),
        (Optional[int], "integer"),  # noqa: UP045 - what users of older Pythons write
        (int | None, "integer"),
        (Union[int, str], "integer|string"),  # noqa: UP007 - as above
    ],
)
def test_usage_of_each_type(annotation, usage):
    def request_x(ctx, it):
        pass

    request_x.__annotations__["it"] = annotation
    assert signature(request_x).usage() == f"?x it:{usage}"


def plain(ctx):
    pass


async def waiting(ctx):
    pass


async def yielding(ctx):
    yield 1


class Handlers:
    def __call__(self, ctx, count: int):
        """Called as an object."""

    async def waiting(self, ctx, count: int):
        """Called as a method."""

    @classmethod
    async def of_class(cls, ctx, count: int):
        pass

    @staticmethod
    def of_none(ctx, count: int):
        pass


class Waiting:
    async def __call__(self, ctx):
        pass


@functools.wraps(waiting)
def passed_on(ctx):
    return waiting(ctx)


@decorator.decorator
def traced(function, *args, **kwargs):
    return function(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (plain, "plain"),
        (waiting, "async"),
        (yielding, "generator"),
        (Handlers().waiting, "async"),
        (Handlers.of_class, "async"),
        (Handlers.of_none, "plain"),
        (Handlers(), "plain"),
        (Waiting(), "async"),
        (functools.partial(waiting), "async"),
        (functools.partial(functools.partial(yielding)), "generator"),
        (passed_on, "async"),
        (traced(waiting), "async"),
        (traced(plain), "plain"),
    ],
)
def test_kinds(function, kind):
    assert Signature(function, skip=1, name="x").kind == kind


def test_a_plain_generator_is_no_handler():
    def request_x(ctx):
        yield 1

    with pytest.raises(UsageError, match="request_x yields, so it must be declared with async def"):
        signature(request_x)


def test_skip_counts_self_as_well():
    assert Signature(Handlers.waiting, skip=2).usage() == "?waiting count:integer"
    assert Signature(Handlers().waiting, skip=1).usage() == "?waiting count:integer"
    assert Signature(Handlers(), skip=1, name="x").help() == "Called as an object.\n?x count:integer"


def test_a_partial_has_what_is_left():
    def request_x(channel, ctx, count: int, scale: float = 1.0):
        """Do it."""

    half = functools.partial(request_x, 5, scale=2.0)
    found = signature(half)
    assert found.help() == "Do it.\n?x count:integer"
    assert list(found.bind([b"3"])) == [3]


def test_a_decorated_handler_is_seen_through():
    @traced
    async def request_x(ctx, count: int, mode: Mode = Mode.IDLE):
        """Do it."""

    found = signature(request_x)
    assert found.help() == "Do it.\n?x count:integer [mode:idle|fast-slew]"
    assert list(found.bind([b"3"])) == [3, Mode.IDLE]


# ---------------------------------------------------------------------------------------------------------------------
# Arguments


def test_arguments_are_decoded_and_defaults_filled_in():
    assert bound(request_set_rate, b"2.5", b"rpm") == [2.5, "rpm"]
    assert bound(request_set_rate, b"2.5") == [2.5, "hz"]
    assert bound(plain) == []


def test_defaults_are_given_as_they_are():
    nothing = object()

    def request_x(ctx, a: int | None = None, b: float = nothing, c: str = "c"):
        pass

    assert bound(request_x) == [None, nothing, "c"]
    assert bound(request_x, b"1") == [1, nothing, "c"]
    assert bound(request_x, b"1", b"2", b"3") == [1, 2.0, "3"]


def test_any_number_of_arguments():
    def request_x(ctx, first: int, second: str = "s", *rest: float):
        pass

    assert bound(request_x, b"1") == [1, "s"]
    assert bound(request_x, b"1", b"2") == [1, "2"]
    assert bound(request_x, b"1", b"2", b"3", b"4") == [1, "2", 3.0, 4.0]
    assert (signature(request_x).least, signature(request_x).most) == (1, None)
    assert signature(request_x).usage() == "?x first:integer [second:string] [rest:float ...]"


def test_without_an_annotation_the_argument_comes_as_it_is():
    def request_x(ctx, raw, *more):
        pass

    assert bound(request_x, b"\xff", b"", b"1") == [b"\xff", b"", b"1"]


def test_keyword_only_parameters_with_a_default_are_the_authors_own():
    def request_x(ctx, count: int, *, retries=3):
        pass

    assert signature(request_x).usage() == "?x count:integer"


@pytest.mark.parametrize(
    ("annotation", "raw", "value"),
    [
        (Mode, b"fast-slew", Mode.FAST_SLEW),
        (Literal[1, 2], b"2", 2),
        (Optional[int], b"5", 5),  # noqa: UP045 - as above
        (int | str, b"5", 5),
        (int | str, b"five", "five"),
        (TimestampOrNow, b"1.5", Timestamp(1.5)),
        (Address, b"1.2.3.4:5", Address("1.2.3.4", 5)),
        (bool, b"1", True),
        ("Annotated[int, Range(0, 9)]", b"9", 9),
        ("Mode", b"idle", Mode.IDLE),
    ],
)
def test_types(annotation, raw, value):
    def request_x(ctx, it):
        pass

    request_x.__annotations__["it"] = annotation
    assert bound(request_x, raw) == [value]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "missing argument rate"),
        ([b"1", b"hz", b"3"], "too many arguments for ?set-rate: at most 2, got 3"),
        ([b"fast"], "argument rate: 'fast' is no float"),
        ([b""], "argument rate: '' is no float"),
        ([b"11"], "argument rate: '11' is no float in [0,10]"),
        ([b"1", b"khz"], "argument unit: 'khz' is no discrete hz|rpm"),
        ([b"\xff\n"], "argument rate: '\\xff\\x0a' is no float"),
    ],
)
def test_a_bad_argument_is_told_by_parameter_type_and_value(arguments, told):
    with pytest.raises(InvalidReply) as caught:
        signature(request_set_rate).bind(arguments)
    assert caught.value.text == told


def test_a_bad_argument_among_many_is_told_by_the_name_of_the_many():
    def request_x(ctx, first: int, *rest: float):
        pass

    for arguments in ([b"1", b"x"], [b"1", b"2", b"3", b"x"]):
        with pytest.raises(InvalidReply) as caught:
            signature(request_x).bind(arguments)
        assert caught.value.text == "argument rest: 'x' is no float"


def test_the_second_of_two_missing_arguments():
    def request_x(ctx, dead_time: int, hold_time: int):
        pass

    with pytest.raises(InvalidReply, match="missing argument hold-time"):
        signature(request_x).bind([b"1"])


def test_a_request_without_parameters_takes_none():
    with pytest.raises(InvalidReply, match=r"too many arguments for \?waiting: at most 0, got 1"):
        signature(waiting).bind([b"1"])
    assert (signature(waiting).least, signature(waiting).most) == (0, 0)


def test_versions_write_time_differently():
    def request_x(ctx, at: Timestamp):
        pass

    v4 = signature(request_x, dialect=parse_version("4.0"))
    assert list(v4.bind([b"1500"])) == [1.5]
    assert v4.encode(Timestamp(1.5)) == [b"1500"]
    assert list(signature(request_x).bind([b"1500"])) == [1500.0]


# ---------------------------------------------------------------------------------------------------------------------
# Results


@pytest.mark.parametrize(
    ("result", "written"),
    [
        (None, []),
        (2.5, [b"2.5"]),
        ((), []),
        ((1, "a", True), [b"1", b"a", b"1"]),
        ("a b", [b"a b"]),
        (Mode.FAST_SLEW, [b"fast-slew"]),
    ],
)
def test_results(result, written):
    assert signature(plain).encode(result) == written


def test_a_result_without_a_form_on_the_wire():
    with pytest.raises(TypeError, match="no KATCP type"):
        signature(plain).encode({})
    with pytest.raises(TypeError, match="no KATCP type"):
        signature(plain).encode((1, None))
