"""The system's clock: wall time, and the time of the event loop."""

import asyncio
import time

from katcp_aio.clock import SYSTEM_CLOCK

__all__ = []


def test_wall_time():
    before = time.time()
    assert before <= SYSTEM_CLOCK.time() <= time.time()


async def test_monotonic_time_is_the_loop_s():
    loop = asyncio.get_running_loop()
    before, now = loop.time(), SYSTEM_CLOCK.monotonic()
    await asyncio.sleep(0)
    assert before <= now <= loop.time() + 0.001  # uvloop looks once a turn, and has milliseconds
