"""The sweep forgets nothing: whatever public objects have to be awaited is awaited by some case, seen as it runs."""

import asyncio
import inspect
import sys

from tests.chance import (
    test_cancel_client,
    test_cancel_device,
    test_cancel_files,
    test_cancel_group,
    test_cancel_kit,
    test_cancel_server,
)

import katcp_aio
import katcp_aio.connection
import katcp_aio.testing
from katcp_aio.model.stream import Stream
from katcp_aio.testing import ManualClock

__all__ = []

SWEEPS = (
    test_cancel_client,
    test_cancel_device,
    test_cancel_files,
    test_cancel_group,
    test_cancel_kit,
    test_cancel_server,
)
MODULES = (katcp_aio, katcp_aio.testing, katcp_aio.connection)
GIVEN = (Stream,)  # what public methods return, and users await
SPECIAL = ("__aenter__", "__aexit__", "__anext__")
ELSEWHERE = {
    "DeviceHooks.": "a program's own, which the server awaits: start, stop and a_block wait in them",
    "StandardRequests.": "handlers, which the server awaits; see test_a_handler_that_sends_many_informs",
    "SensorRequests.": "handlers, as above",
    "MetadataRequests.": "a handler, as above",
    "RequestContext.": "called by handlers: test_a_handler_that_sends_many_informs_may_be_cancelled",
    "ClientConnection.": "awaited by the server and by the context of a request, as above",
    "DeviceBase.client_ready": "awaited by the server",
    "Sink.": "a program's own, which a recorder awaits; see the sinks that there are",
    "ManualLoop.": "asyncio ends a loop with it",
}


def public():
    """Return the code of whatever is public and has to be awaited or entered, and its name."""
    found = {}
    things = [getattr(module, name) for module in MODULES for name in module.__all__]
    for thing in [*things, *GIVEN]:
        members = [thing]
        if inspect.isclass(thing):
            names = [name for name in dir(thing) if name in SPECIAL or not name.startswith("_")]
            members = [inspect.getattr_static(thing, name) for name in names]
        for member in members:
            function = inspect.unwrap(getattr(member, "__func__", member))  # of a class method, of a context manager
            waits = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
            if waits and function.__module__.startswith("katcp_aio"):
                found[function.__code__] = function.__qualname__
    return found


def seen_in(case, codes, *, auto):
    """Play a case, cancelling nothing, and return which of ``codes`` its work called."""
    seen, tasks = set(), []

    def see(frame, event, _argument):
        if event == "call" and frame.f_code in codes and asyncio.current_task() in tasks:
            seen.add(frame.f_code)

    async def watched(work):
        tasks.append(asyncio.current_task())
        sys.setprofile(see)
        try:
            await work()
        finally:
            sys.setprofile(None)

    async def play(clock):
        async with case(clock) as (work, check):
            await asyncio.create_task(watched(work))
            await check()

    clock = ManualClock(auto=auto)
    clock.run(play(clock))
    return seen


def test_every_public_awaitable_has_a_case():
    codes = public()
    seen = set()
    for module in SWEEPS:
        for name, case in module.CASES.items():
            seen |= seen_in(case, codes, auto=name not in module.CASES.by_hand)
    elsewhere = tuple(ELSEWHERE)
    forgotten = sorted(name for code, name in codes.items() if code not in seen and not name.startswith(elsewhere))
    assert forgotten == []
    # nor is anything excused that is not there
    assert [start for start in ELSEWHERE if not any(name.startswith(start) for name in codes.values())] == []
