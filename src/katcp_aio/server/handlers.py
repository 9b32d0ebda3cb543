"""Which request is answered by what. Law: decided when the server is built or a request is added, never per message.

The table follows Python's own method resolution order, mix-ins included; a name set to None removes a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import attrs

from ..errors import UsageError
from ..model.signature import Signature

if TYPE_CHECKING:
    from ..wire.dialect import Dialect
    from ..wire.values import TypeRegistry

__all__ = [
    "Handler",
    "RequestOptions",
    "check_unasked",
    "collect_handlers",
    "make_handler",
    "put_handler",
    "request",
    "request_name",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_MARK: Final = "__katcp_request__"  # attribute of a handler function that holds its RequestOptions
_PREFIX: Final = "request_"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII).fullmatch
# What clients are told unasked: under these names they would take it for part of a reply (5.1, section 2.3).
_INFORMS: Final = frozenset(
    {"client-connected", "disconnect", "interface-changed", "log", "sensor-status", "version-connect"}
)


@attrs.frozen(kw_only=True)
class RequestOptions:
    """What :func:`request` says about a handler."""

    name: str | None = None
    timeout_hint: float | None = attrs.field(default=None)
    serial: bool = False
    cancel_on_disconnect: bool = False
    protocols: frozenset[int] | None = None
    flag: str | None = None

    @timeout_hint.validator
    def _check_hint(self, attribute: object, value: float | None) -> None:
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"timeout_hint {value!r} is not a number of seconds above zero")

    def exists_in(self, name: str, dialect: Dialect) -> bool:
        """Return whether the request ``name`` with these options is there in the dialect that a server speaks."""
        if self.protocols is not None and dialect.major not in self.protocols:
            return False
        if self.flag is not None and self.flag not in dialect.flags:
            return False
        return dialect.has_request(name)


@overload
def request(function: _Function, /) -> _Function: ...


@overload
def request(
    *,
    name: str | None = None,
    timeout_hint: float | None = None,
    serial: bool = False,
    cancel_on_disconnect: bool = False,
    protocols: frozenset[int] | set[int] | None = None,
    flag: str | None = None,
) -> Callable[[_Function], _Function]: ...


def request(function: Any = None, /, *, protocols: frozenset[int] | set[int] | None = None, **options: Any) -> Any:
    """Say more about a request handler than its signature does.

    Args:
        function: the handler, where the decorator is used without arguments.
        name: of the request; by default the method's, without ``request_``, with dashes for underscores.
        timeout_hint: seconds that the request may take, told by ?request-timeout-hint (5.1, section 5.1).
        serial: nothing that the same client sends is looked at before this request is answered.
        cancel_on_disconnect: cancel the handler when its client goes. Otherwise it runs on, and its result is dropped.
        protocols: major versions of the protocol in which the request exists; in others it is not there.
        flag: protocol flag without which the request is not there.
    """
    chosen = RequestOptions(protocols=None if protocols is None else frozenset(protocols), **options)

    def mark(function: _Function) -> _Function:
        setattr(function, _MARK, chosen)
        return function

    return mark if function is None else mark(function)


class Handler:
    """One request as one server answers it: everything that can be worked out beforehand.

    Attributes:
        call: the bound handler; takes the context and the decoded arguments.
        kind: ``"async"``, ``"plain"`` or ``"generator"``.
        ok: the whole successful reply without an id and without arguments.
    """

    __slots__ = (
        "bind",
        "call",
        "head",
        "inform_head",
        "kind",
        "name",
        "ok",
        "ok_start",
        "options",
        "serial",
        "signature",
        "write",
    )

    def __init__(self, name: str, call: Callable[..., Any], signature: Signature, options: RequestOptions) -> None:
        self.name = name
        self.call = call
        self.signature = signature
        self.options = options
        self.kind = signature.kind
        self.bind = signature.bind if signature.parameters else None
        self.write = signature.write
        self.serial = options.serial
        self.head = b"!" + name.encode("ascii")
        self.inform_head = b"#" + name.encode("ascii")
        self.ok = self.head + b" ok\n"
        self.ok_start = self.head + b" ok "


def request_name(attribute: str) -> str:
    """Return the request that a method is for: ``request_set_rate`` answers ?set-rate."""
    return attribute.removeprefix(_PREFIX).replace("_", "-")


def make_handler(
    name: str,
    call: Callable[..., Any],
    *,
    registry: TypeRegistry,
    dialect: Dialect,
    options: RequestOptions | None = None,
) -> Handler:
    """Compile one handler; ``call`` takes the context first and then the arguments of the request.

    Raises:
        UsageError: a name outside the grammar, or a signature that cannot be called from the wire.
    """
    if _NAME(name) is None:
        raise UsageError(f"request name {name!r} is not a letter followed by letters, digits and dashes")
    if name in _INFORMS:
        raise UsageError(f"?{name}: #{name}, which clients are sent unasked, would be taken for part of its reply")
    if options is None:
        options = getattr(call, _MARK, None) or RequestOptions()
    return Handler(name, call, Signature(call, skip=1, registry=registry, dialect=dialect, name=name), options)


def collect_handlers(server: object, registry: TypeRegistry, dialect: Dialect) -> dict[str, Handler]:
    """Return the handlers of all ``request_*`` methods of ``server``, by request name, sorted."""
    handlers: dict[str, Handler] = {}
    for attribute in dir(type(server)):
        if not attribute.startswith(_PREFIX):
            continue
        call = getattr(server, attribute)
        if not callable(call):  # None removes an inherited request; other values are no handlers
            continue
        options = getattr(call, _MARK, None) or RequestOptions()
        name = options.name or request_name(attribute)
        if name in handlers:
            raise UsageError(f"{type(server).__name__}: two methods answer ?{name}, one of them {attribute}")
        if options.exists_in(name, dialect):
            handlers[name] = make_handler(name, call, registry=registry, dialect=dialect, options=options)
    return dict(sorted(handlers.items()))


def put_handler(handlers: dict[str, Handler], handler: Handler) -> str:
    """Put a handler in its place of the table; return what that is to clients: ``added`` or ``modified``."""
    change = "modified" if handler.name in handlers else "added"
    handlers[handler.name] = handler
    if change == "added":  # sorted in place: requests that are being answered hold on to the table
        in_order = sorted(handlers.items())
        handlers.clear()
        handlers.update(in_order)
    return change


def check_unasked(name: str, handlers: Mapping[str, Handler]) -> None:
    """Raise UsageError if an inform that nobody asked for would be taken for part of a reply (5.1, section 2.3)."""
    if name in handlers:
        raise UsageError(f"#{name} would be taken for part of the reply to ?{name}")
