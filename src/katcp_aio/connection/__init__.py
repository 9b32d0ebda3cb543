"""The one place that reads and writes. Law: whatever a peer does, it costs a bounded amount of memory and of time.

:class:`Connection` is one peer; :class:`ConnectionProtocol` makes one from any asyncio transport, and :func:`connect`
one to a device. :func:`prepare_socket` is for sockets that listen.
"""

from __future__ import annotations

from .peer import Connection
from .transport import ConnectionProtocol, connect, prepare_socket

__all__ = ["Connection", "ConnectionProtocol", "connect", "prepare_socket"]
