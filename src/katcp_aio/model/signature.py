"""What a handler's annotations and docstring say. Law: looked at once, when the server is built; then only called.

A :class:`Signature` turns the arguments of a request into Python values, the handler's result into arguments of the
reply, and its docstring into the text of ?help (5.1, sections 3 and 4). It calls no handler and knows no connection.
"""

from __future__ import annotations

import functools
import inspect
import operator
import types
import typing
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ..errors import InvalidReply, UsageError
from ..wire.dialect import V51, Dialect
from ..wire.escapes import escape_all
from ..wire.values import TypeRegistry
from ..wire.values import registry as default_registry
from ..wire.valuetype import ValueType

__all__ = ["Parameter", "Signature"]

Kind = Literal["async", "plain", "generator"]

_UNESCAPED = frozenset({bool, int, float})  # what they are written as has nothing in it to escape


class Parameter(NamedTuple):
    """One argument of a request, as its handler declares it."""

    name: str  #: as clients are told it: the handler's own, with dashes for underscores
    type: ValueType[Any]  #: how it is written on the wire
    required: bool  #: False where the handler has a default, and for ``*args``
    variadic: bool  #: True for ``*args``: any number of arguments, none among them

    @property
    def usage(self) -> str:
        """The parameter as a usage line has it: ``rate:float:[0,10]``, optional ones in square brackets."""
        text = f"{self.name}:{self.type.usage}"
        if self.variadic:
            return f"[{text} ...]"
        return text if self.required else f"[{text}]"


