"""State machines of hypothesis around an event loop. Law: the loop runs between two steps only where the first says so.

Many faults show only where several things happen within one turn of the loop. If each step ran the loop, what it does
would come to rest before the next, and such a fault would never be found. So a step is noted, and says when the next
one follows: at once, after some turns, after some seconds. Before time passes, all that was noted is done in one go.

Time is no matter of rules of its own, for in each example hypothesis leaves out some of the rules, on average half of
them, and where time does not pass hardly anything happens.

All steps are done by one task, the story, which stops the loop where it hands over to the rules. To what runs in the
loop nothing shows that it stood still: the story goes on in the very place among the callbacks of the next turn that
it would have if it were one function. Were what is noted given to the loop as callbacks, it would always come last in
its turn; and a coroutine for each step, run until complete, would cost turns in which nothing can be asked for.

So a rule knows what the rules before it have noted, and otherwise how things were when the loop stopped. A step whose
object is gone by the time that it is done does nothing.
"""

import asyncio
import functools
import os
import sys
from typing import NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from katcp_aio.testing import ManualClock

__all__ = ["LoopMachine", "Seconds", "Turns", "one_of", "place_in", "run_by_chance", "stepping"]

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


class Turns(NamedTuple):
    """The next step comes so many turns of the loop later."""

    count: int


class Seconds(NamedTuple):
    """The next step comes when so much time has gone by, and nothing is left to do."""

    seconds: float


class LoopMachine(RuleBasedStateMachine):
    """A machine with a clock, and a loop that the clock drives.

    Attributes:
        clock: the time of the loop.
        noted: what is to be done before time passes, in order.
    """

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.noted = []
        self._then = None  # what the story is to do after what is noted; None: to come to its end
        self._runner = asyncio.Runner(loop_factory=self.clock.new_loop)
        self._task = None
        self._handled = sys.exception()  # by whoever runs this; what is raised from now on is a failure

    async def story(self):
        """Begin, take the steps (:meth:`take_steps`), check what is to hold in the end, and clear up.

        What is done between beginning and clearing up goes through :meth:`attempt`.
        """
        raise NotImplementedError

    async def attempt(self, coroutine):
        """Await it; if it fails, whatever clears up may take time that nobody gives it."""
        try:
            await coroutine
        except Exception:
            self.clock.auto = True
            raise

    async def take_steps(self):
        """Do what is noted, and let the time pass that the rules say, until there are no more."""
        loop = asyncio.get_running_loop()
        while True:
            for step in self.noted:
                step()
            self.noted.clear()
            if self._then is None:
                return
            if isinstance(self._then, Seconds):
                await self.clock.advance(self._then.seconds)
            else:
                for _ in range(self._then.count - 1):
                    await asyncio.sleep(0)
            loop.stop()  # at the end of this turn
            await asyncio.sleep(0)

    def note(self, function, *arguments, **options):
        """Have ``function`` called in the loop, in one turn with all else that is noted."""
        self.noted.append(functools.partial(function, *arguments, **options))

    def go_on(self, then):
        """Have all done that is noted, and let that time pass; None: come to the end."""
        self._then = then
        loop = self._runner.get_loop()
        if self._task is None:
            self._task = loop.create_task(self.story(), name="story")
            self._task.add_done_callback(lambda _: loop.stop())
        loop.run_forever()
        if self._task.done():
            self._task.result()

    def teardown(self):
        """Have the story come to its end; but after a failure only its loop, whose tasks clear up."""
        try:
            if sys.exception() is self._handled:
                self.go_on(None)
        finally:
            self.clock.auto = True  # for whatever takes its time to end
            self._runner.close()


def stepping(*times, every):
    """Return a decorator for the steps of a machine: ``rule``, but the next one follows as the argument ``then`` says.

    Args:
        times: one in ``every`` steps is followed by one of them, and the others by nothing (None).
    """
    following = st.sampled_from([None] * (every - 1) * len(times) + list(times))

    def step(**arguments):
        def accept(function):
            def taken(self, *given, then=None, **named):
                result = function(self, *given, **named)
                if then is not None:
                    self.go_on(then)
                return result

            taken.__name__, taken.__qualname__ = function.__name__, function.__qualname__
            return rule(**arguments, then=following)(taken)

        return accept

    return step


@st.composite
def one_of(draw, there):
    """Draw one of those that there are: ``there(machine)`` names them. The newest is the simplest, as in a bundle.

    That which a rule puts into a bundle is printed by the name that it has there.
    """
    found = there(draw(st.runner()))
    return found[-1 - draw(st.integers(0, len(found) - 1))]


@st.composite
def place_in(draw, there):
    """Draw a place in the list ``there(machine)``, for a step that takes what is there when it is done."""
    return draw(st.integers(0, len(there(draw(st.runner()))) - 1))


def run_by_chance(machine, *, examples, steps):
    """Play that many examples, of that many steps each; 5000 examples in the profile ``long``.

    A failure is printed as a program, and with the line that repeats it if it stands above the machine's class.
    """
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=5000 if LONG else examples,
            stateful_step_count=steps,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
