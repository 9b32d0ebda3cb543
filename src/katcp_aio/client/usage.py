"""A request's help as a Python signature. Law: help that has no usage line, or a strange one, gives the general one.

Devices of this library write a usage line into their help: ``?set-rate rate:float:[0,10] [unit:hz|rpm]``. The types
are the device's; nothing is checked against them here, for the device checks what it gets.
"""

from __future__ import annotations

import inspect
import re

from .names import attribute_name
from .replies import Reply

__all__ = ["signature_of"]

_KEYWORDS = [
    inspect.Parameter("timeout", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="float | None"),
    inspect.Parameter("returns", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Sequence[type] | None"),
    inspect.Parameter("check", inspect.Parameter.KEYWORD_ONLY, default=True, annotation=bool),
]
_ANYTHING = inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL, annotation=object)
# `name:type`, the same in brackets (optional), or with an ellipsis in brackets (any number)
_PARAMETER = re.compile(
    r"(?P<open>\[)?(?P<name>[A-Za-z][\w-]*):(?P<type>[^ \[\]]*(?:\[[^ \]]*\])?)(?P<more> \.\.\.)?\]?"
)


def signature_of(name: str, text: str) -> inspect.Signature:
    """Return how to call request ``name``, from the usage line in its help ``text``."""
    usage = next((line for line in text.splitlines() if line == f"?{name}" or line.startswith(f"?{name} ")), None)
    parameters = [_ANYTHING] if usage is None else _parameters(usage.removeprefix(f"?{name}").strip())
    return inspect.Signature([*parameters, *_KEYWORDS], return_annotation=Reply)


def _parameters(usage: str) -> list[inspect.Parameter]:
    found: list[inspect.Parameter] = []
    position = 0
    while position < len(usage):
        match = _PARAMETER.match(usage, position)
        if match is None:
            return [_ANYTHING]
        kind = inspect.Parameter.VAR_POSITIONAL if match["more"] else inspect.Parameter.POSITIONAL_OR_KEYWORD
        # The device knows what it takes for an argument that is left out; the help does not say.
        default = ... if match["open"] and not match["more"] else inspect.Parameter.empty
        found.append(inspect.Parameter(attribute_name(match["name"]), kind, default=default, annotation=match["type"]))
        position = match.end() + 1
    try:
        inspect.Signature([*found, *_KEYWORDS])
    except ValueError:  # twice the same name, or an order that Python does not know
        return [_ANYTHING]
    return found
