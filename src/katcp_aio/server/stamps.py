"""The times of readings as text. Law: to the byte what the dialect's own encoder writes, in two thirds of the time.

The shortest decimal that reads back as the same float is what ``repr`` looks for in long arithmetic; it is the largest
part of what a report costs. Readings come in the order of time, so most are of the second of the one before, and of
today's times it is known how many places they have: near 1.8e9 seconds, floats are 2**-22 apart. That is more than a
ten-millionth, so that seven places tell any two of them apart, and less than a millionth, so that six do if they come
near enough, and fewer if these end in zeros. Within the second the float is exact, and so is all that is done to it
here: 22 bits for the fraction, and 17 more for ten million of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..wire.formats import time_encoder

if TYPE_CHECKING:
    from ..wire.dialect import Dialect

__all__ = ["stamp_encoder"]

_FIRST, _LAST = 2.0**29, 2.0**33  # seconds, 1987 to 2242: where floats are that far apart


def stamp_encoder(dialect: Dialect) -> Callable[[float], bytes]:
    """Return what :func:`~katcp_aio.wire.formats.time_encoder` returns, but quicker for times of the same second."""
    encode_any = time_encoder(dialect)
    if dialect.time_scale != 1.0:
        return encode_any
    second = math.inf  # whose times are written quickly: one of which times came one after another
    before = math.inf  # the second of the last time that was not of that one
    reach = width = 0.0  # millionths within which a decimal reads back as the float, to one side and to both
    six = seven = b""  # how times of that second are written

    def encode(time: float) -> bytes:
        nonlocal second, before, reach, width, six, seven
        fraction = time - second
        if not 0.0 <= fraction < 1.0:
            whole = time // 1.0
            if whole == before and _FIRST <= whole < _LAST:
                second = whole
                reach = math.ulp(whole) * 0.5e6
                width = reach + reach
                six, seven = b"%d.%%06d" % whole, b"%d.%%07d" % whole
            before = whole
            return encode_any(time)
        millionths = fraction * 1e6
        if (millionths + reach) % 1.0 >= width:
            return seven % round(millionths * 10.0)
        near = round(millionths)
        if near % 10:
            return six % near
        text = (six % near).rstrip(b"0")
        return text if near else text + b"0"

    return encode
