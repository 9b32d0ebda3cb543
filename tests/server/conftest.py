"""What the tests of the server share."""

import datetime as dt
import logging

import pytest
from tests.server.sampled import World

from katcp_aio import DeviceServer
from katcp_aio.testing import Peer, memory_pair

_LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_A_DAY = dt.timedelta(days=1)


class Device(DeviceServer):
    """The least that a device has to say."""

    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"


@pytest.fixture
def device_class():
    return Device


@pytest.fixture
def greeted(serve):
    """Serve a device, and connect a raw client that has heard the greeting."""

    async def connect(server, *, announced_to=()):
        served = server if hasattr(server, "peer") else await serve(server)
        peer = served.peer()
        for _ in served.server.dialect.greeting(served.server.library_row, served.server.device_row):
            await peer.line()
        peer.served = served
        for other in announced_to:
            await other.expect("#client-connected memory")
        return peer

    return connect


@pytest.fixture
async def come_from():
    """Connect a raw client in memory, as if from an address of the network; None: from where there are none."""
    peers = []

    def connect(server, host, port=40000):
        peer = Peer()
        peers.append(peer)
        name = (host, port, 0, 0) if host is not None and ":" in host else (host, port)
        addresses = None if host is None else (name, ("10.0.0.1", 5000))
        memory_pair(peer, server.make_protocol(), addresses=addresses)
        return peer

    yield connect
    for peer in peers:
        if not peer.lost:
            peer.abort()
        await peer.close()


@pytest.fixture
def broken_log():
    """Have the library's log raise, as a filter of the program's may."""

    def refuse(record):
        raise LookupError("broken filter")

    logger = logging.getLogger("katcp_aio")
    logger.addFilter(refuse)
    yield
    logger.removeFilter(refuse)


@pytest.fixture
async def world(manual_clock):
    """Sensors, and clients that sample them."""
    made = World(manual_clock)
    yield made
    await made.end()


@pytest.fixture(scope="session")
def certificates():
    """Return an authority of the tests' own, and certificates that it has issued."""
    trustme = pytest.importorskip("trustme")

    class Certificates:
        authority = trustme.CA()
        server = authority.issue_cert("device.example")
        operator = authority.issue_cert("operator.example")
        stranger = trustme.CA().issue_cert("operator.example")
        expired = authority.issue_cert("operator.example", not_before=_LONG_AGO, not_after=_LONG_AGO + _A_DAY)

    return Certificates
