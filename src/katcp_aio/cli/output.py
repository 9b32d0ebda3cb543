"""What programs read. Law: JSON that every parser takes, and nothing lost of what a device sent."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["as_json", "as_text", "print_json"]


def as_text(argument: bytes) -> str:
    """Return an argument as text; bytes that are no UTF-8 become lone surrogates, which Python can turn back."""
    return argument.decode("utf-8", "surrogateescape")


def as_json(value: object) -> Any:
    """Return a sensor's value as JSON has it; numbers that JSON has not, and other types, are text."""
    if isinstance(value, bytes):
        return as_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def print_json(value: object) -> None:
    """Write one line, at once."""
    print(json.dumps(value), flush=True)
