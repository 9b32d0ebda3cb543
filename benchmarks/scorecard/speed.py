"""Rows of how many and how fast, and of what is left after a long time; speed itself is measured by ``benchmarks``."""

import random
import time
from contextlib import contextmanager

from .. import harness
from ..harness import Settings
from ..served import names
from ..server import served
from .raw import Raw, Witness
from .rows import DEVICES, OLDER, OURS, THEIRS, Figure, row
from .victim import Victim, older

__all__ = []

SOAK = 60.0  # seconds
SIDES = {OURS: harness.OURS, THEIRS: harness.THEIRS, OLDER: harness.OLDER}  # as the benchmarks call them


@contextmanager
def loaded(side: str, **options):
    """Run a device of the benchmarks, and its load."""
    with served(SIDES[side], Settings(katcp_python=older()), **options) as (server, load):
        yield server, load


@row("25", "?sensor-list, ?sensor-value and bulk sampling of 10,000 sensors", seconds=60.0, sides=DEVICES)
def listings(side: str) -> list[Figure]:
    figures = []
    with Victim(side, sensors=10_000) as victim:
        asker = victim.connect(timeout=20)
        bulk = ",".join(f"rack.unit.level-{number:06d}" for number in range(10_000)).encode()
        for what, request in (
            ("?sensor-list", b"?sensor-list[1]\n"),
            ("?sensor-value", b"?sensor-value[1]\n"),
            ("bulk ?sensor-sampling", b"?sensor-sampling[1] %b event\n" % bulk),
        ):
            worst = []
            for _ in range(3):  # once may meet the machine at a bad moment: the median counts
                with Witness(("127.0.0.1", victim.port), pause=0.0005) as witness:
                    asker.send(request)
                    asker.swallow(b"[1] ok", 20)
                worst.append(witness.worst)
            figures.append(Figure(f"other client during {what}, worst", sorted(worst)[1], "ms", at_most=20))
    return figures


@row("26", "one sensor, 100 subscribers, 2,000 updates", seconds=60.0, sides=DEVICES)
def fan_out(side: str) -> list[Figure]:
    with loaded(side, sensors=1) as (server, load):
        load.call("open", port=server.hello, clients=100)
        load.call("subscribe", names=names(1), strategy="event")
        rates = []
        for final in (7_000_001, 7_000_002, 7_000_003):
            load.begin("receive", final=str(final))
            began = server.call("update", count=2000, burst=20, final=final)
            got = load.result()
            rates.append(got["lines"] / (got["ended"] - began))
        complete = got["lines"] / 200_000
        return [
            Figure("deliveries", sorted(rates)[1], "informs/s", at_least=60_000),
            Figure("updates that came", complete * 100, "%", note="a client that is behind gets only the newest"),
        ]


@row("27", "?watchdog pipelined by one client, and one after another", sides=DEVICES)
def requests(side: str) -> list[Figure]:
    with loaded(side) as (server, load):
        load.call("open", port=server.hello)
        got = load.call("pipelined", request="?watchdog[%d]", seconds=2.0)
        trips = load.call("sequential", request="?watchdog[%d]", seconds=2.0)
        return [
            Figure("pipelined", got["requests"] / got["seconds"], "requests/s", at_least=15_000),
            Figure("round trip, median", trips["p50"], "us", at_most=250),
        ]


@row(
    "28",
    "a minute of clients that come, subscribe, ask and go, and of sensors that come and go",
    seconds=110.0,
    quick=False,
)
def soak(side: str) -> list[Figure]:
    rng = random.Random(28)
    with Victim(side, sensors=50) as victim:
        look = victim.connect()
        churn(victim, rng, 10.0)  # warms up
        base, files = victim.rss(), victim.files()
        tasks, slow, objects = look.inside()
        count = churn(victim, rng, SOAK)
        time.sleep(1.5)
        now = look.inside(20)
        return [
            Figure("clients that came and went", count, at_least=SOAK * 50),
            Figure("memory more", (victim.rss() - base) / (1 << 20), "MiB", at_most=1),
            Figure("tasks left", now[0] - tasks, at_most=0),
            Figure("handlers left", now[1] - slow, at_most=0),
            Figure("open files left", victim.files() - files, at_most=0),
            Figure("objects left", now[2] - objects, at_most=200),
            Figure("warnings and tracebacks", victim.log().count(b"Warning") + victim.tracebacks(), at_most=0),
        ]


def churn(victim: Victim, rng: random.Random, seconds: float) -> int:
    """Connect a hundred times a second, do something, and go in one of several ways; return how often."""
    count, began = 0, time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        if count > elapsed * 100:
            time.sleep(0.005)
            continue
        client: Raw = victim.connect()
        name = f"churn-{rng.randrange(20)}".encode()
        client.send(b"?sensor-sampling rack.unit.level-%06d event\n?watchdog\n" % rng.randrange(50))
        client.send(rng.choice([b"?slow[1] 0.05\n", b"?churn %b\n" % name, b"?sensor-list[1]\n", b"?watchdo", b""]))
        rng.choice([client.close, client.reset])()
        count += 1
    return count
