"""Each kind of load runs, and counts what a device or a client really did. A blink of each: figures are no matter."""

import os
import sys

import pytest

from benchmarks import growth, peer, startup
from benchmarks.child import Child, ChildError
from benchmarks.client import against
from benchmarks.harness import FLOOR, OLDER, OURS, THEIRS, Settings
from benchmarks.served import names
from benchmarks.server import served

BLINK = 0.02
KATCP_PYTHON = os.environ.get("KATCP_PYTHON")  # an interpreter that has it, as for tests/interop
SETTINGS = Settings(seconds=BLINK, rounds=1, quick=True, katcp_python=KATCP_PYTHON)
DEVICES = [
    OURS,
    THEIRS,
    FLOOR,
    pytest.param(OLDER, marks=pytest.mark.skipif(not KATCP_PYTHON, reason="KATCP_PYTHON names no interpreter")),
]


@pytest.mark.parametrize("side", DEVICES)
def test_load_on_a_device(side):
    with served(side, SETTINGS, {"reply": "!echo[1] ok a"}, sensors=30) as (server, load):
        load.call("open", port=server.hello, clients=3)
        load.call("check", request="?echo[%d] a")
        assert load.call("pipelined", request="?echo[%d] a", seconds=BLINK, window=10, batch=5)["requests"] >= 30
        assert load.call("sequential", request="?watchdog[%d]", seconds=BLINK)["requests"] > 0
        assert load.call("listing", name="sensor-list", lines=30)["lines"] == 31
        assert load.call("subscribe", names=names(30), strategy="event")["lines"] == 3 * 31
        load.begin("receive", final="1234567")
        server.call("update", count=10, burst=5, final=1234567)
        assert load.result()["lines"] == 3 * 10
        load.call("close")
        assert load.call("connects", port=server.hello, seconds=BLINK, together=4)["requests"] > 0
        assert server.call("usage")["cpu"] > 0


@pytest.mark.parametrize("side", [OURS, THEIRS, FLOOR])
def test_a_client_that_asks(side):
    with against(f"{side}:Client", SETTINGS) as (device, client):
        assert client.call("sequential", seconds=BLINK)["requests"] > 0
        assert client.call("in_flight", seconds=BLINK)["requests"] > 0
        client.call("listen", count=50)
        client.begin("hear_all")
        assert device.call("inform", count=50) <= client.result()


@pytest.mark.parametrize("side", [OURS, THEIRS])
def test_a_client_that_follows(side):
    with against(f"{side}:Follower", SETTINGS, 30) as (device, client):
        client.call("trace")
        client.call("follow")
        assert client.call("traced") > 0
        client.call("expect", final=1234567)
        client.begin("told_all")
        assert device.call("update", passes=2, final=1234567) <= client.result()
        client.call("disconnect")


def test_ours_finds_out_what_there_is():
    with against("ours:Finder", SETTINGS, 30) as (_, client):
        assert client.call("follow") > 0
        client.call("disconnect")


@pytest.mark.parametrize("side", [OURS, THEIRS])
def test_a_client_that_follows_many_devices(side):
    with against(f"{side}:Group", SETTINGS, 30) as (device, client):
        assert client.call("follow", ports=[device.hello, device.call("listen"), device.call("listen")]) > 0
        client.call("disconnect")


@pytest.fixture
def little(monkeypatch):
    """Have the points of curves made of little work."""
    for name in ("INFORMS", "LINES", "SETS"):
        monkeypatch.setattr(growth, name, 400)


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("side", [OURS, THEIRS, FLOOR])
def test_growth_with_clients(side):
    with served(side, SETTINGS, sensors=1) as (server, load), Child("load:Load") as other:
        other.call("open", port=server.hello)
        growing = growth.Growing(server, load, 1)
        for clients in (1, 3):
            figures = growth.with_clients(growing, other, SETTINGS, clients)
            assert growing.clients == clients
            assert figures.keys() == set(growth.CLIENT_KEYS)
            assert figures["worst"] > 0
        growing.memory_of_client(4)
        assert growing.clients == 4


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("side", [OURS, THEIRS, FLOOR])
def test_growth_with_sensors(side):
    with served(side, SETTINGS, sensors=5) as (server, load):
        load.call("open", port=server.hello)
        growing = growth.Growing(server, load, 5)
        for sensors in (10, 30):
            figures = growth.with_sensors(growing, SETTINGS, sensors)
            assert figures.keys() == set(growth.SENSOR_KEYS)
            assert (figures["add"] is None) == (side == FLOOR)
            assert load.call("repeat", name="sensor-list", times=2)["lines"] == 2 * (sensors + 1)


@pytest.mark.parametrize("side", [OURS, THEIRS])
def test_memory_of_sensors(side):
    with served(side, SETTINGS, sensors=1) as (server, load):
        assert growth.Growing(server, load, 1).memory_of_sensor(50)["size"] > 100


@pytest.mark.parametrize("side", [OURS, THEIRS])
def test_parsing_what_is_longer(side):
    assert growth.parsing(side, SETTINGS, b"?echo " + b"x" * 200_000 + b"\n", 200_000) > 0


def test_a_program_is_timed_as_users_run_it():
    found = startup.process(["-c", "import sys; sys.exit(sys.dont_write_bytecode)"])
    assert found["time"] > 0
    assert found["cpu"] > 0


def test_katcp_python_is_not_asked_of_a_python_that_is_too_new():
    assert peer.prepare(sys.executable) == (
        None,
        f"no katcp-python: it does not run on Python {sys.version_info[0]}.{sys.version_info[1]}",
    )


def test_katcp_python_is_not_there_without_an_interpreter(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert peer.prepare(None) == (None, "no katcp-python: no python3.9 was found")
    assert peer.prepare(str(tmp_path / "python")) == (
        None,
        "no katcp-python: FileNotFoundError in making its environment",
    )


def test_what_fails_in_a_child_is_told():
    with Child("load:Load") as load, pytest.raises(ChildError, match="ConnectionRefusedError"):
        load.call("open", port=1)
