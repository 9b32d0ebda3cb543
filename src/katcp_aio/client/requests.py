"""A device's requests as functions. Law: what a function says of itself is what the device says of the request.

``help(pump.req.set_rate)`` shows the device's help, and its usage line, where there is one, is the signature.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

from .client import Client
from .names import attribute_name
from .replies import Reply
from .timeouts import DEFAULT, Default
from .usage import signature_of

__all__ = ["RequestFunction", "request_function"]


class RequestFunction(Protocol):
    """A coroutine function that makes one request; raises and returns as :meth:`Client.request`."""

    __name__: str
    __doc__: str | None

    def __call__(
        self,
        *arguments: object,
        timeout: float | Default | None = ...,
        returns: Sequence[Any] | None = ...,
        check: bool = ...,
    ) -> Awaitable[Any]:
        """Make the request."""


def request_function(client: Client, name: str, text: str) -> RequestFunction:
    """Return the function that makes request ``name`` of ``client``; ``text`` is the device's help."""

    async def call(
        *arguments: object,
        timeout: float | Default | None = DEFAULT,
        returns: Sequence[Any] | None = None,
        check: bool = True,
    ) -> Reply | tuple[Any, ...]:
        if returns is None:
            return await client.request(name, *arguments, timeout=timeout, check=check)
        return await client.request(name, *arguments, timeout=timeout, returns=returns, check=check)

    call.__name__ = call.__qualname__ = attribute_name(name)
    call.__doc__ = text
    function = cast(Callable[..., Any], call)
    function.__signature__ = signature_of(name, text)  # type: ignore[attr-defined]
    return cast(RequestFunction, function)
