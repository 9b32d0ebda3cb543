"""The loop behind the blocking clients, in a thread of its own. Law: nobody waits for a loop that does not run.

It ends with the last client that is closed. It is not there in the child of a fork, where only the thread that forked
runs on, and no more once Python ends: daemon threads stand still then.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from .errors import NotConnected, UsageError

__all__ = ["Line", "Portal"]

_BEGIN = 5.0
"""How long the thread of the loop may take until it runs, in seconds, before one that was interrupted while it was
started counts as never started."""

_PARENTS = "belongs to the process that was forked: make one here"


class Portal:
    """The loop and its thread, for as long as somebody needs them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: set[Line] = set()  # who needs it; a set, so that letting go is right whatever was interrupted
        self._thread: threading.Thread | None = None
        self._ready: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._stop = asyncio.Event()
        self._parents: list[object] = []  # what is the parent's in the child of a fork
        self.calls: set[concurrent.futures.Future[Any]] = set()  #: what somebody waits for

    @property
    def ending(self) -> bool:
        """Whether the loop is about to end, with the last client that was closed."""
        return self._stop.is_set()

    def acquire(self, line: Line) -> asyncio.AbstractEventLoop:
        """Have the loop running for ``line``, and return it."""
        with self._lock:
            self._lines.add(line)
            if self._thread is None:
                self._stop, self._ready = asyncio.Event(), concurrent.futures.Future()
                # A daemon: a program that forgets to close a client must still be able to end.
                self._thread = threading.Thread(
                    target=self._run, args=(self._ready, self._stop), name="katcp blocking", daemon=True
                )
                self._thread.start()
            return self._ready.result()

    def release(self, line: Line) -> None:
        """Need the loop no more; the last one ends the thread, and waits for that. Doing it again does nothing."""
        with self._lock:
            self._lines.discard(line)
            thread, ready = self._thread, self._ready
            if self._lines or thread is None:
                return
            concurrent.futures.wait([ready], _BEGIN)  # Ctrl-C may have come while the thread was being started
            begun = not ready.cancel()
            if begun and ready.exception() is None:
                ready.result().call_soon_threadsafe(self._stop.set)
            self._thread = None
            if begun:  # pragma: no branch - Ctrl-C while the thread was being started
                thread.join()
            for call in list(self.calls):  # of other threads, that came too late for the loop to begin with them
                call.cancel()

    def fork(self) -> None:
        """Begin anew in the child of a fork. The parent's loop is kept: to end it would end what the two share."""
        for line in self._lines:
            line.leave()
        self._parents += [self._thread, self._ready]
        self._lock, self._lines, self._thread, self.calls = threading.Lock(), set(), None, set()

    @staticmethod
    def _run(ready: concurrent.futures.Future[asyncio.AbstractEventLoop], stop: asyncio.Event) -> None:
        """Run the loop. It is made in its own thread: where it is, Ctrl-C never comes between two lines."""

        async def main() -> None:
            ready.set_result(asyncio.get_running_loop())
            await stop.wait()

        if not ready.set_running_or_notify_cancel():  # pragma: no cover - Ctrl-C while the thread was being started
            return
        try:
            with asyncio.Runner() as runner:  # not run(): where there is no loop, nobody would await main()
                runner.run(main())
        except Exception as error:
            if ready.done():  # pragma: no cover - a fault of the loop itself
                raise
            ready.set_exception(error)  # a machine without a free file descriptor has no loop to give


class Line:
    """One client's way to the loop."""

    __slots__ = ("_lock", "_loop", "_why", "who")

    def __init__(self, who: str) -> None:
        self.who = who
        self._why = "is not started, or closed"  # where there is no loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop, while it runs for this client."""
        return None if sys.is_finalizing() else self._loop

    @property
    def inside(self) -> bool:
        """Whether this is the loop's own thread."""
        loop = self._loop  # read once: another thread may close the client
        return loop is not None and _running_loop() is loop

    def open(self) -> None:
        """Have the loop running. Raises UsageError in the child of a fork, for a client of its parent."""
        with self._lock:
            if self._why == _PARENTS:
                raise UsageError(f"{self.who} {_PARENTS}")
            if self._loop is None:
                self._loop = _portal.acquire(self)

    def shut(self) -> None:
        """Need the loop no more. Doing it again does nothing."""
        if sys.is_finalizing():
            return
        with self._lock:
            self._loop = None
            _portal.release(self)

    def leave(self) -> None:
        """Take note that the loop is the parent's, in the child of a fork."""
        self._loop, self._lock, self._why = None, threading.Lock(), _PARENTS

    def check(self) -> None:
        """Raise UsageError in the loop's own thread, which cannot wait for itself."""
        if self.inside:
            raise UsageError(f"{self.who}: a callback runs in the loop's thread, where nothing may block")

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in the loop's thread, wait for what it returns where that is to be awaited, and return that.

        A signal that raises, as Ctrl-C does, ends the waiting, and what was waited for is cancelled.
        """
        loop = self.loop
        if loop is None:  # nothing goes on in any other thread: what needs no loop can be done here
            result = function(*args, **kwargs)
            if inspect.iscoroutine(result):
                result.close()
                raise UsageError(f"{self.who} {self._why}")
            return result
        self.check()

        outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
        calls = _portal.calls
        try:
            calls.add(outcome)
            try:
                # Not run_coroutine_threadsafe: Ctrl-C before it returns would leave a call that nobody can cancel.
                loop.call_soon_threadsafe(_begin, outcome, function, args, kwargs)
            except RuntimeError:  # another thread has closed the client just now, and the loop with it
                raise UsageError(f"{self.who} {self._why}") from None
            return outcome.result()
        except concurrent.futures.CancelledError:
            raise NotConnected("closed while waiting", device=self.who) from None
        finally:
            outcome.cancel()  # does nothing to one that is done
            calls.discard(outcome)


def _begin(
    outcome: concurrent.futures.Future[Any], function: Callable[..., Any], args: Any, kwargs: dict[str, Any]
) -> None:
    """Call a function, in the loop's thread, and await its result in a task that ends with ``outcome``."""
    if _portal.ending:  # the task might not be run to its end, nor at all
        outcome.cancel()
    if outcome.cancelled():
        return
    loop = asyncio.get_running_loop()

    async def call() -> Any:
        found = function(*args, **kwargs)
        return await found if inspect.isawaitable(found) else found

    def given_up(outcome: concurrent.futures.Future[Any]) -> None:
        if outcome.cancelled():
            loop.call_soon_threadsafe(task.cancel)

    def ended(task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            outcome.cancel()
        if not outcome.set_running_or_notify_cancel():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(task.result())

    task = loop.create_task(call())
    task.add_done_callback(ended)
    outcome.add_done_callback(given_up)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_portal = Portal()

if sys.platform != "win32":  # pragma: no branch - which has no fork
    os.register_at_fork(after_in_child=_portal.fork)
