"""TLS handshakes that come to nothing, without a network: what OpenSSL is asked to do is all that is looked at."""

import logging
import ssl

import pytest

from katcp_aio.reports import TroubleLog
from katcp_aio.server.handshakes import HandshakeWatch


@pytest.fixture
async def trouble(manual_clock):
    return TroubleLog(logging.getLogger("katcp_aio"), manual_clock.monotonic, 10)


@pytest.fixture
async def watch(trouble):
    return HandshakeWatch(trouble, 10.0)


class Handshake:
    """The server's end of one, in memory; what ``client`` wrote may be fed to it."""

    def __init__(self, context):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=context.protocol == ssl.PROTOCOL_TLS_SERVER
        )

    def go_on(self):
        """Return whether it is over."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True


@pytest.fixture
def context(certificates, watch):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.server.configure_cert(context)
    watch.install(context)
    return context


async def test_one_that_is_not_over_in_time_is_told(context, trouble, manual_clock, caplog):
    handshake = Handshake(context)
    assert not handshake.go_on()
    await manual_clock.advance(9.9)
    assert not handshake.go_on()
    assert trouble.counts == {}
    await manual_clock.advance(0.1)
    assert trouble.counts == {"handshake": 1}
    assert caplog.messages == ["a TLS handshake was not completed within 10 s"]


async def test_one_whose_client_left_is_told_as_well(context, trouble, manual_clock):
    handshake = Handshake(context)
    handshake.go_on()
    del handshake
    await manual_clock.advance(10)
    assert trouble.counts == {"handshake": 1}


async def test_one_that_fails_is_told_once(context, trouble, manual_clock, caplog):
    handshake = Handshake(context)
    handshake.go_on()
    handshake.incoming.write(b"?watchdog[1] and so on\n")
    with pytest.raises(ssl.SSLError):
        handshake.go_on()
    await manual_clock.advance(10)
    assert trouble.counts == {"handshake": 1}
    assert "a client was refused in the TLS handshake" in caplog.text


async def test_one_that_ends_well_is_not_told(context, certificates, trouble, manual_clock):
    client_context = ssl.create_default_context()
    certificates.authority.configure_trust(client_context)
    client_context.check_hostname = False
    server, client = Handshake(context), Handshake(client_context)
    over = False
    while not over:
        over = client.go_on()
        server.incoming.write(client.outgoing.read())
        over = server.go_on() and over
        client.incoming.write(server.outgoing.read())
    await manual_clock.advance(10)
    assert trouble.counts == {}


async def test_who_stops_to_listen_waits_for_none(context, watch, trouble, manual_clock):
    Handshake(context).go_on()
    watch.close()
    await manual_clock.advance(10)
    assert trouble.counts == {}


async def test_a_context_tells_the_latest_watch_only(context, trouble, manual_clock):
    HandshakeWatch(trouble, 5.0).install(context)
    handshake = Handshake(context)
    handshake.go_on()
    handshake.incoming.write(b"nonsense, and no TLS")
    with pytest.raises(ssl.SSLError):
        handshake.go_on()
    assert trouble.counts == {"handshake": 1}
