"""A device in a process of its own under ten minutes of comings and goings: ``python -m fuzz.soak [SECONDS]``.

Clients connect, ask, subscribe, lose patience and leave in every way that TCP has, while sensors and requests come and
go. After a first part, and again at the end, all of it pauses: tasks, file descriptors and objects must then be as many
as they were, and memory as much. Everything stays on the loopback interface of this machine.
"""

import asyncio
import collections
import contextlib
import ctypes
import gc
import logging
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from katcp_aio import DeviceClient, DeviceServer, KatcpError, Limits, RequestContext, Sensor
from katcp_aio.testing import Peer

__all__ = ["Device", "main"]

_VISITORS = 20  # at a time
_FOLLOWERS = 3  # clients that stay
_SENSORS = [f"s{number}" for number in range(50)]
_WARM_UP = 0.3  # of the time
_PAUSE = 7.0  # s for what is ending to end, and for what is given up to be forgotten (Limits.late_timeout)
_MEMORY = 4.0  # MiB that a process may grow by after that: its allocator keeps what is in pieces
_OBJECTS = 0.1  # the same for objects that the garbage collector knows, as a part of them; clients vary
_TROUBLE = ("Traceback", "never retrieved", "never awaited", "ResourceWarning", "Exception ignored")

Figures = dict[str, float]


