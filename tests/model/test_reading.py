import pickle

import pytest

from katcp_aio.model.reading import Reading, Status

TABLE_8 = {
    "unknown": False,
    "nominal": True,
    "warn": True,
    "error": True,
    "failure": False,
    "unreachable": False,
    "inactive": False,
}


def test_statuses_are_those_of_the_specification_in_its_order():
    assert {status.value: status.valid for status in Status} == TABLE_8
    assert [status.value for status in Status] == list(TABLE_8)


@pytest.mark.parametrize("status", Status)
def test_a_status_is_found_by_its_name_on_the_wire(status):
    assert Status(status.value) is status
    assert status.wire == status.value.encode()


def test_severity_orders_from_good_to_bad():
    ordered = sorted(Status, key=lambda status: status.severity)
    assert [status.value for status in ordered] == [
        "nominal",
        "inactive",
        "unknown",
        "warn",
        "unreachable",
        "failure",
        "error",
    ]


def test_a_reading_is_a_value():
    reading = Reading(1.5, Status.WARN, 7)
    assert reading == Reading(timestamp=1.5, status=Status.WARN, value=7)
    assert hash(reading) == hash(Reading(1.5, Status.WARN, 7))
    assert reading != Reading(1.5, Status.WARN, 8)
    timestamp, status, value = reading
    assert (timestamp, status, value) == (1.5, Status.WARN, 7)
    assert pickle.loads(pickle.dumps(reading)) == reading


def test_a_reading_never_changes():
    reading = Reading(1.5, Status.WARN, 7)
    with pytest.raises(AttributeError):
        reading.value = 8
    with pytest.raises(AttributeError):
        reading.unit = "V"
