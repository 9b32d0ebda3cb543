"""What cannot be a handler, and annotations that are strings."""

import enum
import subprocess
import sys
from typing import Annotated

import pytest

from katcp_aio.errors import UsageError
from katcp_aio.model.signature import Signature
from katcp_aio.wire.datatypes import Range
from katcp_aio.wire.values import TypeRegistry, registry


def signature(function, **options):
    return Signature(function, **({"skip": 1} | options))


class Mode(enum.Enum):
    IDLE = 0
    FAST_SLEW = 1


def one(ctx, it: dict):
    pass


def two(ctx, it: "NoSuchName"):  # noqa: F821 - the point
    pass


def three(ctx, **options):
    pass


def four(ctx, *, it):
    pass


def five():
    pass


def six(*everything):
    pass


def eight(ctx, it: "1 +"):  # noqa: F722 - the point
    pass


def nine(ctx, it: Annotated[str, Range(0, 1)]):
    pass


def ten(it: float):
    pass


def eleven(it: "float", other: int = 0):
    pass


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (one, "one, parameter it: no KATCP type for <class 'dict'>"),
        (two, "two, parameter it: cannot resolve the annotation 'NoSuchName'"),
        (three, r"three, parameter \*\*options: requests have no named arguments"),
        (four, "four, parameter it: keyword-only"),
        (five, "five has too few parameters: the first is to be the RequestContext"),
        (six, "six has too few parameters"),
        (eight, "eight, parameter it: cannot resolve the annotation"),
        (nine, "nine, parameter it: "),
        (ten, "ten, parameter it: the first is to be the RequestContext, no argument"),
        (eleven, "eleven, parameter it: the first is to be the RequestContext, no argument"),
    ],
)
def test_what_cannot_be_a_handler(function, told):
    with pytest.raises(UsageError, match=told):
        signature(function)


def test_what_exists_for_the_type_checker_only_is_told_so():
    with pytest.raises(UsageError, match="not only under TYPE_CHECKING"):
        signature(two)


def test_what_python_cannot_show_the_signature_of():
    with pytest.raises(UsageError, match="cannot be a handler"):
        signature(max)


def test_types_of_ones_own():
    types = registry.child()
    types.register(complex, "complex", lambda z: b"%g" % z.real, lambda raw: complex(float(raw)))

    def request_x(ctx, gain: complex):
        pass

    found = signature(request_x, registry=types)
    assert found.usage() == "?x gain:complex"
    assert list(found.bind([b"2"])) == [2 + 0j]
    assert found.encode(3 + 0j) == [b"3"]
    with pytest.raises(UsageError, match="parameter gain: no KATCP type"):
        signature(request_x, registry=TypeRegistry(registry))


# ---------------------------------------------------------------------------------------------------------------------
# Annotations that are strings

STRINGS = '''
from __future__ import annotations

import enum
from typing import Annotated, Literal, Optional

from katcp_aio.model.signature import Signature
from katcp_aio.wire.datatypes import Range


class Device:
    class Mode(enum.Enum):
        IDLE = 0
        BUSY = 1

    async def request_set(
        self, ctx: NobodyImportsThis, mode: Mode, rate: Annotated[float, Range(0, 10)] = 1.0,
        unit: Optional[Literal["hz", "rpm"]] = None, *more: int | str
    ) -> None:
        """Set it."""


def local():
    class Speed(enum.Enum):
        SLOW = 0

    async def request_go(ctx, speed: Speed):
        return Speed.SLOW

    return request_go


found = Signature(Device().request_set, skip=1)
assert found.usage() == "?set mode:idle|busy [rate:float:[0,10]] [unit:hz|rpm] [more:integer|string ...]", found.usage()
assert list(found.bind([b"busy", b"2", b"rpm", b"5", b"x"])) == [Device.Mode.BUSY, 2.0, "rpm", 5, "x"]
assert Signature(local(), skip=1).usage() == "?go speed:slow"
HELP = found.help()
'''


def test_annotations_that_are_strings():
    namespace = {"__name__": "device"}
    exec(compile(STRINGS, "device.py", "exec", dont_inherit=True), namespace)
    assert namespace["HELP"].startswith("Set it.\n?set mode:")


def test_strings_are_looked_up_in_a_namespace_that_was_given():
    def request_x(ctx, it: "Elsewhere"):  # noqa: F821 - found below
        pass

    found = signature(request_x, namespace={"Elsewhere": Mode})
    assert found.usage() == "?x it:idle|fast-slew"


def test_without_docstrings_there_is_still_a_usage_line(tmp_path):
    script = tmp_path / "device.py"
    script.write_text(STRINGS + "import sys\nif HELP.splitlines()[0][:5] != '?set ': sys.exit(HELP)\n")
    subprocess.run([sys.executable, "-OO", str(script)], check=True, timeout=30)


def test_a_docstring_that_cannot_be_sent_breaks_nothing():
    def request_odd():
        pass

    request_odd.__doc__ = "Half a \ud83d pair."
    assert Signature(request_odd, skip=0).help() == "Half a \\ud83d pair.\n?odd"
    request_odd.__doc__ = ["no", "text"]
    assert Signature(request_odd, skip=0).help() == "?odd"
