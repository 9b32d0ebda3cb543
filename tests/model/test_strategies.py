import enum
import math
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model.asking import COUNT, NAMES, RATE, V4, make, refusal

from katcp_aio.limits import Limits
from katcp_aio.model import Reading, Sensor, Status
from katcp_aio.model.reporting import (
    Auto,
    Differential,
    DifferentialRate,
    Event,
    EventRate,
    NoReports,
    Period,
)
from katcp_aio.model.strategies import make_strategy, strategies
from katcp_aio.wire.datatypes import Lru, Timestamp
from katcp_aio.wire.dialect import V51, parse_version

V50 = parse_version("5.0")


class Mode(enum.Enum):
    IDLE = 0
    BUSY = 1


OTHERS = [Sensor(kind, "it") for kind in (bool, str, Mode, Timestamp, Lru)]


def wakes(strategy, now=0.0, value=0):
    """When a strategy that starts now wants to be woken: how long its period is."""
    strategy.start(Reading(0.0, Status.NOMINAL, value), now)
    return strategy.wake_at - now


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("none", NoReports),
        ("auto", Auto),
        ("period 1.5", Period),
        ("event", Event),
        ("differential 0.5", Differential),
        ("event-rate 1 10", EventRate),
        ("differential-rate 0.5 1 10", DifferentialRate),
    ],
)
def test_every_strategy_of_table_9_is_echoed_as_given(text, kind):
    strategy = make(text)
    assert type(strategy) is kind
    assert b" ".join(strategy.echo) == text.encode()


@pytest.mark.parametrize("text", ["period 1e1", "period 0010", "period 3.", "event-rate 0 1E3"])
def test_parameters_are_echoed_byte_for_byte(text):
    assert b" ".join(make(text).echo) == text.encode()


# ---------------------------------------------------------------------------------------------------------------------
# Parameters


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("none 1", "expected no parameters for none, found 1"),
        ("auto 1", "expected no parameters for auto, found 1"),
        ("event 1", "expected no parameters for event, found 1"),
        ("period", "expected 1 parameter for period, found 0"),
        ("period 1 2", "expected 1 parameter for period, found 2"),
        ("differential", "expected 1 parameter for differential, found 0"),
        ("event-rate 1", "expected 2 parameters for event-rate, found 1"),
        ("differential-rate 1 2", "expected 3 parameters for differential-rate, found 2"),
    ],
)
def test_the_number_of_parameters(text, told):
    assert refusal(text) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("period 0", "period must be above zero, found '0'"),
        ("period -1", "period must be above zero, found '-1'"),
        ("period nan", "period must be a number, found 'nan'"),
        ("period inf", "period must be a finite number, found 'inf'"),
        ("period 1e999", "period must be a number, found '1e999'"),
        ("period abc", "period must be a number, found 'abc'"),
        ("period 1,5", "period must be a number, found '1,5'"),
        ("period ", "period must be a number, found ''"),
        ("period 1_0", "period must be a number, found '1_0'"),
        ("differential -1", "difference must not be negative, found '-1'"),
        ("differential nan", "difference must be a number, found 'nan'"),
        ("differential inf", "difference must be a finite number, found 'inf'"),
        ("event-rate -1 10", "shortest-period must not be negative, found '-1'"),
        ("event-rate nan 10", "shortest-period must be a number, found 'nan'"),
        ("event-rate inf inf", "shortest-period must be a finite number, found 'inf'"),
        ("event-rate 1 0", "longest-period must be above zero, found '0'"),
        ("event-rate 0 0", "longest-period must be above zero, found '0'"),
        ("event-rate 1 -inf", "longest-period must be a number, found '-inf'"),
        ("event-rate 1 nan", "longest-period must be a number, found 'nan'"),
        ("event-rate 10 1", "shortest-period must not be more than longest-period"),
        ("differential-rate 1 10 1", "shortest-period must not be more than longest-period"),
        ("differential-rate -1 1 10", "difference must not be negative, found '-1'"),
        ("differential-rate x 1 10", "difference must be a number, found 'x'"),
        ("period \N{DEGREE SIGN}", r"period must be a number, found '\xb0'"),
    ],
)
def test_what_parameters_may_be(text, told):
    assert refusal(text) == told


def test_a_refusal_repeats_the_first_40_characters_of_what_was_given():
    assert refusal(f"period {'x' * 40}") == f"period must be a number, found '{'x' * 40}'"
    assert refusal(f"period {'x' * 41}") == f"period must be a number, found '{'x' * 40}...'"


