"""Runs a row for a side in a process of its own. Law: it ends in its time, and so does all that it has started."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from .networks import remove
from .rows import ROWS, Figure, Result, Row, Skip

__all__ = ["MODULES", "ROOT", "main", "run", "stop_all"]

ROOT = Path(__file__).parents[2]
GRACE = 10  # seconds, after which a row ends itself if nobody has ended it
running: dict[int, subprocess.Popen] = {}  # the rows that run now
MODULES = ("abuse", "crowds", "endings", "networks", "strangers", "clients", "speed", "tools")


def run(subject: Row, side: str) -> Result:
    """Run one row for one side."""
    command = [sys.executable, "-m", "benchmarks.scorecard.one", subject.number, side]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True, text=True)
    running[process.pid] = process
    try:
        out, _ = process.communicate(timeout=subject.seconds)
    except subprocess.TimeoutExpired:
        result = Result(failed=f"not over in {subject.seconds:g} s")
    else:
        result = read(out, process.returncode)
    finally:
        end_group(process)
    result.seconds = round(time.monotonic() - began, 1)
    return result


def end_group(process: subprocess.Popen) -> None:
    """Kill what is left of a row: its process leads a group, in which all its children are."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    process.stdout.close()
    remove(process.pid)
    running.pop(process.pid, None)


def stop_all() -> None:
    """End the rows that run: nothing, unless this process was told to stop."""
    for process in list(running.values()):
        os.killpg(process.pid, signal.SIGKILL)


def read(out: str, code: int) -> Result:
    """Return what a row has written as its last line."""
    lines = out.strip().splitlines()
    if code != 0 or not lines:
        return Result(failed=f"the row itself ended with {code}")
    found = json.loads(lines[-1])
    return Result([Figure(**figure) for figure in found.pop("figures")], **found)


def main(number: str, side: str) -> None:
    """Run one row for one side in this process, and write its result."""
    signal.alarm(int(ROWS[number].seconds) + GRACE)
    result = Result()
    try:
        result.figures = ROWS[number].function(side)
    except Skip as skip:
        result.skipped = str(skip)
    except Exception as error:  # noqa: BLE001 - a row in which something unforeseen happens has failed, and says what
        result.failed = f"{type(error).__name__}: {error}"
    print(json.dumps(dataclasses.asdict(result)))
