"""The blocking clients in programs of their own: what Ctrl-C does there, and how such programs end."""

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from katcp_aio.testing import FakeDevice, FakeSensor

SOURCE = Path(__file__).parents[1] / "src"
PATIENCE = 30  # s, for a busy machine to start a Python
AS_USUAL = {"PYTHONASYNCIODEBUG": ""}  # which tells of whatever takes long, and that may be anything


@pytest.fixture
async def far():
    async with FakeDevice(sensors={"rate": FakeSensor("float", 1.5)}) as fake:
        fake.on("hang", reply=None)
        fake.host, fake.port = await fake.listen()
        yield fake


async def run(far, text, *, interrupt=None):
    """Run a program, with Ctrl-C once ``interrupt`` is there or a line is out. Return exit code, output and errors."""
    head = f"""
        import threading
        from katcp_aio.blocking import Client, DeviceClient
        HOST, PORT = {far.host!r}, {far.port}
        def threads():
            # Those that run: Ctrl-C in the midst of Thread.start() leaves one on Python's list that never did.
            running = [thread for thread in threading.enumerate() if thread.is_alive()]
            return [thread.name for thread in running if thread is not threading.main_thread()]
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", textwrap.dedent(head) + textwrap.dedent(text)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **AS_USUAL},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            if interrupt == "a line":
                assert await process.stdout.readline()
            elif interrupt is not None:
                await interrupt
            if interrupt is not None:
                process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_ctrl_c_ends_a_request_and_the_client_goes_on(far):
    text = """
        with Client(HOST, PORT) as client:
            try:
                client.request("hang", timeout=None)
            except KeyboardInterrupt:
                print(client.request("watchdog").ok)
        print(threads())
    """
    assert await run(far, text, interrupt=far.received("hang", timeout=PATIENCE)) == (0, "True\n[]\n", "")


async def test_ctrl_c_takes_back_what_was_asked_for_the_wait(far):
    text = """
        with DeviceClient(HOST, PORT) as device:
            try:
                device.sensor.rate.wait_for(99)
            except KeyboardInterrupt:
                while device.request("sensor-sampling", "rate").arguments != [b"rate", b"none"]:
                    pass
    """
    assert await run(far, text, interrupt=far.received("sensor-sampling", timeout=PATIENCE)) == (0, "", "")


async def test_ctrl_c_ends_a_program_that_does_nothing_about_it(far):
    text = """
        with DeviceClient(HOST, PORT) as device:
            device.sensor.rate.wait_for(99)
    """
    code, out, err = await run(far, text, interrupt=far.received("sensor-sampling", timeout=PATIENCE))
    assert code == -signal.SIGINT
    assert out == ""
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert err.count("Traceback") == 1


async def test_ctrl_c_ends_a_loop_over_readings_and_gives_the_sensor_back(far):
    text = """
        with DeviceClient(HOST, PORT) as device:
            try:
                for reading in device.sensor.rate.readings("event"):
                    print(reading.value, flush=True)
            except KeyboardInterrupt:
                device.request("watchdog")
    """
    code, out, err = await run(far, text, interrupt=far.received("sensor-sampling", timeout=PATIENCE))
    assert (code, err) == (0, "")
    assert out.strip() in ("1.5", "")  # Ctrl-C may come between a text and the end of its line
    assert far.requests.requests("watchdog")


async def test_ctrl_c_ends_connecting_in_vain(far):
    text = """
        try:
            print("about to connect", flush=True)
            with Client(HOST, PORT, timeout=None):
                print("connected")
        except KeyboardInterrupt:
            print(threads())
    """
    far.refusing = True
    code, out, err = await run(far, text, interrupt="a line")
    assert (code, out) == (0, "[]\n")
    assert "Traceback" not in err  # there may be a line of the log, that it has not connected


async def test_a_program_that_forgets_to_close_ends_all_the_same(far):
    text = """
        client = DeviceClient(HOST, PORT)
        client.start()
        client.wait_connected()
        print(client.request("watchdog").ok)
    """
    code, out, _ = await run(far, text)
    assert (code, out) == (0, "True\n")


async def test_in_a_notebook_a_loop_runs_already(far):
    text = """
        import asyncio

        async def cell():
            device = DeviceClient.connect(HOST, PORT)
            print(device.sensor.rate.read().value, dir(device.sensor))
            device.close()
            print(threads())

        asyncio.run(cell())
    """
    assert await run(far, text) == (0, "1.5 ['rate']\n[]\n", "")


async def test_an_iteration_that_is_left_open_does_not_hold_up_the_end_of_python(far):
    text = """
        device = DeviceClient.connect(HOST, PORT)
        readings = iter(device.sensor.rate.readings("event"))
        print(next(readings).value)
    """
    code, out, err = await run(far, text)
    assert (code, out) == (0, "1.5\n")
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
async def test_the_child_of_a_fork_has_clients_of_its_own_and_harms_none_of_its_parent(far):
    text = """
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: there is a thread
        client = Client.connect(HOST, PORT)
        child = os.fork()
        if child == 0:
            for use in (client.start, lambda: client.request("watchdog", timeout=None)):
                try:
                    use()
                except RuntimeError as error:
                    print(error)
            client.close()
            with Client(HOST, PORT) as own:
                print(own.request("watchdog").ok, threads(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(client.request("watchdog").ok, threads())
        client.close()
        print(threads())
    """
    refused = f"{far.host}:{far.port} belongs to the process that was forked: make one here"
    out = [refused, refused, "True ['katcp blocking']", "True ['katcp blocking']", "[]"]
    assert await run(far, text) == (0, "\n".join(out) + "\n", "")
