"""Readings of devices, as they reach a sink."""

import asyncio
import contextlib
import re

import pytest

from katcp_aio import DeviceClient, DeviceGroup, Limits, Recorded, SensorRecorder, Status, UsageError
from katcp_aio.client import recorder as module
from katcp_aio.client.backoff import Backoff
from katcp_aio.testing import FakeDevice, FakeSensor

__all__ = []


class ListSink:
    """Keeps what it is given, unless it is told to fail."""

    def __init__(self, *failures, gate=None):
        self.batches = []
        self.tried = []
        self.closed = 0
        self.failures = list(failures)
        self.gate = gate

    @property
    def readings(self):
        return [reading for batch in self.batches for reading in batch]

    @property
    def words(self):
        return [f"{item.device}.{item.sensor} {item.status.value} {item.value}" for item in self.readings]

    async def write(self, readings):
        self.tried.append(asyncio.get_running_loop().time())
        if self.gate is not None:
            await self.gate.wait()
        if self.failures and (error := self.failures.pop(0)) is not None:
            raise error
        self.batches.append(readings)

    async def close(self):
        self.closed += 1


class Bench:
    """A device in memory, and a client of it."""

    def __init__(self, fake, device, clock):
        self.fake = fake
        self.device = device
        self.clock = clock

    def recorder(self, sink, **options):
        return SensorRecorder({"pump": self.device}, sink, clock=self.clock, **options)

    async def set(self, *values, name="rate"):
        await self.clock.settle()
        for value in values:
            self.fake.set(name, value)
        await self.clock.settle()


@pytest.fixture
async def bench(manual_clock):
    sensors = {"rate": FakeSensor("integer", 0, timestamp=100.0), "mode": FakeSensor("discrete", "idle", ("idle",))}
    async with (
        FakeDevice(sensors=sensors) as fake,
        DeviceClient(
            "fake", connector=fake.connector, clock=manual_clock, reconnect=Backoff(initial=0.5, randomness=0)
        ) as device,
    ):
        yield Bench(fake, device, manual_clock)


async def test_what_sensors_read_is_written_in_batches(bench):
    sink = ListSink()
    async with bench.recorder(sink, labels=lambda device, sensor: {"type": f"{device} {sensor.type_name}"}) as recorder:
        await bench.clock.settle()
        assert sorted(map(str, bench.fake.sampling("rate"))) == ["(b'auto',)"]
        assert recorder.waiting == 2
        await bench.set(1, 2)
        assert sink.batches == []
        await bench.clock.advance(1)
        assert sink.words[1:] == ["pump.rate nominal 0", "pump.rate nominal 1", "pump.rate nominal 2"]
        assert sink.words[0] == "pump.mode nominal idle"
        assert sink.readings[1] == Recorded("pump", "rate", 100.0, Status.NOMINAL, 0, {"type": "pump integer"})
        await bench.clock.advance(10)
        assert len(sink.batches) == 1
        await bench.set(3)
        await bench.clock.advance(1)
        assert len(sink.batches) == 2
        await bench.set(4)
    assert sink.words[-1] == "pump.rate nominal 4"  # on closing
    assert (recorder.recorded, recorder.lost, recorder.waiting, sink.closed) == (6, 0, 0, 1)
    await bench.set(5)
    assert bench.fake.sampling("rate") == []
    assert recorder.waiting == 0
    await recorder.close()
    assert sink.closed == 1


async def test_only_what_is_wished_for(bench):
    valid, bad, rate = ListSink(), ListSink(), ListSink()
    async with (
        bench.recorder(valid, valid_only=True),
        bench.recorder(bad, valid_only={Status.FAILURE}),
        bench.recorder(rate, match="ra.e", strategy=("event-rate", 1, 10)),
    ):
        await bench.clock.settle()
        for status in ("warn", "failure", "error", "unknown"):
            bench.fake.set("mode", "idle", status)
        await bench.clock.settle()
    assert valid.words == ["pump.mode nominal idle", "pump.rate nominal 0"] + [
        f"pump.mode {status} idle" for status in ("warn", "error")
    ]
    assert bad.words == ["pump.mode failure idle"]
    assert set(rate.words) == {"pump.rate nominal 0"}


