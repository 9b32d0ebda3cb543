"""Who asked the device to do what, and what came of it. Law: one record a request, made when its reply leaves.

::

    pump = Pump("0.0.0.0", 5000, audit=Audit())  # a JSON line each, to the logger katcp_aio.audit

What only looks (:data:`~katcp_aio.server.access.READ_ONLY`) is not recorded, and a server without an audit does nothing
for it at all: whether there is one is decided when a request's context is made, by whose class it is.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import attrs

from ..reports import logger, printable
from .access import READ_ONLY, certificate_name
from .context import RequestContext

if TYPE_CHECKING:
    from ..wire.message import Message
    from .handlers import Handler
    from .session import ClientConnection

__all__ = ["Audit", "AuditRecord", "AuditedContext", "log_audit"]

_MOST_ARGUMENTS = 32  # of one request in its record
_logger = logger.getChild("audit")


@attrs.frozen(kw_only=True)
class AuditRecord:
    """One request that may have changed something; ``str()`` makes it a line of JSON, in ASCII.

    Texts of the client's have no control characters in them and are cut at 200 characters each.
    """

    time: float  #: when the request was looked at, in seconds since the Unix epoch
    peer: str  #: who asked: ``10.8.0.7:41234``, or the path of a Unix socket
    certificate: str | None  #: what the client's verified certificate says of its owner: ``O=SARAO, CN=operator``
    request: str  #: its name
    mid: int | None  #: its message id
    arguments: tuple[str, ...]  #: the first 32
    omitted: int  #: how many more there were
    outcome: str  #: ``ok``, ``fail``, ``invalid`` or a code of the device's own; ``refused`` by the access rules
    told: bool  #: whether the client was still there when the reply left
    duration: float  #: seconds until then

    def __str__(self) -> str:
        fields = attrs.asdict(self)
        fields["time"] = dt.datetime.fromtimestamp(self.time, dt.UTC).isoformat(timespec="milliseconds")
        fields["duration"] = round(self.duration, 6)
        return json.dumps(fields)


def log_audit(record: AuditRecord) -> None:
    """Log a record, as a line of JSON, to the logger ``katcp_aio.audit`` at INFO."""
    _logger.info("%s", record)


class Audit:
    """Records what clients ask for, but for what only looks; pass it to a server as ``audit=``.

    Args:
        write: is called with each record, in the event loop, before the next request is looked at: it is not to wait.
            What it raises is logged, at a bounded rate, and the client does not notice.
        skip: names of the requests that are not recorded: add your device's own that change nothing.
    """

    def __init__(self, write: Callable[[AuditRecord], object] = log_audit, *, skip: Iterable[str] = READ_ONLY) -> None:
        self.write = write
        self.skip = frozenset(skip)

    def context(self, client: ClientConnection, message: Message, handler: Handler) -> RequestContext:
        """Return what goes with a request while it is answered."""
        if message.name in self.skip:
            return RequestContext(client, message, handler)
        return AuditedContext(client, message, handler, self.write)


class AuditedContext(RequestContext):
    """One request that is recorded when it is replied to."""

    __slots__ = ("_began", "_time", "_write")

    def __init__(
        self, client: ClientConnection, message: Message, handler: Handler, write: Callable[[AuditRecord], object]
    ) -> None:
        super().__init__(client, message, handler)
        clock = client.server.clock
        self._write = write
        self._time = clock.time()
        self._began = clock.monotonic()

    def reply(self, code: object, /, *arguments: object) -> None:
        """Reply, as any context does, and record the return code."""
        super().reply(code, *arguments)
        self._record(printable(code))

    def finish(self, result: object) -> None:
        """Send the successful reply, as any context does, and record it; unless the handler replied itself."""
        early = self.replied
        super().finish(result)
        if not early:
            self._record("ok")

    def deny(self, text: str) -> None:
        """Refuse a request that the client may not make, and record that."""
        super().reply("fail", text)
        self._record("refused")

    def _record(self, outcome: str) -> None:
        connection, message, arguments = self.client.connection, self.message, self.message.arguments
        certificate = certificate_name(connection.get_extra_info("peercert"))
        record = AuditRecord(
            time=self._time,
            peer=printable(connection.description),
            certificate=None if certificate is None else printable(certificate),
            request=printable(message.name),
            mid=message.mid,
            arguments=tuple(printable(argument) for argument in arguments[:_MOST_ARGUMENTS]),
            omitted=max(0, len(arguments) - _MOST_ARGUMENTS),
            outcome=outcome,
            told=not connection.closing,  # else nothing is written any more
            duration=self.client.server.clock.monotonic() - self._began,
        )
        try:
            self._write(record)
        except Exception as error:  # noqa: BLE001 - the program's; the request has been answered
            trouble, why = self.client.server.trouble, f"{type(error).__name__}: {error}"
            trouble.tell("audit", "?%s of client %s is not in the audit: %s", record.request, record.peer, why)