@pytest.mark.parametrize("raw", [b"\xff\x00", b"x" * 1000, "é\n".encode(), b"\x1b[2J"])
def test_a_refusal_is_one_short_line_whatever_was_given(raw):
    for name in ("period", "event-rate", "no-such-strategy"):
        with pytest.raises(ValueError, match=r"^(period must be|expected 2 parameters|Unknown strategy)") as caught:
            make_strategy(name if name != "no-such-strategy" else raw.decode("latin-1"), [raw], RATE)
        told = str(caught.value)
        assert told.isascii()
        assert told.isprintable()
        assert len(told) < 150


def test_a_strategy_that_there_is_not():
    assert "fastest" in refusal("fastest")
    with pytest.raises(ValueError, match="fastest"):
        strategies.parameters("fastest")


@pytest.mark.parametrize("sensor", OTHERS, ids=lambda sensor: sensor.type_name)
def test_differences_are_for_numbers_only(sensor):
    assert refusal("differential 1", sensor) == (
        f"differential is for integer and float sensors only, and it is {sensor.type_name}"
    )
    assert "integer and float" in refusal("differential-rate 1 1 10", sensor)
    for text in ("none", "auto", "event", "period 1", "event-rate 1 10"):
        assert make(text, sensor).name == text.split(" ", maxsplit=1)[0]


def differs(strategy, first, second):
    strategy.start(Reading(0.0, Status.NOMINAL, first), 0.0)
    return strategy.on_reading(Reading(0.0, Status.NOMINAL, second), 100.0)


def test_the_difference_is_of_the_sensors_type():
    assert refusal("differential 1.5", COUNT) == "difference must be an integer, found '1.5'"
    assert "difference must be a" in refusal("differential x", COUNT)
    assert refusal("differential -1", COUNT) == "difference must not be negative, found '-1'"
    assert "difference" in refusal("differential inf", COUNT)
    large = make("differential 100000000000000000000000000000001", COUNT)
    assert not differs(large, 0, 10**32 + 1)
    assert differs(large, 0, 10**32 + 2)
    whole = make("differential 5.0", COUNT)  # what katcp-python's clients send
    assert not differs(whole, 0, 5)
    assert differs(whole, 0, 6)
    half = make("differential 0.5")
    assert differs(half, 0.0, 0.75)
    for sensor in (RATE, COUNT):
        assert differs(make("differential 0", sensor), 0, 1)


def test_periods_have_a_least():
    limits = Limits(min_period=0.5)
    assert wakes(make("period 1e-9", limits=limits)) == 0.5
    assert make("period 1e-9", limits=limits).echo == (b"period", b"1e-9")
    assert wakes(make("event-rate 0 1e-9", limits=limits)) == 0.5
    assert wakes(make("period 2", limits=limits)) == 2.0
    assert wakes(make("period 1e-9")) == Limits().min_period


def test_the_shortest_period_may_be_the_longest():
    assert wakes(make("event-rate 5 5")) == 5


def test_infinite_is_no_longest_period():
    for word in ("inf", "INF", "Infinity"):
        assert wakes(make(f"event-rate 1 {word}")) == math.inf


# ---------------------------------------------------------------------------------------------------------------------
# Versions


def test_version_4_gives_time_in_milliseconds():
    assert wakes(make("period 1500", dialect=V4)) == 1.5
    assert wakes(make("period 1500", dialect=V51)) == 1500
    assert make("period 1500", dialect=V4).echo == (b"period", b"1500")


def test_version_4_has_no_rates():
    for text in ("event-rate 1 10", "differential-rate 1 1 10"):
        told = refusal(text, dialect=V4)
        assert told.startswith("protocol 4")
        assert text.split(" ", maxsplit=1)[0] in told
        assert make(text, dialect=V50).params
    assert strategies.names(V4) == ["auto", "differential", "event", "none", "period"]
    assert strategies.names() == strategies.names(V50) == NAMES


# ---------------------------------------------------------------------------------------------------------------------
# auto


def test_auto_is_what_the_sensor_says():
    sensor = Sensor(float, "rate", auto=("event-rate", 1, 60))
    strategy = make("auto", sensor)
    assert isinstance(strategy, EventRate)
    assert wakes(strategy) == 60
    assert strategy.echo == (b"auto",)


