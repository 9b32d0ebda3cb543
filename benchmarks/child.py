"""Other processes, told what to do over a pipe. Law: what is measured shares no interpreter with what loads it.

A role is a class named ``"module:Class"`` whose methods, plain or async, are called with JSON arguments and give back
JSON. ``Child`` is the parent's end; run as a module this file is the child.
"""

import asyncio
import cProfile
import gc
import inspect
import json
import logging
import os
import resource
import select
import subprocess
import sys
import time
import traceback
import tracemalloc
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

__all__ = ["PROFILES", "Child", "ChildError", "Role", "environment"]

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0  # seconds that one call may take
LONGEST = 1 << 24  # bytes of one call
PROFILES = "KATCP_BENCHMARK_PROFILES"  # a folder: each child leaves its cProfile there, and is slower for it
FAREWELL = 5.0  # seconds for a child to end by itself


class ChildError(Exception):
    """What was asked of a child failed; the text is the child's own."""


def environment() -> dict[str, str]:
    """That of a user's program: Python may keep what it compiles, even where a test machine has forbidden it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Child:
    """A process that plays a role. Use as a context manager.

    Args:
        program: what plays it, where that is not this Python: a command that gets the options as its last argument.
    """

    def __init__(self, role: str, loop: str = "asyncio", program: Sequence[str] = (), **options: Any) -> None:
        command = [*(program or (sys.executable, "-m", "benchmarks.child", role, loop)), json.dumps(options)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT, bufsize=0, env=environment())
        self._buffer = b""
        self.hello: Any = None

    def __enter__(self) -> Self:
        try:
            self.hello = self.result()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, what: str, **arguments: Any) -> None:
        """Ask for something, without waiting."""
        self._process.stdin.write(json.dumps([what, arguments]).encode() + b"\n")

    def result(self) -> Any:
        """Wait for the answer to what was begun.

        Raises:
            ChildError: it failed, took too long, or the child is gone.
        """
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._buffer:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise ChildError(f"no answer within {PATIENCE:g} s")
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            if not data:
                raise ChildError("the process has ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        ok, value = json.loads(line)
        if not ok:
            raise ChildError(value)
        return value

    def call(self, what: str, **arguments: Any) -> Any:
        """Ask, and wait for the answer."""
        self.begin(what, **arguments)
        return self.result()

    def close(self) -> None:
        """Have the child end, or kill it."""
        self._process.stdin.close()
        try:
            self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Role:
    """What all roles can do."""

    async def start(self) -> Any:
        """Get ready; what is returned is the parent's ``hello``."""

    async def stop(self) -> None:
        """Take down."""

    def usage(self) -> dict[str, float]:
        """CPU seconds used so far, and bytes of memory held now (at the peak, where the system does not tell)."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime
        return {"cpu": cpu, "rss": resident(used.ru_maxrss), "at": time.monotonic()}

    def trace(self) -> None:
        """Count the memory that Python allocates from now on."""
        gc.collect()
        tracemalloc.start()

    def traced(self) -> int:
        """Return the bytes allocated since :meth:`trace`, and still held; garbage does not count."""
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size


def resident(peak_kib: int) -> int:
    """Return the bytes of memory that this process holds."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_kib * (1 if sys.platform == "darwin" else 1024)
    return pages * os.sysconf("SC_PAGE_SIZE")


async def obey(role: Role) -> None:
    """Do what comes in on the standard input, until it ends."""
    loop = asyncio.get_running_loop()
    answer(True, await role.start())
    reader = asyncio.StreamReader(limit=LONGEST)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        what, arguments = json.loads(line)
        try:
            value = getattr(role, what)(**arguments)
            if inspect.isawaitable(value):
                value = await value
        except Exception as error:  # noqa: BLE001 - the parent is to hear of it
            traceback.print_exc()
            answer(False, f"{type(error).__name__}: {error}")
        else:
            answer(True, value)
    transport.close()
    await role.stop()


def answer(ok: bool, value: Any) -> None:
    """Tell the parent."""
    os.write(sys.stdout.fileno(), json.dumps([ok, value]).encode() + b"\n")


def main(role: str, loop: str, options: str) -> None:
    """Play a role until the parent closes the pipe."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it has a line for each thing sent to a client that is gone
    factory = import_module("uvloop").new_event_loop if loop == "uvloop" else None
    module, _, name = role.partition(":")
    make = getattr(import_module(f"benchmarks.{module}"), name)
    part = obey(make(**json.loads(options)))
    with asyncio.Runner(loop_factory=factory) as runner:
        if folder := os.environ.get(PROFILES):
            with cProfile.Profile() as profile:
                runner.run(part)
            profile.dump_stats(Path(folder) / f"{role.replace(':', '-')}-{os.getpid()}.prof")
        else:
            runner.run(part)


if __name__ == "__main__":
    main(*sys.argv[1:])
