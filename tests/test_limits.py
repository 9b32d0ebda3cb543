"""Bounds: each is a positive number, and says its unit, what happens beyond it and why it is there."""

import asyncio
import runpy

import attrs
import pytest

from katcp_aio import Client, FailReply
from katcp_aio import limits as module
from katcp_aio.connection import ConnectionProtocol
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice, Peer, memory_pair

__all__ = []

UNITS = (
    "arguments",
    "bytes",
    "seconds",
    "lines",
    "clients",
    "connections",
    "requests",
    "handlers",
    "sensors",
    "changes",
    "informs",
    "questions",
    "readings",
    "components",
    "#log informs",
)

every_bound = pytest.mark.parametrize("field", attrs.fields(Limits), ids=lambda field: field.name)


@every_bound
def test_has_a_unit_and_a_reason(field):
    reason = field.metadata["reason"]
    assert any(unit in reason for unit in UNITS), f"{field.name} has no unit: {reason}"
    assert len(reason.split()) >= 4
    assert "\n" not in reason


@every_bound
def test_is_a_number_above_zero(field):
    default = getattr(Limits(), field.name)
    assert default > 0
    assert type(default) is (int if field.type in ("int", int) else float)
    for bad in (0, -1, -0.5, float("nan")):
        with pytest.raises((ValueError, TypeError)):
            Limits(**{field.name: bad})
    with pytest.raises(TypeError):
        Limits(**{field.name: "many"})
    assert getattr(Limits(**{field.name: default * 2}), field.name) == default * 2


def test_a_count_is_whole():
    with pytest.raises(TypeError, match=r"max_clients is a whole number, not 2\.5"):
        Limits(max_clients=2.5)


def test_reading_on_does_not_begin_above_where_it_ended():
    with pytest.raises(ValueError, match="write_low, 16384 bytes, is more than write_high, 1000"):
        Limits(write_high=1000)
    assert Limits(write_high=1000, write_low=1000).write_low == 1000


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="stall_timeout is a number above zero, not -1"):
        Limits(stall_timeout=-1)


def test_shows_what_differs_from_the_defaults():
    assert repr(Limits()) == "Limits()"
    assert repr(Limits(stall_timeout=2, max_clients=5)) == "Limits(stall_timeout=2, max_clients=5)"


def test_limits_never_change():
    limits = Limits()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        limits.max_clients = 5
    assert attrs.evolve(limits, max_clients=5).max_clients == 5
    assert limits == Limits()


def test_a_bound_that_does_not_exist_is_refused():
    with pytest.raises(TypeError):
        Limits(max_clientz=5)


async def test_a_chunk_of_what_a_peer_sent_is_parsed_at_once_and_no_more():
    protocol, peer = ConnectionProtocol(Limits(parse_chunk=100)), Peer()
    memory_pair(protocol, peer)
    peer.send(*["?watchdog"] * 1000)
    await asyncio.sleep(0)
    seen = 0
    while seen < 1000:
        messages = await protocol.connection.read()
        assert 0 < len(messages) <= 100 // len("?watchdog") + 1
        seen += len(messages)
    protocol.connection.abort()
    await protocol.connection.wait_lost()
    await peer.close()


async def test_few_log_informs_are_kept_to_explain_a_bare_fail():
    async with (
        FakeDevice() as fake,
        Client("fake", connector=fake.connector, limits=Limits(max_log_context=3)) as client,
    ):
        fake.on("read", raw=b"".join(b"#log info 1 x line-%d\n" % number for number in range(10)) + b"!read[1] fail\n")
        with pytest.raises(FailReply) as caught:
            await client.request("read")
    assert [inform.arguments[-1] for inform in caught.value.log] == [b"line-7", b"line-8", b"line-9"]


def test_the_module_makes_the_same_bounds_whenever_it_runs():
    # Made in this test, so that it tests what makes them.
    again = runpy.run_path(module.__file__, run_name=module.__name__)["Limits"]
    assert attrs.asdict(again()) == attrs.asdict(Limits())
    for field, known in zip(attrs.fields(again), attrs.fields(Limits), strict=True):
        assert field.metadata == known.metadata
        assert list(field.metadata) == ["reason"]
        least = 1 if type(field.default) is int else 1e-9
        assert getattr(again(**{"write_low": 1, field.name: least}), field.name) == least
        for bad, error in ((0, ValueError), (-1, ValueError), ("many", TypeError)):
            with pytest.raises(error):
                again(**{field.name: bad})
    with pytest.raises(TypeError):
        again(max_clients=2.5)
