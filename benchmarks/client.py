"""Measures of a client, against a device of canned answers in another process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .child import Child
from .harness import LESS, OURS, THEIRS, Row, Settings, measure
from .sensors import FINALS
from .server import SENSORS

__all__ = []

Figures = Iterator[dict[str, float]]


@contextmanager
def against(role: str, settings: Settings, sensors: int = 0) -> Iterator[Any]:
    """Run the canned device, and a client of that role; yield both. The device is on asyncio for all of them."""
    with (
        Child("device:Device", sensors=sensors) as device,
        Child(role, settings.loop, port=device.hello, sensors=sensors) as client,
    ):
        yield device, client


def asked(side: str, settings: Settings, what: str) -> Figures:
    """Requests a second, and CPU time for each."""
    with against(f"{side}:Client", settings) as (_, client):
        while True:
            before = client.call("usage")["cpu"]
            got = client.call(what, seconds=settings.seconds)
            cpu = client.call("usage")["cpu"] - before
            yield {"rate": got["requests"] / got["seconds"], "cpu": cpu / got["requests"] * 1e6}


@measure(
    "client",
    Row("rate", "sequential ?watchdog", "requests/s", target=1.2),
    Row("cpu", "... CPU time a request", "us", LESS),
)
def sequential(side: str, settings: Settings) -> Figures:
    return asked(side, settings, "sequential")


@measure(
    "client",
    Row("rate", "100 ?watchdog in flight", "requests/s", target=4),
    Row("cpu", "... CPU time a request", "us", LESS),
)
def in_flight(side: str, settings: Settings) -> Figures:
    return asked(side, settings, "in_flight")


@measure("client", Row("rate", "informs given to a callback", "informs/s", target=5))
def informs(side: str, settings: Settings) -> Figures:
    count = 20_000 if settings.quick else 100_000
    with against(f"{side}:Client", settings) as (device, client):
        while True:
            client.call("listen", count=count)
            client.begin("hear_all")
            began = device.call("inform", count=count)
            yield {"rate": count / (client.result() - began)}


@measure("client", Row("rate", "?sensor-value of 10,000 sensors, decoded", "sensors/s", target=3), sides=(OURS, THEIRS))
def values(side: str, settings: Settings) -> Figures:
    with against(f"{side}:Client", settings, SENSORS) as (_, client):
        while True:
            got = client.call("values", seconds=settings.seconds)
            yield {"rate": got["sensors"] / got["seconds"]}


@measure(
    "client",
    Row("time", "connect, and follow 10,000 sensors", "s", LESS, target=4),
    Row("rate", "updates of followed sensors", "updates/s", target=6),
    sides=(OURS, THEIRS),
    rounds=5,
)
def following(side: str, settings: Settings) -> Figures:
    passes = 2 if settings.quick else 5
    while True:
        with against(f"{side}:Follower", settings, SENSORS) as (device, client):
            taken = client.call("follow")
            final = next(FINALS)
            client.call("expect", final=final)
            client.begin("told_all")
            began = device.call("update", passes=passes, final=final)
            ended = client.result()
            client.call("disconnect")
            yield {"time": taken, "rate": (SENSORS * passes + 1) / (ended - began)}


@measure(
    "client", Row("time", "connect, and find out what 10,000 sensors there are", "s", LESS), sides=(OURS,), rounds=5
)
def discovery(side: str, settings: Settings) -> Figures:
    with against(f"{side}:Finder", settings, SENSORS) as (_, client):
        while True:
            yield {"time": client.call("follow")}
            client.call("disconnect")


@measure(
    "client",
    Row("time", "connect to 64 devices, and follow 1,000 sensors of each", "s", LESS, bound=10),
    Row("cpu", "... CPU time", "s", LESS),
    sides=(OURS, THEIRS),
    rounds=3,
)
def grouped(side: str, settings: Settings) -> Figures:
    devices = 64
    with against(f"{side}:Group", settings, 1000) as (device, client):
        ports = [device.hello, *(device.call("listen") for _ in range(devices - 1))]
        yield {}  # it takes long enough to need no warming up
        while True:
            before = client.call("usage")["cpu"]
            taken = client.call("follow", ports=ports)
            yield {"time": taken, "cpu": client.call("usage")["cpu"] - before}
            client.call("disconnect")


@measure(
    "client",
    Row("size", "a followed sensor (allocated, of 10,000)", "bytes", LESS, target=1),
    sides=(OURS, THEIRS),
    rounds=1,
)
def followed(side: str, settings: Settings) -> Figures:
    yield {}  # nothing to warm up
    with against(f"{side}:Follower", settings, SENSORS) as (_, client):
        client.call("trace")
        client.call("follow")
        yield {"size": client.call("traced") / SENSORS}
        client.call("disconnect")
