"""How each cost grows with what a device has: clients, sensors, bytes, arguments. Law: each point does equal work.

A cost is CPU time of the process that is measured, unless its name says otherwise, so that it does not matter how busy
the machine is. What is sent at each point of a curve differs only in how many it is sent to or about.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from .child import Child, ChildError
from .harness import LESS, OURS, THEIRS, Row, Settings, measure
from .sensors import delivered
from .served import names
from .server import loaded, served
from .wire import PIECE, feed, timed

__all__ = ["Growing", "climb", "with_clients", "with_sensors"]

Figures = Iterator[dict[str, Any]]
Point = Callable[[int], dict[str, float | None]]

CLIENTS = (1, 10, 100, 1000)
SENSORS = (100, 1000, 10_000, 100_000)
BYTES = (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000)
ARGUMENTS = (1, 10, 100, 1000, 10_000, 100_000)
PLACES = 50  # of 1,000 clients, kept for those that come and go: a device of ours takes 1,000 at its defaults
LONGEST = {"clients": 30.0, "sensors": 40.0}  # seconds of one side's round; what is left then is left out
FLAT = 2.0  # caches are smaller than 100,000 sensors
INFORMS = 40_000  # delivered at each point
BURST = 20
LINES = 20_000  # of listings, at each point
SETS = 100_000  # of sensors, at each point


def curve(key: str, name: str, unit: str, axis: str, steps: Sequence[int], growth: float | None = None) -> list[Row]:
    """Return the rows of one curve; a point's figure is yielded under ``key/step``."""
    return [Row(f"{key}/{step}", name, unit, LESS, axis=axis, step=step, growth=growth) for step in steps]


def climb(side: str, keys: Sequence[str], steps: Sequence[int], seconds: float, point: Point) -> dict[str, Any]:
    """Return the figures of all points. What takes too long is left out, with the reason; ours is never left out."""
    ends, why = time.monotonic() + seconds, ""
    figures: dict[str, Any] = {}
    for step in steps:
        found: dict[str, float | None] = {}
        if not why and side != OURS and time.monotonic() >= ends:
            why = f"left out: the points before took more than {seconds:g} s"
        if not why:
            try:
                found = point(step)
            except ChildError as error:
                if side == OURS:
                    raise
                why = f"given up: {error}"
        figures |= {f"{key}/{step}": why or found.get(key) for key in keys}
    return figures


