"""The blocking clients, against a scripted device that lives in a thread of its own."""

import asyncio
import copy
import inspect
import signal
import sys
import threading
import time
from unittest.mock import Mock

import pytest

from katcp_aio import portal
from katcp_aio.blocking import Client, DeviceClient, DeviceGroup
from katcp_aio.errors import FailReply, NotConnected, RequestTimeout, UsageError
from katcp_aio.model.reading import Status
from katcp_aio.testing import FakeDevice, FakeSensor


class Far:
    """A scripted device at a TCP port, in another thread."""

    def __init__(self):
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._thread.start()
        self._ready.wait()

    async def _main(self):
        self.loop = asyncio.get_running_loop()
        self.done = asyncio.Event()
        async with FakeDevice(sensors={"rate": FakeSensor("float", 1.5), "mode": FakeSensor("string", "idle")}) as fake:
            self.fake = fake
            fake.on("set-rate", reply=("ok", 2.5))
            fake.help["set-rate"] = "Set it.\n?set-rate rate:float"
            fake.on("sensor-metadata", informs=[("rate", "set-by=set-rate", "label:rack=3")])
            fake.on("steps", informs=[("a",), ("b",)])
            fake.on("refuse", reply=("fail", "no"))
            fake.on("hang", reply=None)
            self.host, self.port = await fake.listen()
            self._ready.set()
            await self.done.wait()

    def do(self, function, *args):
        """Do something to the device, in its own thread."""

        async def call():
            return function(*args)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result()

    def end(self):
        self.loop.call_soon_threadsafe(self.done.set)
        self._thread.join()


@pytest.fixture
def far():
    device = Far()
    yield device
    device.end()


def test_requests(far):
    with Client(far.host, far.port) as client:
        assert client.connected
        assert client.request("set-rate", 1).arguments == [b"2.5"]
        assert client.request("set-rate", 1, returns=(float,)) == (2.5,)
        stream = client.stream("steps")
        assert [inform.arguments for inform in stream] == [(b"a",), (b"b",)]
        assert stream.reply.ok
        with pytest.raises(FailReply, match="no"):
            client.request("refuse")
        with pytest.raises(RequestTimeout):
            client.request("hang", timeout=0.01)
        with client.informs("ready") as informs:
            far.do(far.fake.inform, "ready", "now")
            assert next(informs).arguments == (b"now",)
    with pytest.raises(UsageError, match="not started, or closed"):
        client.request("set-rate", 1)


def test_a_device_with_its_requests_and_sensors(far):
    with DeviceClient(far.host, far.port) as pump:
        assert dir(pump.sensor) == ["mode", "rate"]
        assert list(pump.sensor) == ["mode", "rate"]
        assert "rate" in pump.sensor
        assert len(pump.sensor) == 2
        assert pump.req.set_rate(2.5).ok
        assert pump.req["set-rate"](2.5).ok
        assert pump.req.set_rate.__doc__.startswith("Set it.")
        assert "rate" in inspect.signature(pump.req.set_rate).parameters
        assert pump.sensor.rate.read().value == 1.5
        assert pump.read("/mode/")["mode"].value == "idle"
        assert pump.sensor.rate.labels == {"rack": "3"}
        assert pump.sensor.rate.set(2.5).arguments == [b"2.5"]
        assert pump.sensor.rate.sample("event")
        assert pump.sensor.rate == pump.sensor["rate"]
        assert [sensor.name for sensor in pump.matching()] == ["mode", "rate"]
        seen = []
        pump.sensor.rate.attach(lambda sensor, reading: seen.append((sensor.name, reading.value)))
        far.do(far.fake.set, "rate", 2.0)
        assert pump.sensor.rate.wait_for(lambda reading: reading.value > 1.9, timeout=10).value == 2.0
        assert seen == [("rate", 2.0)]
        for reading in pump.sensor.mode.readings("event"):
            assert reading.value == "idle"
            break
        with pytest.raises(AttributeError, match="no sensor 'nope'"):
            _ = pump.sensor.nope
    assert pump.sensor.rate.status is Status.UNREACHABLE
    assert pump.sensor.rate.value == 2.0


def test_a_group(far):
    with DeviceGroup({"a": (far.host, far.port), "b": (far.host, far.port)}) as group:
        group.wait_connected(timeout=10)
        results = group.req.set_rate(1)
        assert results
        assert results["b"].arguments == [b"2.5"]
        assert group["a"].req.set_rate(1).ok
        assert group.sensor["a.rate"].read().value == 1.5
        assert list(group) == ["a", "b"]


@pytest.mark.blocks("so do notebooks, in which a loop runs")
async def test_works_while_a_loop_is_running(far):
    with DeviceClient(far.host, far.port) as pump:
        assert pump.req.set_rate(1).ok


