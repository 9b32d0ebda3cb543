"""Connections in memory for the tests of this folder."""

import pytest

from katcp_aio.connection import ConnectionProtocol
from katcp_aio.limits import Limits
from katcp_aio.testing import Peer, memory_pair

__all__ = []

KIB = 1024


@pytest.fixture
async def join():
    """Yield what makes a connection and the raw peer at its other end; all are closed after the test."""
    made = []

    def join(limits=None, *, chunk=64 * KIB, addresses=None, **kwargs):
        protocol, peer = ConnectionProtocol(limits or Limits(), **kwargs), Peer()
        memory_pair(protocol, peer, chunk=chunk, addresses=addresses)
        made.append(protocol.connection)
        return protocol.connection, peer

    yield join
    for connection in made:
        connection.abort()
        await connection.wait_lost()
