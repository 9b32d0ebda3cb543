"""Delays between attempts to connect."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.client.backoff import Backoff

__all__ = []


def test_delays_grow_up_to_the_longest():
    backoff = Backoff(initial=0.5, longest=10, factor=2, randomness=0)
    assert list(itertools.islice(backoff.delays(), 7)) == [0.5, 1, 2, 4, 8, 10, 10]
    assert backoff.delay(100_000) == 10


@given(st.integers(0, 5000), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_chance_only_shortens(failures, chance, randomness):
    backoff = Backoff(randomness=randomness, draw=lambda: chance)
    base = Backoff(randomness=0).delay(failures)
    assert (1 - randomness) * base <= backoff.delay(failures) <= base <= backoff.longest


def test_clients_that_lose_the_same_device_do_not_come_back_together():
    assert len({Backoff().delay(0) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    "wrong",
    [{"initial": 0}, {"longest": 0.1}, {"factor": 0.5}, {"randomness": 1.5}, {"randomness": -1}, {"settle": -1}],
    ids=str,
)
def test_bounds_that_make_no_sense(wrong):
    with pytest.raises(ValueError):
        Backoff(**wrong)
