"""Measures of starting: what a script or a shell waits for before anything is done.

As for a user, what Python compiled the first time is there the next: the round before those that count sees to that.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .child import environment
from .harness import FLOOR, LESS, OURS, THEIRS, Row, Settings, measure

__all__ = []

Figures = Iterator[dict[str, float]]

LIBRARIES = {OURS: "katcp_aio", THEIRS: "aiokatcp"}
KATCP = str(Path(sys.executable).with_name("katcp"))
VERSIONS = {OURS: [KATCP, "--version"], FLOOR: ["-c", "pass"]}


def process(arguments: list[str]) -> dict[str, float]:
    """Run a Python process to its end; return the milliseconds that it took, and those of CPU time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment())
    taken, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"time": taken * 1e3, "cpu": cpu * 1e3}


def importing(side: str, name: str) -> dict[str, float]:
    """Import what a program of that kind is made with: a package need not load what nobody has asked it for."""
    return process(["-c", "import asyncio" if side == FLOOR else f"from {LIBRARIES[side]} import {name}"])


@measure(
    "startup",
    Row("time", "python -c 'from ... import Client', the whole process", "ms", LESS),
    Row("cpu", "... CPU time", "ms", LESS),
)
def client(side: str, _settings: Settings) -> Figures:
    while True:
        yield importing(side, "Client")


@measure(
    "startup",
    Row("time", "python -c 'from ... import DeviceServer, Sensor', the whole process", "ms", LESS),
    Row("cpu", "... CPU time", "ms", LESS),
)
def device(side: str, _settings: Settings) -> Figures:
    while True:
        yield importing(side, "DeviceServer, Sensor")


@measure(
    "startup",
    Row("time", "katcp --version, the whole process", "ms", LESS, bound=250),
    Row("cpu", "... CPU time", "ms", LESS),
    sides=(OURS, FLOOR),
)
def version(side: str, _settings: Settings) -> Figures:
    while True:
        yield process(VERSIONS[side])
