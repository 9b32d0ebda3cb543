"""What the tests of the model share."""

import pytest

from katcp_aio.model import Sensor, SensorSet
from katcp_aio.testing import ManualClock


@pytest.fixture
def clock():
    return ManualClock(wall=1000.0)


@pytest.fixture
def heard():
    """Return what an observer of the test appends to."""
    return []


@pytest.fixture
def pumps(clock):
    return SensorSet(
        [Sensor(float, "a.rate"), Sensor(int, "b.rate"), Sensor(str, "a.name"), Sensor(bool, "a.on")], clock=clock
    )
