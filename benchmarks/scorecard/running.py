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

__all__ = ["MODULES", "ROOT", "main", "run"]

ROOT = Path(__file__).parents[2]
MODULES = ("abuse", "crowds", "endings", "networks", "strangers", "clients", "speed", "tools")


def run(subject: Row, side: str) -> Result:
    """Run one row for one side."""
    command = [sys.executable, "-m", "benchmarks.scorecard.one", subject.number, side]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True, text=True)
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


def read(out: str, code: int) -> Result:
    """Return what a row has written as its last line."""
    lines = out.strip().splitlines()
    if code != 0 or not lines:
        return Result(failed=f"the row itself ended with {code}")
    found = json.loads(lines[-1])
    return Result([Figure(**figure) for figure in found.pop("figures")], **found)


def main(number: str, side: str) -> None:
    """Run one row for one side in this process, and write its result."""
    result = Result()
    try:
        result.figures = ROWS[number].function(side)
    except Skip as skip:
        result.skipped = str(skip)
    except Exception as error:  # noqa: BLE001 - a row in which something unforeseen happens has failed, and says what
        result.failed = f"{type(error).__name__}: {error}"
    print(json.dumps(dataclasses.asdict(result)))
