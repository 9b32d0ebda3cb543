"""What differs between versions: detected from what a device says, and asked of one table."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from katcp_aio.errors import UnsupportedProtocol
from katcp_aio.wire.dialect import (
    INTERFACE_CHANGED,
    UNKNOWN_REQUEST,
    UNKNOWN_SENSOR,
    UNKNOWN_STRATEGY,
    V4,
    V50,
    V51,
    Detector,
    Dialect,
    means_unknown,
    means_unknown_sensor,
    parse_version,
    server_dialect,
)
from katcp_aio.wire.message import Message
from katcp_aio.wire.parser import MessageParser

__all__ = []

DIALECTS = [V4, V50, V51]

# The first lines of devices in use, and what they mean.
BANNERS = {
    "C 4.9": (b"#version myversion\n#build-state mybuildtime\n", "4.0"),
    "C 4.9, boards": (b"#version 75dde9d\n#build-state 2026-11-22T11:07:03\n", "4.0"),
    "C 5": (
        (
            b"#version-connect mylabel myversion mybuildtime\n"
            b"#version-connect katcp-library 75dde9d-dirty 2026-11-22T11:07:03\n"
            b"#version-connect katcp-protocol 5.0-M\n"
            b"#version-connect kernel 6.18.5 #1\\_SMP\\_PREEMPT_DYNAMIC\n"
        ),
        "5.0-M",
    ),
    "C duplex, built as 4": (
        b"#version-connect katcp-library Ckatcp-75dde9d\n#version-connect katcp-protocol 4.9-M\n",
        "4.9-M",
    ),
    "C duplex, built as 5": (
        b"#version-connect katcp-library Ckatcp-75dde9d\n#version-connect katcp-protocol 5.0-M\n",
        "5.0-M",
    ),
    "aiokatcp": (
        (
            b"#version-connect katcp-protocol 5.1-MIB\n"
            b"#version-connect katcp-library aiokatcp-2.3 aiokatcp-2.3.0\n"
            b"#version-connect katcp-device pump-1.0 pump-1.0.3\n"
        ),
        "5.1-MIB",
    ),
    "katcp-python": (
        (
            b"#version-connect katcp-protocol 5.0-IM\n"
            b"#version-connect katcp-library katcp-python-0.9.3 katcp-python-0.9.3\n"
            b"#version-connect katcp-device pump-1.0 pump-1.0.3\n"
        ),
        "5.0-MI",
    ),
    "katcp-python 5.1": (b"#version-connect katcp-protocol 5.1-BIMT\n", "5.1-MITB"),
    "both kinds": (
        b"#version a-1\n#build-state a-1.0\n#version-connect katcp-protocol 5.1-MI\n",
        "5.1-MI",
    ),
    "both kinds, the other way round": (
        b"#version-connect katcp-protocol 5.1-MI\n#version a-1\n#build-state a-1.0\n",
        "5.1-MI",
    ),
    "flags of the future": (b"#version-connect katcp-protocol 5.3-ZMIq\n", "5.3-MIZq"),
    "no flags": (b"#version-connect katcp-protocol 5.0\n", "5.0"),
    "other things first": (
        b"#log info 1.0 x booting\n#version-connect\n#version-connect a\n#build-state\n#version a-1\n",
        "4.0",
    ),
}


def informs(banner):
    return MessageParser().feed(banner)


def detect(messages):
    detector = Detector()
    for message in messages:
        detector.feed(message.name, message.arguments)
    return detector


@pytest.mark.parametrize(("banner", "version"), BANNERS.values(), ids=list(BANNERS))
def test_banners(banner, version):
    assert detect(informs(banner)).dialect == parse_version(version)
    assert detect(informs(banner)).dialect.version == version


@given(st.sampled_from(list(BANNERS.values())), st.randoms(use_true_random=False))
def test_the_order_of_the_informs_does_not_matter(banner, random):
    lines, version = banner
    messages = informs(lines)
    random.shuffle(messages)
    assert detect(messages).dialect.version == version


def test_nothing_said_is_nothing_known():
    assert detect([]).dialect is None
    assert detect(informs(b"#version-connect katcp-library x\n#log info 1 x y\n#version\n")).dialect is None
    silent = detect(informs(b"#version-connect katcp-protocol\n#version-connect katcp-device\n#version-connect\n"))
    assert (silent.dialect, silent.versions, silent.announced) == (None, {}, False)


def test_whether_the_device_said_it_itself():
    assert detect(informs(BANNERS["aiokatcp"][0])).announced is True
    assert detect(informs(BANNERS["C 4.9"][0])).announced is False


def test_what_is_said_later_replaces_what_was_inferred():
    detector = Detector()
    assert detector.feed("build-state", [b"a-1.0"]) == V4
    assert detector.feed("version-connect", [b"katcp-protocol", b"5.0-MI"]) == V50
    assert detector.feed("version", [b"a-1"]) == V50


@pytest.mark.parametrize("version", [b"3.0", b"6.0-MI", b"", b"5", b"5.1-MI ", b"five", b"5.1\xff", b"1" * 5000])
def test_a_version_that_is_not_spoken_voids_what_was_inferred(version):
    detector = Detector()
    detector.feed("version", [b"a-1"])
    with pytest.raises(UnsupportedProtocol) as caught:
        detector.feed("version-connect", [b"katcp-protocol", version])
    assert detector.dialect is None
    assert detector.announced
    assert len(str(caught.value)) < 250
    assert detector.feed("build-state", [b"a-1.0"]) is None


def test_versions_of_the_parts():
    assert detect(informs(BANNERS["C 5"][0])).versions == {
        "mylabel": ("myversion", "mybuildtime"),
        "katcp-library": ("75dde9d-dirty", "2026-11-22T11:07:03"),
        "katcp-protocol": ("5.0-M",),
        "kernel": ("6.18.5", "#1 SMP PREEMPT_DYNAMIC"),
    }
    assert detect(informs(BANNERS["C 4.9"][0])).versions == {"katcp-device": ("myversion", "mybuildtime")}
    assert detect(informs(b"#build-state b\n")).versions == {"katcp-device": ("", "b")}
    assert detect(informs(b"#version v\n")).versions == {"katcp-device": ("v", "")}


def test_what_is_kept_of_a_banner_is_bounded():
    detector = Detector(max_versions=3)
    for number in range(10):
        detector.feed("version-connect", [b"part-%d" % number, b"v" * 10_000, b"\xff" * 10_000, b"more"])
    assert list(detector.versions) == ["part-0", "part-1", "part-2"]
    assert sum(len(text) for row in detector.versions.values() for text in row) <= 3 * 5000
    assert detector.feed("version-connect", [b"katcp-protocol", b"5.0-MI"]) == V50
    detector.feed("version-connect", [b"part-1", b"new"])
    assert detector.versions["part-1"] == ("new",)


# --- versions ---


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("5.1-MITB", "5.1-MITB"),
        (b"5.0-IM", "5.0-MI"),
        ("5.1-BTIM", "5.1-MITB"),
        ("5.0", "5.0"),
        ("5.0-", "5.0"),
        ("4.9-M", "4.9-M"),
        ("5.12-zAM", "5.12-MAz"),
    ],
)
def test_versions_are_written_in_one_order(text, version):
    dialect = parse_version(text)
    assert dialect.version == str(dialect) == version
    assert parse_version(dialect.version) == dialect
    assert hash(parse_version(dialect.version)) == hash(dialect)


@pytest.mark.parametrize(
    "text", ["", "foo", "5", "5.", ".1", "5.1MI", "5.1-M I", "5.1-\n", "-5.1", "6.0", "3.9-M", "5.1\n", b"\xff5.1"]
)
def test_other_texts_are_no_version(text):
    with pytest.raises(UnsupportedProtocol):
        parse_version(text)


@pytest.mark.parametrize(
    ("version", "features"),
    [
        ("5.1-MITB", {"multi_client", "message_ids", "timeout_hints", "bulk_sampling"}),
        ("5.1", set()),
        ("5.1-B", {"bulk_sampling"}),
        ("5.7-TX", {"timeout_hints"}),
        ("5.0-MI", {"multi_client", "message_ids"}),
        ("5.0-M", {"multi_client"}),
        ("5.0-MITB", {"multi_client", "message_ids"}),
        ("4.0", set()),
        ("4.9-MI", {"multi_client"}),
    ],
)
def test_a_flag_means_something_where_its_version_defines_it(version, features):
    dialect = parse_version(version)
    names = {"multi_client", "message_ids", "timeout_hints", "bulk_sampling"}
    assert {name for name in names if getattr(dialect, name)} == features


def test_a_dialect_never_changes():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        V51.major = 4
    with pytest.raises(UnsupportedProtocol):
        Dialect(6, 0)
    assert repr(V4) == "Dialect(major=4, minor=0, flags=frozenset())"


# --- a server's own ---


@pytest.mark.parametrize(
    ("protocol", "version"),
    [
        ("5.1", "5.1-MITB"),
        ("5", "5.1-MITB"),
        ("5.0", "5.0-MI"),
        ("4.0", "4.0-M"),
        ("4", "4.0-M"),
        ("5.1-MI", "5.1-MI"),
        ("5.0-M", "5.0-M"),
    ],
)
def test_server_dialect(protocol, version):
    assert server_dialect(protocol).version == version
    assert "M" not in server_dialect(protocol, multi_client=False).flags


def test_a_server_speaks_only_what_is_implemented():
    assert server_dialect() == V51
    for protocol in ("5.2", "4.9", "6.0", "3", "x"):
        with pytest.raises(UnsupportedProtocol) as caught:
            server_dialect(protocol)
        assert caught.value.version == protocol
    for protocol, flag in (("5.0-MIT", "T"), ("4.0-I", "I"), ("5.1-MX", "X"), ("5.1-YMX", "XY")):
        with pytest.raises(ValueError, match=f"flags {flag} do not exist"):
            server_dialect(protocol)


# --- the table ---


def test_time():
    assert [dialect.time_scale for dialect in DIALECTS] == [1000.0, 1.0, 1.0]
    assert [dialect.rules.time_unit for dialect in DIALECTS] == ["milliseconds", "seconds", "seconds"]


def test_strategies():
    four = ("none", "auto", "period", "event", "differential")
    assert V4.strategies == four
    assert V50.strategies == V51.strategies == (*four, "event-rate", "differential-rate")


def test_types():
    assert "address" not in V4.sensor_types
    assert V4.sensor_type("address") == "string"
    assert set(V51.sensor_types) == {*V4.sensor_types, "address"}
    for dialect in DIALECTS:
        assert {"integer", "float", "boolean", "lru", "timestamp", "discrete", "string"} <= set(dialect.sensor_types)
        assert dialect.sensor_type("json") == "json"


def test_statuses():
    for dialect in DIALECTS:
        for status in (b"unknown", b"nominal", b"warn", b"error", b"failure"):
            assert dialect.encode_status(status) == status
    for status in (b"unreachable", b"inactive"):
        assert V4.encode_status(status) == b"unknown"
        assert V50.encode_status(status) == V51.encode_status(status) == status
    assert set(V51.statuses) == set(V4.statuses)


@pytest.mark.parametrize(
    ("name", "params", "in_v4", "in_v5"),
    [
        ("integer", [], (b"-2147483648", b"2147483647"), ()),
        ("float", [], (b"-3.4e+38", b"3.4e+38"), ()),
        ("integer", [b"1", b"2"], (b"1", b"2"), (b"1", b"2")),
        ("float", [b"1", b"2", b"0", b"3"], (b"0", b"3"), (b"1", b"2", b"0", b"3")),
        ("discrete", [b"a", b"b", b"c"], (b"a", b"b", b"c"), (b"a", b"b", b"c")),
        ("string", [], (), ()),
    ],
)
def test_parameters_of_sensors(name, params, in_v4, in_v5):
    assert V4.sensor_params(name, params) == in_v4
    assert V50.sensor_params(name, params) == V51.sensor_params(name, params) == in_v5


@pytest.mark.parametrize(
    ("request_name", "present"),
    [
        ("help", [True, True, True, True]),
        ("set-rate", [True, True, True, True]),
        ("version-list", [False, True, True, True]),
        ("request-timeout-hint", [False, False, True, False]),
        ("client-list", [False, True, True, False]),
    ],
)
def test_requests(request_name, present):
    dialects = [V4, V50, V51, parse_version("5.1")]
    assert [dialect.has_request(request_name) for dialect in dialects] == present


def test_greetings():
    library, device, extra = ("lib-1", "lib-1.0"), ("pump-1", "pump-1.0"), {"kernel": ("6.18",)}
    assert V51.greeting(library, device, extra) == [
        ("version-connect", ("katcp-protocol", "5.1-MITB")),
        ("version-connect", ("katcp-library", "lib-1", "lib-1.0")),
        ("version-connect", ("katcp-device", "pump-1", "pump-1.0")),
        ("version-connect", ("kernel", "6.18")),
    ]
    assert V4.greeting(library, device, extra) == [("version", ("pump-1",)), ("build-state", ("pump-1.0",))]
    assert V4.greeting(library, ("pump-1",)) == [("version", ("pump-1",))]
    assert V50.versions(library, device) == [
        ("katcp-protocol", "5.0-MI"),
        ("katcp-library", "lib-1", "lib-1.0"),
        ("katcp-device", "pump-1", "pump-1.0"),
    ]


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_greeting_is_understood(dialect):
    detector = Detector()
    for name, arguments in dialect.greeting(("lib-1", "lib-1.0"), ("pump-1", "pump-1.0")):
        detector.feed(name, Message.inform(name, *arguments).arguments)
    assert detector.dialect == dialect
    assert detector.versions["katcp-device"] == ("pump-1", "pump-1.0")


def test_changes_are_told_in_detail_since_version_5():
    assert V4.interface_changed("sensor", "a", "added") == ("interface-changed", ())
    assert V51.interface_changed("sensor", "a", "added") == ("interface-changed", ("sensor", "a", "added"))
    assert V51.interface_changed() == ("interface-changed", ())
    assert V51.interface_changed()[0] in INTERFACE_CHANGED
    assert "device-changed" in INTERFACE_CHANGED


@pytest.mark.parametrize(
    "text",
    [
        UNKNOWN_SENSOR.format("a"),
        UNKNOWN_REQUEST.format("a"),
        UNKNOWN_STRATEGY.format("a"),
        "Unknown sensor name.",
        "unknown command",
        "unknown_sensor",
    ],
)
def test_texts_that_say_there_is_none(text):
    assert means_unknown(text)
    assert means_unknown_sensor(text) == ("sensor" in text.lower())


@pytest.mark.parametrize("text", ["", "The pump is slewing", "unknown", "sensor unknown to man"])
def test_texts_that_say_something_else(text):
    assert not means_unknown(text)
