"""The devices under abuse: ``python -m benchmarks.scorecard.devices SIDE OPTIONS``. Law: as their users run them.

Both have the same requests and sensors, are at their defaults unless a row says otherwise, stop on SIGTERM as their
documentation shows, and write one line with their port when they listen.
"""

import asyncio
import gc
import json
import logging
import signal
import sys
import time
from typing import Any

__all__ = []

LIFE = 300  # seconds, after which a device ends that was forgotten
SECRET = "hunter2"  # what no client is to see  # bait


class Tally:
    """What goes on in the device, told by ?inside."""

    slow = 0


def feed(sensor: Any, rate: float, size: int):
    """Return a coroutine that gives a sensor a new value ``rate`` times a second, each beginning with its number."""

    async def work() -> None:
        number, began = 0, time.monotonic()
        while True:
            while number < (time.monotonic() - began) * rate:
                number += 1
                sensor.value = f"{number:09d}".ljust(size, "x").encode()
            await asyncio.sleep(0.002)

    return work


def inside() -> tuple[int, int, int]:
    """Tasks, handlers of ?slow that run, and objects that the garbage collector knows."""
    gc.collect()
    return len(asyncio.all_tasks()), Tally.slow, len(gc.get_objects())


async def slow(seconds: float) -> None:
    """Wait, and be counted meanwhile."""
    Tally.slow += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        Tally.slow -= 1


def ours(host: str, port: int, sensors: int, rate: float, size: int, tls: str) -> None:
    """Serve with katcp_aio."""
    import ssl

    from katcp_aio import DeviceServer, RequestContext, Sensor, request, run

    class Device(DeviceServer):
        VERSION = "scorecard-1.0"
        BUILD_STATE = "scorecard-1.0.0"

        async def request_slow(self, ctx: RequestContext, seconds: float) -> None:
            """Take a while."""
            await slow(seconds)

        @request(cancel_on_disconnect=True)
        async def request_slow_bound(self, ctx: RequestContext, seconds: float) -> None:
            """Take a while, but only for a client that is there."""
            await slow(seconds)

        async def request_big(self, ctx: RequestContext, size: int) -> bytes:
            """Return many bytes."""
            return b"x" * size

        async def request_echo(self, ctx: RequestContext, *args: bytes) -> tuple[bytes, ...]:
            """Return the arguments."""
            return args

        async def request_boom(self, ctx: RequestContext) -> None:
            """Fail in an unforeseen way."""
            raise RuntimeError(f"password is {SECRET}")

        async def request_churn(self, ctx: RequestContext, name: str) -> None:
            """Add a sensor, or remove it."""
            if name in self.sensors:
                self.sensors.remove(name)
            else:
                self.sensors.add(Sensor(int, name))

        async def request_inside(self, ctx: RequestContext) -> tuple[int, int, int]:
            """Tell of the inside."""
            return inside()

        async def tell_port(self) -> None:
            """Say where it listens; as a service task it runs when it does."""
            print(json.dumps({"port": self.address.port}), flush=True)

    options: dict[str, Any] = {}
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{tls}/ca.pem")
        context.load_cert_chain(f"{tls}/server.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        options["ssl"] = context
    device = Device(host, port, **options)
    device.add_service_task(device.tell_port)
    fast = device.sensors.add(Sensor(bytes, "fast", "Changes all the time"))
    for number in range(sensors):
        device.sensors.add(Sensor(int, f"rack.unit.level-{number:06d}", "A level", default=number))
    if rate:
        device.add_service_task(feed(fast, rate, size))
    run(device)


def theirs(host: str, port: int, sensors: int, rate: float, size: int, tls: str) -> None:
    """Serve with aiokatcp."""
    from aiokatcp import DeviceServer, RequestContext, Sensor

    if tls:
        raise SystemExit("aiokatcp has no TLS")

    class Device(DeviceServer):
        VERSION = "scorecard-1.0"
        BUILD_STATE = "scorecard-1.0.0"

        async def request_slow(self, ctx: RequestContext, seconds: float) -> None:
            """Take a while."""
            await slow(seconds)

        async def request_slow_bound(self, ctx: RequestContext, seconds: float) -> None:
            """Take a while."""
            await slow(seconds)

        async def request_big(self, ctx: RequestContext, size: int) -> bytes:
            """Return many bytes."""
            return b"x" * size

        async def request_echo(self, ctx: RequestContext, *args: bytes) -> tuple:
            """Return the arguments."""
            return args

        async def request_boom(self, ctx: RequestContext) -> None:
            """Fail in an unforeseen way."""
            raise RuntimeError(f"password is {SECRET}")

        async def request_churn(self, ctx: RequestContext, name: str) -> None:
            """Add a sensor, or remove it."""
            if name in self.sensors:
                del self.sensors[name]
            else:
                self.sensors.add(Sensor(int, name))

        async def request_inside(self, ctx: RequestContext) -> tuple:
            """Tell of the inside."""
            return inside()

    async def main() -> None:
        device = Device(host, port)
        fast = Sensor(bytes, "fast", "Changes all the time")
        device.sensors.add(fast)
        for number in range(sensors):
            device.sensors.add(Sensor(int, f"rack.unit.level-{number:06d}", "A level", default=number))
        if rate:
            device.add_service_task(asyncio.create_task(feed(fast, rate, size)()))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, device.halt)
        await device.start()
        print(json.dumps({"port": device.sockets[0].getsockname()[1]}), flush=True)
        await device.join()

    asyncio.run(main())


if __name__ == "__main__":
    signal.alarm(LIFE)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    defaults = {"host": "127.0.0.1", "port": 0, "sensors": 0, "rate": 0, "size": 0, "tls": ""}
    {"katcp_aio": ours, "aiokatcp": theirs}[sys.argv[1]](**(defaults | json.loads(sys.argv[2])))
