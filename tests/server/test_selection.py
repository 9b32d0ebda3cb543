import pytest

from katcp_aio.errors import FailReply
from katcp_aio.limits import Limits
from katcp_aio.model.sensor import Sensor
from katcp_aio.model.sensorset import SensorSet
from katcp_aio.server.selection import SensorFinder


class Turns:
    """Every look at the time finds the turn over."""

    def __init__(self):
        self.turns = 0

    def begin_turn(self):
        pass

    def turn_is_over(self):
        return True

    async def end_turn(self):
        self.turns += 1


@pytest.fixture
def sensors():
    return SensorSet(Sensor(int, name) for name in ("b.two", "a.one", "c.three", "b-three"))


async def find(sensors, raw):
    return [sensor.name for sensor in await SensorFinder(sensors, Limits()).find(raw, Turns())]


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (None, ["a.one", "b-three", "b.two", "c.three"]),
        (b"//", ["a.one", "b-three", "b.two", "c.three"]),
        (b"b.two", ["b.two"]),
        (b"/three$/", ["b-three", "c.three"]),
        (b"/^b[.]/", ["b.two"]),
        (b"/nothing/", []),
    ],
)
async def test_names_and_patterns(sensors, raw, names):
    assert await find(sensors, raw) == names


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"d", "Unknown sensor 'd'"),
        (b"b", "Unknown sensor 'b'"),
        (b"", "Unknown sensor ''"),
        (b"/", "Unknown sensor '/'"),
        (b"/b", "Unknown sensor '/b'"),
        (b"\xff", "Unknown sensor '\\xff'"),
        (b"/(a+)+/", "regular expression: nested repeats without a bound are not allowed"),
        (b"/" + b"a" * 300 + b"/", "regular expression longer than 256 bytes"),
    ],
)
async def test_what_is_not_there_or_not_allowed_fails(sensors, raw, text):
    with pytest.raises(FailReply) as caught:
        await find(sensors, raw)
    assert caught.value.text == text


async def test_the_order_is_kept_while_sensors_come_and_go(sensors):
    finder = SensorFinder(sensors, Limits())
    assert [sensor.name for sensor in finder.all()] == sorted(sensors)
    for name in ("b.0", "z", "0", "b.two"):
        sensors.add(Sensor(float, name))
    sensors.remove("a.one")
    sensors.remove("z")
    assert finder.all() == [sensors[name] for name in sorted(sensors)]
    finder.all().clear()
    assert len(finder.all()) == 5


async def test_many_names_are_looked_through_in_turns():
    sensors = SensorSet(Sensor(int, f"n-{number}") for number in range(1000))
    turns = Turns()
    assert await SensorFinder(sensors, Limits()).find(b"/x/", turns) == []
    assert turns.turns > 50
