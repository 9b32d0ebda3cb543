"""Sampling strategies, asked for as a client does."""

import pytest

from katcp_aio.model import Sensor
from katcp_aio.model.strategies import make_strategy
from katcp_aio.wire.dialect import V51, parse_version

RATE = Sensor(float, "rate")
COUNT = Sensor(int, "count")
V4 = parse_version("4.0")
NAMES = ["auto", "differential", "differential-rate", "event", "event-rate", "none", "period"]


def make(text, sensor=RATE, dialect=V51, **options):
    """Make a strategy from the words of ?sensor-sampling."""
    name, *params = text.split(" ")
    return make_strategy(name, [param.encode() for param in params], sensor, dialect, **options)


def refusal(text, sensor=RATE, dialect=V51, **options):
    with pytest.raises(ValueError) as caught:
        make(text, sensor, dialect, **options)
    told = str(caught.value)
    assert told.isascii()
    assert "\n" not in told
    assert len(told) < 200
    return told
