"""A device inside a program that has other things to do; it ends after five seconds, or as many as are given."""

import argparse
import asyncio

from katcp_aio import DeviceServer, RequestContext, Sensor


class Counter(DeviceServer):
    """Tells how much work the program has done, and lets clients change how fast it works."""

    VERSION = "counter-1.0"
    BUILD_STATE = "counter-1.0.0"

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.done = self.sensors.add(Sensor(int, "done", "Pieces of work done", units="count"))
        self.pause = self.sensors.add(Sensor(float, "pause", "Time between two pieces of work", "s", 0.1))

    async def request_pause(self, ctx: RequestContext, seconds: float) -> None:
        """Set the time between two pieces of work, in seconds."""
        self.pause.value = seconds


async def work(counter: Counter) -> None:
    """Do what the program is for."""
    while True:
        await asyncio.sleep(counter.pause.value)
        counter.done.value += 1


async def main(seconds: float) -> None:
    """Work, and serve, for so many seconds."""
    async with Counter("127.0.0.1", 0) as counter:  # listens; tells its clients and closes on the way out
        print(f"listening at {counter.address}")
        try:
            async with asyncio.timeout(seconds):
                await work(counter)
        except TimeoutError:
            print(f"{counter.done.value} pieces of work done")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=5.0)
    asyncio.run(main(parser.parse_args().seconds))
