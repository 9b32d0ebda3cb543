"""Measures of a device under load."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .child import ROOT, Child
from .harness import EVERYONE, FLOOR, LESS, OLDER, Row, Settings, measure

__all__ = ["SENSORS", "loaded", "served"]

SENSORS = 10_000
Figures = Iterator[dict[str, float]]


@contextmanager
def served(side: str, settings: Settings, floor: dict[str, Any] | None = None, **options: Any) -> Iterator[Any]:
    """Run a device of that side and a load generator; yield both. ``floor`` are options of the floor alone."""
    if side == FLOOR:
        options |= floor or {}
    program = (settings.katcp_python, str(ROOT / "benchmarks" / "older.py")) if side == OLDER else ()
    with Child(f"{side}:Server", settings.loop, program, **options) as server, Child("load:Load") as load:
        yield server, load


def loaded(server: Child, load: Child, what: str, **arguments: Any) -> dict[str, float]:
    """Apply load, and return its figures with the server's CPU time a request, in microseconds."""
    before = server.call("usage")["cpu"]
    got = load.call(what, **arguments)
    got["cpu"] = (server.call("usage")["cpu"] - before) / got.get("requests", 1) * 1e6
    got["rate"] = got.get("requests", 0) / got["seconds"]
    return got


def pipelined(
    side: str, settings: Settings, request: str, reply: str, clients: int = 1, **load_options: Any
) -> Figures:
    """The common part of all measures with requests in flight."""
    if settings.quick and not load_options:  # what is in flight when the time is over counts, and slow ones take long
        load_options = {"window": 1500, "batch": 500}
    with served(side, settings, {"reply": reply}) as (server, load):
        load.call("open", port=server.hello, clients=clients)
        while True:
            load.call("check", request=request)
            yield loaded(server, load, "pipelined", request=request, seconds=settings.seconds, **load_options)


@measure(
    "server",
    Row("rate", "pipelined ?watchdog, one client", "requests/s", target=10),
    Row("cpu", "... CPU time a request", "us", LESS),
    sides=EVERYONE,
)
def watchdog(side: str, settings: Settings) -> Figures:
    return pipelined(side, settings, "?watchdog[%d]", "")


@measure("server", Row("rate", "pipelined ?watchdog without ids", "requests/s", target=10))
def watchdog_without_ids(side: str, settings: Settings) -> Figures:
    return pipelined(side, settings, "?watchdog", "")


@measure(
    "server",
    Row("rate", "pipelined ?echo of three arguments", "requests/s", target=7),
    Row("cpu", "... CPU time a request", "us", LESS),
    sides=EVERYONE,
)
def echo(side: str, settings: Settings) -> Figures:
    return pipelined(side, settings, "?echo[%d] alpha 12.5 third", "!echo[1] ok alpha 12.5 third")


@measure(
    "server",
    Row("rate", "... with a blank in one of them", "requests/s"),
    Row("cpu", "... CPU time a request", "us", LESS),
)
def echo_escaped(side: str, settings: Settings) -> Figures:
    return pipelined(side, settings, r"?echo[%d] alpha 12.5 the\_third", r"!echo[1] ok alpha 12.5 the\_third")


@measure(
    "server",
    Row("rate", "pipelined request, typed int and float", "requests/s", target=7),
    Row("cpu", "... CPU time a request", "us", LESS),
)
def typed(side: str, settings: Settings) -> Figures:
    return pipelined(side, settings, "?add[%d] 17 2.5", "!add[1] ok 19.5")


@measure("server", Row("rate", "50 clients pipelining ?watchdog", "requests/s", target=8))
def fifty(side: str, settings: Settings) -> Figures:
    return pipelined(side, settings, "?watchdog[%d]", "", clients=50, window=40, batch=20)


@measure(
    "server",
    Row("rate", "sequential ?watchdog", "requests/s", target=1),
    Row("p50", "... round trip, median", "us", LESS, bound=250),
    Row("p99", "... round trip, 99th percentile", "us", LESS),
    Row("cpu", "... CPU time a request", "us", LESS, target=1 / 0.7),
)
def sequential(side: str, settings: Settings) -> Figures:
    with served(side, settings) as (server, load):
        load.call("open", port=server.hello)
        while True:
            yield loaded(server, load, "sequential", request="?watchdog[%d]", seconds=settings.seconds)


@measure(
    "server",
    Row("rate", "connect, ?watchdog, disconnect", "connections/s", target=2),
    Row("cpu", "... CPU time a connection", "us", LESS),
    sides=EVERYONE,
)
def connects(side: str, settings: Settings) -> Figures:
    together = 4 if side == OLDER else 20  # it lets no more than five wait; others would try again after a second
    with served(side, settings) as (server, load):
        while True:
            yield loaded(server, load, "connects", port=server.hello, seconds=settings.seconds, together=together)


@measure(
    "server",
    Row("speed", "?echo of an argument of 1 MB", "MB/s", target=1.5),
    Row("cpu", "... CPU time a MB", "us", LESS),
)
def large(side: str, settings: Settings) -> Figures:
    with served(side, settings, {"mirror": True}) as (server, load):
        load.call("open", port=server.hello)
        while True:
            got = loaded(server, load, "large", size=1_000_000, seconds=settings.seconds)
            yield got | {"speed": got["rate"]}


def listing(side: str, settings: Settings, name: str) -> Figures:
    """One long reply, and another client beside it."""
    with served(side, settings, sensors=SENSORS) as (server, load):
        load.call("open", port=server.hello, clients=2)
        while True:
            got = loaded(server, load, "listing", name=name, lines=SENSORS)
            yield {"rate": SENSORS / got["seconds"], "worst": got["worst"], "cpu": got["cpu"] / SENSORS}


@measure(
    "server",
    Row("rate", "?sensor-list of 10,000 sensors", "sensors/s", target=8),
    Row("cpu", "... CPU time a sensor", "us", LESS),
    Row("worst", "... worst ?watchdog of another client", "ms", LESS, bound=10),
    sides=EVERYONE,
)
def sensor_list(side: str, settings: Settings) -> Figures:
    return listing(side, settings, "sensor-list")


@measure(
    "server",
    Row("rate", "?sensor-value of 10,000 sensors", "sensors/s", target=3),
    Row("cpu", "... CPU time a sensor", "us", LESS),
    Row("worst", "... worst ?watchdog of another client", "ms", LESS, bound=10),
    sides=EVERYONE,
)
def sensor_value(side: str, settings: Settings) -> Figures:
    return listing(side, settings, "sensor-value")
