"""Registers of boards, read and written whole over TCP: any bytes, 16 MiB at once, with the bounds as they come."""

import pytest

from katcp_aio.client.client import Client
from katcp_aio.errors import LineTooLong
from katcp_aio.limits import Limits
from katcp_aio.server.device import DeviceServer

__all__ = []

MIB = 1 << 20


class Board(DeviceServer):
    VERSION = "board-1.0"
    BUILD_STATE = "board-1.0.0"
    register = b""

    async def request_read(self, ctx) -> bytes:
        """Read the register."""
        return self.register

    async def request_write(self, ctx, data: bytes) -> int:
        """Write the register."""
        self.register = data
        return len(data)


@pytest.fixture
async def board():
    async with Board("127.0.0.1", 0) as board:
        yield board


@pytest.mark.parametrize(
    "data",
    [bytes(MIB), bytes(16 * MIB), bytes(range(256)) * (16 * MIB // 256)],
    ids=["1 MiB of NULs", "16 MiB of NULs", "16 MiB of everything"],
)
async def test_a_register_is_read(board, data):
    board.register = data
    async with Client("127.0.0.1", board.address.port, timeout=30) as client:
        reply = await client.request("read")
        assert reply.arguments == [data]
        assert (await client.request("watchdog")).ok


async def test_a_board_of_version_4_is_read_the_same():
    async with Board("127.0.0.1", 0, protocol="4.0") as board, Client("127.0.0.1", board.address.port) as client:
        board.register = bytes(MIB)
        assert (await client.request("read")).arguments == [bytes(MIB)]


async def test_what_is_written_is_what_was_given(board):
    data = bytes(range(256)) * (4 * MIB // 256)
    async with Client("127.0.0.1", board.address.port, timeout=30) as client:
        assert await client.request("write", data, returns=(int,)) == (len(data),)
        assert board.register == data
        assert (await client.request("read")).arguments == [data]


async def test_a_server_takes_as_much_as_it_is_told_to():
    data = bytes(16 * MIB)  # 32 MiB on the wire
    async with (
        Board("127.0.0.1", 0, limits=Limits(max_line=33 * MIB)) as board,
        Client("127.0.0.1", board.address.port, timeout=30) as client,
    ):
        assert await client.request("write", data, returns=(int,)) == (len(data),)
        assert board.register == data


async def test_a_client_takes_as_much_as_it_is_told_to(board):
    board.register = bytes(MIB)
    async with Client("127.0.0.1", board.address.port, limits=Limits(max_reply_line=MIB)) as client:
        with pytest.raises(LineTooLong):
            await client.request("read")
        assert (await client.request("watchdog")).ok
