"""Which of many are meant. Law: an expression is found anywhere in a name, with or without slashes around it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, TypeVar

__all__ = ["Match", "expression", "selector"]


class Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str:
        """The name."""


N = TypeVar("N", bound=Named)

#: which of them: a regular expression to be found in the name, with or without slashes around it, or a predicate
Match = str | re.Pattern[str] | Callable[[N], object] | None


def expression(text: str) -> re.Pattern[str]:
    """Return the regular expression in ``text``.

    Raises:
        ValueError: it is none.
    """
    pattern = text[1:-1] if len(text) > 1 and text[0] == text[-1] == "/" else text
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:  # a repeat beyond all bounds; groups in groups
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def selector(match: Match[N]) -> Callable[[N], object]:
    """Return the predicate that ``match`` stands for, an expression or the predicate itself; None stands for all.

    Raises:
        ValueError: a text that is no regular expression.
    """
    if match is None:
        return lambda _named: True
    if isinstance(match, str):
        match = expression(match)
    if isinstance(match, re.Pattern):
        search = match.search
        return lambda named: search(named.name)
    return match
