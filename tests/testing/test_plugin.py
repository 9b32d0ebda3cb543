"""The fixtures that a user's tests get by installing the package."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from katcp_aio import DeviceServer
from katcp_aio.testing import FakeDevice, Peer, Recorder


async def test_the_clock_drives_the_loop_of_the_test(manual_clock):
    task = asyncio.create_task(asyncio.sleep(3600))
    await manual_clock.advance(3599)
    assert not task.done()
    await manual_clock.advance(1)
    assert task.done()
    assert asyncio.get_running_loop().time() == manual_clock.monotonic()


@pytest.fixture
async def later(manual_clock):
    """Take a clock by way of another fixture."""
    return asyncio.get_running_loop().call_later(10, str)


async def test_the_clock_may_be_asked_for_by_a_fixture(later):
    await asyncio.get_running_loop().clock.advance(10)
    assert asyncio.get_running_loop().time() == later.when()


@pytest.mark.parametrize("seconds", [1, 2])
async def test_each_test_has_its_own_clock(manual_clock, seconds):
    assert manual_clock.monotonic() == 0
    await manual_clock.advance(seconds)


async def test_other_tests_keep_the_real_time():
    loop = asyncio.get_running_loop()
    before = loop.time()
    await asyncio.sleep(0.001)
    assert loop.time() > before


def test_a_plain_test_gets_a_clock_to_run_coroutines_with(manual_clock):
    async def scenario():
        await manual_clock.advance(10)
        return asyncio.get_running_loop().time()

    assert manual_clock.run(scenario()) == manual_clock.monotonic() == 10


async def test_a_fake_device_and_a_recorder(fake_device, recorder, manual_clock):
    assert isinstance(fake_device, FakeDevice)
    assert isinstance(recorder, Recorder)
    peer = await Peer.connect(*await fake_device.listen())
    recorder(*await peer.ask("?watchdog"))
    recorder.assert_reply("watchdog", "ok")
    await peer.close()


async def test_serving(serve, manual_clock):
    class Pump(DeviceServer):
        VERSION = BUILD_STATE = "pump-1.0"

    served = await serve(Pump(clock=manual_clock))
    assert (await served.peer().ask("?watchdog[1]"))[-1].ok


# What a user's own project has: both modes of pytest-asyncio, no settings, and a loop of its own choice.

_TESTS = """
import asyncio
import pytest

class Loop(asyncio.SelectorEventLoop):
    pass

@pytest.mark.asyncio
async def test_clock(manual_clock):
    await manual_clock.advance(3600)

@pytest.mark.asyncio
async def test_device(fake_device, recorder):
    assert type(asyncio.get_running_loop()).__name__ == {loop!r}
    host, port = await fake_device.listen()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"?watchdog[1]\\n")
    while (line := await reader.readline()) != b"!watchdog[1] ok\\n":
        recorder(line)
    writer.close()
    await writer.wait_closed()
    assert len(recorder) == 3

def test_plain(manual_clock):
    manual_clock.run(asyncio.sleep(0))
"""
_OWN_LOOP = """
import asyncio

class Loop(asyncio.SelectorEventLoop):
    pass

def pytest_asyncio_loop_factories(config, item):
    return {"own": Loop}
"""


_INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"


def run_project(folder, tests, *options, conftest="", ini=_INI):
    (folder / "test_project.py").write_text(tests, encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "pytest.ini").write_text(ini, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=150
    ).stdout


def test_in_a_project_in_strict_mode(tmp_path):
    output = run_project(tmp_path, _TESTS.format(loop="_UnixSelectorEventLoop"), "--asyncio-mode", "strict")
    assert "3 passed" in output, output


def test_in_a_project_that_chooses_its_loop(tmp_path):
    output = run_project(tmp_path, _TESTS.format(loop="Loop"), conftest=_OWN_LOOP)
    assert "3 passed" in output, output


_PAGE = Path(__file__).parents[2] / "docs" / "howto" / "test-a-device.md"


def test_the_tests_that_the_documentation_shows_pass(tmp_path):
    pump, tests = re.findall(r"```python\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)[:2]
    (tmp_path / "pump.py").write_text(pump, encoding="utf-8")
    output = run_project(tmp_path, tests, "--asyncio-mode", "auto")
    assert "5 passed" in output, output


_PLAIN_TESTS = """
import sys

def test_the_package_is_imported_only_when_a_fixture_is_asked_for():
    assert not any(name.startswith("katcp_aio.") for name in sys.modules)

def test_recorder(recorder):
    recorder(1)
    assert recorder.items == [1]
"""


def test_without_pytest_asyncio_plain_tests_run(tmp_path):
    output = run_project(tmp_path, _PLAIN_TESTS, "-p", "no:asyncio", "-p", "no:randomly", ini="[pytest]\n")
    assert "2 passed" in output, output


_SHARED_LOOP_TEST = """
import pytest

@pytest.mark.asyncio(loop_scope="session")
async def test_clock(manual_clock):
    await manual_clock.advance(1)
"""


def test_a_loop_that_the_clock_does_not_drive_is_told_at_once(tmp_path):
    output = run_project(tmp_path, _SHARED_LOOP_TEST, "--asyncio-mode", "strict")
    assert "RuntimeError: this clock does not drive the running event loop" in output, output


_SESSION_FIXTURE_TESTS = """
import asyncio
import pytest
import pytest_asyncio

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def made():
    yield type(asyncio.get_running_loop()).__name__
    print("gone")

@pytest.mark.parametrize("number", range(2))
@pytest.mark.asyncio
async def test_real(made, number):
    assert made == type(asyncio.get_running_loop()).__name__ == "_UnixSelectorEventLoop"

@pytest.mark.asyncio
async def test_manual(manual_clock):
    await manual_clock.advance(3600)

@pytest.mark.asyncio
async def test_both(made, manual_clock):
    assert made == "_UnixSelectorEventLoop"
    await manual_clock.advance(3600)

@pytest.mark.asyncio
async def test_real_again(made):
    pass
"""


def test_what_lives_in_a_loop_of_the_session_lives_on(tmp_path):
    """Other tests run as they would without this plugin, and those with a clock do not disturb them."""
    output = run_project(tmp_path, _SESSION_FIXTURE_TESTS, "-s", "--asyncio-mode", "strict")
    assert "5 passed" in output, output
    assert output.count("gone") == 1, output


_MODULE_LOOP_TEST = """
import pytest
from katcp_aio import DeviceServer

class Pump(DeviceServer):
    VERSION = BUILD_STATE = "pump-1.0"

@pytest.mark.asyncio(loop_scope="module")
async def test_serve(serve):
    served = await serve(Pump())
    await served.peer().assert_ok("?watchdog")
"""


def test_a_loop_that_several_tests_share_is_that_of_the_fixtures_by_pytest_s_settings(tmp_path):
    ini = _INI.replace("function", "module")
    output = run_project(tmp_path, _MODULE_LOOP_TEST, "--asyncio-mode", "strict", ini=ini)
    assert "1 passed" in output, output


@pytest.mark.leaks("the loop lasts for as long as its module")
@pytest.mark.asyncio(loop_scope="module")
async def test_a_device_is_not_served_in_another_loop_than_the_fixture_s(serve):
    with pytest.raises(RuntimeError, match=r"another loop than its fixtures.*asyncio_default_fixture_loop_scope"):
        await serve(None)