class Signature:
    """How to call one handler.

    Args:
        function: the handler: ``async def``, ``def``, or an async generator; also a bound method, a
            ``functools.partial``, or a decorated function that keeps ``__wrapped__``.
        skip: how many leading parameters are not arguments of the request: 1 for ``ctx``, 2 for ``self, ctx``. They
            need no annotation, and theirs are not looked at.
        registry: the types that annotations may name.
        dialect: how values are written; timestamps differ between versions.
        name: of the request; by default the function's, without ``request_``, with dashes for underscores.
        namespace: where annotations that are strings are looked up, after the handler's own module.

    Raises:
        UsageError: the handler cannot be called from the wire: too few parameters, an argument where the context is to
            be, an annotation that is unknown or cannot be resolved, ``**kwargs``, or a keyword-only parameter without a
            default. Names the handler and the parameter.
    """

    __slots__ = (
        "_decoders",
        "_defaults",
        "_doc",
        "_encoders",
        "_exact",
        "_most",
        "_rest",
        "kind",
        "least",
        "name",
        "parameters",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        skip: int,
        registry: TypeRegistry = default_registry,
        dialect: Dialect = V51,
        name: str | None = None,
        namespace: Mapping[str, Any] | None = None,
    ) -> None:
        layers = list(_layers(function))
        who = getattr(layers[0], "__qualname__", repr(function))
        #: of the request
        self.name: str = name or _dashed(layers[0].__name__.removeprefix("request_"))
        #: a call of it is to be awaited, gives the result at once, or is to be iterated over
        self.kind: Kind = _kind(layers, who)
        self._doc = _documentation(layers)
        self._encoders = registry.encoders(dialect)
        scope = _Scope(function, layers[-1], namespace)
        parameters: list[Parameter] = []
        defaults: list[object] = []
        for declared in _arguments(function, skip, who, scope, registry):
            parameter = _compile(declared, scope, registry, f"{who}, parameter {declared.name}")
            parameters.append(parameter)
            if not parameter.required and not parameter.variadic:
                defaults.append(declared.default)
        self.parameters = tuple(parameters)  #: in order, those skipped left out
        named = [parameter for parameter in parameters if not parameter.variadic]
        self.least: int = len(named) - len(defaults)  #: arguments that a request must have
        self._most = len(named)
        # Arguments of a request that has one for each parameter; none has so many where the last takes several.
        self._exact = -1 if len(parameters) > len(named) else len(named)
        self._defaults = tuple(defaults)
        self._decoders = tuple(parameter.type.decoder(dialect) for parameter in named)
        self._rest = parameters[-1].type.decoder(dialect) if len(parameters) > len(named) else None

    @property
    def most(self) -> int | None:
        """How many arguments a request may have; None: any number."""
        return self._most if self._rest is None else None

    def bind(self, arguments: Sequence[bytes]) -> Sequence[object]:
        """Return the values to call the handler with, after those skipped; defaults are filled in.

        Raises:
            InvalidReply: too many or too few arguments, or one that is not of its type; the text names it.
        """
        count = len(arguments)
        if count == self._exact:  # nearly all requests, in half the time of what is below
            try:
                return list(map(operator.call, self._decoders, arguments))
            except ValueError:
                pass  # for which argument, is found out below
        if count > self._most and self._rest is None:
            raise InvalidReply(f"too many arguments for ?{self.name}: at most {self._most}, got {count}")
        if count < self.least:
            raise InvalidReply(f"missing argument {self.parameters[count].name}")
        if not count:
            return self._defaults
        if self._rest is bytes and not self._most:
            return arguments
        values: list[object] = []
        try:
            for decode, raw in zip(self._decoders, arguments, strict=False):
                values.append(decode(raw))
            if count < self._most:
                values += self._defaults[count - self.least :]
            elif self._rest is not None:  # pragma: no branch - otherwise it was their exact number, looked at above
                rest = arguments[self._most :]
                values += rest if self._rest is bytes else map(self._rest, rest)  # there may be millions
        except ValueError as error:
            parameter = self.parameters[min(len(values), len(self.parameters) - 1)]
            raise InvalidReply(f"argument {parameter.name}: {error}") from None
        return values

    def encode(self, result: object) -> list[bytes]:
        """Return a handler's result as arguments of the reply: None is none, a tuple is many, all else is one.

        Raises:
            TypeError, ValueError: the handler returned what has no form on the wire.
        """
        if result is None:
            return []
        if isinstance(result, tuple):
            encoders = self._encoders
            return [encoders[type(item)](item) for item in result]
        return [self._encoders[type(result)](result)]

    def write(self, result: object) -> bytes:
        """Return what :meth:`encode` returns as it stands in a line: escaped, with blanks between the arguments."""
        kind = type(result)
        if kind in _UNESCAPED:
            return self._encoders[kind](result)
        return escape_all(self.encode(result))

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring, as one line; empty where there is none (``python -OO``)."""
        return " ".join(self._doc.partition("\n\n")[0].split())

    def usage(self, name: str | None = None) -> str:
        """Return the usage line: ``?set-rate rate:float:[0,10] [unit:hz|rpm]``. ``name`` is another request name."""
        return " ".join([f"?{name or self.name}", *(parameter.usage for parameter in self.parameters)])

    def help(self, name: str | None = None) -> str:
        """Return the text for ?help: the summary, the usage line, and the rest of the docstring."""
        rest = self._doc.partition("\n\n")[2].strip("\n")
        head = [line for line in (self.summary, self.usage(name)) if line]
        return "\n".join(head) + (f"\n\n{rest}" if rest else "")


class _Scope:
    """Where the annotations of one handler are looked up: as Python would have where it was defined."""

    def __init__(self, function: Callable[..., Any], inner: Any, namespace: Mapping[str, Any] | None) -> None:
        self.globals: dict[str, Any] = getattr(inner, "__globals__", {})
        spaces: list[Mapping[str, Any]] = []
        if namespace is not None:
            spaces.append(namespace)
        if inspect.ismethod(function):  # names from the class body: an Enum next to the handler that takes it
            spaces += [vars(cls) for cls in type(function.__self__).__mro__]
        # Names from a function around it; Python keeps those that the handler's own code mentions.
        names = getattr(getattr(inner, "__code__", None), "co_freevars", ())
        cells = dict(zip(names, getattr(inner, "__closure__", None) or (), strict=False))
        self.locals = ChainMap({name: cell.cell_contents for name, cell in cells.items()}, *map(dict, spaces))

    def resolve(self, annotation: object) -> object:
        """Return the annotation with every string in it replaced by what it names. Raises what evaluating it raises."""
        if isinstance(annotation, type):
            return annotation
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        return typing.get_type_hints(holder, self.globals, self.locals, include_extras=True)["it"]


def _layers(function: Any) -> Iterator[Any]:
    """Yield the functions that a call of ``function`` goes through, outermost first."""
    while function is not None:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif not inspect.isroutine(function):
            function = type(function).__call__
        else:
            yield function
            function = getattr(function, "__wrapped__", None)


def _documentation(layers: Sequence[Any]) -> str:
    """Return the docstring, without its indent; empty where there is none."""
    text = next((layer.__doc__ for layer in layers if isinstance(layer.__doc__, str) and layer.__doc__), "")
    # What UTF-8 cannot say would make ?help fail for all requests at once.
    return inspect.cleandoc(text).encode("utf-8", "backslashreplace").decode()


def _kind(layers: Sequence[Any], who: str) -> Kind:
    """Return how a handler is called. The outermost layer that tells decides: plain ones pass on what they get."""
    for layer in layers:
        if inspect.isasyncgenfunction(layer):
            return "generator"
        if inspect.iscoroutinefunction(layer):
            return "async"
        if inspect.isgeneratorfunction(layer):
            raise UsageError(f"{who} yields, so it must be declared with async def")
    return "plain"


def _arguments(
    function: Callable[..., Any], skip: int, who: str, scope: _Scope, registry: TypeRegistry
) -> Iterator[inspect.Parameter]:
    """Yield the parameters that arguments of a request can fill."""
    try:
        declared = list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise UsageError(f"{who} cannot be a handler: {error}") from error
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(declared) < skip or any(parameter.kind not in positional for parameter in declared[:skip]):
        raise UsageError(f"{who} has too few parameters: the first is to be the RequestContext")
    for parameter in declared[:skip]:
        if _is_argument(parameter, scope, registry):
            raise UsageError(f"{who}, parameter {parameter.name}: the first is to be the RequestContext, no argument")
    for parameter in declared[skip:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            raise UsageError(f"{who}, parameter **{parameter.name}: requests have no named arguments")
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            yield parameter
        elif parameter.default is inspect.Parameter.empty:
            raise UsageError(f"{who}, parameter {parameter.name}: keyword-only, but requests have no named arguments")


def _is_argument(declared: inspect.Parameter, scope: _Scope, registry: TypeRegistry) -> bool:
    """Return whether a parameter is declared with a type that arguments have; not if that cannot be found out."""
    if declared.annotation is inspect.Parameter.empty:
        return False
    try:
        registry.resolve(scope.resolve(declared.annotation))
    except Exception:  # noqa: BLE001 - a RequestContext, perhaps one that is there for the type checker only
        return False
    return True


def _compile(declared: inspect.Parameter, scope: _Scope, registry: TypeRegistry, where: str) -> Parameter:
    """Return one parameter with its type resolved; one without an annotation takes the argument as it comes: bytes."""
    annotation = bytes if declared.annotation is inspect.Parameter.empty else declared.annotation
    try:
        annotation = scope.resolve(annotation)
    except Exception as error:
        raise UsageError(
            f"{where}: cannot resolve the annotation {annotation!r} ({error});"
            " what it names must exist at run time, so not only under TYPE_CHECKING"
        ) from error
    try:
        resolved = registry.resolve(annotation)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error
    variadic = declared.kind is inspect.Parameter.VAR_POSITIONAL
    required = not variadic and declared.default is inspect.Parameter.empty
    return Parameter(_dashed(declared.name), resolved, required, variadic)


def _dashed(name: str) -> str:
    """Return a Python name as the wire has it: ``dead_time`` is dead-time, ``type_`` is type."""
    return name.strip("_").replace("_", "-")
