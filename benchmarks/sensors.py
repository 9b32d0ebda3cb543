"""Measures of sampling: fan-out, sweeps, subscriptions, periods."""

from collections.abc import Iterator
from itertools import count

from .child import Child
from .harness import EVERYONE, LESS, OURS, THEIRS, Row, Settings, measure
from .served import names
from .server import SENSORS, loaded, served

__all__ = ["FINALS", "delivered"]

Figures = Iterator[dict[str, float]]
FINALS = count(900_000_001)  # values that end a round; never used before, so that none is mistaken for another


def delivered(server: Child, load: Child, what: str, **arguments: int) -> dict[str, float]:
    """Have the device set sensors, and return how many informs a second came out, and at what CPU time of its."""
    final = next(FINALS)
    before = server.call("usage")["cpu"]
    load.begin("receive", final=str(final))
    began = server.call(what, final=final, **arguments)
    got = load.result()
    cpu = server.call("usage")["cpu"] - before
    return {"rate": got["lines"] / (got["ended"] - began), "cpu": cpu / got["lines"] * 1e6, "lines": got["lines"]}


def fan_out(side: str, settings: Settings, burst: int) -> Figures:
    """One sensor that many clients follow."""
    clients, updates = 50, 200 if settings.quick else 2000
    with served(side, settings, sensors=1) as (server, load):
        load.call("open", port=server.hello, clients=clients)
        load.call("subscribe", names=names(1), strategy="event")
        while True:
            got = delivered(server, load, "update", count=updates, burst=burst)
            yield got | {"kept": 100 * got["lines"] / (clients * updates)}


@measure(
    "sensors",
    Row("rate", "one sensor set in bursts of 20, event, 50 clients: delivered", "informs/s", target=10),
    Row("cpu", "... CPU time an inform", "us", LESS),
    Row("kept", "... of the updates that were made", "%"),
    sides=EVERYONE,
)
def bursts(side: str, settings: Settings) -> Figures:
    return fan_out(side, settings, 20)


@measure(
    "sensors",
    Row("rate", "one sensor set once a turn, event, 50 clients: delivered", "informs/s"),
    Row("cpu", "... CPU time an inform", "us", LESS),
    Row("kept", "... of the updates that were made", "%"),
    sides=EVERYONE,
)
def single(side: str, settings: Settings) -> Figures:
    return fan_out(side, settings, 1)


@measure(
    "sensors",
    Row("rate", "10,000 sensors, event, one client, all set in turn", "informs/s", target=5),
    Row("cpu", "... CPU time an inform", "us", LESS),
    Row("kept", "... of the updates that were made", "%"),
)
def swept(side: str, settings: Settings) -> Figures:
    passes = 2 if settings.quick else 5
    with served(side, settings, sensors=SENSORS) as (server, load):
        load.call("open", port=server.hello)
        load.call("subscribe", names=names(SENSORS), strategy="event")
        while True:
            got = delivered(server, load, "sweep", passes=passes)
            yield got | {"kept": 100 * got["lines"] / (SENSORS * passes + 1)}


@measure(
    "sensors",
    Row("rate", "10,000 sensors subscribed in one request", "sensors/s", target=8),
    Row("cpu", "... CPU time a sensor", "us", LESS),
)
def bulk(side: str, settings: Settings) -> Figures:
    with served(side, settings, sensors=SENSORS) as (server, load):
        load.call("open", port=server.hello)
        while True:
            got = loaded(server, load, "subscribe", names=names(SENSORS), strategy="event")
            load.call("subscribe", names=names(SENSORS), strategy="none")
            yield {"rate": SENSORS / got["seconds"], "cpu": got["cpu"] / SENSORS}


@measure("sensors", Row("cost", "setting a sensor that nobody samples", "us", LESS, target=1), sides=(OURS, THEIRS))
def unsampled(side: str, settings: Settings) -> Figures:
    with served(side, settings, sensors=1) as (server, _):
        while True:
            yield {"cost": server.call("set_cost", count=50_000) * 1e6}


@measure(
    "sensors",
    Row("p50", "10,000 sensors, period 1: lateness, median", "ms", LESS),
    Row("worst", "... worst", "ms", LESS, bound=50),
    Row("share", "... CPU used, of one core", "%", LESS, bound=25),
    sides=(OURS, THEIRS),
    rounds=1,
)
def periods(side: str, settings: Settings) -> Figures:
    seconds = 3 if settings.quick else 10
    yield {}  # nothing to warm up
    with served(side, settings, sensors=SENSORS) as (server, load):
        load.call("open", port=server.hello)
        load.begin("periods", names=names(SENSORS), seconds=seconds)
        before = server.call("usage")
        got = load.result()
        after = server.call("usage")
        yield got | {"share": 100 * (after["cpu"] - before["cpu"]) / (after["at"] - before["at"])}
