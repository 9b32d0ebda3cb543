"""What a device's author derives from. Law: everything that is here, a device may override."""

from __future__ import annotations

from .requests import StandardRequests
from .sensor_requests import SensorRequests

__all__ = ["DeviceServer"]


class DeviceServer(SensorRequests, StandardRequests):
    """A KATCP device server (5.1).

    Derive from it, say ``VERSION`` and ``BUILD_STATE``, add sensors to :attr:`sensors`, and write requests as methods
    named ``request_*``: their annotations decode the arguments, and their docstrings are the help. ``request_x = None``
    removes a request. Building a server needs no running loop; ``async with`` it, or ``start`` and ``stop``.

    Args:
        host: where to listen: an address or name, several of them, or ``""`` for all interfaces.
        port: 0 means any free one; see :attr:`address`.
        protocol: ``"5.1"``, ``"5.0"`` or ``"4.0"``, with all flags; or with flags, as ``"5.1-MI"``.
        multi_client: without it, each new client displaces the one before (5.1, section 9).
        limits: the bounds on what clients can make the server hold or do.
        ssl: makes it TLS; require certificates in the context to know clients by theirs.
        access: who may connect, and ask what; None: everybody and everything, but ``halt``, ``restart`` and setting
            ``log-level`` only from the device's own host; see :data:`katcp_aio.OPEN_ACCESS`.
        audit: records what clients ask for and what came of it, but for requests that only look; None: nothing.
        clock: the time, for tests.
        sock: a bound socket, or several, to listen on instead of ``host`` and ``port``.
        path: of a Unix socket to listen on instead.
        serial: answer each client's requests strictly one after another.
        debug: send clients the traceback of a handler that fails; by default they get one line.
        types: the Python types that annotations may name, if they are not those of the whole process.
        strategies: the same for sampling strategies.

    Raises:
        UsageError: ``VERSION`` or ``BUILD_STATE`` is missing, or a request's signature cannot be called from the wire.
        UnsupportedProtocol: no server of this library speaks ``protocol``.
    """
