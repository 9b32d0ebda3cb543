"""Files to a port beside the device's own."""

import asyncio
import contextlib
import io
import socket

import pytest

from katcp_aio.client.upload import upload

__all__ = []


class Port:
    """A side port that keeps what it is sent."""

    def __init__(self, *, says=b"", stays_open=False):
        self.data = bytearray()
        self.done = asyncio.Event()
        self._says = says
        self._stays_open = stays_open

    async def take(self, reader, writer):
        writer.write(self._says)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.data += data
        self.done.set()
        if self._stays_open:
            await asyncio.sleep(3600)
        writer.close()


@contextlib.asynccontextmanager
async def listening(port, number=0):
    tasks = set()

    async def take(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await port.take(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", number)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@pytest.fixture
def free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.parametrize(
    "make",
    [
        bytes,
        bytearray,
        memoryview,
        io.BytesIO,
        lambda data: (data[start : start + 999] for start in range(0, len(data), 999)),
    ],
    ids=["bytes", "bytearray", "memoryview", "file", "pieces"],
)
async def test_all_of_it_arrives(make):
    data = bytes(range(256)) * 2000
    port = Port()
    async with listening(port) as number:
        assert await upload("127.0.0.1", number, make(data)) == len(data)
        await port.done.wait()
    assert port.data == data


async def test_what_the_port_says_is_passed_over():
    port = Port(says=b"hello\n" * 1000)
    async with listening(port) as number:
        assert await upload("127.0.0.1", number, b"x" * 200_000) == 200_000
    assert len(port.data) == 200_000


async def test_the_port_may_open_later(free):
    port = Port()
    uploading = asyncio.create_task(upload("127.0.0.1", free, b"firmware"))
    await asyncio.sleep(0.01)  # the first attempt is refused
    async with listening(port, free):
        assert await uploading == 8
        await port.done.wait()
    assert port.data == b"firmware"


async def test_a_port_that_never_opens(free):
    with pytest.raises(TimeoutError, match=rf"upload to 127.0.0.1:{free} not done within 0.05 s") as caught:
        await upload("127.0.0.1", free, b"x", timeout=0.05)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_a_port_that_does_not_read():
    async def ignore(reader, writer):
        reader._transport.pause_reading()  # noqa: SLF001 - a StreamReader has no word for it
        await asyncio.sleep(3600)

    port = Port()
    port.take = ignore
    async with listening(port) as number:
        with pytest.raises(TimeoutError):
            await upload("127.0.0.1", number, bytes(50_000_000), timeout=0.3)


async def test_a_port_that_stays_open_is_left_after_a_while(monkeypatch):
    monkeypatch.setattr("katcp_aio.client.upload._PATIENCE", 0.01)
    port = Port(stays_open=True)
    async with listening(port) as number:
        assert await upload("127.0.0.1", number, b"x") == 1
        await port.done.wait()


async def test_a_file_that_cannot_be_read_ends_the_connection():
    def pieces():
        yield b"some"
        raise OSError("disk on fire")

    port = Port()
    async with listening(port) as number:
        with pytest.raises(OSError, match="disk on fire"):
            await upload("127.0.0.1", number, pieces())
        await port.done.wait()


async def test_cancelling_leaves_nothing_open(free):
    uploading = asyncio.create_task(upload("127.0.0.1", free, b"x", timeout=None))
    await asyncio.sleep(0.01)
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
