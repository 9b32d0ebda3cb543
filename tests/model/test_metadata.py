"""What sensors say of themselves to programs: labels, and the request that sets them."""

import pytest

from katcp_aio import Sensor
from katcp_aio.model.metadata import NO_METADATA, Metadata

__all__ = []


def test_a_sensor_has_labels_and_a_request_that_sets_it():
    given = {"rack": "3", "side": "left"}
    rate = Sensor(float, "rate", labels=given, set_by="set-rate", auto="event")
    given["rack"] = "4"
    assert rate.labels == {"rack": "3", "side": "left"}
    assert rate.set_by == "set-rate"
    assert rate.auto == ("event",)
    with pytest.raises(TypeError):
        rate.labels["rack"] = "5"


def test_sensors_without_share_what_says_so():
    plain, empty = Sensor(float, "rate"), Sensor(float, "rate", labels={})
    assert (plain.labels, plain.set_by) == (empty.labels, empty.set_by) == ({}, None)
    assert plain.metadata is empty.metadata is Sensor(int, "x", auto="event").metadata
    assert not plain.metadata


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"labels": ["rack"]}, TypeError, "the labels of sensor rate are a mapping, not ['rack']"),
        ({"labels": {3: "rack"}}, TypeError, "sensor rate: the name of a label is a str, not 3"),
        ({"labels": {"the rack": "3"}}, ValueError, "sensor rate: 'the rack' is no name of a label"),
        ({"labels": {"": "3"}}, ValueError, "sensor rate: '' is no name of a label"),
        ({"labels": {"3d": "3"}}, ValueError, "sensor rate: '3d' is no name of a label"),
        ({"labels": {"__name__": "3"}}, ValueError, "sensor rate: '__name__' is no name of a label"),
        ({"labels": {"a" * 65: "3"}}, ValueError, f"sensor rate: '{'a' * 64}' is no name of a label"),
        ({"labels": {"rack": 3}}, TypeError, "the label rack of sensor rate is a str, not 3"),
        (
            {"labels": {"rack": "\x07"}},
            ValueError,
            r"the label rack of sensor rate has the control character '\x07' in it",
        ),
        ({"labels": {"rack": "3" * 257}}, ValueError, "the label rack of sensor rate is longer than 256 characters"),
        ({"labels": {f"a{n}": "" for n in range(33)}}, ValueError, "sensor rate has 33 labels; 32 are allowed"),
        ({"set_by": 3}, TypeError, "sensor rate: the name of a request that sets it is a str, not 3"),
        ({"set_by": "set_rate"}, ValueError, "sensor rate: 'set_rate' is no name of a request that sets it"),
        ({"set_by": ""}, ValueError, "sensor rate: '' is no name of a request that sets it"),
    ],
)
def test_what_cannot_be_said_is_told_in_a_line(wrong, error, text):
    with pytest.raises(error) as raised:
        Sensor(float, "rate", **wrong)
    assert str(raised.value) == text


def test_as_much_as_is_allowed():
    labels = {"a" * 62 + f"{n:02}": "µ" * 256 for n in range(32)}
    assert Sensor(float, "rate", labels=labels, set_by="s" * 64).labels == labels


@pytest.mark.parametrize(
    ("labels", "set_by", "words"),
    [
        ({}, None, ()),
        ({"rack": "3", "_a1": "x = y"}, None, (b"label:rack=3", b"label:_a1=x = y")),
        ({"rack": ""}, "set-rate", (b"set-by=set-rate", b"label:rack=")),
        ({"unit": "µs"}, None, ("label:unit=µs".encode(),)),
    ],
)
def test_on_the_wire_and_back(labels, set_by, words):
    said = Metadata.make("rate", labels, set_by)
    assert said.words() == words
    assert Metadata.from_words("rate", words) == said
    assert hash(Metadata.from_words("rate", words)) == hash(said)


def test_words_that_others_may_add_are_left_out():
    assert Metadata.from_words("rate", [b"kind=gauge", b"set-by=go"]) == Metadata.make("rate", None, "go")
    assert Metadata.from_words("rate", [b"kind=gauge"]) is NO_METADATA


@pytest.mark.parametrize("word", [b"label:rack", b"", b"set-by=", b"label:=3", b"label:a=\xff", b"label:a=\x07"])
def test_words_that_cannot_be_read(word):
    with pytest.raises(ValueError, match=r"rate|utf-8"):
        Metadata.from_words("rate", [b"set-by=go", word])
