"""Measures of starting: what a script or a shell waits for before anything is done."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .harness import FLOOR, LESS, OURS, THEIRS, Row, Settings, measure

__all__ = []

Figures = Iterator[dict[str, float]]

IMPORTS = {OURS: "import katcp_aio", THEIRS: "import aiokatcp", FLOOR: "import asyncio"}
KATCP = str(Path(sys.executable).with_name("katcp"))
VERSIONS = {OURS: [KATCP, "--version"], FLOOR: ["-c", "pass"]}


def process(arguments: list[str]) -> float:
    """Run a Python process to its end; return milliseconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1e3


@measure("startup", Row("time", "python -c 'import ...', the whole process", "ms", LESS))
def imports(side: str, _settings: Settings) -> Figures:
    while True:
        yield {"time": process(["-c", IMPORTS[side]])}


@measure("startup", Row("time", "katcp --version, the whole process", "ms", LESS, bound=250), sides=(OURS, FLOOR))
def version(side: str, _settings: Settings) -> Figures:
    while True:
        yield {"time": process(VERSIONS[side])}