def amount(settings: Settings, wanted: int, each: int = 1) -> int:
    """How many times to do what counts ``each`` times, so that it is done ``wanted`` times; a quick run does less."""
    return max(1, wanted // (4 if settings.quick else 1) // each)


def several(settings: Settings, steps: Sequence[int]) -> Sequence[int]:
    """All points, or for a quick run all but the last, which take longest."""
    return steps[:-1] if settings.quick else steps


CLIENT_ROWS = [
    *curve("request", "pipelined ?watchdog, a request", "us", "clients", CLIENTS),
    *curve("fan-out", "one sensor set, event, each follows it; an inform", "us", "clients", CLIENTS),
    *curve("connect", "one more connects, asks, goes", "us", "clients", CLIENTS),
    *curve("worst", "worst wait of one while all others pipeline (elapsed)", "ms", "clients", CLIENTS),
]
CLIENT_KEYS = ("request", "fan-out", "connect", "worst")


class Growing:
    """A device that gets more and more of something.

    Args:
        server: the device.
        load: the clients.
        sensors: how many it has.
    """

    def __init__(self, server: Child, load: Child, sensors: int = 0) -> None:
        self.server = server
        self.load = load
        self.sensors = sensors
        self.clients = 0
        self.added = 0.0  # bytes allocated for sensors
        self.resident = server.call("usage")["rss"]

    def to_clients(self, wanted: int) -> None:
        """Have so many clients; a few less of the most, so that others find room."""
        wanted -= PLACES * (wanted == CLIENTS[-1])
        self.load.call("open", port=self.server.hello, clients=wanted - self.clients)
        self.clients = wanted

    def to_sensors(self, wanted: int) -> float | None:
        """Have so many sensors; return the seconds that adding one took, or None where there is nothing to measure."""
        cost = self.server.call("add_cost", count=wanted - self.sensors)
        self.sensors = wanted
        return cost

    def memory_of_client(self, clients: int) -> dict[str, float | None]:
        """The point of a curve."""
        self.to_clients(clients)
        return {"size": (self.server.call("usage")["rss"] - self.resident) / self.clients / 1024}

    def memory_of_sensor(self, sensors: int) -> dict[str, float | None]:
        """The point of a curve."""
        self.server.call("trace")
        self.to_sensors(sensors)
        self.added += self.server.call("traced")
        return {"size": self.added / sensors}


def with_clients(growing: Growing, other: Child, settings: Settings, clients: int) -> dict[str, float | None]:
    """Do everything once that depends on the number of clients."""
    growing.to_clients(clients)
    server, load = growing.server, growing.load
    seconds = settings.seconds / 3
    pipelined = {"request": "?watchdog[%d]", "seconds": seconds, "window": 20, "batch": 10}
    load.call("check", request="?watchdog[%d]")
    figures: dict[str, float | None] = {"request": loaded(server, load, "pipelined", **pipelined)["cpu"]}
    other.begin("sequential", request="?watchdog[%d]", seconds=seconds)
    load.call("pipelined", **pipelined)
    figures["worst"] = other.result()["worst"]
    load.call("subscribe", names=names(1), strategy="event")
    # Whole bursts, as the floor sends no others.
    updates = BURST * amount(settings, INFORMS, growing.clients * BURST)
    figures["fan-out"] = delivered(server, load, "update", count=updates, burst=BURST)["cpu"]
    figures["connect"] = loaded(server, load, "connects", port=server.hello, seconds=seconds)["cpu"]
    return figures


@measure("growth", *CLIENT_ROWS, rounds=2)
def by_clients(side: str, settings: Settings) -> Figures:
    yield {}  # the first point warms up the others, and is cheap
    while True:
        with served(side, settings, sensors=1) as (server, load), Child("load:Load") as other:
            other.call("open", port=server.hello)
            point = partial(with_clients, Growing(server, load, 1), other, settings)
            yield climb(side, CLIENT_KEYS, several(settings, CLIENTS), LONGEST["clients"], point)


@measure("growth", *curve("size", "memory, a client (resident)", "KiB", "clients", CLIENTS[1:]), rounds=1)
def memory_by_clients(side: str, settings: Settings) -> Figures:
    yield {}
    while True:
        with served(side, settings) as (server, load), Child("load:Load") as other:
            other.call("open", port=server.hello, clients=5)
            point = Growing(server, load).memory_of_client
            yield climb(side, ["size"], several(settings, CLIENTS[1:]), LONGEST["clients"], point)


SENSOR_ROWS = [
    *curve("add", "adding a sensor", "us", "sensors", SENSORS),
    *curve("unsampled", "setting a sensor that nobody samples", "us", "sensors", SENSORS, FLAT),
    *curve("sampled", "setting a sensor that one client samples, event", "us", "sensors", SENSORS, FLAT),
    *curve("list", "?sensor-list, a sensor", "us", "sensors", SENSORS),
    *curve("value", "?sensor-value, a sensor", "us", "sensors", SENSORS),
    *curve("bulk", "subscribing in bulk and stopping it, a sensor", "us", "sensors", SENSORS),
]
SENSOR_KEYS = ("add", "unsampled", "sampled", "list", "value", "bulk")


def with_sensors(growing: Growing, settings: Settings, sensors: int) -> dict[str, float | None]:
    """Do everything once that depends on the number of sensors."""
    server, load = growing.server, growing.load
    costs = {"add": growing.to_sensors(sensors), "unsampled": server.call("set_cost", count=amount(settings, SETS))}
    figures = {key: cost and cost * 1e6 for key, cost in costs.items()}  # the floor has none
    load.call("check", request="?watchdog[%d]")
    times = amount(settings, LINES, sensors)
    for key in ("list", "value"):
        got = loaded(server, load, "repeat", name=f"sensor-{key}", times=times)
        figures[key] = got["cpu"] / got["lines"]
    times = amount(settings, LINES, 2 * sensors)
    figures["bulk"] = spent(server, load, "resubscribe", names=names(sensors), times=times) / times / sensors
    load.call("subscribe", names=names(sensors), strategy="event")
    figures["sampled"] = delivered(server, load, "sweep", passes=amount(settings, INFORMS, sensors))["cpu"]
    load.call("subscribe", names=names(sensors), strategy="none")
    return figures


def spent(server: Child, load: Child, what: str, **arguments: Any) -> float:
    """Apply load, and return the server's CPU time in microseconds."""
    before = server.call("usage")["cpu"]
    load.call(what, **arguments)
    return (server.call("usage")["cpu"] - before) * 1e6


@measure("growth", *SENSOR_ROWS, rounds=3)
def by_sensors(side: str, settings: Settings) -> Figures:
    yield {}
    while True:
        with served(side, settings, sensors=SENSORS[0] // 2) as (server, load):
            load.call("open", port=server.hello)
            point = partial(with_sensors, Growing(server, load, SENSORS[0] // 2), settings)
            yield climb(side, SENSOR_KEYS, several(settings, SENSORS), LONGEST["sensors"], point)


@measure(
    "growth",
    *curve("size", "memory, a sensor (allocated)", "bytes", "sensors", SENSORS),
    sides=(OURS, THEIRS),
    rounds=1,
)
def memory_by_sensors(side: str, settings: Settings) -> Figures:
    yield {}
    with served(side, settings, sensors=1) as (server, load):
        point = Growing(server, load, 1).memory_of_sensor
        yield climb(side, ["size"], several(settings, SENSORS), LONGEST["sensors"], point)


def parsing(side: str, settings: Settings, line: bytes, count: int) -> float:
    """Return the microseconds that parsing a line takes for each of ``count`` things in it."""
    pieces = [line[at : at + PIECE] for at in range(0, len(line), PIECE)]
    take = feed(side)
    rounds = timed(settings, count, lambda: [take(piece) for piece in pieces])
    next(rounds)
    return next(rounds)["time"]


@measure("growth", *curve("time", "parsing an argument, a byte", "ns", "bytes", BYTES), sides=(OURS, THEIRS), rounds=2)
def by_bytes(side: str, settings: Settings) -> Figures:
    yield {}
    while True:
        yield {
            f"time/{count}": parsing(side, settings, b"?echo[1] " + b"x" * count + b"\n", count) * 1e3
            for count in several(settings, BYTES)
        }


@measure(
    "growth",
    *curve("time", "parsing a line, an argument", "us", "arguments", ARGUMENTS),
    sides=(OURS, THEIRS),
    rounds=2,
)
def by_arguments(side: str, settings: Settings) -> Figures:
    yield {}
    while True:
        yield {
            f"time/{count}": parsing(side, settings, b"?echo[1]" + b" argument" * count + b"\n", count)
            for count in several(settings, ARGUMENTS)
        }
