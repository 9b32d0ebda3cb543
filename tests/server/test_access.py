"""Who is let in, and may ask what."""

import ipaddress

import pytest

from katcp_aio import Sensor
from katcp_aio.server.access import READ_ONLY, Access, AccessRule
from katcp_aio.testing import Peer
from katcp_aio.wire.datatypes import Address

OPERATOR = {
    "subject": ((("organizationName", "SARAO"),), (("commonName", "operator"),)),
    "subjectAltName": (("DNS", "operator.example"), ("DNS", "spare.example")),
}


def may(access, request, host=None, peercert=None):
    """Return whether a client may ask something; None if it is turned away."""
    permission = access.permission(host and Address(host, 40000), peercert)
    return None if permission is None else permission.allows(request)


def test_the_first_rule_that_fits_decides():
    access = Access(
        [
            AccessRule(network="10.8.1.1", allow=()),
            AccessRule(network="10.8.1.0/24", allow="*"),
            AccessRule(network=["10.8.0.0/16", "fd00::/8"], allow=READ_ONLY),
        ]
    )
    assert may(access, "set-rate", "10.8.1.2") is True
    assert may(access, "set-rate", "10.8.2.2") is False
    assert may(access, "sensor-list", "10.8.2.2") is True
    assert may(access, "sensor-list", "fd12::1") is True
    assert may(access, "sensor-list", "10.8.1.1") is None
    assert may(access, "sensor-list", "192.168.0.1") is None


def test_without_rules_nobody_is_let_in():
    assert may(Access([]), "help", "127.0.0.1") is None


def test_a_client_without_an_address_is_in_no_network():
    access = Access([AccessRule(network=["0.0.0.0/0", "::/0"], allow=READ_ONLY), AccessRule(allow={"watchdog"})])
    assert may(access, "help", "1.2.3.4") is True
    assert may(access, "help") is False
    assert may(access, "watchdog") is True


def test_an_ipv4_client_of_a_socket_for_both_families():
    access = Access([AccessRule(network="10.0.0.0/8", allow="*")])
    assert may(access, "help", "::ffff:10.1.2.3") is True
    assert may(access, "help", "::ffff:11.1.2.3") is None


@pytest.mark.parametrize(
    "certificate",
    [
        "CN=operator",
        "commonName=operator",
        "O=SARAO,CN=operator",
        " CN = operator , O = SARAO ",
        "DNS=spare.example",
        {"CN": "operator"},
    ],
)
def test_certificates_that_fit(certificate):
    access = Access([AccessRule(certificate=certificate, allow="*"), AccessRule(allow=READ_ONLY)])
    assert may(access, "halt", "1.2.3.4", OPERATOR) is True


@pytest.mark.parametrize("peercert", [None, {}, {"subject": ()}, {"subject": ((("commonName", "guest"),),)}])
def test_clients_without_that_certificate(peercert):
    access = Access([AccessRule(certificate="CN=operator", allow="*"), AccessRule(allow=READ_ONLY)])
    assert may(access, "halt", "1.2.3.4", peercert) is False
    assert may(access, "help", "1.2.3.4", peercert) is True


def test_all_that_a_rule_says_of_a_certificate_has_to_fit():
    access = Access([AccessRule(certificate="O=Elsewhere, CN=operator", allow="*")])
    assert may(access, "halt", "1.2.3.4", OPERATOR) is None


def test_a_network_and_a_certificate_have_to_fit_both():
    access = Access([AccessRule(network="10.0.0.0/8", certificate="CN=operator", allow="*")])
    assert may(access, "halt", "10.1.1.1", OPERATOR) is True
    assert may(access, "halt", "11.1.1.1", OPERATOR) is None
    assert may(access, "halt", "10.1.1.1") is None


def test_values_with_commas_are_given_in_a_mapping():
    cert = {"subject": ((("organizationName", "Dishes, Ltd"),),)}
    assert may(Access([AccessRule(certificate={"O": "Dishes, Ltd"}, allow="*")]), "halt", None, cert) is True


def test_what_reads_only_cannot_command():
    assert not READ_ONLY & {"halt", "restart", "log-level"}
    access = Access([AccessRule(allow=READ_ONLY | {"set-rate"})])
    assert may(access, "set-rate") is True
    assert may(access, "set-mode") is False


@pytest.mark.parametrize(
    "rule",
    [
        {"network": "10.8.1.1/16"},
        {"network": "example.org"},
        {"network": ["10.0.0.0/8", "nonsense"]},
        {"certificate": "operator"},
        {"certificate": "CN="},
        {"certificate": ""},
        {"certificate": {}},
        {"allow": ["*"]},
        {"allow": "set rate"},
        {"allow": ["?help"]},
    ],
)
def test_mistakes_are_found_where_they_are_made(rule):
    with pytest.raises(ValueError):
        AccessRule(**{"allow": "*", **rule})


def test_networks_may_be_given_as_objects():
    rule = AccessRule(network=ipaddress.ip_network("10.0.0.0/8"), allow="help")
    assert may(Access([rule]), "help", "10.1.1.1") is True


async def test_a_device_refuses_what_is_not_allowed(greeted, device_class, caplog):
    peer = await greeted(device_class(access=Access([AccessRule(allow=READ_ONLY)])))
    peer.send(b"?halt[1]\n", b"?watchdog[2]\n")
    refusal = await peer.message("halt")
    assert refusal.arguments[0] == b"fail"
    assert b"not allowed" in refusal.arguments[1]
    await peer.expect("!watchdog[2] ok")
    assert "halt" in caplog.text


async def test_a_device_turns_away_whom_no_rule_fits(serve, device_class, caplog):
    served = await serve(device_class(access=Access([AccessRule(network="10.0.0.0/8", allow="*")])))
    peer = served.peer()
    farewell = await peer.message("disconnect")
    assert farewell.arguments == (b"not allowed",)
    assert await peer.end() == []
    assert "turned away" in caplog.text


async def test_a_client_of_the_network_that_reads_only(device_class, caplog):
    access = Access([AccessRule(network="127.0.0.0/8", allow=READ_ONLY), AccessRule(allow="*")])
    device = device_class(access=access)
    sensor = device.sensors.add(Sensor(int, "count"))
    async with device:
        peer = await Peer.connect("127.0.0.1", device.address.port)
        assert (await peer.ask("?sensor-list[1]"))[-1].arguments == (b"ok", b"1")
        assert (await peer.ask("?sensor-sampling[2] count event"))[-1].ok
        sensor.value = 7
        assert (await peer.message("sensor-status")).arguments[-1] == b"7"
        for name in ("halt", "restart", "log-level", "no-such-request"):
            assert (await peer.ask(f"?{name}[3]"))[-1].arguments == (
                b"fail",
                f"?{name} is not allowed for this client".encode(),
            )
        assert device.running
        assert device.trouble.counts["refused"] == 4
        (client,) = device.clients
        assert f"client {client.description} may not ask ?halt" in caplog.text
        await peer.close()
