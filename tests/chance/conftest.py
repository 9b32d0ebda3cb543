"""How long chance has (``HYPOTHESIS_PROFILE=long pytest tests/chance`` for a night), and how a sweep cancels."""

import asyncio
import os
from collections.abc import Coroutine

import hypothesis
import pytest

from katcp_aio.testing import ManualClock

__all__ = []

_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
_MOST_POINTS = 500  # at which one case waits
_QUICK = {"deadline": None, "print_blob": True, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}

hypothesis.settings.register_profile("long", max_examples=5000, **_QUICK)
if _PROFILE == "long":
    hypothesis.settings.load_profile(_PROFILE)


class Probe(Coroutine):
    """A coroutine that runs another, counts where it waits, and has the task cancelled at one of these points.

    At once: before anything else happens. Late: when what it waited for has come, and it does not know yet.
    """

    def __init__(self, work, at, *, late):
        self.work, self.at, self.late = work, at, late
        self.points = 0

    def send(self, value):
        return self._waits_for(self.work.send(value))

    def throw(self, *error):
        return self._waits_for(self.work.throw(*error))

    def close(self):
        self.work.close()

    def __await__(self):
        raise NotImplementedError("a task runs this")

    def _waits_for(self, future):
        self.points += 1
        if self.points == self.at:
            task = asyncio.current_task()
            if self.late and future is not None:
                future.add_done_callback(lambda _: task.cancel())  # before the task's own
            else:
                asyncio.get_running_loop().call_soon(task.cancel)
        return future


def _attempt(case, at, *, late, auto):
    """Play a case in a new loop; return whether there was such a point."""
    clock = ManualClock(auto=auto)

    async def play():
        async with case(clock) as (work, check):
            probe = Probe(work(), at, late=late)
            task = asyncio.create_task(probe, name="work")
            await asyncio.wait([task])
            if probe.points < at:
                task.result()
            elif not task.cancelled():
                assert late, f"cancelled at point {at}, and ended otherwise: {task!r}"
                task.result()
            await check()
        for _ in range(5):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return probe.points >= at

    try:
        return clock.run(play())
    except BaseException as error:
        error.add_note(f"cancelled at point {at}, {'late' if late else 'at once'}")
        raise


@pytest.fixture
def cancel_everywhere():
    """Play a case again and again, cancelled at its first, second, ... point, until it has no such point.

    A case is an async context manager of a clock that yields two coroutine functions: the work, which ends by itself,
    and what is to hold afterwards.
    """

    def sweep(case, *, auto=True):
        for late in (False, True):
            assert any(not _attempt(case, at, late=late, auto=auto) for at in range(1, _MOST_POINTS))

    return sweep
