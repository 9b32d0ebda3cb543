"""A call made by the loop itself. Law: it comes in the next turn, also if who waits for it is cancelled meanwhile.

What is given to a listener comes from callbacks of a transport, where no task is running, and so it is with what was
kept for it: whoever it wakes can go on at once, in the order in which the messages came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_callback"]

T = TypeVar("T")


async def in_callback(function: Callable[[T], bool], argument: T) -> bool:
    """Return what ``function(argument)`` does, called by the loop.

    Cancelling ends the wait, and not the call.

    Raises:
        Exception: whatever ``function`` raises.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[bool] = loop.create_future()

    def call() -> None:
        try:
            result = function(argument)
        except Exception as error:  # noqa: BLE001 - for the one who waits
            if not outcome.done():
                outcome.set_exception(error)
        else:
            if not outcome.done():
                outcome.set_result(result)

    loop.call_soon(call)
    return await outcome
