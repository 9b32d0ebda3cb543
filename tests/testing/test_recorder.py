"""A recorder remembers, waits, and answers in the words of the field."""

import asyncio

import pytest

from katcp_aio.model.reading import Reading, Status
from katcp_aio.model.sensor import Sensor
from katcp_aio.testing import Recorder
from katcp_aio.wire.message import Message


@pytest.fixture
def talk(recorder):
    """Return a recorder that heard one of each."""
    recorder(Message.request("set-rate", 2.5, mid=1))
    recorder(Message.inform("log", "warn", 1.5, "pump", "dry"))
    recorder(Message.reply("set-rate", "ok", 2.5, mid=1))
    return recorder


async def test_waiting_for_what_is_there_and_for_what_comes(recorder, manual_clock):
    recorder("a")
    assert await recorder.wait() == ["a"]
    waiting = [asyncio.create_task(recorder.wait(2)), asyncio.create_task(recorder.wait(2, str.isupper))]
    await manual_clock.settle()
    recorder("B")
    recorder("c")
    await manual_clock.settle()
    assert waiting[0].result() == ["a", "B"]
    assert not waiting[1].done()
    recorder("D")
    assert await waiting[1] == ["B", "D"]
    assert recorder.items == list(recorder) == ["a", "B", "c", "D"]
    assert (len(recorder), recorder[-1]) == (4, "D")


async def test_waiting_in_vain_tells_what_came(talk, manual_clock):
    manual_clock.auto = True
    with pytest.raises(TimeoutError, match=r"1 of 2 came within 5 s; all: \?set-rate\[1\] 2.5; #log warn"):
        await talk.wait(2, lambda message: message.name == "log")
    assert manual_clock.monotonic() == 5


async def test_a_wait_that_is_cancelled_leaves_no_trace(recorder, manual_clock):
    waiting = asyncio.create_task(recorder.wait())
    await manual_clock.settle()
    waiting.cancel()
    await manual_clock.settle()
    recorder("a")
    assert await recorder.wait() == ["a"]


def test_forgetting_and_keeping_some():
    recorder = Recorder(keep=lambda number: number % 2 == 0)
    for number in range(5):
        recorder(number)
    assert recorder.items == [0, 2, 4]
    recorder.clear()
    recorder(6)
    assert recorder.items == [6]


def test_assertions_in_the_words_of_the_field(talk):
    assert talk.assert_request("set-rate", 2.5).mid == 1
    talk.assert_reply("set-rate", "ok", 2.5)
    talk.assert_reply("set-rate", "ok", ...)
    talk.assert_inform("log", "warn", ..., "pump", "dry")
    talk.assert_inform("log", "warn", ...)
    talk.assert_inform("log", ...)
    talk.assert_nothing("sensor-status")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda talk: talk.assert_reply("set-rate", "ok", 2),
        lambda talk: talk.assert_reply("set-rate", "ok"),
        lambda talk: talk.assert_reply("set-rate", "ok", 2.5, 1),
        lambda talk: talk.assert_reply("log", "warn", ...),
        lambda talk: talk.assert_request("set-mode"),
        lambda talk: talk.assert_inform("log", "warn", ..., "pump", "wet"),
        lambda talk: talk.assert_nothing("log"),
        lambda talk: talk.assert_nothing(),
    ],
)
def test_assertions_that_fail_show_what_there_was(talk, wrong):
    with pytest.raises(AssertionError, match=r"#log warn 1.5 pump dry"):
        wrong(talk)


def test_a_failure_names_what_was_wanted():
    talk = Recorder()
    talk(Message.request("set-rate", 2.5))
    with pytest.raises(AssertionError, match=r"^no !set-rate 'ok' \.\.\. 2\.5 among nothing$"):
        Recorder().assert_reply("set-rate", "ok", ..., 2.5)
    with pytest.raises(AssertionError, match=r"^no \?set-rate without arguments among \?set-rate 2\.5$"):
        talk.assert_request("set-rate")  # what is not said is not there: any number of arguments is `...`


def test_a_failure_shows_the_last_of_many():
    recorder = Recorder()
    for number in range(100):
        recorder(number)
    assert repr(recorder) == f"<Recorder (80 before) {'; '.join(map(str, range(80, 100)))}>"


def test_messages_by_kind(talk):
    assert [message.name for message in talk.requests()] == ["set-rate"]
    assert [message.name for message in talk.replies("set-rate")] == ["set-rate"]
    assert talk.replies("log") == []
    assert [message.arguments[0] for message in talk.informs()] == [b"warn"]


def test_readings_of_sensors(recorder):
    rate, mode = Sensor(float, "rate"), Sensor(int, "mode")
    rate.attach(recorder)
    mode.attach(recorder)
    rate.set(2.5, timestamp=1.0)
    mode.set(3, timestamp=2.0)
    assert recorder.readings("rate") == [Reading(1.0, Status.NOMINAL, 2.5)]
    assert [reading.value for reading in recorder.readings()] == [2.5, 3]


def test_readings_are_something_and_known_by_their_sensor(recorder):
    Sensor(int, "mode").attach(recorder)
    rate = Sensor(float, "rate")
    rate.attach(recorder)
    rate.set(2.5, timestamp=1.0)
    recorder(rate, "no reading")
    recorder("one", "of", "three")
    recorder.assert_nothing("mode")
    with pytest.raises(AssertionError, match=r"expected nothing named rate, and there came \(<Sensor rate"):
        recorder.assert_nothing("rate")
    assert [reading.value for reading in recorder.readings()] == [2.5]


def test_readings_are_asserted_by_sensor_value_and_status(recorder):
    rate, level = Sensor(float, "rate"), Sensor(int, "level")
    rate.attach(recorder)
    level.attach(recorder)
    rate.set(2.5, Status.WARN, 1.0)
    rate.set(3.5, Status.NOMINAL, 2.0)
    level.set(7, Status.NOMINAL, 3.0)
    assert recorder.assert_reading("rate", 2.5) == Reading(1.0, Status.WARN, 2.5)
    assert recorder.assert_reading("rate", 3.5, "nominal").timestamp == 2.0
    assert recorder.assert_reading("level", 7, Status.NOMINAL).timestamp == 3.0
    with pytest.raises(AssertionError, match="no 7 of rate among Reading"):
        recorder.assert_reading("rate", 7)
    with pytest.raises(AssertionError, match=r"no nominal 2\.5 of rate among Reading"):
        recorder.assert_reading("rate", 2.5, "nominal")
    with pytest.raises(AssertionError, match="no 1 of gone among nothing"):
        recorder.assert_reading("gone", 1)
