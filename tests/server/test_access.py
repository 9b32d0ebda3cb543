"""Who is let in, and may ask what."""

import ipaddress

import pytest

from katcp_aio import Sensor
from katcp_aio.server.access import (
    ADMINISTRATIVE,
    DEFAULT_ACCESS,
    OPEN_ACCESS,
    READ_ONLY,
    Access,
    AccessRule,
    certificate_name,
)
from katcp_aio.testing import Peer
from katcp_aio.wire.datatypes import Address

OPERATOR = {
    "subject": ((("organizationName", "SARAO"),), (("commonName", "operator"),)),
    "subjectAltName": (("DNS", "operator.example"), ("DNS", "spare.example")),
}


def may(access, request, host=None, peercert=None):
    """Return whether a client may ask for something to be set; None if it is turned away."""
    permission = access.permission(host and Address(host, 40000), peercert)
    return None if permission is None else permission.allows(request, (b"1",))


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


ELSEWHERE = ["10.8.0.7", "::ffff:10.8.0.7", "2001:db8::1", "169.254.1.1"]
HERE = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", None]


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("name", ["halt", "restart", "log-level"])
def test_by_default_a_device_is_not_administered_from_elsewhere(host, name):
    assert may(DEFAULT_ACCESS, name, host) is False
    assert may(DEFAULT_ACCESS, "set-rate", host) is True
    assert may(DEFAULT_ACCESS, "log-limit", host) is True  # is the client's own
    assert may(OPEN_ACCESS, name, host) is True


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("name", ["halt", "restart", "log-level"])
def test_by_default_it_is_from_its_own_host(host, name):
    assert may(DEFAULT_ACCESS, name, host) is True


def test_what_is_denied_is_taken_from_what_is_allowed():
    access = Access([AccessRule(network="10.0.0.0/8", allow={"set-rate", "set-mode"}, deny="set-mode")])
    assert may(access, "set-rate", "10.1.1.1") is True
    assert may(access, "set-mode", "10.1.1.1") is False
    assert may(access, "help", "10.1.1.1") is False
    with pytest.raises(ValueError):
        AccessRule(allow="*", deny="*")


@pytest.mark.parametrize("host", ["10.8.0.7", "2001:db8::1"])
async def test_a_client_from_elsewhere_is_refused_what_is_the_device_s_life(
    serve, device_class, come_from, host, caplog
):
    served = await serve(device_class())
    peer = come_from(served.server, host)
    for number, request in enumerate(["?halt", "?restart", "?log-level debug"], 1):
        name = request[1:].split()[0]
        reply = (await peer.ask(request))[-1]
        assert reply.arguments == (b"fail", f"?{name} is not allowed for this client".encode())
        assert served.server.trouble.counts["refused"] == number
        assert f"may not ask ?{name}" in caplog.text
    assert served.server.running
    assert (await peer.ask("?log-level"))[-1].arguments == (b"ok", b"warn")  # only asks
    assert (await peer.ask("?log-limit debug"))[-1].arguments == (b"ok", b"debug")
    assert (await peer.ask("?watchdog"))[-1].ok


async def halted(device, peer):
    """Wait until the device has ended, which waits for its client to end its side."""
    assert await peer.end() == [rb"#disconnect server\_shutting\_down"]
    await peer.close()
    await device.serve_forever()


@pytest.mark.parametrize("host", HERE)
async def test_a_client_of_the_device_s_host_may_halt_it(serve, device_class, come_from, host):
    device = (await serve(device_class())).server
    peer = come_from(device, host)
    assert (await peer.ask("?log-level debug"))[-1].ok
    assert (await peer.ask("?halt"))[-1].ok
    await halted(device, peer)


async def test_a_client_of_a_unix_socket_may_halt_the_device(device_class, tmp_path):
    path = tmp_path / "device.sock"
    async with device_class(path=path) as device:
        peer = await Peer.connect(path=str(path))
        assert (await peer.ask("?halt"))[-1].ok
        await halted(device, peer)


async def test_a_device_open_to_all_is_halted_by_anybody(serve, device_class, come_from):
    device = (await serve(device_class(access=OPEN_ACCESS))).server
    peer = come_from(device, "10.8.0.7")
    assert (await peer.ask("?halt"))[-1].ok
    await halted(device, peer)


async def test_rules_of_one_s_own_take_the_place_of_the_default(serve, device_class, come_from):
    rules = [AccessRule(network="10.8.0.7", allow="*"), AccessRule(allow="*", deny=ADMINISTRATIVE | {"help"})]
    device = (await serve(device_class(access=Access(rules)))).server
    local = come_from(device, "127.0.0.1")
    assert (await local.ask("?halt"))[-1].arguments[0] == b"fail"
    assert (await local.ask("?help"))[-1].arguments[0] == b"fail"
    await local.close()
    peer = come_from(device, "10.8.0.7")
    assert (await peer.ask("?halt"))[-1].ok
    await halted(device, peer)


async def test_who_is_not_denied_but_never_allowed_to_ask_for_a_level(greeted, device_class):
    peer = await greeted(device_class(access=Access([AccessRule(allow="watchdog")])))
    assert (await peer.ask("?log-level"))[-1].arguments[0] == b"fail"


async def test_rules_of_another_kind_may_look_at_the_arguments(serve, device_class, come_from):
    class Levels:
        def permission(self, address, peercert):
            return self

        def allows(self, name, arguments):
            return name != "log-level" or arguments == (b"info",)

    peer = come_from((await serve(device_class(access=Levels()))).server, "10.8.0.7")
    assert (await peer.ask("?log-level debug"))[-1].arguments[0] == b"fail"
    assert (await peer.ask("?log-level info"))[-1].arguments == (b"ok", b"info")
    assert (await peer.ask("?watchdog"))[-1].ok


async def test_the_rules_may_be_taken_back_while_it_runs(serve, device_class, come_from):
    device = (await serve(device_class(access=OPEN_ACCESS))).server
    device.access = None  # the default again
    assert (await come_from(device, "10.8.0.7").ask("?halt"))[-1].arguments[0] == b"fail"


def test_what_a_certificate_is_called():
    assert certificate_name(OPERATOR) == "O=SARAO, CN=operator, DNS=operator.example, DNS=spare.example"
    assert certificate_name({}) is None
    assert certificate_name(None) is None


async def test_rules_of_ones_own_that_raise_for_a_request_do_not_allow_it(serve, device_class, caplog):
    class Slow:
        def allows(self, name, arguments):
            return name != "log-level" or float(arguments[0]) < 5

    class OwnRules:
        def permission(self, address, peercert):
            return Slow()

    served = await serve(device_class(access=OwnRules()))
    peer = served.peer()
    reply = (await peer.ask("?log-level[1]"))[-1]
    assert (reply.mid, reply.arguments) == (1, (b"fail", b"?log-level is not allowed for this client"))
    assert "whether client memory may ask ?log-level" in caplog.text
    assert (await peer.ask("?watchdog[2]"))[-1].ok
