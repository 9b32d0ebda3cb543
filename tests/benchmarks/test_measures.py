"""Each kind of load runs, and counts what a device or a client really did. A blink of each: figures are no matter."""

import pytest

from benchmarks.child import Child, ChildError
from benchmarks.client import against
from benchmarks.harness import FLOOR, OURS, THEIRS, Settings
from benchmarks.served import names
from benchmarks.server import served

SETTINGS = Settings(seconds=0.02, rounds=1, quick=True)
BLINK = 0.02


@pytest.mark.parametrize("side", [OURS, THEIRS, FLOOR])
def test_load_on_a_device(side):
    with served(side, SETTINGS, {"reply": "!echo[1] ok a"}, sensors=30) as (server, load):
        load.call("open", port=server.hello, clients=3)
        assert load.call("pipelined", request="?echo[%d] a", seconds=BLINK, window=10, batch=5)["requests"] >= 30
        assert load.call("sequential", request="?watchdog[%d]", seconds=BLINK)["requests"] > 0
        assert load.call("listing", name="sensor-list", lines=30)["lines"] == 31
        assert load.call("subscribe", names=names(30), strategy="event")["lines"] == 3 * 31
        load.begin("receive", final="1234567")
        server.call("update", count=10, burst=5, final=1234567)
        assert load.result()["lines"] == 3 * 10
        load.call("close")
        assert load.call("connects", port=server.hello, seconds=BLINK)["requests"] > 0
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


def test_what_fails_in_a_child_is_told():
    with Child("load:Load") as load, pytest.raises(ChildError, match="ConnectionRefusedError"):
        load.call("open", port=1)
