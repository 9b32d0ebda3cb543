"""The states of a client. Law: the table below is all there is; documentation and tests read the same table.

::

    IDLE ──START──> CONNECTING ──ESTABLISHED──> NEGOTIATING ──IDENTIFIED──> CONNECTED
                        ^  └───────LOST────┐         └──LOST──┐                │LOST
                        └──────DUE────── WAITING <────────────┴────────────────┘
    CLOSE leads from every state to CLOSED, and nothing leads out of it.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ..errors import UsageError
from .callbacks import Callbacks

__all__ = ["TRANSITIONS", "Event", "Lifecycle", "State"]


class State(enum.Enum):
    """Where a client stands with its device."""

    IDLE = "idle"  #: built and not started
    CONNECTING = "connecting"  #: the transport is being made
    NEGOTIATING = "negotiating"  #: connected, and finding out what the device speaks
    CONNECTED = "connected"  #: requests go out
    WAITING = "waiting"  #: the connection failed or was lost; the next attempt is due after the backoff
    CLOSED = "closed"  #: for good


class Event(enum.Enum):
    """What moves a client from one state to another."""

    START = "start"  #: the program starts it
    ESTABLISHED = "established"  #: the transport is there
    IDENTIFIED = "identified"  #: the dialect is known, announced or assumed
    LOST = "lost"  #: the attempt failed, or the connection ended
    DUE = "due"  #: the backoff is over
    CLOSE = "close"  #: the program closes it, or the only connection it was to make has ended


def _row(**events: State) -> Mapping[Event, State]:
    return MappingProxyType({Event[name]: state for name, state in events.items()})


TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        State.IDLE: _row(START=State.CONNECTING, CLOSE=State.CLOSED),
        State.CONNECTING: _row(ESTABLISHED=State.NEGOTIATING, LOST=State.WAITING, CLOSE=State.CLOSED),
        State.NEGOTIATING: _row(IDENTIFIED=State.CONNECTED, LOST=State.WAITING, CLOSE=State.CLOSED),
        State.CONNECTED: _row(LOST=State.WAITING, CLOSE=State.CLOSED),
        State.WAITING: _row(DUE=State.CONNECTING, CLOSE=State.CLOSED),
        State.CLOSED: _row(),
    }
)


class Lifecycle:
    """The state of one client, and who wants to know of it."""

    __slots__ = ("_callbacks", "_untold", "_waiters", "state")

    def __init__(self) -> None:
        self.state = State.IDLE
        self._callbacks: Callbacks[State] = Callbacks("state")
        self._untold: list[State] = []  # the first one is being told
        self._waiters: dict[asyncio.Future[State], tuple[State, ...]] = {}

    def advance(self, event: Event) -> None:
        """Make the transition, wake those who wait for the new state, and call the callbacks in order.

        A callback that raises is logged; the others are called all the same. One that makes the next transition has all
        of them told of this one first.

        Raises:
            UsageError: the table has no such transition.
        """
        state = TRANSITIONS[self.state].get(event)
        if state is None:
            raise UsageError(f"a client that is {self.state.value} cannot take {event.name}")
        self.state = state
        for waiter, wanted in list(self._waiters.items()):
            if state in wanted and not waiter.done():
                waiter.set_result(state)
        self._untold.append(state)
        if len(self._untold) > 1:
            return  # made by a callback: those behind it are told of the state before first
        try:
            while self._untold:
                self._callbacks.call(self._untold[0])
                del self._untold[0]
        finally:
            self._untold.clear()

    def on_change(self, callback: Callable[[State], object]) -> Callable[[], None]:
        """Have ``callback(state)`` called after each transition; return a function that ends this."""
        return self._callbacks.add(callback)

    async def wait_for(self, *states: State) -> State:
        """Wait until the state is one of ``states``, and return which it was. Cancelling it is safe."""
        if self.state in states:
            return self.state
        waiter: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = states
        try:
            return await waiter
        finally:
            del self._waiters[waiter]
