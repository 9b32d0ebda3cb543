"""Where a server listens. Law: what was opened here is closed here, and nothing waits for a peer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import ssl as ssl_module
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..connection import prepare_socket
from ..errors import UsageError
from ..limits import Limits
from ..reports import TroubleLog
from ..wire.datatypes import Address
from .handshakes import HandshakeWatch

__all__ = ["Listeners", "short_of_files"]

if sys.platform != "win32":  # pragma: no branch - another system has no such bounds
    import resource

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what the empty host name stands for, and nothing else does
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_LAST_PORT = 65535
# Connections accepted in one turn of the loop. The loop goes on that often even if the process may open no more files,
# and logs each time; and 500 clients that come at once are not to hold up the others by being accepted in one go.
_ACCEPTS = 4
_SPARE_FILES = 16  # that a process may still open when clients are turned away: for those on their way, and its own


class Listeners:
    """The sockets of one server.

    Args:
        factory: makes the protocol of a new connection.
        limits: ``accept_backlog`` and ``handshake_timeout`` matter here.
        trouble: is told of TLS handshakes that failed, or were cut for their time.
        host: where to listen: an address or host name, several of them, or ``""`` for all interfaces.
        port: the port at each of them; 0: any free one, the same at all.
        path: of a Unix socket; then there is no TCP.
        sock: sockets to listen on instead, bound already. They are closed with the server.
        ssl: makes it TLS.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        limits: Limits,
        trouble: TroubleLog,
        *,
        host: str | Sequence[str],
        port: int,
        path: str | os.PathLike[str] | None,
        sock: socket.socket | Sequence[socket.socket] | None,
        ssl: ssl_module.SSLContext | None,
    ) -> None:
        if not hasattr(port, "__index__") or not 0 <= port <= _LAST_PORT:
            raise UsageError(f"port {port!r} is no whole number from 0 to {_LAST_PORT}")
        self._factory = factory
        self._hosts = (host,) if isinstance(host, str) else tuple(host)
        self._port = port
        self._path = None if path is None else os.fspath(path)
        self._socks = () if sock is None else (sock,) if isinstance(sock, socket.socket) else tuple(sock)
        self._options: dict[str, Any] = {"ssl": ssl, "backlog": _ACCEPTS, "start_serving": False}
        self._handshakes = HandshakeWatch(trouble, limits.handshake_timeout)
        if ssl is not None:
            self._handshakes.install(ssl)
            self._options["ssl_handshake_timeout"] = limits.handshake_timeout
        self._limits = limits
        self._servers: list[asyncio.AbstractServer] = []
        self._last_port = 0
        self._inode = 0  # of the Unix socket, as its file
        self.addresses: tuple[Address, ...] = ()  #: of the TCP sockets, in the order they were opened

    @property
    def listening(self) -> bool:
        """Whether it is open, on whatever kind of socket."""
        return bool(self._servers)

    async def open(self, *, same_port: bool = False) -> None:
        """Begin to listen; ``same_port``: at the port of last time, where any free one would do.

        Raises:
            OSError: an address is in use, or not one of this machine.
            UsageError: the given sockets have been used, and closed, before.
        """
        port = self._last_port if same_port else self._port
        try:
            if self._socks:
                await self._open_given()
            elif self._path is not None:
                loop = asyncio.get_running_loop()
                await self._listen(await loop.create_unix_server(self._factory, self._path, **self._options))
                self._inode = os.stat(self._path).st_ino  # noqa: PTH116 - the path may be one that pathlib would change
            else:
                await self._open_tcp(port)
        finally:
            self.addresses = tuple(_addresses(self._servers))
            self._last_port = (self.addresses[0].port or 0) if self.addresses else 0

    async def _listen(self, server: asyncio.AbstractServer) -> None:
        """Have a server begin to listen, once it is noted: cancelled in between, it could not be closed any more."""
        self._servers.append(server)
        await server.start_serving()
        for sock in getattr(server, "sockets", ()):
            with sock.dup() as same:  # the kernel's queue is another matter than the loop's appetite
                same.listen(self._limits.accept_backlog)
                prepare_socket(same, self._limits)

    async def _open_given(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._socks:
            if sock.fileno() < 0:
                raise UsageError("the socket that the server was given is closed; give it a new one")
            with contextlib.ExitStack() as undo:
                same = undo.enter_context(
                    sock.dup()
                )  # what was given outlasts a restart: who comes then waits a little
                server = await loop.create_server(self._factory, sock=same, **self._options)
                undo.pop_all()
            await self._listen(server)

    async def _open_tcp(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for host in self._hosts:
            for name in _EVERYWHERE if host == "" else (host,):
                try:
                    server = await loop.create_server(self._factory, name, port, **self._options)
                except OSError as error:
                    if host == "" and self._servers and error.errno in _NO_SUCH_FAMILY:
                        continue  # this machine has only one of the two families
                    raise
                await self._listen(server)
                if port == 0:
                    port = server.sockets[0].getsockname()[1]

    def close(self, *, reopen: bool = False) -> None:
        """Stop listening; connections that were made already are not touched. ``reopen``: it may be opened again."""
        servers, self._servers = self._servers, []
        self.addresses = ()
        self._handshakes.close()
        for server in servers:
            server.close()  # and no wait_closed(): from Python 3.12 on that would wait for every client
        for sock in () if reopen else self._socks:
            sock.close()
        if self._path is not None and servers:
            with contextlib.suppress(OSError):
                if os.stat(self._path).st_ino == self._inode:  # noqa: PTH116 - else it is another server's by now
                    os.unlink(self._path)  # noqa: PTH108 - as above  # pragma: no cover - asyncio has, from Python 3.13 on


def short_of_files(sock: Any) -> bool:
    """Return whether this process can open few files more, now that it has a connection with that socket.

    A new file gets the lowest free number, so the number says how many there are. False where the system has no bound.
    """
    if sys.platform == "win32" or sock is None:
        return False
    bound, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return bound != resource.RLIM_INFINITY and int(sock.fileno()) >= bound - _SPARE_FILES


def _addresses(servers: list[asyncio.AbstractServer]) -> list[Address]:
    found = []
    for server in servers:
        for sock in getattr(server, "sockets", ()):
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                host, port = sock.getsockname()[:2]
                found.append(Address(ipaddress.ip_address(host.partition("%")[0]), port))
    return found
