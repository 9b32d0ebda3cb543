"""Bytes to a port beside the device's own. Law: one deadline for all of it, and no socket is left open.

Boards take firmware this way: a request such as ``?progremote 7146`` makes them listen on another port, a moment before
or after they answer; the client sends the file there and closes, and an inform or the reply tells how it went.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import async_timeout

from ..limits import Limits

__all__ = ["Data", "upload"]

Data = bytes | bytearray | memoryview | Iterable[bytes]  #: bytes, or pieces of bytes one after another

_RETRY = 0.1  # s between attempts to connect
_PATIENCE = Limits().close_timeout  # s for the device to close its side; some wait for us to close first
_CHUNK = 64 * 1024  # bytes given to the transport before waiting for it


async def upload(host: str, port: int, data: Data, *, timeout: float | None = 30.0) -> int:
    """Connect to a port that may not listen yet, send ``data``, close, and return how many bytes were sent.

    When it returns, the device's system has taken all of it; whether the device liked it, its own port tells.
    Cancelling it aborts the connection, so that the device does not take a part for the whole.

    Args:
        host: of the device.
        port: the side port.
        data: bytes, or pieces of bytes one after another, as of a file opened for reading in binary.
        timeout: s for all of it, waiting for the port included; None: any time.

    Raises:
        TimeoutError: not in time; ``__cause__`` is why the last attempt to connect failed, if none succeeded.
        OSError: the device broke the connection off.
    """
    refusal: OSError | None = None
    try:
        async with async_timeout.timeout(timeout):
            while True:
                try:
                    reader, writer = await asyncio.open_connection(host, port)
                    break
                except OSError as error:  # nobody listens yet
                    refusal = error
                await asyncio.sleep(_RETRY)
            refusal = None
            return await _send(reader, writer, data)
    except TimeoutError as error:
        raise TimeoutError(f"upload to {host}:{port} not done within {timeout or 0:g} s") from (refusal or error)


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: Data) -> int:
    """Send all of ``data``, say that this is the end, and close."""
    sent = 0
    done = False
    try:
        for piece in _pieces(data):
            writer.write(piece)
            sent += len(piece)
            await writer.drain()
        writer.write_eof()
        # Closing at once would destroy what the device has not taken yet if it has sent anything itself.
        with contextlib.suppress(TimeoutError):
            async with async_timeout.timeout(_PATIENCE):
                while await reader.read(_CHUNK):
                    pass
        done = True
    finally:
        if done:
            writer.close()
            await writer.wait_closed()
        else:
            writer.transport.abort()
    return sent


def _pieces(data: Data) -> Iterable[bytes | memoryview]:
    if not isinstance(data, bytes | bytearray | memoryview):
        return data
    view = memoryview(data).cast("B")
    return (view[start : start + _CHUNK] for start in range(0, len(view), _CHUNK))
