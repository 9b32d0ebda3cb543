"""A DeviceClient with a board whose firmware is built on the C library, in version 4 and in 5.0, habits included."""

import asyncio

import pytest

from katcp_aio.client.client import Client
from katcp_aio.client.device import DeviceClient
from katcp_aio.client.group import DeviceGroup
from katcp_aio.errors import FailReply, InvalidReply
from katcp_aio.model.reading import Status
from katcp_aio.testing import FakeDevice, FakeSensor

__all__ = []

pytestmark = pytest.mark.usefixtures("time_flies")

BANNERS = {
    "4.0": ["#version 75dde9d", "#build-state 2026-11-22T11:07:03"],
    "5.0-M": ["#version-connect katcp-library 75dde9d-dirty 2026-11", "#version-connect katcp-protocol 5.0-M"],
}
STRATEGIES = (b"none", b"auto", b"event", b"period", b"differential")


class Board:
    """A scripted device with the habits of the C library."""

    def __init__(self, protocol):
        self.changed = "interface-changed" if protocol == "4.0" else "device-changed"  # the other one than specified
        self.device = FakeDevice(
            protocol,
            banner=BANNERS[protocol],
            sensors={
                "check.integer": FakeSensor("integer", 7, (-1, 1, -2, 2), "a number", "none", "warn"),
                "check.integer.simple": FakeSensor("integer", 3, (-1, 1, -2, 2), "another", "none"),
                "mode": FakeSensor("discrete", "idle", ("idle", "slew"), "a mode", "none"),
            },
        )
        on = self.device.on
        on("sensor-value", self.value)
        on("sensor-sampling", self.sampling)
        on("version-list", reply=("ok", 0))
        on("read", lambda peer, request: self.fail(peer, "register missing"))
        on("check-own", reply=("\0\n\r ", 42))

    def fail(self, peer, text):
        peer.send(self.device.message("log", "info", self.device.timestamp(1.0), "Ckatcp", "1 client subscribed"))
        peer.send(self.device.message("log", "error", self.device.timestamp(1.0), "Ckatcp", text))
        raise FailReply("")

    def rows(self, start=b""):
        names = [name for name in sorted(self.device.sensors) if name.encode().startswith(start)]
        if not names:
            raise InvalidReply("sensor")
        return names

    async def value(self, peer, request):
        """Answer for all whose name begins as is asked for, and talk in between."""
        names = self.rows(*request.arguments[:1])
        for name in names:
            peer.send(self.device.message("log", "info", self.device.timestamp(1.0), "Ckatcp", "polled"))
            sensor = self.device.sensors[name]
            row = (self.device.timestamp(sensor.timestamp), 1, name, sensor.status, sensor.value)
            peer.send(self.device.message("sensor-value", *row))
        return len(names)

    def sampling(self, peer, request):
        """Take one sensor, say no value, and say in the log why not."""
        name, *strategy = request.arguments
        if name.decode() not in self.device.sensors:
            self.fail(peer, f"unknown sensor {name.decode()}")
        if strategy and strategy[0] not in STRATEGIES:
            self.fail(peer, f"unknown strategy {strategy[0].decode()}")
        return (name, *(strategy or [b"none"]))


@pytest.fixture(params=BANNERS)
async def board(request):
    board = Board(request.param)
    async with board.device:
        yield board


@pytest.fixture
async def client(board):
    async with DeviceClient("board", connector=board.device.connector) as client:
        yield client


async def test_one_sensor_is_read_although_the_board_answers_for_all_that_begin_so(board, client):
    assert (await client.sensor.check_integer.read()).value == 7
    assert (await client.read("check.integer"))["check.integer"].status is Status.WARN
    assert list(await client.read("check.integer")) == ["check.integer"]
    assert {name: reading.value for name, reading in (await client.read("/check/")).items()} == {
        "check.integer": 7,
        "check.integer.simple": 3,
    }
    assert client.sensor.check_integer.timestamp == 1_500_000_000.0
    assert client.sensor.check_integer.units == "none"
    assert client.sensor.check_integer.params == (b"-1", b"1", b"-2", b"2")


