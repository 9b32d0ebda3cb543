"""Another device's requests among one's own. Law: arguments, informs and replies pass through as they are.

Nothing is decoded on the way, so that a proxy needs to know nothing of what it passes on; times in arguments stay in
the unit of the device's dialect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

from ..errors import ConnectionLost, FailReply, InvalidReply, ProtocolError, RequestError, RequestTimeout
from ..model.matching import expression
from .device import DeviceClient
from .inventory import Changes

__all__ = ["RequestHost", "RequestProxy"]

#: what every device answers for itself (5.1, section 4); ?halt and ?restart through a proxy would surprise
_OWN = frozenset(
    {
        "client-list",
        "halt",
        "help",
        "log-level",
        "log-limit",
        "log-local",
        "request-timeout-hint",
        "restart",
        "sensor-list",
        "sensor-metadata",
        "sensor-sampling",
        "sensor-sampling-clear",
        "sensor-value",
        "version-list",
        "watchdog",
    }
)


class RequestHost(Protocol):
    """A server that requests can be added to; a :class:`DeviceServer` is one."""

    @property
    def handlers(self) -> Mapping[str, object]:
        """What it answers, by name."""

    def add_request(self, name: str, handler: Callable[..., Any], **options: Any) -> None:
        """Answer another request."""

    def remove_request(self, name: str) -> None:
        """Answer it no more."""


class RequestProxy:
    """Offers a device's requests on a server, as the device has them, until it is closed. Needs no running loop.

    Args:
        client: of the device; it may be connected before or after.
        server: gets the requests.
        prefix: put before their names, as ``"m000-"``.
        match: which ones: a regular expression to be found in the device's name for it, with or without slashes around
            it, or a predicate of the name. By default all but the standard ones, which a server has itself.

    A request whose name the server has already is left out and logged. While the device is away its requests stay, and
    wait for it as long as their timeout allows. Their help is the device's.

    Raises:
        ValueError: ``match`` is no regular expression.
    """

    def __init__(
        self,
        client: DeviceClient,
        server: RequestHost,
        *,
        prefix: str = "",
        match: str | re.Pattern[str] | Callable[[str], object] | None = None,
    ) -> None:
        self._client = client
        self._server = server
        self._prefix = prefix
        self._wanted = _selector(match)
        self._added: dict[str, object] = {}  # the device's name -> the server's handler
        self._cancel = client.on_change(self._changed)
        self._add(client.req)

    def close(self) -> None:
        """Take the requests off the server. Closing again does nothing."""
        self._cancel()
        for name in sorted(self._added):
            self._remove(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _changed(self, changes: Changes) -> None:
        for name in changes.requests_removed | changes.requests_modified:
            self._remove(name)
        self._add(sorted(changes.requests_added | changes.requests_modified))

    def _remove(self, name: str) -> None:
        added, here = self._added.pop(name, None), self._prefix + name
        if added is not None and self._server.handlers.get(here) is added:  # and not what the program put in its place
            self._server.remove_request(here)

    def _add(self, names: Any) -> None:
        for name in names:
            if not self._wanted(name):
                continue
            here = self._prefix + name
            if here in self._server.handlers:
                self._client.trouble.tell("proxy", "request %s is not passed on: there is a request %s", name, here)
                continue
            hint = self._client.timeout_hints.get(name)
            options = {} if hint is None else {"timeout_hint": hint}
            try:
                self._server.add_request(here, _forwarder(self._client, name), **options)
            except Exception as error:  # noqa: BLE001 - a name that the server cannot have; one must not cost the others
                self._client.trouble.tell("proxy", "request %s is not passed on: %s", name, error)
                continue
            added = self._server.handlers.get(here)
            if added is not None:  # a server does not take what its version of the protocol has not
                self._added[name] = added


def _selector(match: str | re.Pattern[str] | Callable[[str], object] | None) -> Callable[[str], object]:
    if match is None:
        return lambda name: name not in _OWN
    if isinstance(match, str):
        match = expression(match)
    return match.search if isinstance(match, re.Pattern) else match


def _forwarder(client: DeviceClient, name: str) -> Callable[..., Any]:
    """Return the handler that has the device answer."""

    async def forward(ctx: Any, *arguments: bytes) -> tuple[bytes, ...] | None:
        try:
            async with client.stream(name, *arguments) as informs:
                async for inform in informs:
                    await ctx.informs([inform.arguments])
        except RequestError as error:
            if error.reply is not None and len(error.reply.arguments) > 1:
                ctx.reply(*error.reply.arguments)
                return None
            kind = InvalidReply if isinstance(error, InvalidReply) else FailReply
            told = (line.arguments[-1].decode("utf-8", "replace") for line in error.log if line.arguments)
            reason = error.text or "; ".join(told)
            raise kind(reason, code=error.code or None) from error
        except (ConnectionLost, RequestTimeout, ProtocolError) as error:
            raise FailReply(str(error)) from error
        return () if informs.reply is None else tuple(informs.reply.arguments)

    usage = f"?{name}"
    lines = (client.req[name].__doc__ or "").splitlines()
    forward.__doc__ = "\n".join(line for line in lines if line != usage and not line.startswith(f"{usage} "))
    return forward
