"""Random streams through our parser and katcp-codec's. Law: whatever differs is counted, unless documented to differ.

docs/reference/messages.md lists what differs: a CR NUL, as telnet sends, is the end of a line here.
"""

import random
from importlib.util import find_spec

from .rows import Figure, Skip

__all__ = ["compare"]

STREAMS = 30_000  # of six lines or so
PIECES = [
    b"?", b"!", b"#", b"foo", b"x-1", b"[1]", b"[2147483647]", b"[2147483648]", b"[0]", b"[", b"]", b" ", b" ", b"\t",
    b"\\", b"\\_", b"\\@", b"\\n", b"\\0", b"\\e", b"\\z", b"\0", b"\x1b", b"\r\n", b"\xff", b"\v", b"9",
    b"\n?", b"\n!", b"\n#", b"\n", b"\r", b"?set-rate[7] 2.5\n", b"!set-rate ok 1\n", b"#log warn 1.0 a\\_b text\n",
]  # fmt: skip


def compare() -> list[Figure]:
    """Feed both, ours in two ways of cutting, and count."""
    if find_spec("katcp_codec") is None:
        raise Skip("not installed: katcp-codec")
    import katcp_codec

    from katcp_aio import Message, MessageParser, MessageType

    types = {kind: getattr(katcp_codec.MessageType, kind.name) for kind in MessageType}
    rng = random.Random(19)
    lines = differences = cuts = 0
    for _ in range(STREAMS):
        stream = b"".join(rng.choices(PIECES, k=rng.randint(1, 40)))
        while b"\r\0" in stream:
            stream = stream.replace(b"\r\0", b"\r")
        read = [item_of(one, types, Message) for one in MessageParser(10_000).feed(stream)]
        parser, cut = MessageParser(10_000), rng.randint(0, len(stream))
        pieces = [item_of(one, types, Message) for part in (stream[:cut], stream[cut:]) for one in parser.feed(part)]
        other = [
            None if isinstance(one, ValueError) else (one.mtype, one.name, one.mid, one.arguments)
            for one in katcp_codec.Parser(10_001).append(stream)
        ]
        lines += len(read)
        differences += read != other
        cuts += read != pieces
    return [
        Figure("random lines through both", lines, at_least=100_000),
        Figure("differences that are not documented", differences, at_most=0),
        Figure("differences by where a stream is cut", cuts, at_most=0),
    ]


def item_of(one, types: dict, message: type):
    """What a line is, in the other parser's terms."""
    return (types[one.type], one.name.encode(), one.mid, list(one.arguments)) if isinstance(one, message) else None
