"""Every exception of the library, as one tree. Law: whose fault it is, is the type; what happened, is in attributes.

::

    KatcpError
    ├─ ProtocolError (ValueError)        the peer broke the rules
    │  ├─ MalformedMessage               a line that is no message
    │  │  └─ LineTooLong                 a line over the bound
    │  ├─ UnsupportedProtocol            a version nobody here speaks
    │  └─ ReplyTooLong                   more informs in one reply than the bound allows
    ├─ UsageError (RuntimeError)         this side broke them: a second reply, an unknown sensor, ...
    ├─ RequestError                      the peer said no, or a handler does
    │  ├─ FailReply                      fail, or any return code that is not ok or invalid
    │  └─ InvalidReply                   invalid: the request itself was malformed
    ├─ ConnectionLost (ConnectionError)  the request was sent; its outcome is unknown
    │  └─ NotConnected                   the request was never sent
    ├─ RequestTimeout (TimeoutError)     no reply in time
    └─ GroupError                        several devices, each with its own cause

Each is also the builtin exception that a caller would catch without knowing this library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .reports import printable

if TYPE_CHECKING:
    from .wire.message import Message, MessageType

__all__ = [
    "ConnectionLost",
    "FailReply",
    "GroupError",
    "InvalidReply",
    "KatcpError",
    "LineTooLong",
    "MalformedMessage",
    "NotConnected",
    "ProtocolError",
    "ReplyTooLong",
    "RequestError",
    "RequestTimeout",
    "UnsupportedProtocol",
    "UsageError",
]


_LONGEST = 1000  # characters of a device's text in that of an error; its attributes have all of it


class KatcpError(Exception):
    """Base of all exceptions raised by this library on purpose."""


class ProtocolError(KatcpError, ValueError):
    """The peer sent something that the specification does not allow."""


class MalformedMessage(ProtocolError):
    """A line that does not follow the message grammar (5.1, section 2.1).

    It is raised by ``Message.parse`` and *returned* by ``MessageParser.feed``. As much of the line as could be read is
    kept, so that a server can answer ``invalid`` instead of leaving its client to a timeout.
    """

    def __init__(  # one argument for each thing that can still be told of a broken line
        self,
        reason: str,
        position: int = 0,
        raw: bytes = b"",
        *,
        type: MessageType | None = None,  # noqa: A002 - the specification's own word
        name: str | None = None,
        mid: int | None = None,
    ) -> None:
        super().__init__(reason, position)
        self.reason = reason  #: what is wrong, in one line of plain ASCII
        self.position = position  #: offset in bytes from the start of the line
        self.raw = raw  #: the line without its end; at most the first kibibyte where a parser returns it
        self.type = type  #: message type, or None if it could not be read
        self.name = name  #: message name, or None if it could not be read
        self.mid = mid  #: message id, or None if there was none or it could not be read

    def __str__(self) -> str:
        return f"{self.reason} at byte {self.position}"


class LineTooLong(MalformedMessage):
    """A line longer than the bound; it was dropped up to its end."""

    def __init__(  # as MalformedMessage, with the bound that was broken
        self,
        limit: int,
        raw: bytes = b"",
        *,
        type: MessageType | None = None,  # noqa: A002 - the specification's own word
        name: str | None = None,
        mid: int | None = None,
    ) -> None:
        super().__init__(f"line longer than {limit} bytes", limit, raw, type=type, name=name, mid=mid)
        self.args = (limit,)  # those of this constructor, so that it can be copied and pickled
        self.limit = limit  #: the bound, in bytes


class UnsupportedProtocol(ProtocolError):
    """The peer announced a protocol version that this library does not speak."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version  #: as the peer gave it

    def __str__(self) -> str:
        return f"unsupported protocol version {self.version!r}"


class ReplyTooLong(ProtocolError):
    """A reply came with more informs than ``Limits.max_informs``; they were dropped."""

    def __init__(self, request: Message, limit: int) -> None:
        super().__init__(request, limit)
        self.request = request  #: the request as it was sent
        self.limit = limit  #: the bound, a count of informs

    def __str__(self) -> str:
        return f"more than {self.limit} informs in the reply to ?{self.request.name}"


