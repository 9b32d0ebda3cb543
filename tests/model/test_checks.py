import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from katcp_aio.model.checks import check_auto, check_duration, check_name, check_status, check_text, check_time
from katcp_aio.model.reading import Status


@pytest.mark.parametrize("name", ["a", "pump.rate", "dsp0.cold-chamber", "0", "-", "a_b", "A.Z", "."])
def test_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a,b", "pump/rate", "é", "a\n", "rate ", "a*", "٣"])
def test_names_with_other_characters(name):
    with pytest.raises(ValueError, match="only letters, digits"):
        check_name(name)


@pytest.mark.parametrize("name", [b"rate", None, 5])
def test_names_of_another_type(name):
    with pytest.raises(TypeError, match="a sensor's name is a str"):
        check_name(name)


@pytest.mark.parametrize("text", ["", "µs", "two\nlines\r\n", "a\tb", "\u2126"])
def test_texts(text):
    assert check_text(text, "units", "rate") == text


@pytest.mark.parametrize("text", ["\x00", "\x1b[31m", "\x7f", "\x9b", "\x0b", "\ud800"])
def test_texts_that_could_do_something_else_than_be_read(text):
    with pytest.raises(ValueError, match="the units of sensor rate has the control character"):
        check_text(text, "units", "rate")


def test_a_text_of_another_type():
    with pytest.raises(TypeError, match="the description of sensor rate is a str, not b'x'"):
        check_text(b"x", "description", "rate")


def test_a_status_is_a_status():
    assert check_status(Status.WARN) is Status.WARN
    for wrong in ("warn", 2, None):
        with pytest.raises(TypeError, match="a status is a Status"):
            check_status(wrong)


@pytest.mark.parametrize("timestamp", [0, 1.5, Fraction(3, 2), np.float64(1.5), np.int64(2)])
def test_timestamps(timestamp):
    seconds = check_time(timestamp)
    assert type(seconds) is float
    assert seconds == float(timestamp)


@pytest.mark.parametrize("timestamp", [-1, math.inf, math.nan, -1e-9, 10**5000], ids=lambda it: type(it).__name__)
def test_timestamps_that_have_no_place_on_the_wire(timestamp):
    with pytest.raises(ValueError, match="finite number of seconds"):
        check_time(timestamp)


@pytest.mark.parametrize("timestamp", ["1.5", b"1", Decimal(1), 1j])
def test_timestamps_of_another_type(timestamp):
    with pytest.raises(TypeError, match="a timestamp is a number"):
        check_time(timestamp)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, 10**5000], ids=lambda it: type(it).__name__)
def test_durations(seconds):
    assert check_duration(2, "stale_after") == 2.0
    with pytest.raises(ValueError, match="stale_after is a number of seconds above zero"):
        check_duration(seconds, "stale_after")


def test_what_auto_means():
    assert check_auto(None) is None
    assert check_auto("event") == ("event",)
    assert check_auto(("event-rate", 1, 60)) == ("event-rate", 1, 60)
    assert check_auto(["period", 5]) == ("period", 5)


@pytest.mark.parametrize("auto", [(), (1, 2), ""])
def test_what_auto_cannot_be(auto):
    if auto == "":
        assert check_auto(auto) == ("",)  # no such strategy: told where strategies are made
        return
    with pytest.raises(TypeError, match="auto is a strategy and its parameters"):
        check_auto(auto)


@pytest.mark.parametrize("auto", ["auto", "none", ("none",)])
def test_auto_is_never_none(auto):
    with pytest.raises(ValueError, match="auto cannot mean"):
        check_auto(auto)
