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
    before = loop.time()
    assert before <= SYSTEM_CLOCK.monotonic() <= loop.time()
