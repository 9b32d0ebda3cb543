"""The requests that every device answers (5.1, sections 4, 5, 6 and 8). Law: written as any device's author would.

Those about sensors are in :mod:`.sensor_requests`. Which of them exist in which version is in the dialect's table.
"""

from __future__ import annotations

from ..errors import FailReply
from ..reports import plain
from ..wire.dialect import UNKNOWN_REQUEST
from .base import DeviceBase
from .context import RequestContext
from .handlers import Handler
from .logs import LogLevel

__all__ = ["StandardRequests"]


class StandardRequests(DeviceBase):
    """Help, life, versions, clients and logging."""

    async def request_help(self, ctx: RequestContext, name: str | None = None) -> int:
        """Describe one request, or all.

        Sends #help NAME DESCRIPTION for each, and replies with their number. A description is a summary, a line of
        usage (square brackets: optional; bars: choices; dots: any number), and details.
        """
        return await ctx.informs((found.name, found.signature.help(found.name)) for found in self._named(name))

    def request_watchdog(self, ctx: RequestContext) -> None:
        """Do nothing, to show that the connection and the device are alive."""

    def request_halt(self, ctx: RequestContext) -> None:
        """Stop the device, after the reply."""
        self.begin_stop()

    def request_restart(self, ctx: RequestContext) -> None:
        """Stop the device and start it afresh, after the reply."""
        if self.on_restart is None:
            raise FailReply("This device cannot be restarted")
        self.begin_stop(restart=True)

    async def request_version_list(self, ctx: RequestContext) -> int:
        """List the versions of the protocol, this library, the device and its components.

        Sends #version-list NAME VERSION [BUILD-STATE] for each, and replies with their number.
        """
        return await ctx.informs(self.dialect.versions(self.library_row, self.device_row, self.versions))

    async def request_client_list(self, ctx: RequestContext) -> int:
        """List the addresses of all clients, the one that asks included.

        Sends #client-list ADDRESS for each, and replies with their number.
        """
        return await ctx.informs(client.description for client in self.clients)

    async def request_request_timeout_hint(self, ctx: RequestContext, name: str | None = None) -> int:
        """Tell how long requests may take, in seconds.

        Sends #request-timeout-hint NAME SECONDS for each request that has a hint, or for the one named, where 0 means
        that there is none, and replies with their number.
        """
        return await ctx.informs(
            (found.name, float(found.options.timeout_hint or 0.0))
            for found in self._named(name)
            if name is not None or found.options.timeout_hint is not None
        )

    def _named(self, name: str | None) -> list[Handler]:
        """Return the handlers of one request or of all."""
        if name is None:
            return list(self.handlers.values())
        if name not in self.handlers:
            raise FailReply(UNKNOWN_REQUEST.format(plain(name)))
        return [self.handlers[name]]

    def request_log_level(self, ctx: RequestContext, level: LogLevel | None = None) -> LogLevel:
        """Set the level from which the device's log is sent as #log informs, or just tell it.

        The level is the device's, not the client's: all clients get the same, and it outlasts their connections.
        """
        if level is not None:
            self.log_level = level
        return self.log_level

    def request_log_limit(self, ctx: RequestContext, level: LogLevel | None = None) -> LogLevel:
        """Set the level from which this client alone is sent #log informs, or just tell it."""
        if level is not None:
            ctx.client.log_limit = level
        return ctx.client.log_limit or self.log_level

    def request_log_local(self, ctx: RequestContext, level: LogLevel | None = None) -> LogLevel:
        """Do as log-limit does: the name that some C clients use."""
        return self.request_log_limit(ctx, level)
