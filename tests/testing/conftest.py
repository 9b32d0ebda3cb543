"""The tests of the kit are those of a project that chooses its own loops; all others are of one that does not."""

import asyncio

__all__ = []


def pytest_asyncio_loop_factories():
    return {"own": asyncio.new_event_loop}
