"""Telling clients that the device changed (5.1, section 4.2). Law: once a turn of the loop, as exactly as is short.

What was added and removed again within the turn is not told, and what was removed and added again was modified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["InterfaceChanges"]

# (change that was noted before, change that came after) -> what a client has to know; None: nothing
_TOGETHER: dict[tuple[str, str], str | None] = {
    ("added", "removed"): None,
    ("added", "modified"): "added",
    ("removed", "added"): "modified",
    ("modified", "removed"): "removed",
    ("modified", "modified"): "modified",
}


class InterfaceChanges:
    """Gathers the changes of one turn of the loop.

    Args:
        tell: is called with the arguments of each #interface-changed.
        most: changes that are told one by one; more than that are told as a whole.
    """

    __slots__ = ("_changes", "_loop", "_most", "_tell")

    def __init__(self, tell: Callable[[tuple[str, ...]], None], most: int) -> None:
        self._tell = tell
        self._most = most
        self._changes: dict[tuple[str, str], str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None  # None: nobody is there to be told

    def start(self) -> None:
        """Begin to tell; called in the running loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Tell nothing from now on."""
        self._loop = None
        self._changes.clear()

    def note(self, kind: str, name: str, change: str) -> None:
        """Take note that the ``kind`` (``sensor``, ``request``) ``name`` was ``added``, ``removed`` or ``modified``."""
        if self._loop is None:
            return
        if not self._changes:
            self._loop.call_soon(self._flush)
        before = self._changes.get((kind, name))
        now = change if before is None else _TOGETHER.get((before, change), change)
        if now is None:
            del self._changes[kind, name]
            self._changes.setdefault(("", ""), "")  # a flush is on its way already
        else:
            self._changes[kind, name] = now

    def _flush(self) -> None:
        changes, self._changes = self._changes, {}
        changes.pop(("", ""), None)
        if self._loop is None or not changes:
            return
        if len(changes) <= self._most:
            for (kind, name), change in changes.items():
                self._tell((kind, name, change))
            return
        kinds = {kind for kind, _ in changes}
        self._tell((f"{kinds.pop()}-list",) if len(kinds) == 1 else ())
