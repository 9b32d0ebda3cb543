"""The clients of one server. Law: who is let in is greeted, who is not is told why, and who has gone is forgotten.

Nothing here waits for a client: lines are queued, and connections end by themselves within ``Limits.close_timeout``.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Hashable
from typing import TYPE_CHECKING

from ..connection import Connection
from ..reports import report_exception
from ..wire.message import MessageType
from .access import DEFAULT_ACCESS, EVERYTHING, host_of
from .context import format_line
from .listeners import short_of_files
from .services import end_tasks
from .session import ClientConnection

if TYPE_CHECKING:
    from ..wire.datatypes import Address
    from .access import Access, Permission
    from .base import DeviceBase

__all__ = ["Clientele"]

_CONNECTED = MessageType.INFORM.head("client-connected")
_DISCONNECT = MessageType.INFORM.head("disconnect")
_HOST_BITS = 64  # of an IPv6 address: a host, or its owner, has all of them to choose from
_MOST_TURNS = 50  # of the loop in a row that bring newcomers, before they are announced to the others


class Clientele:
    """The books of a server's clients, and of what they leave behind.

    Args:
        server: whose clients they are.
        multi_client: whether there may be more than one at a time (5.1, sections 8 and 9).
    """

    def __init__(self, server: DeviceBase, *, multi_client: bool) -> None:
        self._server = server
        self._multi_client = multi_client
        # In the order in which they came, each with what it counts under; see _origin().
        self.clients: dict[ClientConnection, Hashable] = {}
        self._counts: dict[Hashable, int] = {}  # origin -> its clients, as long as it has any
        self._told: tuple[tuple[str, str], dict[str, tuple[str, ...]]] | None = None  # in the greeting
        self._lines = b""  # which says so
        self._newcomers: list[ClientConnection] = []  # not announced to the others yet
        self._closing: set[Connection] = set()  # of those turned away or done with, until they are gone
        self._abandoned: dict[asyncio.Task[object], None] = {}  # handlers whose clients went, oldest first
        self._ending: set[asyncio.Task[object]] = set()  # those that were cancelled, and have to clean up

    def receive(self, connection: Connection) -> None:
        """Greet a client, or turn it away with a reason."""
        server, limits, address = self._server, self._server.limits, connection.address
        permission = self._permission(server.access or DEFAULT_ACCESS, address, connection)
        origin = _origin(address) if self._multi_client else None
        if not server.running:
            self._turn_away(connection, "server shutting down")
        elif permission is None:
            self._turn_away(connection, "not allowed")
        elif self._multi_client and len(self.clients) >= limits.max_clients:
            self._turn_away(connection, "too many clients")
        elif self._counts.get(origin, 0) >= limits.max_clients_per_address:
            self._turn_away(connection, "too many clients from this address")
        elif short_of_files(connection.get_extra_info("socket")):
            self._turn_away(connection, "too many clients", why="too many clients for the files that it may open")
            connection.abort()  # what waits for it to end its side costs a file
        else:
            self._admit(ClientConnection(server, connection, None if permission is EVERYTHING else permission), origin)

    @staticmethod
    def _permission(access: Access, address: Address | None, connection: Connection) -> Permission | None:
        """Ask the rules; where those of the program's own raise, nobody is let in."""
        try:
            return access.permission(address, connection.get_extra_info("peercert"))
        except Exception:  # noqa: BLE001 - the program's; the connection would be left to nobody
            report_exception("whether client %s may connect", connection.description)
            return None

    def _turn_away(self, connection: Connection, reason: str, why: str = "") -> None:
        """End a connection that was just made; ``why`` is for the log, where the client is not to know all."""
        self._server.trouble.tell("turned away", "client %s turned away: %s", connection.description, why or reason)
        self._see_off(connection)
        connection.write(format_line(_DISCONNECT, (reason,), self._server.dialect))
        connection.begin_close()

    def _see_off(self, connection: Connection) -> None:
        """Remember a connection that is being closed for as long as that takes."""
        self._closing.add(connection)
        connection.on_lost(lambda: self._closing.discard(connection))

    def _admit(self, client: ClientConnection, origin: Hashable) -> None:
        try:
            greeting = self._greeting()
        except Exception:  # noqa: BLE001 - versions of the device's own that have no form on the wire
            report_exception("the greeting of client %s", client.description)
            self._turn_away(client.connection, "internal error")
            return
        if self._multi_client and self.clients:  # the first has nobody to be announced to
            if not self._newcomers:
                asyncio.get_running_loop().call_soon(self._announce_when_all_came, 0, _MOST_TURNS)
            self._newcomers.append(client)
        elif not self._multi_client:
            for other in list(self.clients):
                other.disconnect(f"New client connected from {client.description}")
        self.clients[client] = origin
        if origin is not None:
            self._counts[origin] = self._counts.get(origin, 0) + 1
        client.connection.write(greeting)
        client.start()

    def _greeting(self) -> bytes:
        """Return the lines that a new client is sent; made once, as they take 15 us."""
        server = self._server
        told = server.device_row, dict(server.versions)
        if told != self._told:
            informs = server.dialect.greeting(server.library_row, *told)
            self._lines = b"".join(
                [format_line(MessageType.INFORM.head(name), rows, server.dialect) for name, rows in informs]
            )
            self._told = told
        return self._lines

    def _announce_when_all_came(self, known: int, turns: int) -> None:
        """Wait while more come in each turn: 500 at once, each told of apart, are a second of work."""
        if len(self._newcomers) > known and turns:
            asyncio.get_running_loop().call_soon(self._announce_when_all_came, len(self._newcomers), turns - 1)
        else:
            self._announce()

    def _announce(self) -> None:
        """Tell each client who else has come since it did (5.1, section 8.2): one write, however many came at once."""
        newcomers, self._newcomers = self._newcomers, []
        lines = [format_line(_CONNECTED, (client.description,), self._server.dialect) for client in newcomers]
        everything = b"".join(lines)
        for client in self.clients.keys() - set(newcomers):
            client.connection.write(everything)
        for number, client in enumerate(newcomers[:-1], 1):
            client.connection.write(b"".join(lines[number:]))

    def gone(self, client: ClientConnection) -> bool:
        """Take note that a client's connection has ended; return whether that is news."""
        if client not in self.clients:  # pragma: no cover - a session says so once
            return False
        origin = self.clients.pop(client)
        if origin is not None:
            self._counts[origin] -= 1
            if not self._counts[origin]:
                del self._counts[origin]
        if not client.connection.lost:
            self._see_off(client.connection)  # it is still sent what it was promised
        if client.connection.reason is not None:
            trouble = self._server.trouble
            trouble.tell("dropped", "client %s dropped: %s", client.description, client.connection.reason)
        return True

    def abandon(self, task: asyncio.Task[object], *, cancel: bool) -> None:
        """Let a handler run on whose client went, or only clean up if it is to be cancelled.

        Beyond ``Limits.max_abandoned`` the oldest of those that run on is cancelled.
        """
        if cancel:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            return
        self._abandoned[task] = None
        task.add_done_callback(lambda done: self._abandoned.pop(done, None))
        if len(self._abandoned) > self._server.limits.max_abandoned:
            oldest = next(iter(self._abandoned))
            del self._abandoned[oldest]
            self.abandon(oldest, cancel=True)
            self._server.trouble.tell("abandoned", "a handler was cancelled: too many run on whose clients went")

    async def dismiss(self, reason: str, deadline: float) -> list[asyncio.Task[object]]:
        """End all connections in good order, all at the same time; return the handlers that run on all the same.

        Takes ``Limits.stop_margin`` beyond the deadline at most.

        Args:
            reason: is sent with #disconnect.
            deadline: in monotonic seconds; handlers that have not ended by then are cancelled.
        """
        create_task = asyncio.get_running_loop().create_task
        margin = self._server.limits.stop_margin
        left = deadline - self._server.clock.monotonic()
        endings = [create_task(client.shut_down(reason, deadline)) for client in self.clients]
        endings += [create_task(connection.close(left + margin)) for connection in self._closing]
        endings += [create_task(end_tasks([*self._abandoned, *self._ending], left, margin))]
        await asyncio.wait(endings)
        for connection in list(self._closing):  # pragma: no cover - of those that came in these few turns of the loop
            connection.abort()
        return [*self._abandoned, *self._ending]


def _origin(address: Address | None) -> Hashable:
    """Return what a client counts under for ``Limits.max_clients_per_address``; None for one that does not count.

    Programs of the device's own host all come from one address, the loopback or none, and are in one another's hands
    anyway. Of IPv6 it is the network that a host may choose its addresses from, but where all of a link have the same.
    """
    host = None if address is None else host_of(address)
    if host is None or host.is_loopback:
        return None
    if isinstance(host, ipaddress.IPv4Address) or host.is_link_local:
        return host
    return int(host) >> _HOST_BITS
