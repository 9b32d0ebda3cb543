"""Every program in examples/ runs as its first lines say, and ends as it should."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from katcp_aio import Backoff, DeviceClient

EXAMPLES = Path(__file__).parents[1] / "examples"
TESTED = {"antenna.py", "client.py", "embed.py", "proxy.py", "pump.py"}
PATIENCE = 20  # seconds, for a busy machine to start a Python
AS_USUAL = {"PYTHONASYNCIODEBUG": ""}  # which tells of whatever takes long, and that may be anything


@asynccontextmanager
async def program(name, *arguments):
    """Start an example; it must have ended when the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", EXAMPLES / name, *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent / "src"), "PYTHONUNBUFFERED": "1", **AS_USUAL},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def find_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def free_port():
    return find_port()


def reach(port):
    """Return a client of a program that is about to listen at a port: it tries until it does."""
    soon = Backoff(initial=0.05, longest=0.05)
    return DeviceClient("127.0.0.1", port, reconnect=soon, timeout=PATIENCE)


async def show(device, sensor):
    """Return how a device tells the status and value of a sensor."""
    (inform,) = (await device.request("sensor-value", sensor)).informs
    return b" ".join(inform.arguments[3:])


async def stop(process, sign=signal.SIGTERM):
    process.send_signal(sign)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_client_finds_its_way_about_the_pump(free_port):
    async with program("pump.py", free_port) as pump:
        async with reach(free_port):
            pass  # it listens
        async with program("client.py", "127.0.0.1", free_port) as client:
            out, err = await client.communicate()
        assert (client.returncode, err) == (0, b"")
        lines = out.decode().splitlines()
        assert "calibrate" in lines[0]
        assert "set-rate" in lines[0]
        assert "sensor rate: 1.0 Hz (unknown)" in lines
        assert "the rate is 7.5 Hz, and that is warn" in lines
        assert any(line.startswith("refused: ") and "75" in line for line in lines)
        assert lines[-1] == "calibration step 5 done"
        assert await stop(pump) == (0, "", "")


async def test_client_says_when_there_is_no_pump(free_port):
    async with program("client.py", "127.0.0.1", free_port) as client:
        _, err = await client.communicate()
    assert client.returncode == 1
    assert err.decode().splitlines()[-1].startswith("client.py: ")
    assert b"Traceback" not in err


async def test_antenna_serves_until_it_is_interrupted(free_port):
    async with program("antenna.py", free_port) as antenna:
        async with reach(free_port) as device:
            assert await show(device, "mode") in (b"nominal stow", b"unknown stow")
        assert await stop(antenna, signal.SIGINT) == (0, "", "")


async def test_proxy_shows_the_pump_and_goes_on_without_it(free_port):
    proxy_port = find_port()
    async with program("proxy.py", "127.0.0.1", free_port, proxy_port) as proxy:
        async with reach(proxy_port) as device:
            async with program("pump.py", free_port) as pump:
                await device.sensor.board_there.wait_for(True, timeout=PATIENCE)
                assert (await show(device, "board.rate")).endswith(b" 1.0")
                assert (await device.request("set-rate", 2.5)).arguments == [b"2.5"]
                await stop(pump)
            await device.sensor.board_there.wait_for(False, timeout=PATIENCE)
            assert (await show(device, "board.rate")).startswith(b"unreachable ")
        code, _, _ = await stop(proxy)
        assert code == 0


async def test_embedded_device_works_and_ends():
    async with program("embed.py", 0.5) as embedded:
        out, err = await embedded.communicate()
    first, last = out.decode().splitlines()
    assert first.startswith("listening at 127.0.0.1:")
    assert int(last.partition(" ")[0]) >= 1
    assert (embedded.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("antenna.py", ["x"]),
        ("client.py", ["127.0.0.1", "x"]),
        ("embed.py", ["x"]),
        ("proxy.py", []),
        ("proxy.py", ["127.0.0.1", "x"]),
        ("pump.py", ["5000", "x"]),
    ],
)
async def test_wrong_arguments_are_answered_by_the_right_ones(name, arguments):
    async with program(name, *arguments) as wrong:
        out, err = await wrong.communicate()
    usage, complaint = err.decode().splitlines()
    assert usage.startswith(f"usage: {name} ")
    assert complaint.startswith(f"{name}: error: ")
    assert (wrong.returncode, out) == (2, b"")


def test_every_example_has_a_test():
    assert {path.name for path in EXAMPLES.glob("*.py")} <= TESTED
