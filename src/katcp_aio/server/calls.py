"""Calling a handler, and what its end means to the client. Law: whatever a handler does, its client gets one reply.

Also the answers to what is no request at all (5.1, section 2).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from ..errors import ConnectionLost, FailReply, InvalidReply, KatcpError, MalformedMessage
from ..reports import plain, printable, report_exception, safely, text_of
from ..wire.datatypes import Timestamp
from ..wire.message import Message, MessageType
from .context import RequestContext, format_line

if TYPE_CHECKING:
    from .session import ClientConnection

__all__ = ["answer_stray", "await_handler", "call_handler", "refuse"]

_LOGGER_NAME = "katcp-aio"  # of the #log informs that answer malformed messages


def call_handler(context: RequestContext) -> None:
    """Run a plain handler and send its reply."""
    handler, arguments = context.handler, context.message.arguments
    try:
        if handler.bind is None and not arguments:  # no arguments and none wanted: the commonest request
            context.finish(handler.call(context))
        else:
            context.finish(handler.call(context, *handler.signature.bind(arguments)))
    except Exception as error:  # noqa: BLE001 - whatever a handler raises becomes its reply
        _failed(context, error)
    except asyncio.CancelledError:  # of what it asked for a result: nothing that does not wait can be cancelled itself
        context.refuse("fail", "request cancelled")


async def await_handler(context: RequestContext, task: asyncio.Task[object]) -> bool:
    """Run a handler that may wait, in ``task``, the current one, and send its reply; return whether it may go on.

    One that was cancelled may not: whoever did it waits for it to end, as does a loop that is shut down.
    """
    handler, arguments = context.handler, context.message.arguments
    context.task = task
    try:
        if handler.bind is None and not arguments:
            result = handler.call(context)
        else:
            result = handler.call(context, *handler.signature.bind(arguments))
        context.finish(await (result if handler.kind == "async" else _iterate(context, result)))
    except Exception as error:  # noqa: BLE001 - whatever a handler raises becomes its reply
        _failed(context, error)
    except asyncio.CancelledError:  # of the task, or of something that the handler waited for
        context.refuse("fail", "request cancelled")
    context.task = None  # who cancels it too late is not to hit what it does next
    return not task.cancelling()


async def _iterate(context: RequestContext, rows: AsyncGenerator[Any, None]) -> int | None:
    """Send what an async generator yields as informs; return their count, for the reply."""
    count = 0
    client = context.client
    client.begin_turn()
    async with aclosing(rows):
        async for row in rows:
            if isinstance(row, tuple):
                context.inform(*row)
            else:
                context.inform(row)
            count += 1
            if client.turn_is_over():
                if client.connection.lost:  # the handler runs on, and the others have their turns all the same
                    await client.pass_turn()
                else:
                    await client.end_turn()
    return None if context.replied else count


def _failed(context: RequestContext, error: Exception) -> None:
    """Answer a request whose handler raised."""
    client, name = context.client, context.message.name
    if isinstance(error, FailReply | InvalidReply) and error.request is None:
        if context.replied:
            safely(client.server.logger.error, "?%s failed after its reply: %s", name, printable(error))
        context.refuse(error.code, error.text)
        return
    if client.connection.lost and isinstance(error, ConnectionLost):
        context.refuse("fail", "the client went")  # while the handler was sending to it; so nobody is told but an audit
        return
    number = client.server.trouble.count("error")  # finds in the log what the client was told of
    report_exception("?%s of client %s, error %s", name, client.description, number)
    if client.server.debug:
        text = "".join(traceback.format_exception(error))
    elif isinstance(error, KatcpError):
        text = f"?{name}: {text_of(error)}"  # another device said no, or did not answer, on behalf of this request
    else:
        text = f"?{name}: {type(error).__name__} in the device, error {number}"
    context.refuse("fail", text)


def refuse(context: RequestContext) -> None:
    """Answer a request that its client may not make."""
    client, name = context.client, context.message.name
    client.server.trouble.tell("refused", "client %s may not ask ?%s", client.description, name)
    context.deny(f"?{plain(name)} is not allowed for this client")


def answer_stray(client: ClientConnection, message: Message | MalformedMessage) -> None:
    """Answer what is no request, where the specification has an answer for it; drop the rest (5.1, section 2)."""
    if isinstance(message, MalformedMessage):
        client.server.trouble.tell("malformed", "client %s: malformed message: %s", client.description, message)
        _log_error(client, f"malformed message: {message}")
        if message.type is MessageType.REQUEST and message.name is not None:
            head = MessageType.REPLY.head(message.name)
            if message.mid is not None:
                head = b"%b[%d]" % (head, message.mid)
            client.connection.write(format_line(head, ("invalid", str(message)), client.dialect))
    elif message.type is MessageType.REPLY:
        client.server.trouble.tell("reply", "client %s: unexpected reply !%s", client.description, message.name)
        _log_error(client, f"unexpected reply !{message.name}")


def _log_error(client: ClientConnection, text: str) -> None:
    client.inform("log", "error", Timestamp(client.server.clock.time()), _LOGGER_NAME, text)
