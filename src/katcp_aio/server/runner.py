"""Serving until told to stop. Law: the first signal stops in good order, the second at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from .base import DeviceBase

__all__ = ["run"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(server: DeviceBase, *, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    """Run a server in an event loop of its own until SIGINT, SIGTERM or ?halt stops it, or a service task fails.

    The first signal stops it as ``stop`` does; a second one ends the process at once, with 128 plus its number. What
    was done on these signals before is done on them afterwards.

    Args:
        server: not started yet.
        loop_factory: makes the loop, as ``uvloop.new_event_loop``; asyncio's own by default.

    Raises:
        OSError: the server cannot listen at its address.
        Exception: what a service task or ``on_stop`` raises.
    """
    before = [(number, signal.getsignal(number)) for number in _SIGNALS]
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_serve(server))
    finally:
        for number, handler in before:  # a loop would leave Python's own there
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


async def _serve(server: DeviceBase) -> None:
    loop = asyncio.get_running_loop()

    signalled = False

    def on_signal(number: int) -> None:
        nonlocal signalled
        if signalled:
            os._exit(128 + number)  # what "at once" means: nothing else is run
        signalled = True
        server.begin_stop()  # also while it is still starting

    try:
        for number in _SIGNALS:
            with contextlib.suppress(NotImplementedError):  # loops that have no signals; KeyboardInterrupt remains
                loop.add_signal_handler(number, on_signal, number)
        async with server:
            await server.serve_forever()
    finally:
        for number in _SIGNALS:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
