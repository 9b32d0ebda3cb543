"""Measures of memory; each round is a fresh process.

What Python allocates is the same each time, so that one round is enough.
"""

from collections.abc import Iterator

from .harness import EVERYONE, LESS, OURS, THEIRS, Row, Settings, measure
from .served import names
from .server import SENSORS, served

__all__ = []

Figures = Iterator[dict[str, float]]
CLIENTS = 200


@measure(
    "memory",
    Row("size", "an idle client of a device (resident, of 200)", "KiB", LESS, target=6, bound=12),
    sides=EVERYONE,
)
def connection(side: str, settings: Settings) -> Figures:
    while True:
        with served(side, settings) as (server, load):
            load.call("open", port=server.hello, clients=5)
            before = server.call("usage")["rss"]
            load.call("open", port=server.hello, clients=CLIENTS)
            yield {"size": (server.call("usage")["rss"] - before) / CLIENTS / 1024}


@measure(
    "memory", Row("size", "a sensor (allocated, of 10,000)", "bytes", LESS, target=1), sides=(OURS, THEIRS), rounds=1
)
def sensor(side: str, settings: Settings) -> Figures:
    yield {}  # nothing to warm up
    with served(side, settings, sensors=1) as (server, _):
        server.call("trace")
        server.call("add_sensors", count=SENSORS)
        yield {"size": server.call("traced") / SENSORS}


@measure(
    "memory",
    Row("size", "a subscription (allocated, of 10,000)", "bytes", LESS, target=2),
    sides=(OURS, THEIRS),
    rounds=1,
)
def subscription(side: str, settings: Settings) -> Figures:
    yield {}  # nothing to warm up
    with served(side, settings, sensors=SENSORS) as (server, load):
        load.call("open", port=server.hello)
        server.call("trace")
        load.call("subscribe", names=names(SENSORS), strategy="event")
        yield {"size": server.call("traced") / SENSORS}
