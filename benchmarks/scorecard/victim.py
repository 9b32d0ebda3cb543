"""A device in a process of its own, watched from outside. Law: what it logs, holds and uses is the system's word."""

import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from .raw import Raw
from .rows import OLDER
from .running import ROOT

__all__ = ["Victim", "older", "until"]

PATIENCE = 10.0  # seconds for a device to say where it listens
TICK = os.sysconf("SC_CLK_TCK")
OWN_PYTHON = "SCORECARD_KATCP_PYTHON"  # by this a row is told which interpreter has katcp-python
TRACEBACK = re.compile(rb"Traceback \(most recent call last\)")


class Victim:
    """A device of one side; use as a context manager.

    Args:
        side: whose.
        files: bound on its open files, if any.
        options: of the device.
    """

    def __init__(self, side: str, *, files: int | None = None, prefix: tuple[str, ...] = (), **options: Any) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed on the way out
        device = [sys.executable, "-m", "benchmarks.scorecard.devices", side]
        if side == OLDER:
            device = [older() or sys.executable, str(Path(__file__).with_name("older.py"))]
        command = [*prefix, *device, json.dumps(options)]

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self._log,
            preexec_fn=limit if files else None,  # noqa: PLW1509 - there are no threads
        )
        self.port = 0

    def __enter__(self) -> Self:
        ready = select.select([self.process.stdout], [], [], PATIENCE)[0]
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.__exit__()
            raise RuntimeError("the device does not start")
        self.port = json.loads(line)["port"]
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._log.close()

    def connect(self, *, timeout: float = 5.0, host: str = "127.0.0.1") -> Raw:
        """Return a new client that was greeted."""
        return Raw.connect((host, self.port), timeout=timeout)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait_end(self, timeout: float) -> float:
        """Wait for the process to end, and return the seconds; infinity if it does not."""
        began = time.monotonic()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return float("inf")
        return time.monotonic() - began

    def status(self, key: str) -> int:
        """A line of /proc/PID/status: ``VmRSS`` and ``VmHWM`` in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"the system does not tell {key}")

    def rss(self) -> int:
        """Bytes of memory held now."""
        return self.status("VmRSS")

    def forget_peak(self) -> None:
        """Start to look for the peak of memory anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def peak(self) -> int:
        """Bytes of memory held at the peak."""
        return self.status("VmHWM")

    def files(self) -> int:
        """How many files it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICK

    def log(self) -> bytes:
        """All that it has written to its standard error."""
        self._log.seek(0)
        return self._log.read()

    def log_lines(self) -> int:
        return self.log().count(b"\n")

    def tracebacks(self) -> int:
        return len(TRACEBACK.findall(self.log()))


def older() -> str | None:
    """An interpreter that has katcp-python, if there is one."""
    return os.environ.get(OWN_PYTHON)


def until(look: Callable[[], bool], seconds: float) -> float:
    """Wait until ``look()`` is true, and return the seconds; infinity if it never was in its time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if look():
            return time.monotonic() - began
        time.sleep(0.02)
    return float("inf")
