"""A plugin of pytest that takes the event loop at its word: ``python -m pytest -p tests.strict --no-blocking --eager``.

``--no-blocking``: a call of the library that blocks the loop (a file, a lookup of names, a sleep) fails the test.
``--eager``: every loop starts tasks at once, as programs from Python 3.12 on may have it.
``--uvloop``: every loop is uvloop's, but those of a manual clock.
"""

import asyncio
import functools
import itertools
import linecache
import os
import sys
import traceback

import pytest

__all__ = ["pytest_addoption", "pytest_configure", "pytest_pyfunc_call"]


def pytest_addoption(parser):
    group = parser.getgroup("strict")
    group.addoption("--no-blocking", action="store_true", help="forbid calls that block the event loop")
    group.addoption("--eager", action="store_true", help="start tasks at once (Python 3.12 and later)")
    group.addoption("--uvloop", action="store_true", help="run on uvloop what needs no loop of its own")


def pytest_configure(config):
    if config.getoption("eager"):
        if sys.version_info < (3, 12):
            raise pytest.UsageError("--eager needs Python 3.12 or later")
        _make_loops_eager()
    if config.getoption("uvloop"):
        _use_uvloop(config)
    if os.environ.get("PYTHONASYNCIODEBUG"):
        _make_debug_mode_quick()


def _make_debug_mode_quick():
    """Have asyncio keep the innermost frames of whoever makes a future, and not look for changed source files then.

    The stack has all of pytest below it, and each of its files was looked at on disk, for each future: of a pass of the
    suite that took half of the time.
    """
    linecache.checkcache = lambda filename=None: None
    walk_stack = traceback.walk_stack
    traceback.walk_stack = lambda frame: walk_stack(frame) if frame is None else itertools.islice(walk_stack(frame), 10)


def _make_loops_eager():
    plain = asyncio.BaseEventLoop.__init__

    @functools.wraps(plain)
    def eager(self):
        plain(self)
        self.set_task_factory(asyncio.eager_task_factory)

    asyncio.BaseEventLoop.__init__ = eager


def _use_uvloop(config):
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with asyncio.Runner() as runner:  # libuv opens a pipe for the life of the process: before any test counts them
        runner.run(asyncio.sleep(0))
    # A transport whose connecting was cancelled is closed, and does not say so to the StreamWriter that looks.
    config.addinivalue_line("filterwarnings", "ignore:loop is closed:ResourceWarning")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """Guard the test itself; what its fixtures do before and after may block."""
    if not pyfuncitem.config.getoption("no_blocking") or pyfuncitem.get_closest_marker("blocks"):
        return (yield)
    from blockbuster import blockbuster_ctx

    from katcp_aio import __version__  # noqa: F401 - read from the installation, once a process

    # A plain test too: it may have a loop in a thread, or run one by a clock, where it may block but the library not.
    with blockbuster_ctx("katcp_aio", excluded_modules=["katcp_aio.testing.clock"]) as blocker:
        # The name of a Unix socket is removed as it stops to listen, for the next may want to have it at once.
        blocker.functions["os.unlink"].can_block_in("server/listeners.py", "close")
        for function in ("open", "close"):  # and is looked at, whether it is still this server's
            blocker.functions["os.stat"].can_block_in("server/listeners.py", function)
        return (yield)
