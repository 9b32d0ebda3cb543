"""``katcp call``: one request from a shell. Law: the exit code tells the outcome, and no byte of an argument is lost.

Arguments are taken as the bytes that the shell hands over. With ``--json`` those of the answer are text, where a byte
that is no UTF-8 is a lone surrogate, as Python's ``surrogateescape`` has it; without, they are made fit to be read.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Iterable

from katcp_aio import Client, Limits, RequestTimeout

from ..client.inventory import read_hints
from ..reports import printable
from .output import as_text, print_json

__all__ = ["main"]

_WHOLE = 1 << 30  # characters: nothing is cut


def main(options: argparse.Namespace) -> int:
    """Make the request and return the exit code; raises what the client raises."""
    return asyncio.run(call(options))


async def call(options: argparse.Namespace) -> int:
    """Connect, ask, and write what the device answers."""
    host, port = options.device
    arguments = [os.fsencode(argument) for argument in options.arguments]
    name = options.request.removeprefix("?")
    # Nothing is left to be said after the answer, or after Ctrl-C, so there is no waiting for the device's goodbye.
    limits = Limits(close_timeout=0.05)
    given = {} if options.timeout is None else {"timeout": options.timeout}
    async with Client(host, port, reconnect=None, limits=limits, **given) as client:
        try:
            if options.timeout is None:
                await learn_hint(client, name)
            return await (ask_for_json if options.json else ask)(client, name, arguments)
        except RequestTimeout as error:
            if not client.versions:
                error.add_note("and it has not greeted as a device: is this its port?")
            raise


async def ask(client: Client, name: str, arguments: list[bytes]) -> int:
    """Make the request, and write what comes, as it comes."""
    stream = client.stream(name, *arguments)
    async for inform in stream:
        show(inform.arguments)
    if stream.reply is not None:  # pragma: no branch - a stream that was read to its end has its reply
        show(stream.reply.arguments)
    return 0


async def ask_for_json(client: Client, name: str, arguments: list[bytes]) -> int:
    """Make the request, and write the whole answer as one object."""
    reply = await client.request(name, *arguments, check=False)
    informs = [[as_text(argument) for argument in inform.arguments] for inform in reply.informs]
    values = [as_text(argument) for argument in reply.arguments]
    print_json({"request": name, "code": reply.code, "arguments": values, "informs": informs})
    return 0 if reply.ok else 1


async def learn_hint(client: Client, name: str) -> None:
    """Find out how long the device says that a request may take (5.1, section 5.1)."""
    if client.dialect.timeout_hints:
        reply = await client.request("request-timeout-hint", name, check=False)
        client.timeout_hints.update(read_hints(reply.informs))


def show(arguments: Iterable[bytes]) -> None:
    """Write arguments as one line, with tabs between them; further lines of one of them are indented."""
    texts = []
    for argument in arguments:
        first, *others = (printable(line, longest=_WHOLE) for line in argument.split(b"\n"))
        texts.append("\n".join([first, *(f"    {line}" if line else "" for line in others)]))
    if texts:
        print("\t".join(texts), flush=True)
