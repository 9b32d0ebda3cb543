"""The values that Python has no type for: timestamps, addresses and ranges."""

import math

import pytest

from katcp_aio.wire.datatypes import Address, Range, Timestamp

__all__ = []

# --- ranges ---


def test_ranges():
    assert 5 in Range(0, 10)
    assert 0 in Range(0, 10)
    assert 10.5 not in Range(0, 10)
    assert not any(math.nan in bounds for bounds in (Range(), Range(0), Range(0, 10)))  # noqa: PLW0177 - the point
    assert -1e300 in Range(high=0)
    assert 1e300 in Range(0)
    assert (str(Range(0, 10)), str(Range(0.5)), str(Range(high=1e-7)), str(Range())) == (
        "[0,10]",
        "[0.5,]",
        "[,1e-07]",
        "[,]",
    )
    assert repr(Range(0, 10)) == "Range(low=0, high=10)"
    assert Range(0, 10) == Range(0, 10)


@pytest.mark.parametrize(
    ("low", "high", "error"),
    [
        (2, 1, ValueError),
        (math.nan, 1, ValueError),
        (math.nan, None, ValueError),
        (None, math.nan, ValueError),
        ("a", "b", TypeError),
        (None, "b", TypeError),
    ],
)
def test_ranges_that_hold_nothing(low, high, error):
    with pytest.raises(error, match="holds no value" if error is ValueError else "is not made of numbers"):
        Range(low, high)


def test_a_range_may_hold_one_value():
    assert 5 in Range(5, 5)


# --- timestamps and addresses ---


def test_timestamps_are_floats_that_show_themselves():
    assert repr(Timestamp(1.5)) == "Timestamp(1.5)"
    assert str(Timestamp(1.5)) == f"{Timestamp(1.5)}" == "1.5"
    assert Timestamp(1.5) == 1.5


def test_addresses():
    assert Address("::1", 7148) == Address("00:00::1", 7148)
    assert hash(Address("::1", 7148)) == hash(Address("00:00::1", 7148))
    assert len({Address("127.0.0.1"), Address("127.0.0.1", 7148), Address("::1", 7148)}) == 3
    assert Address("127.0.0.1") != "127.0.0.1"
    assert not "127.0.0.1" == Address("127.0.0.1")  # noqa: SIM201, SIM300 - the other operand is asked first
    assert repr(Address("127.0.0.1", 7148)) == "Address(host=IPv4Address('127.0.0.1'), port=7148)"
    assert Address("fe80::1%eth0") == Address("fe80::1")
    assert [*Address("::1", 7148)] == ["::1", 7148]
    assert [*Address("127.0.0.1")] == ["127.0.0.1", None]


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "127.0.0.1:7148", "[::1]", "[::1]:7148", "1.2.3.4:0", "[2001:db8::1]:65535", "[::ffff:1.2.3.4]:80"],
)
def test_addresses_read_back(text):
    address = Address.parse(text)
    assert str(address) == text
    assert bytes(address) == text.encode()
    assert Address.parse(bytes(address)) == address
    assert Address(address.host, address.port) == address


def test_the_long_form_of_an_address():
    assert (
        str(Address.parse(b"[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:4000")) == "[2001:db8:85a3::8a2e:370:7334]:4000"
    )


@pytest.mark.parametrize(
    ("host", "port", "error", "told"),
    [
        ("localhost", None, ValueError, "'localhost'"),
        ("", None, ValueError, "."),
        (b"127.0.0.1", None, TypeError, r"^b'127\.0\.0\.1' is no IP address$"),
        (5, None, TypeError, "^5 is no IP address$"),
        ("127.0.0.1", "80", TypeError, "^port '80' is no int$"),
        ("127.0.0.1", True, TypeError, "^port True is no int$"),
        ("127.0.0.1", 65536, ValueError, "^port 65536 is outside 0 to 65535$"),
        ("127.0.0.1", -1, ValueError, "^port -1 is outside 0 to 65535$"),
    ],
)
def test_addresses_that_are_refused_where_they_are_made(host, port, error, told):
    with pytest.raises(error, match=told):
        Address(host, port)


def test_an_address_that_cannot_be_read_is_shown():
    with pytest.raises(ValueError, match=r"^'\\x1blocalhost' is no address$"):
        Address.parse("\x1blocalhost")
    with pytest.raises(ValueError, match="is no address"):
        Address.parse("\udc80")
    with pytest.raises(ValueError, match=r"^'b\\xfccher' is no address$"):  # texts for people are in ASCII
        Address.parse("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher")
    with pytest.raises(ValueError, match=r"^'x{60}\.\.\.' is no address$"):
        Address.parse("x" * 61)
