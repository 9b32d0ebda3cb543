"""The state machines' loop: what is noted is done together, time passes where that is said, and nothing is left."""

import asyncio

import pytest
from tests.machine import LoopMachine, Seconds, Turns, stepping

__all__ = []

step = stepping(Turns(1), Seconds(1), every=2)


class Counting(LoopMachine):
    def __init__(self):
        super().__init__()
        self.turns = 0
        self.events = []

    async def story(self):
        ticking = asyncio.create_task(self.tick())
        try:
            await self.attempt(self.steps())
        finally:
            ticking.cancel()
            await asyncio.sleep(3)  # clearing up may take time
            self.events.append("cleared up")

    async def steps(self):
        await self.take_steps()
        self.events.append("the end")

    async def tick(self):
        while True:
            await asyncio.sleep(0)
            self.turns += 1
            if self.turns > 10:
                await asyncio.Event().wait()

    @step()
    def look(self):
        self.note(lambda: self.events.append((self.turns, self.clock.monotonic())))

    @step()
    def fail(self):
        self.note(lambda: 1 / 0)


def test_what_is_noted_is_done_in_one_turn_and_as_many_later_as_is_said():
    state = Counting()
    state.look(then=Turns(1))
    state.look()
    state.look(then=Turns(3))
    state.look(then=Turns(1))
    state.look(then=Seconds(0.5))
    state.look()
    state.clock.auto = True  # it ends well, and nobody gives it the time to clear up
    state.teardown()
    *looks, end, last = state.events
    turns = [turn - looks[1][0] for turn, _ in looks[1:5]]
    assert turns == [0, 0, 3, 4]
    assert [time for _, time in looks] == [0, 0, 0, 0, 0, 0.5]
    assert (end, last) == ("the end", "cleared up")


def test_after_a_failure_only_what_clears_up_is_left_to_run():
    state = Counting()
    state.look(then=Turns(1))
    state.fail()

    def go_on():
        try:
            state.look(then=Turns(1))
        finally:
            state.teardown()

    with pytest.raises(ZeroDivisionError):
        go_on()
    assert len(state.events) == 2
    assert state.events[-1] == "cleared up"
