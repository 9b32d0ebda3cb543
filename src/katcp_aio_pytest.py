"""Fixtures for pytest. Law: a test that asks for none of them runs as it would without this module.

Loaded by itself where the package is installed, by all of a project's test runs: so it stands beside the package, whose
import takes a tenth of a second, and imports it when a fixture is first asked for. The fixtures need pytest-asyncio 1.5
or later, in either of its modes; each lasts for one test, and cleans up after it.

``manual_clock``
    the ``ManualClock`` that drives this test's event loop.
``fake_device``
    a ``FakeDevice`` of version 5.1.
``recorder``
    a new ``Recorder``.
``serve``
    ``served = await serve(device)`` serves a device in memory until the test ends; see ``katcp_aio.testing.serve``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # pragma: no cover - what needs a loop cannot run, the rest can; tested in a process of its own
    async_fixture = pytest.fixture  # type: ignore[assignment]

if TYPE_CHECKING:
    from katcp_aio.testing import FakeDevice, ManualClock, Recorder, Served

__all__ = [
    "fake_device",
    "manual_clock",
    "pytest_fixture_setup",
    "pytest_generate_tests",
    "recorder",
    "serve",
]

_RUNNER = "_function_scoped_runner"  # the fixture in which pytest-asyncio makes the loop of one test


def _manual_loop() -> asyncio.AbstractEventLoop:
    from katcp_aio.testing import ManualLoop  # noqa: PLC0415 - see above

    return ManualLoop()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Have the loop of a test that asks for ``manual_clock``, itself or by one of its fixtures, made by such a clock.

    pytest-asyncio has a hook for loops, but where it is used, be it for one test, all loops end after each test, those
    of the session included, and with them the fixtures that live in these.
    """
    if fixturedef.argname != _RUNNER or "manual_clock" not in request.fixturenames:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", _manual_loop)
        return (yield)


class _InsteadOfOwnLoops:
    """The hook for loops, of a test that asks for ``manual_clock``."""

    @staticmethod
    @pytest.hookimpl(tryfirst=True)
    def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
        return {"manual": _manual_loop}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """Use the hook for loops where the project does so itself: it would choose others for this test."""
    hook = getattr(metafunc.definition.ihook, "pytest_asyncio_loop_factories", None)
    if "manual_clock" not in metafunc.fixturenames or hook is None or not hook.get_hookimpls():
        return (yield)
    plugin = metafunc.config.pluginmanager.register(_InsteadOfOwnLoops(), f"{__name__} {metafunc.definition.nodeid}")
    try:
        return (yield)
    finally:
        metafunc.config.pluginmanager.unregister(name=plugin)


@async_fixture
async def manual_clock() -> ManualClock:
    """Return the clock that drives this test's event loop; to a test that is no coroutine, a new clock."""
    from katcp_aio.testing import ManualClock, ManualLoop  # noqa: PLC0415 - see above

    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, ManualLoop) else ManualClock()


@async_fixture
async def fake_device() -> AsyncIterator[FakeDevice]:
    """Yield a scripted device; it is closed after the test."""
    from katcp_aio.testing import FakeDevice  # noqa: PLC0415 - see above

    async with FakeDevice() as device:
        yield device


@pytest.fixture
def recorder() -> Recorder:
    """Return a new recorder."""
    from katcp_aio.testing import Recorder  # noqa: PLC0415 - see above

    return Recorder()


@async_fixture
async def serve() -> AsyncIterator[Callable[[Any], Awaitable[Served[Any]]]]:
    """Yield an async function that serves a device in memory; those served are stopped after the test."""
    from katcp_aio.testing import serve as serve_in_memory  # noqa: PLC0415 - see above

    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:

        async def start(server: Any) -> Served[Any]:
            if asyncio.get_running_loop() is not loop:  # where it could not be stopped after the test
                raise RuntimeError(
                    "this test runs in another loop than its fixtures; of pytest's settings, "
                    "asyncio_default_fixture_loop_scope says in which these do"
                )
            return await stack.enter_async_context(serve_in_memory(server))

        yield start