async def test_sensors_are_followed_from_a_first_value_that_has_to_be_asked_for(board, client):
    assert await client.sample("/./", "event")
    assert {sensor.name: sensor.value for sensor in client.matching()} == {
        "check.integer": 7,
        "check.integer.simple": 3,
        "mode": "idle",
    }
    board.device.inform("sensor-status", board.device.timestamp(2.5), 1, "mode", "nominal", "slew")
    await client.sensor.mode.wait_for("slew", timeout=1)
    assert client.sensor.mode.timestamp == 2.5


async def test_what_it_cannot_do_is_explained_by_its_log(client):
    with pytest.raises(FailReply, match="unknown strategy event-rate"):
        await client.sensor.mode.sample("event-rate", 1, 10)
    with pytest.raises(FailReply, match="register missing") as caught:
        await client.req.read("x")
    assert [inform.arguments[0] for inform in caught.value.log] == [b"error"]
    with pytest.raises(InvalidReply, match="sensor"):
        await client.read("nope")
    with pytest.raises(FailReply) as caught:
        await client.req.check_own()
    assert (caught.value.code, caught.value.text) == ("\0\n\r ", "42")


async def test_its_change_of_interface_is_heeded_under_either_name(board, client):
    changes = asyncio.Queue()
    client.on_change(changes.put_nowait)
    board.device.sensors["late"] = FakeSensor("integer", 1)
    board.device.inform(board.changed)
    assert (await changes.get()).sensors_added == {"late"}


async def test_what_is_said_of_one_sensor_changes_no_other_that_begins_so(board, client):
    fake, changes = board.device, asyncio.Queue()
    client.on_change(changes.put_nowait)
    fake.on("sensor-list", lambda peer, request: listing(peer, *request.arguments))

    def listing(peer, start):
        for name in board.rows(start):
            peer.send(fake.message("sensor-list", name, "changed", "none", "integer"))
        return len(board.rows(start))

    fake.inform("interface-changed", "sensor", "check.integer", "modified")
    assert (await changes.get()).sensors_modified == {"check.integer"}
    assert client.sensor["check.integer"].description == "changed"
    assert client.sensor["check.integer.simple"].description == "another"


async def test_times_that_no_clock_has_shown_are_only_numbers(board, client):
    await client.sensor.mode.sample("event")
    for time in ("8371945912227886185.7236274654156910", "0.000", "1e400", "nan"):
        board.device.inform("sensor-status", time, 1, "mode", "nominal", "slew")
    board.device.inform("sensor-status", board.device.timestamp(2.5), 1, "mode", "nominal", "idle")
    await client.sensor.mode.wait_for(lambda reading: reading.timestamp == 2.5, timeout=1)
    assert repr(client.sensor.mode.reading)


async def test_a_board_that_has_too_many_clients_says_so_and_is_tried_again(board):
    async with Client("board", connector=board.device.connector) as client:
        board.device.inform("client-disconnected", "overloaded")
        board.device.end()
        await client.wait_disconnected()
        assert (await client.request("watchdog")).ok


async def test_a_group_of_boards_with_names_of_any_kind(board):
    board.device.on("clear")
    board.device.on("pop")
    connector = board.device.connector
    async with DeviceGroup({name: DeviceClient(name, connector=connector) for name in ("roach-1", "a.b")}) as group:
        await group.wait_connected(timeout=10)
        assert await group.req.clear()
        assert await group.req["pop"]()
        assert len(board.device.requests.requests("clear")) == 2
        assert set(group["roach-1"].req) >= {"clear", "pop", "help"}
        assert group.sensor["a.b.mode"] is group["a.b"].sensor.mode
        assert group.sensor["roach-1.check.integer"] is group["roach-1"].sensor["check.integer"]
