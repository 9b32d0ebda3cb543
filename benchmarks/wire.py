"""Measures of messages as bytes and bytes as messages, in this process: ours and theirs in turn, nothing between.

What is parsed comes as from a socket: about a hundred lines in a piece, or a long line in pieces of 64 KiB. What
is formatted starts from Python values, as a handler or a program has them.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import aiokatcp
import katcp_codec

import katcp_aio.model.reading
import katcp_aio.wire.message
import katcp_aio.wire.parser
import katcp_aio.wire.values

from .harness import LESS, OURS, THEIRS, Row, Settings, measure

__all__ = ["KINDS", "PIECE", "feed", "timed"]

Figures = Iterator[dict[str, float]]

MESSAGES = {OURS: katcp_aio.wire.message.Message, THEIRS: aiokatcp.Message}

READINGS: dict[str, tuple[Any, Any]] = {
    OURS: (katcp_aio.wire.values.Timestamp(1700000000.123456), katcp_aio.model.reading.Status.NOMINAL),
    THEIRS: (aiokatcp.Timestamp(1700000000.123456), aiokatcp.Sensor.Status.NOMINAL),
}


def their_feed() -> Callable[[bytes], list[aiokatcp.Message]]:
    """Return what aiokatcp's connection does with a chunk: its parser, and then a message of its own."""
    parser = katcp_codec.Parser(1 << 24)

    def feed(chunk: bytes) -> list[aiokatcp.Message]:
        messages = []
        for raw in parser.append(chunk):
            message = aiokatcp.Message(raw.mtype, raw.name.decode("ascii"), mid=raw.mid)
            message.arguments = raw.arguments
            messages.append(message)
        return messages

    return feed


def feed(side: str) -> Callable[[bytes], list[Any]]:
    """Return what reads chunks."""
    return katcp_aio.wire.parser.MessageParser().feed if side == OURS else their_feed()


STATUS = rb"#sensor-status 1700000000.123456 1 rack.unit.temperature-000001 nominal 21.375"
# name: (one line without its end, lines in a piece)
KINDS = {
    "short request": (b"?watchdog[17]", 100),
    "reply": (b"!set-rate[12] ok 2.5", 100),
    "sensor-status inform": (STATUS, 100),
    "inform with escapes": (rb"#log info 1700000000.123456 pump.drive The\_rate\_is\_2.5\_Hz\_now", 100),
    "argument of 1 KB": (b"?echo[1] " + b"x" * 1000, 20),
    "argument of 1 MB": (b"?echo[1] " + b"x" * 1_000_000, 1),
    "1,000 arguments": (b"?echo[1]" + b" argument" * 1000, 2),
}


PIECE = 1 << 16
SHORT = 100  # bytes


def timed(settings: Settings, count: int, function: Callable[..., object], *arguments: object) -> Figures:
    """Call ``function`` for a fraction of a second, each round; one call counts as ``count``."""
    calls, seconds = 1, 0.0
    clock = time.process_time  # nothing here waits, and what other processes do is not to count
    while True:
        began = clock()
        for _ in range(calls):
            function(*arguments)
        seconds = max(clock() - began, 1e-9)
        yield {"time": seconds / calls / count * 1e6}
        calls = max(1, int(calls * settings.seconds / 5 / seconds))


def parse_kind(name: str, line: bytes, count: int) -> None:
    """Register the parsing of one kind of message; something is aimed at for the short ones."""
    target = 1 if len(line) < SHORT else None

    @measure("wire", Row("time", f"parse: {name}", "us", LESS, target=target), sides=(OURS, THEIRS))
    def parsed(side: str, settings: Settings) -> Figures:
        data = (line + b"\n") * count
        pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
        take = feed(side)
        return timed(settings, count, lambda: [take(piece) for piece in pieces])


def format_kind(name: str, make: Callable[[Any], Callable[[], bytes]], target: float | None = 3) -> None:
    """Register the building and formatting of one kind of message."""

    @measure("wire", Row("time", f"build and format: {name}", "us", LESS, target=target), sides=(OURS, THEIRS))
    def formatted(side: str, settings: Settings) -> Figures:
        return timed(settings, 1, make(MESSAGES[side]))


for _name, (_line, _count) in KINDS.items():
    parse_kind(_name, _line, _count)

format_kind("short request", lambda message: lambda: bytes(message.request("watchdog", mid=17)))
format_kind("reply", lambda message: lambda: bytes(message.reply("set-rate", "ok", 2.5, mid=12)))


@measure("wire", Row("time", "build and format: sensor-status inform", "us", LESS, target=3), sides=(OURS, THEIRS))
def status(side: str, settings: Settings) -> Figures:
    """A reading, with each side's own types for a time and a status."""
    inform = MESSAGES[side].inform
    time_, nominal = READINGS[side]
    return timed(
        settings, 1, lambda: bytes(inform("sensor-status", time_, 1, "rack.unit.temperature-000001", nominal, 21.375))
    )


format_kind(
    "inform with escapes",
    lambda message: (
        lambda: bytes(message.inform("log", "info", 1700000000.123456, "pump.drive", "The rate is 2.5 Hz now"))
    ),
)
_KB, _MB, _MANY = b"x" * 1000, b"x" * 1_000_000, [b"argument"] * 1000
format_kind("argument of 1 KB", lambda message: lambda: bytes(message.request("echo", _KB, mid=1)), None)
format_kind("argument of 1 MB", lambda message: lambda: bytes(message.request("echo", _MB, mid=1)), None)
format_kind("1,000 arguments", lambda message: lambda: bytes(message.request("echo", *_MANY, mid=1)), None)
