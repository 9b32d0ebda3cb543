import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.model.ranges import Ranges
from katcp_aio.model.reading import Status
from katcp_aio.wire.datatypes import Range
from katcp_aio.wire.values import registry

FLOAT = registry.resolve(float)
INTEGER = registry.resolve(int)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (0.5, Status.NOMINAL),
        (5, Status.NOMINAL),
        (0.49, Status.WARN),
        (5.01, Status.WARN),
        (0.1, Status.WARN),
        (10, Status.WARN),
        (0.09, Status.ERROR),
        (10.1, Status.ERROR),
        (math.inf, Status.ERROR),
        (math.nan, Status.ERROR),
    ],
)
def test_status_by_section_7_2(value, status):
    assert Ranges.make(FLOAT, (0.5, 5.0), (0.1, 10.0))(value) is status


@pytest.mark.parametrize("value", [-1, 6, math.nan, math.inf])
def test_without_a_warn_range_the_outside_is_warn(value):
    ranges = Ranges.make(FLOAT, (0, 5), None)
    assert ranges(2) is Status.NOMINAL
    assert ranges(value) is Status.WARN


@given(st.lists(st.integers(), min_size=4, max_size=4).map(sorted), st.integers())
def test_integers(bounds, value):
    warn_low, low, high, warn_high = bounds
    status = Ranges.make(INTEGER, (low, high), (warn_low, warn_high))(value)
    if low <= value <= high:
        assert status is Status.NOMINAL
    elif warn_low <= value <= warn_high:
        assert status is Status.WARN
    else:
        assert status is Status.ERROR


def test_bounds_are_in_the_order_of_sensor_list():
    assert Ranges.make(INTEGER, (1, 2), (0, 3)).bounds == (1, 2, 0, 3)
    assert Ranges.make(INTEGER, Range(1, 2), None).bounds == (1, 2)
    assert Ranges.make(INTEGER, None, None) is None


def test_bounds_are_of_the_type():
    assert all(type(bound) is float for bound in Ranges.make(FLOAT, (1, 2), (0, 3)).bounds)
    with pytest.raises(TypeError, match="no integer"):
        Ranges.make(INTEGER, (0.5, 2), None)


@pytest.mark.parametrize(
    ("type_", "nominal", "warn", "text"),
    [
        (str, (1, 2), None, "only integer and float sensors have ranges, not string"),
        (float, None, (1, 2), "a warn range goes with a nominal range"),
        (float, (1, 2, 3), None, "needs a lowest and a highest value"),
        (float, 5, None, "needs a lowest and a highest value, not 5"),
        (float, Range(1), None, "needs a lowest and a highest value"),
        (float, (2, 1), None, "has no values in it"),
        (float, (math.nan, 1), None, "has no values in it"),
        (float, (0, 10), (1, 20), "does not contain the nominal range"),
        (float, (0, 10), (-1, 9), "does not contain the nominal range"),
        (float, (0, 10), (0, math.nan), "has no values in it"),
    ],
)
def test_ranges_that_say_nothing(type_, nominal, warn, text):
    with pytest.raises(ValueError, match=text):
        Ranges.make(registry.resolve(type_), nominal, warn)
