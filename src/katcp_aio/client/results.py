"""What many devices answered. Law: nobody's answer hides another's; a result that failed for one still has the rest.

Also what "enough of them" means, and when to ask again.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import attrs

from ..errors import ConnectionLost, GroupError, KatcpError, RequestTimeout
from .backoff import Backoff

__all__ = ["GroupResults", "Quorum", "Retry", "ask_all", "needed"]

T = TypeVar("T")

#: how many are enough: a number of devices, a fraction of them (0.9; 1.0 is all), or None for all
Quorum = int | float | None


class GroupResults(Mapping[str, Any], Generic[T]):
    """Device -> what it answered, or the exception that it is instead. True if none failed.

    A read-only mapping, in the order of the group.
    """

    __slots__ = ("_results",)

    def __init__(self, results: Mapping[str, T | Exception]) -> None:
        self._results = dict(results)

    def __getitem__(self, name: str) -> T | Exception:
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __bool__(self) -> bool:
        return not any(isinstance(result, Exception) for result in self._results.values())

    def __repr__(self) -> str:
        return f"<GroupResults {len(self.succeeded)} succeeded, {len(self.failed)} failed>"

    @property
    def succeeded(self) -> dict[str, T]:
        """The answers of those that did not fail."""
        return {name: result for name, result in self._results.items() if not isinstance(result, Exception)}

    @property
    def failed(self) -> dict[str, Exception]:
        """The exceptions of those that did."""
        return {name: result for name, result in self._results.items() if isinstance(result, Exception)}

    def check(self, what: str = "request") -> None:
        """Do nothing if none failed.

        Raises:
            GroupError: some did; it shows the cause for each of them.
        """
        failed = self.failed
        if failed:
            raise GroupError(f"{what} failed for {len(failed)} of {len(self)} devices", failed)


def needed(quorum: Quorum, count: int) -> int:
    """Return how many of ``count`` a quorum is.

    Raises:
        TypeError: it is neither a number nor None.
        ValueError: it is no fraction, or more than there are.
    """
    if quorum is None:
        return count
    if isinstance(quorum, bool) or not isinstance(quorum, int | float):
        raise TypeError(f"a quorum is a number, a fraction or None, not {quorum!r}")
    if isinstance(quorum, float):
        if not 0.0 <= quorum <= 1.0:
            raise ValueError(f"{quorum!r} is no fraction; a number of devices is an int")
        # 0.9 * 10 is 9.0, but 0.7 * 10 is 7.000000000000001: what is meant are seven
        return math.ceil(quorum * count - 1e-9)
    if not 0 <= quorum <= count:
        raise ValueError(f"a quorum of {quorum} in a group of {count}")
    return quorum


def _not_carried_out(error: Exception) -> bool:
    """Return whether the request certainly did not reach the device, so that asking again does nothing twice."""
    return isinstance(error, ConnectionLost | RequestTimeout) and not error.sent


@attrs.frozen
class Retry:
    """When to ask a device again that failed.

    By default only where the request certainly did not reach it: what a device did not answer, it may have done.
    """

    attempts: int = attrs.field(default=1, validator=attrs.validators.ge(1))  #: in all, the first one included
    backoff: Backoff = attrs.field(factory=Backoff)  #: delays between them
    when: Callable[[Exception], object] = _not_carried_out  #: whether to ask again after this exception

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call until it succeeds, or fails for good; raises what the last one raised."""
        for failures in range(self.attempts - 1):
            try:
                return await call()
            except Exception as error:
                if not self.when(error):
                    raise
            await asyncio.sleep(self.backoff.delay(failures))
        return await call()


async def ask_all(
    calls: Mapping[str, Callable[[], Awaitable[T]]],
    *,
    enough: int | None = None,
    timeout: float | None = None,
    grace: float = 0.0,
) -> GroupResults[T]:
    """Make all calls at once, and return what came of each. Cancelling it cancels them all.

    Args:
        calls: device -> the call to it.
        enough: once so many have succeeded the others get only the time of grace; None: all.
        timeout: s, for all of it; None: any time.
        grace: s.

    What has not ended in time, or cannot matter any more since too many have failed, is cancelled, and its result is a
    TimeoutError. What fails for the caller's own mistake (an argument that cannot be written) is raised as it is.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    end = math.inf if timeout is None else start + timeout
    most = 0 if enough is None else len(calls) - enough  # how many may fail
    tasks = {name: loop.create_task(_awaited(call)) for name, call in calls.items()}
    pending = set(tasks.values())
    try:
        failed = 0
        reason = "not in time"
        while pending and (enough is None or len(calls) - len(pending) - failed < enough):
            if enough is not None and failed > most:
                reason = "given up, since there cannot be enough any more"
                break
            done, pending = await _wait(pending, end - loop.time(), first=True)
            if not done:
                break
            failed += sum(task.exception() is not None for task in done)
        else:
            if pending:
                _, pending = await _wait(pending, min(grace, end - loop.time()))
    finally:
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)
        for task in tasks.values():
            if task.done() and not task.cancelled():
                task.exception()  # seen, also when this is cancelled and nobody asks for it
    reason = f"{reason}, after {loop.time() - start:.3g} s"
    return GroupResults({name: _outcome(task, reason) for name, task in tasks.items()})


async def _awaited(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


async def _wait(
    tasks: set[asyncio.Task[T]], seconds: float, *, first: bool = False
) -> tuple[set[asyncio.Task[T]], set[asyncio.Task[T]]]:
    how = asyncio.FIRST_COMPLETED if first else asyncio.ALL_COMPLETED
    return await asyncio.wait(tasks, timeout=None if seconds == math.inf else max(seconds, 0.0), return_when=how)


def _outcome(task: asyncio.Task[T], reason: str) -> T | Exception:
    if task.cancelled():
        return TimeoutError(reason)
    error = task.exception()
    if error is None:
        return task.result()
    if not isinstance(error, KatcpError | OSError):  # TimeoutError and ConnectionError are OSErrors
        raise error
    return error
