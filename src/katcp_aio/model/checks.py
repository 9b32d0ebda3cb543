"""What may be said of a sensor. Law: what is wrong raises here, in one line, before anything is stored."""

from __future__ import annotations

import math
import numbers
import re
from typing import Any

from ..wire.formats import shown
from .reading import Status

__all__ = ["check_auto", "check_duration", "check_name", "check_status", "check_text", "check_time"]

_NAME = re.compile(r"[A-Za-z0-9._-]+")  # section 7
_NOT_TEXT = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]"


def check_name(name: str) -> str:
    """Return ``name`` if it can be a sensor's (5.1, section 7): letters, digits, dots, dashes, underscores.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty or has other characters in it.
    """
    if not isinstance(name, str):
        raise TypeError(f"a sensor's name is a str, not {name!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no sensor name: only letters, digits and . - _ are allowed")
    return name


def check_text(text: str, what: str, name: str) -> str:
    """Return ``text``, the ``what`` of sensor ``name``, if it is fit for people to read.

    The specification recommends plain ASCII (5.1, section 2.1). It goes out as UTF-8, so that units may be µs; control
    characters other than tab, line feed and carriage return, and surrogates, which UTF-8 cannot say, may not.

    Raises:
        TypeError: it is no str.
        ValueError: it has such a character in it.
    """
    if not isinstance(text, str):
        raise TypeError(f"the {what} of sensor {name} is a str, not {text!r}")
    # None of these characters is printable, and nearly all texts are: the pattern is compiled for one that is not.
    if not text.isprintable() and (found := re.search(_NOT_TEXT, text)):
        raise ValueError(f"the {what} of sensor {name} has the control character {found[0]!r} in it")
    return text


def check_status(status: Any) -> Status:
    """Return ``status``; raise TypeError if it is no :class:`Status`."""
    if not isinstance(status, Status):
        raise TypeError(f"a status is a Status, not {status!r}")
    return status


def check_time(timestamp: object) -> float:
    """Return ``timestamp``, seconds since the Unix epoch, as a float.

    Raises:
        TypeError: it is no number.
        ValueError: it is infinite, NaN or below zero, which the wire cannot say (5.1, table 6).
    """
    if not isinstance(timestamp, numbers.Real):  # float() would take text as well
        raise TypeError(f"a timestamp is a number of seconds, not {timestamp!r}")
    seconds = _as_seconds(timestamp)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a timestamp is a finite number of seconds, not below zero, and not {seconds}")
    return seconds


def check_duration(seconds: float, what: str) -> float:
    """Return ``seconds`` as a float; raise ValueError unless it is more than zero and finite."""
    duration = _as_seconds(seconds)
    if not (0 < duration < math.inf):
        raise ValueError(f"{what} is a number of seconds above zero, not {shown(seconds)}")
    return duration


def _as_seconds(number: Any) -> float:
    """Convert to a float; what is too large for one is as good as infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def check_auto(auto: str | tuple[Any, ...] | list[Any] | None) -> tuple[Any, ...] | None:
    """Return what ``auto`` is to mean as (name, parameter, ...), or None for the usual meaning.

    The parameters are the strategy's own business, and are checked where strategies are made.

    Raises:
        TypeError: it is no name, nor a sequence that begins with one.
        ValueError: it names ``auto`` itself, or ``none``, which ``auto`` must never mean (5.1, table 9).
    """
    if auto is None:
        return None
    strategy = (auto,) if isinstance(auto, str) else tuple(auto)
    if not strategy or not isinstance(strategy[0], str):
        raise TypeError(f"auto is a strategy and its parameters, as ('event-rate', 1, 60), not {auto!r}")
    if strategy[0] in ("auto", "none"):
        raise ValueError(f"auto cannot mean {strategy[0]!r}")
    return strategy
