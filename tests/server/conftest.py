"""What the tests of the server share."""

import datetime as dt

import pytest

from katcp_aio import DeviceServer

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
