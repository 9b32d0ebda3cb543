"""Bytes over a port beside the device's own. Law: one deadline for all of it, and no socket is left open.

Boards take firmware this way: a request such as ``?progremote 7146`` makes them listen on another port, a moment before
or after they answer; the client sends the file there and closes, and an inform or the reply tells how it went. What
they have taken down, as the contents of a memory, they give away likewise.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

import async_timeout

from ..errors import ProtocolError
from ..limits import Limits

__all__ = ["Data", "SidePorts", "download", "upload"]

Data = bytes | bytearray | memoryview | Iterable[bytes]  #: bytes, or pieces of bytes one after another

_LIMITS = Limits()
_RETRY = 0.1  # s between attempts to connect
_PATIENCE = _LIMITS.close_timeout  # s for the device to close its side; some wait for us to close first
_CHUNK = 64 * 1024  # bytes given to the transport before waiting for it, or read at once


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
    async with _connected("upload to", host, port, timeout) as (reader, writer):
        return await _send(reader, writer, data)


async def download(
    host: str, port: int, *, size: int | None = None, limit: int = _LIMITS.max_download, timeout: float | None = 30.0
) -> bytes:
    """Connect to a port that may not listen yet, and return what the device sends there until it closes.

    Cancelling it aborts the connection.

    Args:
        host: of the device.
        port: the side port.
        size: bytes to read, if that is known: it ends with them, whether the device closes or not.
        limit: bytes that are taken at most.
        timeout: s for all of it, waiting for the port included; None: any time.

    Raises:
        TimeoutError: not in time; ``__cause__`` is why the last attempt to connect failed, if none succeeded.
        OSError: the device broke the connection off.
        asyncio.IncompleteReadError: it closed before ``size`` bytes; ``partial`` has those that came.
        ProtocolError: it sent more than ``limit`` bytes.
        ValueError: ``size`` is negative or above ``limit``.
    """
    if size is not None and not 0 <= size <= limit:
        raise ValueError(f"a size of {size} bytes is not within 0 and the limit of {limit}")
    async with _connected("download from", host, port, timeout) as (reader, _writer):
        data = bytearray()
        while size is None or len(data) < size:
            piece = await reader.read(_CHUNK if size is None else min(_CHUNK, size - len(data)))
            if not piece:
                break
            data += piece
            if len(data) > limit:
                raise ProtocolError(f"{host}:{port} sent more than {limit} bytes to be downloaded")
    if size is not None and len(data) < size:
        raise asyncio.IncompleteReadError(bytes(data), size)
    return bytes(data)


class SidePorts:
    """The side ports of a device, as its client reaches them."""

    host: str
    limits: Limits

    async def upload(self, port: int, data: Data, *, timeout: float | None = 30.0) -> int:
        """Send ``data`` to another TCP port of the device, and return how many bytes; see :func:`upload`."""
        return await upload(self.host, port, data, timeout=timeout)

    async def download(
        self, port: int, *, size: int | None = None, limit: int | None = None, timeout: float | None = 30.0
    ) -> bytes:
        """Return what the device sends on another TCP port; see :func:`download`.

        ``limit`` is ``Limits.max_download`` of this client unless given.
        """
        most = self.limits.max_download if limit is None else limit
        return await download(self.host, port, size=size, limit=most, timeout=timeout)


@contextlib.asynccontextmanager
async def _connected(
    what: str, host: str, port: int, timeout: float | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, trying until the port listens; close if the block succeeds, and abort if it does not."""
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
            done = False
            try:
                yield reader, writer
                done = True
            finally:
                if not done:
                    writer.transport.abort()
            writer.close()
            await writer.wait_closed()
    except TimeoutError as error:
        raise TimeoutError(f"{what} {host}:{port} not done within {timeout or 0:g} s") from (refusal or error)


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: Data) -> int:
    """Send all of ``data``, and say that this is the end."""
    sent = 0
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
    return sent


def _pieces(data: Data) -> Iterable[bytes | memoryview]:
    if not isinstance(data, bytes | bytearray | memoryview):
        return data
    view = memoryview(data).cast("B")
    return (view[start : start + _CHUNK] for start in range(0, len(view), _CHUNK))