def test_several_threads_share_one_loop(far):
    with DeviceClient(far.host, far.port) as pump, Client(far.host, far.port) as other:
        results = []

        def ask():
            results.extend((pump.req.set_rate(1).ok, other.request("set-rate", 2).ok))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [True] * 16
        assert [thread.name for thread in threading.enumerate()].count("katcp blocking") == 1
    assert "katcp blocking" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def ctrl_c():
    """Yield what interrupts the main thread, once, wherever it waits; it is to be called in another thread.

    A signal that comes when a thread is just about to wait for a lock does not wake it, so it is sent until it does.
    """
    taken = threading.Event()

    def take(_number, _frame):
        if not taken.is_set():
            taken.set()
            raise KeyboardInterrupt

    def interrupt():
        while not taken.is_set():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            taken.wait(0.01)

    before = signal.signal(signal.SIGINT, take)
    yield interrupt
    signal.signal(signal.SIGINT, before)


@pytest.mark.blocks("the device waits until the signal was taken")
def test_ctrl_c_ends_a_wait_and_nothing_else(far, ctrl_c):
    def interrupt(_peer, _request):
        ctrl_c()
        return asyncio.get_running_loop().create_future()

    far.do(far.fake.on, "interrupt", interrupt)
    with Client(far.host, far.port) as client:
        with pytest.raises(KeyboardInterrupt):
            client.request("interrupt", timeout=None)
        assert client.request("set-rate", 1).ok


def test_closing_from_another_thread_ends_a_wait(far):
    with Client(far.host, far.port) as client:
        caught = []

        def wait():
            try:
                client.request("hang", timeout=None)
            except ConnectionError as error:
                caught.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        asyncio.run_coroutine_threadsafe(far.fake.received("hang"), far.loop).result()
        client.close()
        thread.join()
        assert len(caught) == 1


def test_closing_ends_calls_with_which_the_loop_has_not_begun(far, monkeypatch):
    client = Client.connect(far.host, far.port)
    caught, closed = [], []

    def ask():
        try:
            client.request("set-rate", 1, timeout=None)
        except NotConnected as error:
            caught.append(str(error))

    def close():
        client.close()
        closed.append(True)

    with monkeypatch.context() as patch:
        sent = threading.Semaphore(0)
        patch.setattr(portal, "_begin", lambda *_call: sent.release())  # as a loop does that is about to end
        threads = [threading.Thread(target=target, daemon=True) for target in (ask, close)]
        for thread in threads:
            thread.start()
            assert sent.acquire(timeout=20)
    client.close()
    for thread in threads:
        thread.join(20)
    assert (caught, closed) == ([f"{far.host}:{far.port}: closed while waiting"], [True])


def test_a_loop_that_was_closed_just_now_is_told_of():
    loop = asyncio.new_event_loop()
    loop.close()

    class Late(portal.Line):
        loop = None

    line = Late("pump:5000")
    line.loop = loop
    with pytest.raises(UsageError, match="pump:5000 is not started, or closed"):
        line.run(print)


def test_a_thread_is_not_taken_for_the_loops_while_another_closes_the_client():
    loops = iter([object(), None])

    class Closing(portal.Line):
        _loop = property(lambda _self: next(loops), lambda _self, _loop: None)

    Closing("pump:5000").check()


def test_a_loop_that_ends_begins_with_no_call(far, monkeypatch):
    with DeviceClient(far.host, far.port) as pump, monkeypatch.context() as patch:
        patch.setattr(portal.Portal, "ending", True)
        with pytest.raises(NotConnected, match="closed while waiting"):
            pump.sensor.rate.read()
        patch.undo()
        assert pump.sensor.rate.read().value == 1.5


def test_at_the_end_of_python_nothing_waits_for_the_loop(far, monkeypatch):
    with DeviceClient(far.host, far.port) as pump:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "is_finalizing", lambda: True)
            pump.close()
            with pytest.raises(UsageError):
                pump.sensor.rate.read()
        assert pump.sensor.rate.read().value == 1.5


def test_in_the_child_of_a_fork_a_client_is_its_parents(monkeypatch):
    forked, line = portal.Portal(), portal.Line("pump:5000")
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.events, "new_event_loop", Mock(side_effect=OSError))  # for no thread is forked along
        with pytest.raises(OSError):
            forked.acquire(line)
    forked.fork()
    with pytest.raises(UsageError, match="pump:5000 belongs to the process that was forked"):
        line.open()
    own = portal.Line("pump:5000")
    assert forked.acquire(own).is_running()
    forked.release(own)


def test_a_blocking_call_in_a_callback_is_an_error_and_no_deadlock(far):
    with DeviceClient(far.host, far.port) as pump:
        errors = []

        def callback(_sensor, _reading):
            try:
                pump.req.set_rate(1)
            except UsageError as error:
                errors.append(str(error))

        pump.sensor.rate.attach(callback)
        pump.sensor.rate.read()
        assert len(errors) == 1
        assert "nothing may block" in errors[0]


