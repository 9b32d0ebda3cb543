"""The sampling strategies against a model, and what holds however late the loop is."""

import itertools
import math
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from tests.model.sampled import Sampled, comparable

from katcp_aio.model.reading import Reading, Status
from katcp_aio.model.reporting import (
    Differential,
    DifferentialRate,
    Event,
    EventRate,
    Period,
)

NAN = math.nan
INF = math.inf
NOMINAL, WARN = Status.NOMINAL, Status.WARN

# ---------------------------------------------------------------------------------------------------------------------
# Against a model that is too simple to be wrong: time in whole steps, and at each of them the sentence of table 9

values = st.sampled_from([0, 1, 2, 5, NAN, INF])
statuses = st.sampled_from([NOMINAL, WARN])
histories = st.lists(st.tuples(st.integers(0, 40), values, statuses), max_size=30).map(
    lambda history: sorted(history, key=lambda event: event[0])
)


def unequal(value, sent):
    return repr(value) != repr(sent)


def further_than(difference):
    def changed(value, sent):
        if math.isfinite(value) and math.isfinite(sent):
            return abs(value - sent) > difference
        return unequal(value, sent)

    return changed


def model(changed, shortest, longest, history, until):
    events = defaultdict(list)
    for at, value, status in history:
        events[at].append((value, status))
    current = sent = (0, NOMINAL)
    when = 0
    found = [(0, sent)]

    def look(now):
        nonlocal sent, when
        differs = current[1] is not sent[1] or changed(current[0], sent[0])
        if (differs and now - when >= shortest) or now - when >= longest:
            sent, when = current, now
            found.append((now, sent))

    for now in range(until + 1):
        look(now)
        for current in events[now]:  # noqa: B007 - look() sees it
            look(now)
    return found


def run(strategy, history, until):
    sampled = Sampled(strategy)
    for at, value, status in history:
        sampled.set(value, at=at, status=status)
    sampled.until(until)
    return [(now, (reading.value, reading.status)) for now, reading in sampled.sent]


@given(histories)
def test_event_as_in_the_model(history):
    assert comparable(run(Event(), history, 50)) == comparable(model(unequal, 0, INF, history, 50))


@given(histories, st.integers(0, 5))
def test_differential_as_in_the_model(history, difference):
    expected = model(further_than(difference), 0, INF, history, 50)
    assert comparable(run(Differential(difference), history, 50)) == comparable(expected)


@given(histories, st.integers(0, 8), st.integers(1, 20) | st.just(INF))
def test_event_rate_as_in_the_model(history, shortest, longest):
    shortest = min(shortest, longest)
    expected = model(unequal, shortest, longest, history, 50)
    assert comparable(run(EventRate(shortest, longest), history, 50)) == comparable(expected)


@given(histories, st.integers(0, 5), st.integers(0, 8), st.integers(1, 20) | st.just(INF))
def test_differential_rate_as_in_the_model(history, difference, shortest, longest):
    shortest = min(shortest, longest)
    expected = model(further_than(difference), shortest, longest, history, 50)
    assert comparable(run(DifferentialRate(difference, shortest, longest), history, 50)) == comparable(expected)


@given(histories, st.integers(1, 20))
def test_period_as_in_the_model(history, period):
    current = defaultdict(lambda: (0, NOMINAL))
    for at, value, status in history:
        for slot in range(0, 51, period):
            if at < slot:  # what is set at the very moment of a slot is in the next one
                current[slot] = (value, status)
    expected = [(slot, current[slot]) for slot in range(0, 51, period)]
    assert comparable(run(Period(period), history, 50)) == comparable(expected)


# ---------------------------------------------------------------------------------------------------------------------
# What holds however late the loop is

times = st.floats(0, 1e6, allow_subnormal=False)


@given(times, st.floats(1e-3, 1e3), st.lists(st.floats(0, 1e4), max_size=20))
def test_every_slot_of_a_period_is_on_the_grid_and_later_than_now(start, period, steps):
    sampled = Sampled(Period(period), at=start)
    for step in steps:
        sampled.now = max(sampled.now + step, sampled.strategy.wake_at)
        before = len(sampled.sent)
        sampled.wake()
        assert len(sampled.sent) == before + 1
        slot = round((sampled.strategy.wake_at - start) / period)
        assert sampled.strategy.wake_at == start + slot * period
        assert sampled.now < sampled.strategy.wake_at <= sampled.now + period * (1 + 1e-6) + 1e-9


@given(
    st.floats(0, 10),
    st.floats(1e-3, 10),
    st.lists(st.tuples(st.floats(0, 5), values, st.booleans()), max_size=40),
)
def test_event_rate_under_a_late_loop(shortest, longest, steps):
    """Two reports are never closer than shortest; an unchanged one comes only when longest is due."""
    shortest = min(shortest, longest)
    strategy = EventRate(shortest, longest)
    sampled = Sampled(strategy)
    for step, value, woken in steps:
        sampled.now += step
        before = len(sampled.sent)
        when, last = sampled.sent[-1]
        due = strategy.wake_at
        if woken:
            sampled.wake()
        else:
            sampled.reading = Reading(sampled.now, NOMINAL, value)
            if strategy.on_reading(sampled.reading, sampled.now):
                sampled.sent.append((sampled.now, sampled.reading))
        differs = unequal(sampled.reading.value, last.value)
        if len(sampled.sent) > before:
            assert sampled.now >= when + shortest
            assert differs or sampled.now >= due
        elif differs:  # what is held back is looked at as soon as it may be
            assert strategy.wake_at <= when + shortest
        assert strategy.wake_at <= sampled.sent[-1][0] + longest


@given(histories, st.integers(0, 5), st.integers(0, 8), st.integers(1, 20) | st.just(INF))
def test_what_is_sent_comes_to_what_is(history, difference, shortest, longest):
    """When nothing is set any more, the last report is the current reading, or within the difference of it."""
    shortest = min(shortest, longest)
    for strategy in (Event(), EventRate(shortest, longest)):
        sampled = Sampled(strategy)
        for at, value, status in history:
            sampled.set(value, at=at, status=status)
        sampled.until(50)
        last = sampled.sent[-1][1]
        assert not unequal(last.value, sampled.reading.value)
        assert last.status is sampled.reading.status
    for strategy in (Differential(difference), DifferentialRate(difference, shortest, longest)):
        sampled = Sampled(strategy)
        for at, value, status in history:
            sampled.set(value, at=at, status=status)
        sampled.until(50)
        last = sampled.sent[-1][1]
        assert not further_than(difference)(last.value, sampled.reading.value)
        assert last.status is sampled.reading.status


@given(histories, st.integers(0, 8), st.integers(1, 20))
def test_reports_keep_their_distances(history, shortest, longest):
    shortest = min(shortest, longest)
    sent = run(EventRate(shortest, longest), history, 50)
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(sent)]
    assert all(shortest <= gap <= longest for gap in gaps)
    for before, after in itertools.pairwise(run(Event(), history, 50)):
        assert comparable([before])[0][1] != comparable([after])[0][1]