class UsageError(KatcpError, RuntimeError):
    """The caller asked for something that the protocol or the object's state does not allow."""


class RequestError(KatcpError):
    """A request that did not succeed. Handlers raise it; a client raises it again on the other side.

    Raise :class:`FailReply` or :class:`InvalidReply`, never this class itself. On the client side ``str`` of it is one
    line without control characters, whatever the device sent; :attr:`text` is as it came.
    """

    code = "fail"  #: return code of the reply (5.1, table 4)

    def __init__(
        self,
        text: str = "",
        *,
        code: str | None = None,
        request: Message | None = None,
        reply: Message | None = None,
        informs: Sequence[Message] = (),
        log: Sequence[Message] = (),
        device: str | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text  #: the human-readable reason; may be empty, since some devices send none
        if code is not None:
            self.code = code
        self.request = request  #: client side: the request as it was sent
        self.reply = reply  #: client side: the whole reply
        self.informs = list(informs)  #: client side: the informs that came with the reply
        self.log = list(log)  #: client side: #log informs that came just before a reply without a reason
        self.device = device  #: client side: who answered

    def __str__(self) -> str:
        text = self.text
        if not text and self.log:
            text = "; ".join(inform.arguments[-1].decode("utf-8", "replace") for inform in self.log if inform.arguments)
        if self.request is None:
            return text
        who = f"{self.device}: " if self.device else ""
        said = f"{who}?{self.request.name} {self.code}" + (f": {text}" if text else "")
        return printable(said, _LONGEST)  # it is the device's, and may be shown on a terminal, or be a line of a log


class FailReply(RequestError):
    """A valid request that could not be carried out; ``code`` keeps a return code other than ``fail``."""


class InvalidReply(RequestError):
    """A malformed request: unknown name, or arguments that cannot be read."""

    code = "invalid"


class ConnectionLost(KatcpError, ConnectionError):
    """The connection ended after a request was sent: whether the device carried it out is unknown."""

    sent = True  #: whether the request may have reached the device

    def __init__(self, reason: str, *, device: str | None = None, request: Message | None = None) -> None:
        super().__init__(reason)
        self.reason = reason  #: why; a device's own #disconnect text where it sent one
        self.device = device  #: the peer, as host:port
        self.request = request  #: the request that is left without an outcome, if one is

    def __str__(self) -> str:
        who = f"{self.device}: " if self.device else ""
        why = printable(self.reason, _LONGEST)
        if self.request is None:
            return f"{who}{why}"
        return f"{who}{why} (?{self.request.name} {'may have been carried out' if self.sent else 'was not sent'})"


class NotConnected(ConnectionLost):
    """There was no connection to send on: the request never left."""

    sent = False


class RequestTimeout(KatcpError, TimeoutError):
    """No reply came in time. The device may still carry the request out; a late reply is dropped."""

    def __init__(self, request: Message, after: float, *, device: str | None = None, sent: bool = True) -> None:
        super().__init__()
        self.args = (request, after)  # not by the constructor, which would take them for errno and its text
        self.request = request  #: the request, as sent or as it would have been sent
        self.after = after  #: the time allowed, in seconds
        self.device = device  #: the peer, as host:port
        self.sent = sent  #: False if the time went by waiting for a connection or, where there are no ids, for its turn

    def __str__(self) -> str:
        who = f"{self.device}: " if self.device else ""
        what = "no reply" if self.sent else "not sent"
        return f"{who}?{self.request.name}: {what} within {self.after:g} s"


class GroupError(KatcpError):
    """An operation on several devices failed for some; ``causes`` has one exception for each of them."""

    def __init__(self, message: str, causes: Mapping[str, BaseException]) -> None:
        super().__init__(message, causes)
        self.message = message  #: what was tried, in one line
        self.causes = dict(causes)  #: device name -> what went wrong there

    def __str__(self) -> str:
        lines = [f"  {name}: {str(cause) or type(cause).__name__}" for name, cause in self.causes.items()]
        return "\n".join([self.message, *lines])
