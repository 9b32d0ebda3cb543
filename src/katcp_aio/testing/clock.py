"""Time for tests. Law: time moves only when a test says so, and then from timer to timer, passing none.

::

    clock = ManualClock()

    async def scenario() -> None:
        task = asyncio.create_task(device.do_something_slow())
        await clock.advance(10)        # every timer of these 10 s fires, each at its own time, in order
        assert task.done()

    clock.run(scenario())              # a fresh ManualLoop; in pytest ask for the fixture `manual_clock` instead

Everything that asks the event loop for the time obeys: ``asyncio.sleep``, ``async_timeout.timeout``, ``loop.call_at``,
and the deadlines of this library. Give the same clock to servers, clients and sensors (``clock=clock``) and the wall
time that they stamp readings with moves along. Sockets and threads go on working: the loop waits for them when it has
nothing else to do. Objects that have no loop (sensors, strategies) can be tested with :meth:`ManualClock.move` alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
import selectors
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import Executor
from typing import Any, Self, TypeVar, TypeVarTuple, Unpack

__all__ = ["ManualClock", "ManualLoop"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

# Timers closer than this count as simultaneous, so that ten steps of 0.1 s reach a timer set for 1 s.
_RESOLUTION = 1e-9  # seconds

_LONGEST_WAIT = 86400.0  # seconds of real time; selectors cannot wait for ever and count the time

_PRUNE_FROM = 1000  # timers remembered before the cancelled ones are looked for


class ManualClock:
    """A clock that stands still until it is moved; fits the library's ``clock=`` arguments.

    Args:
        wall: wall time to begin with, in seconds since the Unix epoch, UTC.
        monotonic: monotonic time, and time of the event loop, to begin with, in seconds.
        auto: jump to the next timer whenever the loop has nothing else to do (virtual time): sleeping takes no time,
            and nobody needs to call :meth:`advance`. Not for code that waits for sockets with a timeout: to the clock,
            a peer that has not answered yet looks like one that never will.
    """

    def __init__(self, *, wall: float = 1_500_000_000.0, monotonic: float = 0.0, auto: bool = False) -> None:
        self._now = monotonic
        self._wall = wall - monotonic  # wall time minus monotonic time
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []  # a heap of the advances in progress
        self.auto = auto  #: whether idle means: jump to the next timer; may be changed at any time

    def __repr__(self) -> str:
        return f"<ManualClock monotonic={self._now:g} wall={self.time():.6f}{' auto' if self.auto else ''}>"

    def time(self) -> float:
        """Return the wall time in seconds since the Unix epoch, UTC."""
        return self._wall + self._now

    def monotonic(self) -> float:
        """Return the monotonic time in seconds: also the time of the loop that this clock drives."""
        return self._now

    def move(self, seconds: float) -> None:
        """Move the time without running anything; with a loop, all that became due runs in its next turn, late.

        For objects that need no loop, and for what a suspended machine does to a program. Otherwise use
        :meth:`advance`.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds:g} s")
        self._now += seconds

    def shift_wall(self, seconds: float) -> None:
        """Step the wall time alone, forwards or (negative) backwards, as a correction of the machine's clock does."""
        self._wall += seconds

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` go by: each timer on the way fires at its own time, and all that follows from it runs.

        Returns when the time is reached and the loop has nothing left to do. Several tasks may advance at the same
        time: each waits for its own moment. Cancelling it stops the clock where it is.

        Raises:
            ValueError: ``seconds`` is negative.
            RuntimeError: the running loop is not a :class:`ManualLoop` of this clock.
        """
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds:g} s")
        loop = asyncio.get_running_loop()
        if not isinstance(loop, ManualLoop) or loop.clock is not self:
            raise RuntimeError(
                "this clock does not drive the running event loop: use ManualClock.run or new_loop; the fixture "
                "manual_clock needs pytest-asyncio 1.5 or later, and a loop that is this test's own"
            )
        reached: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (self._now + seconds, next(self._order), reached))
        await reached

    async def settle(self) -> None:
        """Run the loop until it has nothing left to do at this very time; as ``advance(0)``."""
        await self.advance(0)

    def new_loop(self) -> ManualLoop:
        """Return a new event loop driven by this clock: a ``loop_factory`` for :class:`asyncio.Runner`."""
        return ManualLoop(self)

    def run(self, main: Coroutine[Any, Any, _T]) -> _T:
        """Run ``main`` under a new :class:`ManualLoop`, as :func:`asyncio.run` would, and return its result."""
        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            return runner.run(main)

    def on_idle(self, next_timer: float | None, *, jump: bool = False) -> bool:
        """Take the one step that is due now that the loop is idle; for event loops that this clock drives.

        Args:
            next_timer: when the loop's next timer is due, in seconds of monotonic time; None without a timer.
            jump: go to the next timer even if nobody advances the clock.

        Returns:
            Whether there may be something to do now; False if time stands still.
        """
        while self._waiting and self._waiting[0][2].done():  # cancelled meanwhile
            heapq.heappop(self._waiting)
        if self._waiting:
            target = self._waiting[0][0]
            if target <= self._now:
                # One at a time: what the first does with its turn is done before the second has its own.
                heapq.heappop(self._waiting)[2].set_result(None)
                return True
        elif (self.auto or jump) and next_timer is not None:
            target = next_timer
        else:
            return False
        self._now = target if next_timer is None else min(target, next_timer)
        return True


class ManualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a :class:`ManualClock`; made by ``ManualClock.new_loop`` or by the pytest plugin.

    While nobody advances the clock the loop waits for sockets and threads only. If there are none either, nothing can
    ever happen again: what it runs is then cancelled, to end as a RuntimeError that names the tasks that wait. Who
    waits in the test kit (``Peer``, ``Recorder``, ``FakeDevice``) gets a TimeoutError, with what came so far, instead;
    and so too where there are sockets or threads, when they have been silent for its timeout in real time.
    Time stands still while a job of ``run_in_executor`` or ``asyncio.to_thread`` runs, so that how long it really
    takes never shows; a job that itself waits for this loop's time must therefore be a thread of its own.
    """

    def __init__(self, clock: ManualClock | None = None) -> None:
        self._clock = ManualClock() if clock is None else clock
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []  # a heap, cancelled ones included
        self._order = itertools.count()
        self._prune_at = _PRUNE_FROM
        self._jobs = 0  # in threads
        self._watched_over: dict[asyncio.Future[None], float] = {}  # who waits, and how long for a sign from outside
        self._main: asyncio.Future[Any] | None = None  # what is run until it is complete
        self._stuck: asyncio.Future[Any] | None = None  # that which was cancelled, as nothing could happen any more
        self._why = ""
        self._watch = _Watch(self._wait, self._give_up)
        super().__init__(self._watch)
        self._clock_resolution = _RESOLUTION

    @property
    def clock(self) -> ManualClock:
        """The clock that drives this loop."""
        return self._clock

    def time(self) -> float:
        """Return the monotonic time of the clock, in seconds."""
        return self._clock.monotonic()

    def run_until_complete(self, future: Generator[Any, None, _T] | Awaitable[_T]) -> _T:
        """Run until ``future`` is done.

        Raises:
            RuntimeError: nothing could happen any more, and it was cancelled: the cause says where it waited.
        """
        self._main = main = future if asyncio.isfuture(future) else None
        try:
            result = super().run_until_complete(future)
        except asyncio.CancelledError as error:
            if main is None or main is not self._stuck:
                raise
            raise RuntimeError(self._why) from error
        finally:
            self._main = None
        if main is not None and main is self._stuck:  # it went on as if it had cancelled something itself
            raise RuntimeError(self._why)
        return result

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call ``callback`` at the time ``when``; noted here too, since a loop does not tell what it has scheduled."""
        order = next(self._order)
        handle = super().call_at(_When(when, order), callback, *args, context=context)
        heapq.heappush(self._timers, (when, order, handle))
        if len(self._timers) >= self._prune_at:
            now = self.time()
            self._timers = [timer for timer in self._timers if timer[0] >= now and not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._prune_at = max(_PRUNE_FROM, 2 * len(self._timers))
        return handle

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Run ``func`` in a thread; time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def watch_over(self, waiter: asyncio.Future[None], patience: float) -> None:
        """Have ``waiter`` fail with TimeoutError when it is hopeless: nobody advances the clock, and nothing happens.

        Args:
            patience: how long sockets and threads, where there are any, may be silent, in seconds of real time.
        """
        self._watched_over[waiter] = min(patience, _LONGEST_WAIT)
        waiter.add_done_callback(self._watched_over.pop)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads of the default executor, however long they really take: ``timeout`` is not used."""
        self._jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jobs -= 1

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self._jobs -= 1

    def _wait(self, timeout: float | None) -> float | None:
        """Return how long to wait for sockets, after a look at them found none ready, in real seconds; None: for ever.

        ``timeout`` is how far the loop's next timer is away, None without one; never 0.
        """
        now = self.time()
        # Far from zero, floats are coarser than a nanosecond; a timer must always be able to become due.
        self._clock_resolution = max(_RESOLUTION, 2 * math.ulp(now))
        due = now + self._clock_resolution
        if timeout is not None and now + timeout < due:
            return 0  # the loop counts that timer as due already
        if self._jobs:
            return None
        while self._timers and (self._timers[0][0] < due or self._timers[0][2].cancelled()):
            heapq.heappop(self._timers)  # fired, or never going to
        next_timer = self._timers[0][0] if self._timers else None
        if self._clock.on_idle(next_timer, jump=bool(self._why)):  # what was cancelled may need time to end
            return 0
        if self._watch.watched > 1 or threading.active_count() > 1:  # one is the loop's own pipe for being woken
            return min(self._watched_over.values(), default=None)
        if self._watched_over:
            self._give_up()
            return 0
        ahead = "there is no timer" if next_timer is None else f"the next timer is {next_timer - now:g} s ahead"
        tasks = ", ".join(sorted(map(_whereabouts, asyncio.all_tasks(self)))) or "nobody"
        self._why = (
            f"nothing can happen any more: {ahead} and nobody advances the clock, nor is it auto; waiting: {tasks}"
        )
        if self._main is None or self._main is self._stuck:
            raise RuntimeError(self._why)
        self._stuck = self._main
        self._main.cancel(self._why)
        return 0

    def _give_up(self) -> None:
        """Let the least patient of those watched over fail; that may help the others."""
        waiter = min(self._watched_over, key=self._watched_over.__getitem__)
        waiter.set_exception(TimeoutError("while nobody advances the clock"))


def _whereabouts(task: asyncio.Task[Any]) -> str:
    """Return the name of a task and the line of its outermost function that it waits in: of a test, its own."""
    frames = task.get_stack(limit=1)
    return f"{task.get_name()} ({frames[0].f_code.co_filename}:{frames[0].f_lineno})" if frames else task.get_name()


class _When(float):
    """When a timer is due; of two that are due at once, the one that was set first comes before the other.

    Elsewhere time goes on between the two, so that they are not due at once.
    """

    order: int

    def __new__(cls, when: float, order: int) -> Self:
        self = super().__new__(cls, when)
        self.order = order
        return self

    def __lt__(self, other: float) -> bool:
        if isinstance(other, _When) and self == other:
            return self.order < other.order
        return super().__lt__(other)


class _Watch(selectors.BaseSelector):
    """The platform's selector, which asks before it waits."""

    def __init__(self, wait: Callable[[float | None], float | None], in_vain: Callable[[], None]) -> None:
        self._wait = wait
        self._in_vain = in_vain
        self._real = selectors.DefaultSelector()

    @property
    def watched(self) -> int:
        """How many files are watched."""
        return len(self._real.get_map())

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        wait = self._wait(timeout)
        ready = self._real.select(wait)
        if wait and not ready:
            self._in_vain()
        return ready

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()