def test_a_loop_over_readings_may_be_collected_in_any_thread(far, monkeypatch):
    complaints = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with DeviceClient(far.host, far.port) as pump:
        left = [iter(pump.sensor.rate.readings("event"))]
        assert next(left[0]).value == 1.5
        pump.sensor.mode.attach(lambda _sensor, _reading: left.clear())
        pump.sensor.mode.read()
        assert left == []
        answers = (pump.request("sensor-sampling", "rate").arguments for _ in range(100))
        assert [b"rate", b"none"] in answers
    assert complaints == []


def test_closing_in_a_callback_is_an_error_and_closes_nothing(far):
    with DeviceClient(far.host, far.port) as pump:
        errors = []

        def callback(_sensor, _reading):
            try:
                pump.close()
            except UsageError as error:
                errors.append(str(error))

        pump.sensor.rate.attach(callback)
        pump.sensor.rate.read()
        assert len(errors) == 1
        assert pump.connected
        assert pump.sensor.rate.read().value == 1.5
    assert "katcp blocking" not in [thread.name for thread in threading.enumerate()]


def test_one_that_cannot_connect_leaves_no_thread():
    with pytest.raises(NotConnected), Client("127.0.0.1", 1, timeout=0.05):
        pytest.fail("connected")
    assert "katcp blocking" not in [thread.name for thread in threading.enumerate()]


def test_stands_for_the_same_object_wherever_it_came_from(far):
    with DeviceClient(far.host, far.port) as pump:
        rate = pump.sensor.rate
        assert {rate: "the rate"}[pump.sensor["rate"]] == "the rate"
        assert copy.copy(rate) == rate
        assert rate != pump.sensor.mode
        assert rate.Status is Status
        assert repr(rate).startswith("<blocking <RemoteSensor rate float ")
        assert pump.sensor._ipython_key_completions_() == ["mode", "rate"]


def test_something_empty_is_still_something():
    with DeviceGroup({}) as group:
        assert group
        assert len(group) == 0


def test_starting_twice_is_an_error_and_closes_nothing(far):
    client = Client(far.host, far.port)
    client.start()
    client.wait_connected(10)
    with pytest.raises(UsageError, match="cannot take START"):
        client.start()
    assert client.request("set-rate", 1).ok
    client.close()
    client.close()
    assert not client.connected


def test_connect_returns_a_client_that_is_connected(far):
    client = Client.connect(far.host, far.port)
    try:
        assert client.request("set-rate", 1).ok
    finally:
        client.close()


def test_a_stream_is_read_to_its_end_step_by_step(far):
    with Client(far.host, far.port) as client:
        with client.stream("steps") as stream:
            assert [next(stream).arguments, next(stream).arguments] == [(b"a",), (b"b",)]
            with pytest.raises(StopIteration):
                next(stream)
        later = client.stream("steps")
    later.close()  # with nothing left that could close it


def test_a_wait_for_a_sensor_ends_when_the_client_is_closed(far):
    waits = threading.Event()
    caught = []

    def never(_reading):
        waits.set()
        return False

    def wait(rate):
        try:
            rate.wait_for(never)
        except NotConnected as error:
            caught.append(str(error))

    with DeviceClient(far.host, far.port) as pump:
        thread = threading.Thread(target=wait, args=(pump.sensor.rate,))
        thread.start()
        waits.wait()
    thread.join()
    assert len(caught) == 1
    assert "closed while waiting" in caught[0]


def calls_of(thread):
    """Return the names of the functions that a thread is in, the innermost first."""
    frame, names = sys._current_frames()[thread], []  # noqa: SLF001 - the way that the interpreter offers
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


@pytest.mark.blocks("the call cannot begin while the loop does nothing")
def test_ctrl_c_before_a_call_has_begun_takes_it_back(far, ctrl_c):
    busy, go_on = threading.Event(), threading.Event()
    main = threading.main_thread().ident

    def interrupt():
        while "run, result, wait" not in ", ".join(reversed(calls_of(main))):
            time.sleep(0)
        ctrl_c()

    def block(_inform):
        busy.set()
        go_on.wait()

    with Client(far.host, far.port) as client:
        client.on_inform("ready", block)
        far.do(far.fake.inform, "ready")
        busy.wait()
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                client.request("refuse", timeout=None)
        finally:
            go_on.set()
        thread.join()
        assert client.request("set-rate", 1).ok
    assert not far.fake.requests.requests("refuse")


def test_a_machine_that_has_no_loop_to_give_is_told_of_and_leaves_no_thread(monkeypatch):
    def new_event_loop():
        raise OSError("Too many open files")

    monkeypatch.setattr(asyncio.events, "new_event_loop", new_event_loop)
    with pytest.raises(OSError, match="Too many open files"), Client("127.0.0.1", 1):
        pytest.fail("connected")
    assert "katcp blocking" not in [thread.name for thread in threading.enumerate()]