async def test_a_strategy_of_the_programs_own_goes_on_and_the_reading_of_now_is_recorded(bench):
    await bench.device.sample("rate", "event")
    sink = ListSink()
    async with bench.recorder(sink, match="rate"):
        await bench.set(1)
        assert bench.fake.sampling("rate") == [(b"event",)]
    assert sink.words == ["pump.rate nominal 0", "pump.rate nominal 1"]
    assert bench.fake.sampling("rate") == [(b"event",)]


async def test_sensors_come_change_and_go(bench):
    sink = ListSink()
    async with bench.recorder(sink, match="rate|new"):
        await bench.clock.settle()
        bench.fake.sensors["new"] = FakeSensor("integer", 7)
        bench.fake.sensors["rate"] = FakeSensor("float", 0.5)
        bench.fake.inform("interface-changed")
        await bench.clock.advance(1)
        assert set(sink.words) == {"pump.rate nominal 0", "pump.new nominal 7", "pump.rate nominal 0.5"}
        await bench.set(1.5)
        del bench.fake.sensors["rate"]
        bench.fake.inform("interface-changed")
        await bench.clock.advance(1)
        assert sink.words[-1] == "pump.rate nominal 1.5"
        await bench.set(8, name="new")
    assert sink.words[-1] == "pump.new nominal 8"
    assert sink.words.count("pump.new nominal 7") == 1


async def test_a_device_that_is_away_is_recorded_as_such(bench):
    everything, valid = ListSink(), ListSink()
    async with bench.recorder(everything, match="rate"), bench.recorder(valid, match="rate", valid_only=True):
        await bench.clock.settle()
        bench.fake.end()
        await bench.clock.settle()
        assert not bench.device.connected
        bench.fake.sensors["rate"].value = 9
        await bench.clock.advance(5)
        assert bench.device.synced
    assert everything.words[0] == "pump.rate nominal 0"
    assert "pump.rate unreachable 0" in everything.words
    assert everything.words[-1] == "pump.rate nominal 9"
    assert valid.words == ["pump.rate nominal 0", "pump.rate nominal 9"]


async def test_members_of_a_group_come_and_go(bench):
    sink = ListSink()
    group = DeviceGroup({"m000": bench.device})
    async with SensorRecorder(group, sink, match="rate", clock=bench.clock):
        await bench.clock.settle()
        await group.remove("m000")
        await group.add("m001", bench.device)
        await bench.clock.advance(1)
        assert sink.words == ["m000.rate nominal 0", "m001.rate nominal 0"]
        await bench.set(1)
    assert sink.words[2:] == ["m001.rate nominal 1"]


async def test_a_sensors_own_labels_are_told_too(bench):
    bench.fake.on("sensor-metadata", informs=[("rate", "label:rack=3", "label:side=a")])
    bench.fake.inform("interface-changed")
    sink = ListSink()
    async with bench.recorder(sink, match="rate", labels=lambda *_: {"side": "b"}):
        await bench.set(1)
        await bench.clock.advance(1)
    assert sink.readings[-1].value == 1
    assert sink.readings[-1].labels == {"rack": "3", "side": "b"}


async def test_a_sensor_whose_labels_fail_costs_the_others_nothing(bench, caplog):
    def labels(device, sensor):
        if sensor.name == "mode":
            raise KeyError("no\nlabel")
        return {"for": device}

    sink = ListSink()
    async with bench.recorder(sink, labels=labels):
        await bench.clock.settle()
    assert sink.words == ["pump.rate nominal 0"]
    assert [text for text in caplog.messages if "sensor mode is not recorded" in text]


async def test_a_batch_that_is_refused_is_tried_again_later_and_later(bench, caplog):
    sink = ListSink(*[OSError("disk full")] * 3)
    async with bench.recorder(sink, match="rate", flush_interval=2.0) as recorder:
        await bench.clock.advance(3)
        await bench.set(1)
        await bench.clock.advance(17)
        assert sink.tried == [2, 4, 8, 16, 18]  # the last is of what came meanwhile
        assert sink.words == ["pump.rate nominal 0", "pump.rate nominal 1"]
        assert (recorder.recorded, recorder.lost) == (2, 0)
    assert "1 readings not written, attempt 3 of 10: disk full" in caplog.text
    assert recorder.trouble.counts == {"recorder sink": 3}


