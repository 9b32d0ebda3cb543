"""Waiting for what may never come. Law: nobody waits longer than told, and who waited in vain hears what did come.

Time that nobody advances would never end a wait: a :class:`~.clock.ManualLoop` ends it as soon as it is hopeless.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import async_timeout

from .clock import ManualLoop

__all__ = ["Waiters", "within"]


class Waiters:
    """Those who wait for one object to change."""

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """Have all of them look again."""
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)

    async def until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until ``ready()`` is true, looking at once and whenever woken.

        Args:
            timeout: seconds. It is for :func:`within` to see to it; here it is how long, in real time, a manual loop
                whose time stands still waits for a sign from a socket.

        Raises:
            TimeoutError: nobody advances the manual clock, and nothing else can happen.
        """
        while not ready():
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()
            self._futures.append(future)
            if isinstance(loop, ManualLoop):
                loop.watch_over(future, timeout)
            await future


@contextlib.asynccontextmanager
async def within(timeout: float, complaint: Callable[[str], str]) -> AsyncIterator[None]:
    """Bound what is waited for inside.

    Args:
        timeout: seconds of the loop's time.
        complaint: gives the text of the error, told in which time nothing came: ``within 5 s``, say.

    Raises:
        TimeoutError: it did not come.
    """
    try:
        async with async_timeout.timeout(timeout):
            yield
    except TimeoutError as error:
        raise TimeoutError(complaint(str(error) or f"within {timeout:g} s")) from None
