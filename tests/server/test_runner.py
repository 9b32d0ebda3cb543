import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from katcp_aio import DeviceServer, run
from katcp_aio.testing import Peer

PROGRAM = textwrap.dedent(
    """
    import asyncio, sys
    from katcp_aio import DeviceServer, run

    class Device(DeviceServer):
        VERSION = "device-1.0"
        BUILD_STATE = "device-1.0.2"

        async def on_start(self):
            if "waiting" in sys.argv:
                print("starting", flush=True)
                await asyncio.Event().wait()
            self.add_service_task(self.say())
            if "fail" in sys.argv:
                self.add_service_task(self.fail())

        async def say(self):
            print("ready", flush=True)
            await asyncio.Event().wait()

        async def fail(self):
            raise RuntimeError("the hardware is gone")

        async def on_stop(self):
            print("stopping", flush=True)
            if "slow" in sys.argv:
                await asyncio.Event().wait()

    factory = None
    if "uvloop" in sys.argv:
        import uvloop
        factory = uvloop.new_event_loop
    run(Device("127.0.0.1", 0), loop_factory=factory)
    print("ended", flush=True)
    """
)


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_good_order(number):
    with start() as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("stopping\nended\n", "", 0)


def test_a_signal_stops_it_in_good_order_over_uvloop():
    pytest.importorskip("uvloop")
    with start("uvloop") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("stopping\nended\n", "", 0)


def test_a_signal_calls_off_the_start():
    with start("waiting") as process:
        assert process.stdout.readline() == "starting\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("ended\n", "", 0)


def test_a_second_signal_ends_it_at_once():
    with start("slow") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20)[0] == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_what_a_service_raises_comes_out():
    with start("fail") as process:
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err.rstrip().endswith("RuntimeError: the hardware is gone")
    assert "stopping" in out


class Stopping(DeviceServer):
    """Gets a signal as soon as it serves, and another while it stops, if there is one more."""

    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *signals):
        super().__init__("127.0.0.1", 0)
        self.signals = list(signals)
        self.enough = asyncio.Event()
        self.enough.set()

    def next_signal(self):
        if self.signals:
            os.kill(os.getpid(), self.signals.pop(0))

    async def on_start(self):
        self.add_service_task(self.work())

    async def work(self):
        self.next_signal()
        await asyncio.Event().wait()

    async def on_stop(self):
        self.next_signal()
        await self.enough.wait()


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, lambda *_: None])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_returns_after_a_signal_and_leaves_the_signals_as_they_were(number, before):
    found = signal.signal(number, before)
    try:
        device = Stopping(number)
        run(device)
        assert not device.running
        assert signal.getsignal(number) is before
    finally:
        signal.signal(number, found)


def test_a_second_signal_does_not_wait_for_what_stops(monkeypatch):
    codes = []
    device = Stopping(signal.SIGTERM, signal.SIGINT)
    device.enough.clear()

    def exit_process(code):
        codes.append(code)
        device.enough.set()  # the test goes on

    monkeypatch.setattr(os, "_exit", exit_process)
    run(device)
    assert codes == [128 + signal.SIGINT]


class WithoutSignals(asyncio.SelectorEventLoop):
    def add_signal_handler(self, *_):
        raise NotImplementedError

    def remove_signal_handler(self, *_):
        raise NotImplementedError


def test_it_serves_over_a_loop_that_has_no_signals():
    class Halting(Stopping):
        async def work(self):
            peer = await Peer.connect(*self.address)
            self.replied = (await peer.ask("?halt"))[-1].ok
            await peer.close()

    device = Halting()
    run(device, loop_factory=WithoutSignals)
    assert device.replied