async def test_a_batch_that_no_attempt_writes_is_lost_and_the_next_is_not(bench, caplog):
    sink = ListSink(OSError(), OSError())
    async with bench.recorder(sink, match="rate", attempts=2) as recorder:
        await bench.clock.advance(1)
        await bench.set(1)
        await bench.clock.advance(1)
        assert recorder.lost == 1
        await bench.clock.advance(1)
    assert sink.words == ["pump.rate nominal 1"]
    assert "1 readings are lost: no attempts are left" in caplog.text
    assert "OSError" in caplog.text


async def test_a_sink_whose_own_work_is_cancelled_has_refused_the_batch(bench, caplog):
    sink = ListSink(asyncio.CancelledError())
    async with bench.recorder(sink, match="rate") as recorder:
        await bench.clock.advance(2)
        assert sink.words == ["pump.rate nominal 0"]
        await bench.set(1)
    assert (recorder.recorded, recorder.lost) == (2, 0)
    assert "1 readings not written, attempt 1 of 10: what the sink waited for was cancelled" in caplog.text


async def test_the_oldest_are_dropped_and_counted(bench, caplog):
    sink = ListSink(gate=asyncio.Event())
    async with bench.recorder(sink, match="rate", limits=Limits(max_recorded=3)) as recorder:
        await bench.clock.advance(1)  # the first is under way
        await bench.set(*range(1, 7))
        assert (recorder.waiting, recorder.lost) == (4, 3)
        assert len([text for text in caplog.messages if "the oldest are dropped" in text]) == 1
        sink.gate.set()
        await bench.clock.advance(1)
        assert sink.words == [f"pump.rate nominal {value}" for value in (0, 4, 5, 6)]
        await bench.set(*range(7, 12))
    assert sink.words[4:] == [f"pump.rate nominal {value}" for value in (9, 10, 11)]
    assert recorder.lost == 5
    assert len([text for text in caplog.messages if "the oldest are dropped" in text]) == 2


async def test_a_full_batch_does_not_wait_for_its_time(bench, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 4)
    sink = ListSink()
    async with bench.recorder(sink, match="rate", flush_interval=100.0):
        await bench.set(*range(1, 10))
        assert [len(batch) for batch in sink.batches] == [4, 4]
    assert [item.value for item in sink.readings] == list(range(10))


async def test_closing_takes_a_bounded_time_and_tells_what_it_cost(bench, caplog):
    sink = ListSink(gate=asyncio.Event())
    recorder = bench.recorder(sink, match="rate", limits=Limits(record_timeout=3))
    await recorder.start()
    await bench.set(1)
    closing = asyncio.create_task(recorder.close())
    await bench.clock.advance(2.9)
    assert not closing.done()
    await bench.clock.advance(0.2)
    await closing
    assert (recorder.recorded, recorder.lost, sink.closed) == (0, 2, 1)
    assert "2 readings are lost: the recorder was closed" in caplog.text


@pytest.mark.parametrize("error", [OSError("stuck"), None], ids=["raises", "hangs"])
async def test_a_sink_that_cannot_be_closed_is_told(bench, caplog, error):
    sink = ListSink()

    async def close():
        if error is not None:
            raise error
        await asyncio.sleep(1000)

    sink.close = close
    closing = asyncio.create_task(use(bench.recorder(sink)))
    await bench.clock.advance(2)
    await closing
    assert re.search("the sink was not closed: (stuck|TimeoutError)", caplog.text)


async def use(recorder):
    async with recorder:
        pass


async def test_closing_that_is_cancelled_gives_up_and_closes_the_sink(bench):
    sink = ListSink(gate=asyncio.Event())
    recorder = bench.recorder(sink, match="rate")
    await recorder.start()
    await bench.set(1)
    closing = asyncio.create_task(recorder.close())
    await bench.clock.settle()
    closing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await closing
    await bench.clock.settle()
    assert (recorder.lost, sink.closed) == (2, 1)


async def test_a_recorder_is_used_once(bench):
    sink = ListSink()
    async with bench.recorder(sink) as recorder:
        with pytest.raises(UsageError, match="started once"):
            await recorder.start()
    unused = bench.recorder(sink)
    await unused.close()
    with pytest.raises(UsageError, match="started once"):
        await unused.start()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"attempts": 0}, "0 attempts to write a batch"),
        ({"flush_interval": 0.0}, "0 s between two writes"),
        ({"match": "("}, "no regular expression"),
    ],
)
def test_a_recorder_that_cannot_be_is_an_error(options, what):
    with pytest.raises(ValueError, match=what):
        SensorRecorder({}, ListSink(), **options)
