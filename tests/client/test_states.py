"""The table of states, and who is told of them."""

import asyncio
import sys

import pytest

from katcp_aio.client.states import TRANSITIONS, Event, Lifecycle, State
from katcp_aio.errors import UsageError

__all__ = []


def test_the_table_names_every_state_and_leads_nowhere_else():
    assert set(TRANSITIONS) == set(State)
    assert not TRANSITIONS[State.CLOSED]
    assert all(row[Event.CLOSE] is State.CLOSED for state, row in TRANSITIONS.items() if state is not State.CLOSED)
    reached = {state for row in TRANSITIONS.values() for state in row.values()}
    assert reached == set(State) - {State.IDLE}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_what_the_table_does_not_have_is_refused(state, event):
    lifecycle = Lifecycle()
    lifecycle.state = state
    if event in TRANSITIONS[state]:
        lifecycle.advance(event)
        assert lifecycle.state is TRANSITIONS[state][event]
    else:
        with pytest.raises(UsageError, match=f"{state.value} cannot take {event.name}"):
            lifecycle.advance(event)
        assert lifecycle.state is state


def test_callbacks_are_called_in_order_and_one_that_raises_stops_none(caplog):
    lifecycle, seen = Lifecycle(), []
    lifecycle.on_change(lambda state: seen.append(("first", state)))
    lifecycle.on_change(lambda state: 1 / 0)
    cancel = lifecycle.on_change(lambda state: seen.append(("last", state)))
    lifecycle.advance(Event.START)
    assert seen == [("first", State.CONNECTING), ("last", State.CONNECTING)]
    assert "ZeroDivisionError" in caplog.text
    cancel()
    cancel()
    lifecycle.advance(Event.LOST)
    assert seen[2:] == [("first", State.WAITING)]


def test_a_transition_that_a_callback_makes_is_told_after_the_one_that_it_was_told_of():
    lifecycle, seen = Lifecycle(), []
    lifecycle.on_change(lambda state: lifecycle.advance(Event.CLOSE) if state is State.CONNECTING else None)
    lifecycle.on_change(seen.append)
    lifecycle.advance(Event.START)
    assert seen == [State.CONNECTING, State.CLOSED]


def test_what_ends_the_program_in_a_callback_keeps_no_later_state_back():
    lifecycle, seen = Lifecycle(), []
    cancel = lifecycle.on_change(lambda _state: sys.exit())
    with pytest.raises(SystemExit):
        lifecycle.advance(Event.START)
    cancel()
    lifecycle.on_change(seen.append)
    lifecycle.advance(Event.CLOSE)
    assert seen == [State.CLOSED]


async def test_waiting_for_a_state():
    lifecycle = Lifecycle()
    assert await lifecycle.wait_for(State.IDLE, State.CLOSED) is State.IDLE
    waiting = asyncio.create_task(lifecycle.wait_for(State.CONNECTED, State.WAITING))
    given_up = asyncio.create_task(lifecycle.wait_for(State.WAITING))
    await asyncio.sleep(0)
    given_up.cancel()
    lifecycle.advance(Event.START)
    await asyncio.sleep(0)
    assert not waiting.done()
    lifecycle.advance(Event.LOST)
    lifecycle.advance(Event.CLOSE)  # the waiter is told of the state it waited for, although it has passed
    assert await waiting is State.WAITING
