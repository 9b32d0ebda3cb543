import inspect

import pytest

from katcp_aio.client.usage import signature_of
from katcp_aio.model.signature import Signature
from katcp_aio.wire.datatypes import Range


def parameters(text, name="set-rate"):
    found = list(signature_of(name, text).parameters.values())
    assert [parameter.name for parameter in found[-3:]] == ["timeout", "returns", "check"]
    return [(p.name, p.annotation, p.kind.name[:3], p.default is not p.empty) for p in found[:-3]]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ("?set-rate", []),
        ("?set-rate rate:float:[0,10]", [("rate", "float:[0,10]", "POS", False)]),
        (
            "?set-rate rate:float:[0,10] [unit:hz|rpm]",
            [("rate", "float:[0,10]", "POS", False), ("unit", "hz|rpm", "POS", True)],
        ),
        ("?set-rate [dead-time:float:[0,]]", [("dead_time", "float:[0,]", "POS", True)]),
        ("?set-rate a:integer [values:float ...]", [("a", "integer", "POS", False), ("values", "float", "VAR", False)]),
    ],
)
def test_the_usage_line_is_the_signature(usage, expected):
    assert parameters(f"Set it.\n{usage}\n\nMore.") == expected


@pytest.mark.parametrize(
    "text",
    ["", "Set it (?set-rate rate).", "?set-rate <rate>", "?other a:b", "?set-rate a:b a:b", "?set-rate timeout:float"],
)
def test_without_one_it_is_the_general_one(text):
    assert [name for name, *_ in parameters(text)] == ["arguments"]


def test_it_reads_what_this_librarys_servers_write():
    def request_set_rate(ctx, rate: float, low: int = 3, *more: str):
        """Set it."""

    text = Signature(request_set_rate, skip=1).help()
    assert [name for name, *_ in parameters(text)] == ["rate", "low", "more"]
    assert str(Range(0, 10)) == "[0,10]"
    assert isinstance(signature_of("x", text), inspect.Signature)