def figures() -> Figures:
    """What this process holds."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # not in every C library
        ctypes.CDLL(None).malloc_trim(0)  # otherwise one burst of clients would show for ever
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "MiB": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - counted, not used
        "objects": len(gc.get_objects()),
    }


class Device(DeviceServer):
    """What is worn."""

    VERSION = "soak-1.0"
    BUILD_STATE = "soak-1.0.0"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, limits=Limits(max_abandoned=20), **options)
        for name in _SENSORS:
            self.sensors.add(Sensor(int, name))
        self.lively = asyncio.Event()
        self.add_service_task(self.live)

    async def live(self) -> None:
        """Change readings all the time, and sensors and requests now and then."""
        while True:
            await self.lively.wait()
            await asyncio.sleep(0.01)
            for sensor in random.sample(list(self.sensors.values()), 10):
                sensor.value = random.randrange(1000)
            if random.random() < 0.05:
                name = random.choice(_SENSORS)
                self.sensors.discard(name)
                self.sensors.add(Sensor(int, name, f"Number {random.randrange(3)}"))
                self.add_request("extra", self.request_wait)

    async def request_wait(self, ctx: RequestContext, seconds: float) -> float:
        """Take a while."""
        await asyncio.sleep(seconds)
        return seconds

    async def request_rows(self, ctx: RequestContext, count: int) -> AsyncIterator[tuple[int, str]]:
        """Send many informs."""
        for row in range(count):
            yield row, "x" * 100

    def request_pause(self, ctx: RequestContext, pause: bool) -> None:
        """Let sensors be, or no longer."""
        if pause:
            self.lively.clear()
        else:
            self.lively.set()

    def request_figures(self, ctx: RequestContext) -> tuple[float, ...]:
        """Tell what this process holds."""
        return tuple(figures().values())


async def visit(host: str, port: int) -> str:
    """Come, ask for this and that, and leave in one of the ways there are."""
    peer = await Peer.connect(host, port)
    names = ",".join(random.sample(_SENSORS, 5))
    way = random.choice(["event", "period 0.01", "event-rate 0.01 1", "differential 10", "auto"])
    lines = [
        f"?sensor-sampling[1] {names} {way}",
        "?rows[2] 50",
        "?wait[3] 0.05",
        "?wait[4] 1",
        "?wait 0.01",
        "?sensor-value[5]",
        "?help[6]",
        "?nonsense",
        "junk",
        "?sensor-sampling-clear[7]",
    ]
    peer.send(*random.sample(lines, random.randrange(1, len(lines))))
    if random.random() < 0.2:
        peer.pause()
    await asyncio.sleep(random.uniform(0, 0.3))
    how = random.choice(["close", "reset", "half-close"])
    if peer.lost:
        how = "dropped"
    elif how == "half-close":
        peer.half_close()
        await asyncio.sleep(0.05)
    if how == "reset":
        peer.abort()
    await peer.close()
    return how


async def follow(device: DeviceClient) -> str:
    """Use the client as a program would that changes its mind."""
    name = random.choice(_SENSORS)
    try:
        async with asyncio.timeout(random.uniform(0, 0.3)):
            what = random.randrange(4)
            if what == 0:
                await device.request("wait", random.uniform(0, 0.4))
            elif what == 1:
                await device.read("/s1/")
            elif what == 2 and name in device.sensor:
                async with device.sensor[name].readings("event") as readings:
                    async for _ in readings:
                        pass
            else:
                async for _ in device.stream("rows", 100):
                    pass
    except TimeoutError:
        return "impatient"
    except KatcpError as error:
        return type(error).__name__
    return "answered"


class Soak:
    """The clients' side."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.outcomes: collections.Counter[str] = collections.Counter()

    async def keep(self, until: float, act: Callable[[], Any]) -> None:
        """Do the same again and again."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            self.outcomes[await act()] += 1
            await asyncio.sleep(random.uniform(0, 0.1))

    async def reopen(self) -> str:
        """Connect as a program does, and close."""
        async with DeviceClient(self.host, self.port) as device:
            await device.sample("/s2/", "event")
            await asyncio.sleep(0.1)
        return "opened and closed"

    async def wear(self, devices: list[DeviceClient], seconds: float) -> None:
        """Do it all at once for some time."""
        until = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(_VISITORS):
                group.create_task(self.keep(until, lambda: visit(self.host, self.port)))
            group.create_task(self.keep(until, self.reopen))
            for device in devices:
                group.create_task(self.keep(until, lambda device=device: follow(device)))  # type: ignore[misc]

    async def look(self, device: DeviceClient) -> tuple[Figures, Figures]:
        """Have everything pause, and return what the device and this process hold."""
        await device.request("pause", True)
        await asyncio.sleep(_PAUSE)
        there = await device.request("figures", returns=(float,) * 4)
        here = figures()
        await device.request("pause", False)
        return dict(zip(here, there, strict=True)), here

    async def run(self, seconds: float) -> list[str]:
        """Return what has grown."""
        async with contextlib.AsyncExitStack() as stack:
            devices = [await stack.enter_async_context(DeviceClient(self.host, self.port)) for _ in range(_FOLLOWERS)]
            await devices[0].sample("/s/", "event")
            await devices[0].request("pause", False)
            await self.wear(devices, seconds * _WARM_UP)
            before = await self.look(devices[0])
            await self.wear(devices, seconds * (1 - _WARM_UP))
            after = await self.look(devices[0])
        print("outcomes:", dict(self.outcomes))
        return compare("device", before[0], after[0]) + compare("client", before[1], after[1])


def compare(who: str, before: Figures, after: Figures) -> list[str]:
    """Print both, and return what is more than it may be."""
    allowed = {"MiB": _MEMORY, "tasks": 0.0, "descriptors": 0.0, "objects": _OBJECTS * before["objects"]}
    print(f"{who}: " + ", ".join(f"{before[what]:.6g} -> {after[what]:.6g} {what}" for what in before))
    return [
        f"the {who} holds {after[what]:.6g} {what}, and held {before[what]:.6g}"
        for what, more in allowed.items()
        if after[what] > before[what] + more
    ]


async def serve() -> None:
    """Be the device: print the port, and serve until standard input ends."""
    async with Device() as device:
        if device.address is not None:
            print(device.address.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Start a device, wear it, and tell what came of it; exits with 1 if something has grown."""
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    logging.getLogger("katcp_aio").setLevel(
        logging.ERROR
    )  # replies that nobody waits for any more are what is asked for
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-W", "default", "-m", "fuzz.soak", "--serve"]
        with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=errors, text=True) as process:
            port = int(process.stdout.readline()) if process.stdout else 0
            faults = asyncio.run(Soak("127.0.0.1", port).run(seconds))
            process.communicate("")
        errors.seek(0)
        told = [line.rstrip() for line in errors if any(word in line for word in _TROUBLE)]
    faults += [f"the device said: {line}" for line in told[:20]]
    if process.returncode:
        faults.append(f"the device ended with {process.returncode}")
    print("\n".join(faults) or "nothing has grown")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
