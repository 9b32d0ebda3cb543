"""Who is to be told of something. Law: a callback that raises concerns neither the others nor the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from ..reports import report_exception

__all__ = ["Callbacks"]

T = TypeVar("T")


class Callbacks(Generic[T]):
    """Callbacks of one argument, in the order they were added; they may add and end others, and themselves.

    Args:
        what: they are told of, in the log when one raises.
    """

    __slots__ = ("_callbacks", "_what")

    def __init__(self, what: str) -> None:
        self._callbacks: dict[object, Callable[[T], object]] = {}
        self._what = what

    def add(self, callback: Callable[[T], object]) -> Callable[[], None]:
        """Have ``callback(argument)`` called from now on; return a function that ends this, and nothing else."""
        key = object()
        self._callbacks[key] = callback

        def cancel() -> None:
            self._callbacks.pop(key, None)

        return cancel

    def call(self, argument: T) -> None:
        """Call them. Exceptions are logged, the CancelledError of what one asks for a result among them.

        Who called is cancelled by none of them: that comes only where a task waits.
        """
        for key, callback in list(self._callbacks.items()):
            if key not in self._callbacks:
                continue  # ended by one before it
            try:
                callback(argument)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - a program's callback may raise anything
                report_exception("callback %r raised on %s %r", callback, self._what, argument)
