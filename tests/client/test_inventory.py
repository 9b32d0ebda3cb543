import pytest

from katcp_aio.client.inventory import Changes, Scope, SensorInfo, compare, read_help, read_hints, read_sensors
from katcp_aio.wire.message import Message


def rows(*arguments):
    return [Message.inform("x", *row) for row in arguments]


def test_rows_of_a_sensor_list():
    found = read_sensors(
        rows(("a", "A thing", "V", "float", "0", "1"), ("b",), ("",), (), (b"c\xff", b"\xe9", "", "string"))
    )
    assert found == {
        "a": SensorInfo("a", "A thing", "V", "float", (b"0", b"1")),
        "b": SensorInfo("b", "", "", "", ()),
        "c\\xff": SensorInfo("c\\xff", "\\xe9", "", "string", ()),
    }
    with pytest.raises(ValueError, match="without a name"):
        SensorInfo.from_arguments([])


def test_rows_of_help_and_hints():
    assert read_help(rows(("a", "A"), ("b",), ())) == {"a": "A", "b": ""}
    hints = read_hints(rows(("a", 2.5), ("b", 0), ("c", "x"), ("d",), ("e", "inf"), ("f", "nan"), ("g", -1)))
    assert hints == {"a": 2.5}


def test_differences():
    assert compare({"a": 1, "b": 2}, {"b": 3, "c": 4}) == ({"c"}, {"a"}, {"b"})
    assert not Changes()
    assert Changes(requests_removed=frozenset({"x"}))


@pytest.mark.parametrize(
    ("told", "sensor_list", "request_list", "sensors", "requests"),
    [
        ([()], True, True, {}, {}),
        ([("sensor-list",)], True, False, {}, {}),
        ([("request-list",)], False, True, {}, {}),
        ([("sensor", "a", "added")], False, False, {"a": False}, {}),
        ([("request", "a", "removed")], False, False, {}, {"a": True}),
        ([("sensor", "a", "removed"), ("sensor", "a", "added")], False, False, {"a": False}, {}),
        ([("sensor", "a", "added"), ("sensor", "a", "removed")], False, False, {"a": True}, {}),
        ([("something", "else")], True, True, {}, {}),
        ([("sensor", "a")], True, True, {}, {}),
    ],
)
def test_what_has_to_be_asked_for_again(told, sensor_list, request_list, sensors, requests):
    scope = Scope()
    assert not scope
    for arguments in told:
        scope.add([argument.encode() for argument in arguments])
    assert scope
    assert (scope.sensor_list, scope.request_list) == (sensor_list, request_list)
    assert (scope.sensors, scope.requests) == (sensors, requests)


def test_what_did_not_get_done_is_taken_up_and_the_youngest_word_counts():
    earlier, later = Scope(), Scope()
    for scope, name, what in ((earlier, b"a", b"removed"), (earlier, b"b", b"added"), (later, b"a", b"added")):
        scope.add([b"sensor", name, what])
    later.include(earlier)
    assert later.sensors == {"a": False, "b": False}
    later.widen(2)
    assert not later.sensor_list
    later.widen(1)
    assert later.sensor_list


@pytest.mark.parametrize(("kind", "whole"), [(b"sensor", "sensor_list"), (b"request", "request_list")])
def test_no_more_names_are_kept_than_are_asked_for_one_by_one(kind, whole):
    scope = Scope()
    for number in range(100):
        scope.add([kind, b"x%d" % number, b"added"])
        scope.widen(20)
        assert len(scope.sensors) + len(scope.requests) <= 20
    assert getattr(scope, whole) is True
    assert scope.sensor_list is not scope.request_list