def test_what_auto_means_is_in_seconds_and_for_every_version():
    sensor = Sensor(float, "rate", auto=("event-rate", 1, 60))
    assert wakes(make("auto", sensor, V4)) == 60


@pytest.mark.parametrize(("auto", "kind"), [("event", Event), (("differential", 0.5), Differential)])
def test_auto_may_be_any_strategy(auto, kind):
    assert type(make("auto", Sensor(float, "rate", auto=auto))) is kind
    assert type(make("auto", Sensor(float, "rate"))) is Auto


def test_auto_without_a_longest_period():
    assert wakes(make("auto", Sensor(float, "rate", auto=("event-rate", 1, math.inf)))) == math.inf


@pytest.mark.parametrize(
    ("auto", "told"),
    [
        (("period",), "auto of sensor rate: expected 1 parameter for period, found 0"),
        (("period", -1), "auto of sensor rate: period must be above zero"),
        (("fastest",), "auto of sensor rate: .*fastest"),
        (("", 5), "auto of sensor rate: "),
    ],
)
def test_an_auto_that_makes_no_sense_is_told_as_the_sensors(auto, told):
    with pytest.raises(ValueError, match=told):
        make("auto", Sensor(float, "rate", auto=auto))


@attrs.define
class Foreign:
    """A sensor of somebody else's making."""

    name = "foreign"
    auto: tuple[str | int, ...]
    type_name: str = "float"


def test_an_auto_for_another_type_of_sensor_is_told_as_the_sensors():
    label = Foreign(("differential", 1), "string")
    assert refusal("auto", label) == (
        "auto of sensor foreign: differential is for integer and float sensors only, and foreign is string"
    )


@pytest.mark.parametrize("meaning", ["auto", "none"])
def test_auto_is_never_none_nor_itself(meaning):
    assert refusal("auto", Foreign((meaning,))) == f"auto of sensor foreign must not be {meaning}"


def test_auto_takes_no_parameters_also_where_the_sensor_says_what_it_means():
    assert refusal("auto 5", Sensor(float, "rate", auto="event")) == "expected no parameters for auto, found 1"


# ---------------------------------------------------------------------------------------------------------------------
# Whatever is given: a strategy or one line, and nothing that a loop could be kept busy with


@given(
    st.sampled_from([*NAMES, "x"]) | st.text(max_size=5),
    st.lists(st.binary(max_size=6) | st.floats().map(lambda value: str(value).encode()), max_size=4),
    st.sampled_from([RATE, COUNT, *OTHERS]),
    st.sampled_from([V4, V50, V51]),
)
def test_a_strategy_or_a_line_for_the_client(name, params, sensor, dialect):
    try:
        strategy = make_strategy(name, params, sensor, dialect)
    except ValueError as error:
        told = str(error)
    else:
        told = ""
        assert strategy.echo == (name.encode(), *params)
        assert wakes(strategy, value=sensor.value) >= Limits().min_period * 0.999
    assert told.isascii()
    assert told == "" or told.isprintable()


# ---------------------------------------------------------------------------------------------------------------------
# The picture in the documentation

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "strategies.md"
COLUMN = 24  # where the rows of the picture begin; four characters are one second


def picture():
    """The rows of the picture: what it says -> [(seconds, value), ...]."""
    rows = PAGE.read_text(encoding="utf-8").partition("```text\n")[2].partition("```")[0].splitlines()
    found = {}
    for row in rows:
        words = row[:COLUMN].strip()
        if words:
            found[words] = [(at / 4, int(digit)) for at, digit in enumerate(row[COLUMN:]) if digit.isdigit()]
    return found


def reports(text, history, until):
    strategy, queue, sent = make(text, COUNT), list(history), []
    reading = Reading(0.0, Status.NOMINAL, queue.pop(0)[1])
    strategy.start(reading, 0.0)
    if strategy.reports:
        sent.append((0.0, reading.value))
    while (now := min(strategy.wake_at, queue[0][0] if queue else math.inf)) <= until:
        if queue and queue[0][0] == now:
            reading = Reading(now, Status.NOMINAL, queue.pop(0)[1])
            report = strategy.on_reading(reading, now)
        else:
            report = strategy.on_wake(reading, now)
        if report:
            sent.append((now, reading.value))
    return sent


def test_the_picture_shows_what_is_sent():
    rows = picture()
    del rows["seconds"]
    history = rows.pop("set to")
    assert {row.split(" ")[0] for row in rows} == set(NAMES)
    assert {text: reports(text, history, 13.5) for text in rows} == rows
