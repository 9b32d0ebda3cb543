"""What holds for every test: it leaves nothing behind, neither a task nor a thread nor an open socket or pipe.

A warning is an error besides (pyproject.toml), so a resource that only the garbage collector closes fails its test too.
A test that leaves something on purpose is marked ``@pytest.mark.leaks("why")``.
"""

import asyncio
import gc
import inspect
import os
import signal
import threading
import time

import pytest

__all__ = []

_FDS = "/proc/self/fd"
_PATIENCE = 0.5  # seconds that a thread or socket which is just ending may take
_TURNS = 10  # of the loop, for tasks that are just ending: closing a transport takes some

_before = pytest.StashKey[tuple[set[threading.Thread], set[str]]]()


def _open_sockets() -> set[str]:
    """Sockets and pipes of this process, by their kernel names, which are not used twice."""
    found = set()
    try:
        descriptors = os.listdir(_FDS)  # noqa: PTH208 - runs twice a test
    except OSError:  # no such folder on this platform: ResourceWarning alone has to find them
        return found
    for descriptor in descriptors:
        try:
            target = os.readlink(f"{_FDS}/{descriptor}")  # noqa: PTH115 - as above
        except OSError:  # the descriptor of listdir itself
            continue
        if target.startswith(("socket:", "pipe:")):
            found.add(target)
    return found


def _wait_until_gone(look):
    """Return what ``look()`` still finds after a collection and a short time; usually it finds nothing at once."""
    if not look():
        return set()
    gc.collect()
    deadline = time.monotonic() + _PATIENCE
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return left


def pytest_configure():
    """Take Ctrl-C where it is ignored, as in a shell's background: the programs that tests start inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc):
    """Have ids made anew where pytest runs again in one process, as under mutmut: it escapes those it kept once more.

    A test with a backslash in its id is not found by its name otherwise.
    """
    for mark in metafunc.definition.iter_markers("parametrize"):
        if (kept := getattr(mark, "_param_ids_from", None)) is not None:
            object.__setattr__(kept, "_param_ids_generated", None)  # frozen


def pytest_collection():
    """Measure the tests, and not the programs that they start: these run as they do at a user's.

    At this time, for pytest's own processes are started before it.
    """
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def _may_leak(item) -> bool:
    return item.get_closest_marker("leaks") is not None


def _is_async(item) -> bool:
    return item.get_closest_marker("asyncio") is not None or inspect.iscoroutinefunction(getattr(item, "obj", None))


def pytest_collection_modifyitems(items):
    """Let the tests by chance take their time where they are to; see tests/chance/conftest.py."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "long":
        for item in items:
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture
async def _no_leaked_tasks():
    """Compare the loop's tasks after the test, and after its own fixtures have gone, with those before."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks(loop)
    yield
    for _ in range(_TURNS):
        left = asyncio.all_tasks(loop) - before - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    names = "\n  ".join(sorted(f"{task.get_name()}: {task.get_coro()!r}" for task in left))
    pytest.fail(f"the test left {len(left)} task(s) running:\n  {names}", pytrace=False)


@pytest.fixture(autouse=True)
def _no_leaks(request):
    """Note what there is before the test; the hook below looks again when everything of the test has been torn down.

    Being the first fixture of a test it starts after those of its module or session, whose sockets may stay.
    """
    if _may_leak(request.node):
        return
    if _is_async(request.node):
        request.getfixturevalue("_no_leaked_tasks")
    request.node.stash[_before] = set(threading.enumerate()), _open_sockets()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    """Fail a test that left a thread, a socket or a pipe."""
    result = yield
    if (before := item.stash.get(_before, None)) is not None:
        del item.stash[_before]
        threads, sockets = before
        if left := _wait_until_gone(lambda: set(threading.enumerate()) - threads):
            pytest.fail(f"the test left thread(s) running: {sorted(t.name for t in left)}", pytrace=False)
        if left := _wait_until_gone(lambda: _open_sockets() - sockets):
            pytest.fail(f"the test left open: {sorted(left)}", pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Make what a test has written or logged fit to be sent in UTF-8, as it is where tests run in several processes."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
