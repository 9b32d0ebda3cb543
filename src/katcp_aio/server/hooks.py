"""Where a device's own code is called. Law: each of these does nothing until a device says what it is to do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..errors import InvalidReply
from ..reports import plain
from ..wire.dialect import UNKNOWN_REQUEST
from .names import OwnNames

if TYPE_CHECKING:
    from .context import RequestContext
    from .session import ClientConnection

__all__ = ["DeviceHooks"]


class DeviceHooks(OwnNames):
    """What a device may override."""

    on_restart: Callable[[], Coroutine[Any, Any, object]] | Any = None
    """Defined by devices that ?restart may restart: ``async def on_restart(self)``, called between stop and start."""

    async def on_start(self) -> None:
        """Called before the server listens; an exception is passed on by ``start``."""

    async def on_stop(self) -> None:
        """Called when the clients are gone, before service tasks end; an exception is passed on by ``stop``.

        Not where starting fails or is called off, be it behind ``on_start``, as where the address is in use.
        """

    async def on_client_connect(self, client: ClientConnection) -> None:
        """Called when a client has been greeted, before its first request is read; an exception disconnects it.

        Other clients are served meanwhile. Cancelled if the client goes before it has ended.
        """

    async def on_client_disconnect(self, client: ClientConnection) -> None:
        """Called when a client is gone."""

    async def unhandled_request(self, ctx: RequestContext, *arguments: bytes) -> object:
        """Answer a request that has no handler, as a handler would; by default it is invalid."""
        raise InvalidReply(UNKNOWN_REQUEST.format(plain(ctx.message.name)))
