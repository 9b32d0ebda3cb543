import asyncio
import ctypes
import errno
import sys

import pytest

from katcp_aio.model import SensorSet, Status
from katcp_aio.server import timesync
from katcp_aio.server.timesync import ClockState, KernelClock, TimeSync, read_kernel_clock
from katcp_aio.testing import ManualClock


@pytest.fixture
def sensors():
    return SensorSet(clock=ManualClock(wall=1000.0))


def states(sensors):
    return {name: (sensor.status.value, sensor.value) for name, sensor in sensors.items()}


def test_the_sensors_say_what_the_kernel_says(sensors):
    sync = TimeSync(sensors, "ntp.", nominal=0.1, read=lambda: KernelClock(ClockState.OK, 0.25, 0.000123))
    assert {sensor.status for sensor in sensors.values()} == {Status.UNKNOWN}
    sync.update()
    assert states(sensors) == {
        "ntp.state": ("nominal", ClockState.OK),
        "ntp.maxerror": ("warn", 0.25),
        "ntp.esterror": ("nominal", 0.000123),
    }
    assert sensors["ntp.state"].params == (b"ok", b"ins", b"del", b"oop", b"wait", b"error")
    assert sensors["ntp.esterror"].format_reading(sensors["ntp.esterror"].reading, "5.1")[2] == b"0.000123"


@pytest.mark.parametrize("state", ClockState)
def test_only_an_unsynchronised_clock_is_a_warning(sensors, state):
    sync = TimeSync(sensors, read=lambda: KernelClock(state, 16.0, 16.0))
    sync.update()
    assert sync.state.status is (Status.WARN if state is ClockState.ERROR else Status.NOMINAL)
    assert sync.maxerror.status is Status.NOMINAL


def test_without_a_kernel_to_ask_they_are_inactive_and_come_back(sensors):
    answers = [None, KernelClock(ClockState.OK, 0.5, 0.5), None]
    sync = TimeSync(sensors, read=lambda: answers.pop(0))
    found = []
    for _ in range(3):
        sync.update()
        found.append({sensor.status.value for sensor in sensors.values()})
    assert found == [{"inactive"}, {"nominal"}, {"inactive"}]
    assert sync.maxerror.value == 0.5


def test_a_kernel_that_refuses_is_a_failure(sensors):
    def refuse():
        raise OSError(errno.EFAULT, "Bad address")

    sync = TimeSync(sensors, read=refuse)
    sync.update()
    assert {sensor.status for sensor in sensors.values()} == {Status.FAILURE}


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is a call of Linux")
def test_the_kernel_of_this_machine():
    found = read_kernel_clock()
    if found is not None:  # a container may not be allowed to ask
        assert isinstance(found.state, ClockState)
        assert 0 <= found.esterror < 1000
        assert 0 <= found.maxerror < 1000


class Library:
    """A C library whose adjtimex answers as told."""

    def __init__(self, result, number=0):
        self.result = result
        self.number = number

    def __call__(self, name, use_errno):
        assert use_errno
        return self

    def adjtimex(self, argument):
        timex = argument.contents
        assert timex.modes == 0  # nothing is ever set
        timex.maxerror, timex.esterror = 250_000, 123
        ctypes.set_errno(self.number)
        return self.result


def test_microseconds_become_seconds(monkeypatch):
    monkeypatch.setattr(timesync.ctypes, "CDLL", Library(5))
    found = read_kernel_clock()
    assert found.state is ClockState.ERROR
    assert (found.maxerror, found.esterror) == pytest.approx((0.25, 0.000123))


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_not_being_allowed_to_ask_is_having_nothing_to_ask(monkeypatch, number):
    monkeypatch.setattr(timesync.ctypes, "CDLL", Library(-1, number))
    assert read_kernel_clock() is None


def test_another_refusal_is_raised(monkeypatch):
    monkeypatch.setattr(timesync.ctypes, "CDLL", Library(-1, errno.EFAULT))
    with pytest.raises(OSError, match="Bad address"):
        read_kernel_clock()


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_another_system_has_nothing_to_ask(monkeypatch, error):
    def missing(name, use_errno):
        raise error

    monkeypatch.setattr(timesync.ctypes, "CDLL", missing)
    assert read_kernel_clock() is None


def test_run_updates_every_period(sensors):
    clock = ManualClock()
    asked = []
    sync = TimeSync(sensors, read=lambda: asked.append(clock.monotonic()))

    async def scenario():
        task = asyncio.create_task(sync.run(10))
        await clock.advance(25)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    clock.run(scenario())
    assert asked == [0, 10, 20]
