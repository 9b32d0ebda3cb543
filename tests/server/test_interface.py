import asyncio

import pytest

from katcp_aio.server.interface import InterfaceChanges


async def told(*changes, most=8):
    heard = []
    interface = InterfaceChanges(heard.append, most)
    interface.start()
    for change in changes:
        interface.note(*change)
    await asyncio.sleep(0)
    return heard


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["added"], ["added"]),
        (["added", "removed"], []),
        (["added", "modified"], ["added"]),
        (["removed", "added"], ["modified"]),
        (["modified", "modified"], ["modified"]),
        (["modified", "removed"], ["removed"]),
        (["added", "removed", "added"], ["added"]),
        (["removed", "added", "removed"], ["removed"]),
    ],
)
async def test_changes_of_one_thing_in_one_turn_are_told_as_one(changes, expected):
    heard = await told(*[("sensor", "rate", change) for change in changes])
    assert heard == [("sensor", "rate", change) for change in expected]


async def test_a_few_are_told_exactly_and_many_as_a_list():
    sensors = [("sensor", f"s{i}", "added") for i in range(4)]
    requests = [("request", f"r{i}", "removed") for i in range(3)]
    assert await told(*sensors, *requests, most=7) == [*sensors, *requests]
    assert await told(*sensors, most=3) == [("sensor-list",)]
    assert await told(*requests, most=2) == [("request-list",)]
    assert await told(*sensors, *requests, most=6) == [()]


async def test_each_turn_has_its_own():
    heard = []
    interface = InterfaceChanges(heard.append, 8)
    interface.note("sensor", "early", "added")  # nobody is there to be told
    interface.start()
    for name in ("a", "b"):
        interface.note("sensor", name, "added")
        await asyncio.sleep(0)
    interface.note("sensor", "c", "added")
    interface.stop()
    await asyncio.sleep(0)
    assert heard == [("sensor", "a", "added"), ("sensor", "b", "added")]
