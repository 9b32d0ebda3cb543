"""TLS handshakes that come to nothing. Law: asyncio says no word about them, so that what OpenSSL is asked to do tells.

A context makes an object for each connection, of a class that may be chosen (``SSLContext.sslobject_class``). asyncio
asks that object to go on with the handshake whenever something has come, from the first moment on.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from typing import Any

from ..reports import TroubleLog

__all__ = ["HandshakeWatch"]


class HandshakeWatch:
    """Tells of handshakes that fail, and of those not over in time: cut by the event loop, or given up by the client.

    Args:
        trouble: is told.
        timeout: seconds that a handshake may take; that it ends then is the event loop's to see to.
    """

    def __init__(self, trouble: TroubleLog, timeout: float) -> None:
        self.trouble = trouble
        self._timeout = timeout
        self._pending: set[asyncio.TimerHandle] = set()

    def install(self, context: ssl_module.SSLContext) -> None:
        """Have a context tell of its handshakes here, and no longer to the watch of a server that used it before."""
        plain: Any = getattr(context.sslobject_class, "plain", context.sslobject_class)
        members = {"plain": plain, "watch": self, "late": None, "do_handshake": _do_handshake}
        context.sslobject_class = type("WatchedSSLObject", (plain,), members)

    def begin(self) -> asyncio.TimerHandle:
        """Start the time of one handshake; what is returned is for :meth:`end`."""

        def late() -> None:
            self._pending.discard(handle)
            self.trouble.tell("handshake", "a TLS handshake was not completed within %s s", f"{self._timeout:g}")

        handle = asyncio.get_running_loop().call_later(self._timeout, late)
        self._pending.add(handle)
        return handle

    def end(self, handle: asyncio.TimerHandle) -> None:
        """Take note that a handshake is over, well or not."""
        handle.cancel()
        self._pending.discard(handle)

    def close(self) -> None:
        """Tell of no handshake that is under way."""
        for handle in list(self._pending):
            self.end(handle)


def _do_handshake(self: Any) -> None:
    """Go on with a handshake as the plain object does: raises SSLWantReadError until it is over."""
    if self.late is None:
        self.late = self.watch.begin()
    try:
        self.plain.do_handshake(self)
    except (ssl_module.SSLWantReadError, ssl_module.SSLWantWriteError):
        raise
    except ssl_module.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or error
        self.watch.trouble.tell("handshake", "a client was refused in the TLS handshake: %s", why)
        self.watch.end(self.late)
        raise
    self.watch.end(self.late)
