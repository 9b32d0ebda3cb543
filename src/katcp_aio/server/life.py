"""The states of a server's life. Law: what has begun can be called off, and then leaves nothing begun behind."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import async_timeout

from ..errors import UsageError

__all__ = ["Interruptible", "LifeState", "await_hook"]


class LifeState(enum.Enum):
    """Where a server is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Interruptible:
    """A stretch of one task's work that can be called off, while the task itself goes on behind it.

    ::

        async with stretch:
            await what_takes_long()   # cancelled by stretch.call_off(), from anywhere in the loop
        if stretch.called_off: ...

    Attributes:
        called_off: it was, this time; even if all was done in that very moment.
    """

    def __init__(self) -> None:
        self.called_off = False
        self._timeout: async_timeout.Timeout | None = None  # while the work is under way

    @property
    def active(self) -> bool:
        """Whether the work is under way."""
        return self._timeout is not None

    def call_off(self) -> None:
        """Have the work end here; only while it is under way."""
        if self._timeout is not None and not self.called_off:  # what it stopped may take its time to clean up
            now = asyncio.get_running_loop().time()  # raises in another thread, before anything has changed
            self.called_off = True
            self._timeout.update(now)

    async def __aenter__(self) -> Self:
        """Begin."""
        self.called_off = False
        self._timeout = async_timeout.timeout(None)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """End; what call_off() leads to is no error, and all else is."""
        timeout, self._timeout = self._timeout, None
        try:
            if timeout is not None:  # pragma: no branch - for the type checker: it was entered, so it is there
                await timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            return self.called_off
        return False


async def await_hook(name: str, work: Coroutine[Any, Any, object]) -> None:
    """Await a device's own code in a task of the server's, which is not to end there as if it were cancelled itself.

    Raises:
        UsageError: something that the code waited for was cancelled, as a task that it has just cancelled itself.
        Exception: whatever the code raises.
    """
    try:
        await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise UsageError(f"{name} waited for something that was cancelled, and so did not come to its end") from error
