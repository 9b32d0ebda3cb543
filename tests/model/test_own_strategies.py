"""Strategies of one's own, and standard ones that are replaced."""

import math

import pytest
from tests.model.asking import COUNT, NAMES, RATE, V4, make, refusal

from katcp_aio.model import Sensor
from katcp_aio.model.reporting import Event, EventRate, Strategy
from katcp_aio.model.strategies import StrategyRegistry, register_strategy, strategies


class Decimate(Strategy):
    __slots__ = ("every", "seen")

    def __init__(self, every):
        super().__init__()
        self.every = every
        self.seen = 0

    def on_reading(self, reading, now):
        self.seen += 1
        return self.seen % self.every == 0


@pytest.fixture
def own():
    registry = strategies.child()

    @registry.register("decimate", "every", types=["float"])
    def decimate(params):
        every = params.number("every")
        if params.raw("every") != b"%d" % every:
            raise ValueError("every is a count")
        return Decimate(int(every))

    return registry


def test_a_strategy_of_ones_own(own):
    strategy = make("decimate 3", registry=own)
    assert strategy.echo == (b"decimate", b"3")
    strategy.start(RATE.reading, 0.0)
    assert [strategy.on_reading(RATE.reading, 0.0) for _ in range(6)] == [False, False, True, False, False, True]
    assert own.parameters("decimate") == ("every",)
    assert own.names() == sorted([*NAMES, "decimate"])
    assert "decimate" in own.names(V4)  # what the specification does not name is for all
    assert make("decimate 3", dialect=V4, registry=own).params == (b"3",)


def test_its_parameters_are_checked_like_any(own):
    assert refusal("decimate", registry=own) == "expected 1 parameter for decimate, found 0"
    assert refusal("decimate x", registry=own) == "every must be a number, found 'x'"
    assert refusal("decimate 1.5", registry=own) == "every is a count"
    assert "for float sensors only" in refusal("decimate 2", COUNT, registry=own)


def test_it_stays_where_it_was_registered(own):
    assert "decimate" in refusal("decimate 3")
    assert strategies.names() == NAMES
    assert StrategyRegistry().names() == []


def test_auto_may_be_a_strategy_of_ones_own(own):
    assert type(make("auto", Sensor(float, "rate", auto=("decimate", 2)), registry=own)) is Decimate


def test_a_standard_strategy_can_be_replaced(own):
    @own.register("event")
    def event(params):
        return EventRate(0.1, math.inf)

    assert type(make("event", registry=own)) is EventRate
    assert type(make("event")) is Event


def test_names_are_taken_once_and_well_formed(own):
    with pytest.raises(ValueError, match="strategy decimate is registered already"):
        own.register("decimate")
    with pytest.raises(ValueError, match="strategy event is registered already"):
        register_strategy("event")
    for name in ("", "Decimate", "two words", "-x", "é"):
        with pytest.raises(ValueError, match="malformed strategy name"):
            own.register(name)
