"""Connections over real sockets: what only these have, or do otherwise than connections in memory."""

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import socket
import ssl
import struct
import subprocess
import sys
import tracemalloc

import pytest
import trustme

from katcp_aio.connection import ConnectionProtocol, connect, prepare_socket
from katcp_aio.errors import LineTooLong
from katcp_aio.limits import Limits
from katcp_aio.testing import Peer, memory_pair
from katcp_aio.wire.message import Message

MIB = 1024 * 1024


class Listener:
    """Accepts connections; each is served by nobody until the test asks for it."""

    def __init__(self, limits=None):
        self.limits = limits or Limits()
        self.connections = asyncio.Queue()
        self.all = []

    def protocol(self):
        return ConnectionProtocol(self.limits, on_connection=self.accept)

    def accept(self, connection):
        self.all.append(connection)
        self.connections.put_nowait(connection)

    async def close(self):
        for connection in self.all:
            connection.abort()
            await connection.wait_lost()


@contextlib.asynccontextmanager
async def listening(limits=None, **kwargs):
    """Yield a listener on TCP and the address that it has."""
    listener = Listener(limits)
    server = await asyncio.get_running_loop().create_server(listener.protocol, "127.0.0.1", 0, **kwargs)
    try:
        yield listener, server.sockets[0].getsockname()
    finally:
        server.close()
        await listener.close()


async def test_small_messages_leave_at_once_and_a_vanished_peer_is_noticed():
    async with listening() as (listener, address):
        client = await connect(*address)
        for connection in client, await listener.connections.get():
            sock = connection.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
                found = [
                    sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
                ]
                assert found == [30, 5, 3, 45_000]
        client.abort()


def test_what_a_system_has_by_itself_is_not_taken_for_what_was_handed_on(monkeypatch):
    """Where there is no TCP_USER_TIMEOUT, the last option is one that systems have a value of."""
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    with socket.socket() as sock:
        count = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        prepare_socket(sock, Limits(keepalive_count=count))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_a_client_sends_more_than_a_packet_before_its_turn_is_over():
    """So that the device begins to answer the first of many requests while the others are still being made."""
    async with listening() as (listener, address):
        client = await connect(*address, limits=Limits(write_piece=50))
        server = await listener.connections.get()
        for connection, left in (client, 20), (server, 80):
            for _ in range(4):
                connection.write(b"#x 890123456789 901\n")
            assert connection.backlog == left
            connection.abort()


async def test_both_ends_know_each_other():
    async with listening() as (listener, (host, port)):
        client = await connect(host, port)
        server = await listener.connections.get()
        assert client.description == str(client.address) == f"{host}:{port}"
        own = client.get_extra_info("sockname")
        assert server.description == f"{own[0]}:{own[1]}"
        client.abort()


async def test_a_client_takes_longer_lines_than_a_server():
    limits = Limits(max_line=100, max_reply_line=1000)
    async with listening(limits) as (listener, address):
        client = await connect(*address, limits=limits)
        server = await listener.connections.get()
        long = Message.reply("read", "ok", "x" * 500)
        server.send(long)
        assert await client.read() == [long]
        client.send(long)
        assert isinstance((await server.read())[0], LineTooLong)
        client.abort()


async def test_reading_a_short_line_makes_no_large_buffer():
    """asyncio's own way is a buffer of 256 KiB for each read, and that costs more than a short request."""
    async with listening() as (listener, address):
        client = await connect(*address)
        server = await listener.connections.get()
        client.send(Message.request("ping"))
        await server.read()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            client.send(Message.request("ping", 17))
            assert await server.read() == [Message.request("ping", 17)]
            assert tracemalloc.get_traced_memory()[1] - before < 64 * 1024
        finally:
            tracemalloc.stop()
        client.abort()


def test_loops_in_several_threads_do_not_read_each_others_bytes():
    async def talk(text):
        async with listening() as (listener, address):
            client = await connect(*address)
            server = await listener.connections.get()
            for mid in range(1, 200):
                asked = Message.request("echo", text * 300, mid=mid)
                client.send(asked)
                assert await server.read() == [asked]
            client.abort()

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for talked in [threads.submit(asyncio.run, talk(text)) for text in "abcd"]:
            talked.result()


async def test_two_loops_that_began_in_one_thread_may_go_on_in_two():
    connections = []
    one, other = (ConnectionProtocol(Limits(), on_connection=connections.append) for _ in range(2))
    for protocol in one, other:
        memory_pair(protocol, asyncio.Protocol())

    def receive(protocol, data):
        protocol.get_buffer(-1)[: len(data)] = data

    receive(one, b"?one 1\n")
    await asyncio.to_thread(receive, other, b"?two 2\n")
    one.buffer_updated(7)
    assert await connections[0].read() == [Message.request("one", 1)]
    for connection in connections:
        connection.abort()
        await connection.wait_lost()


async def converse(client, server):
    """Have a client ask much and the server answer each, and compare."""
    asked = [Message.request("echo", "x" * 100, mid=mid) for mid in range(1, 2001)]
    client.send(*asked)
    answered = 0
    while answered < len(asked):
        for message in await server.read():
            server.send(Message.reply_to(message, "ok", *message.arguments))
            answered += 1
        await server.drain()
    heard = []
    while len(heard) < len(asked):
        heard += await client.read()
    assert heard == [Message.reply_to(message, "ok", *message.arguments) for message in asked]


async def close_both(client, server):
    closing = asyncio.create_task(server.close())
    assert await client.read() == []
    await client.close()
    await closing
    assert client.lost
    assert server.lost


async def test_a_conversation_over_tcp():
    async with listening() as (listener, address):
        client = await connect(*address)
        server = await listener.connections.get()
        await converse(client, server)
        await close_both(client, server)
        assert (client.error, server.error) == (None, None)


async def test_a_conversation_over_a_unix_socket(tmp_path):
    listener = Listener()
    path = str(tmp_path / "device")
    unix = await asyncio.get_running_loop().create_unix_server(listener.protocol, path)
    client = await connect(path=path)
    server = await listener.connections.get()
    assert (client.description, client.address, server.description) == (path, None, path)
    await converse(client, server)
    await close_both(client, server)
    unix.close()


@pytest.fixture(scope="module")
def tls():
    """Return the contexts of a server and of a client that trusts it."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def test_a_conversation_over_tls(tls):
    async with listening(ssl=tls[0]) as (listener, address):
        client = await connect(*address, ssl=tls[1])
        server = await listener.connections.get()
        assert client.get_extra_info("peercert")["subject"]
        assert client.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await converse(client, server)
        server.write(b"#disconnect bye\n")
        closing = asyncio.create_task(server.close())
        assert await client.read() == [Message.inform("disconnect", "bye")]
        await close_both(client, server)
        await closing


async def test_closing_over_tls_does_not_wait_for_a_deaf_peer(tls):
    async with listening(Limits(close_timeout=0.05), ssl=tls[0]) as (listener, address):
        client = await connect(*address, ssl=tls[1])
        server = await listener.connections.get()
        server.write(bytes(64 * MIB) + b"\n")  # more than the client takes while nobody reads it
        await server.close()
        assert server.lost
        client.abort()
        await client.wait_lost()


async def test_a_tls_handshake_that_nobody_answers_has_a_deadline(tls):
    async with listening() as (_, address):
        with pytest.raises(TimeoutError):
            await connect(*address, ssl=tls[1], limits=Limits(connect_timeout=0.05))


async def test_an_unreachable_device_is_an_os_error(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        with pytest.raises(ConnectionRefusedError):
            await connect(*unused.getsockname())
    with pytest.raises(FileNotFoundError):
        await connect(path=str(tmp_path / "none"))


# uvloop closes the transport of a connect that is cancelled, but the transport does not say so to its StreamWriter.
@pytest.mark.filterwarnings("ignore:unclosed <StreamWriter:ResourceWarning")
async def test_connecting_can_be_cancelled():
    async with listening() as (_, address):
        for turns in range(6):
            connecting = asyncio.create_task(connect(*address))
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                connection = await connecting  # it was faster
                await connection.close()


async def test_a_reset_does_not_destroy_what_had_arrived():
    async with listening(Limits(read_chunk=10)) as (listener, address):
        peer = await Peer.connect(*address)
        peer.send("?one", "?two", "?three")
        server = await listener.connections.get()
        assert await server.read() == [Message.request("one"), Message.request("two")]
        peer.abort()
        await server.wait_lost()
        assert await server.read() == [Message.request("three")]
        assert await server.read() == []
        assert isinstance(server.error, ConnectionResetError)


async def test_clients_that_reset_at_once_leave_no_trace():
    loop, complaints = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    async with listening() as (listener, address):
        for _ in range(50):
            with socket.create_connection(address) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for _ in range(50):
            server = await listener.connections.get()
            server.write(b"#version-connect\n")
            assert await server.read() == []
            await server.close()
            assert server.lost
            assert server.description
    assert complaints == []


async def test_closing_with_unread_input_loses_nothing_that_was_promised():
    """Without care the kernel answers unread input with a reset, which destroys what the peer has not read yet."""
    async with listening() as (listener, address):
        peer = await Peer.connect(*address)
        peer.pause()
        server = await listener.connections.get()
        server.write(b"1" * MIB + b"\n#disconnect bye\n")
        closing = asyncio.create_task(server.close())
        await asyncio.sleep(0)
        peer.send(*["?watchdog"] * 10_000)
        peer.resume()
        assert await peer.end() == [b"1" * MIB, b"#disconnect bye"]
        assert peer.error is None
        await peer.close()
        await closing


async def test_a_half_closed_peer_gets_its_answers():
    async with listening() as (listener, address):
        peer = await Peer.connect(*address)
        peer.send("?watchdog[1]")
        peer.half_close()
        server = await listener.connections.get()
        assert await server.read() == [Message.request("watchdog", mid=1)]
        assert await server.read() == []
        server.write(b"!watchdog[1] ok\n")
        await server.close()
        assert await peer.end() == [b"!watchdog[1] ok"]
        await peer.close()


async def test_a_deaf_peer_pauses_its_connection_and_ends_at_the_stall_timeout():
    async with listening(Limits(stall_timeout=0.05)) as (listener, address):
        peer = await Peer.connect(*address)
        peer.pause()
        server = await listener.connections.get()
        server.write(bytes(64 * MIB) + b"\n")
        await asyncio.sleep(0)
        assert server.paused
        await server.wait_lost()
        assert server.reason == "did not read for 0.05 s"
        peer.abort()
        await peer.end()


async def test_a_connection_that_has_ended_is_collected_in_silence():
    async with listening() as (listener, address):
        client = await connect(*address)
        await listener.connections.get()
        client.abort()
        await client.wait_lost()
        listener.all[0].begin_close()
        await listener.all.pop().wait_lost()
        del client
    gc.collect()  # a warning would fail this test


@pytest.mark.leaks("libuv keeps a pipe for the life of the process")
def test_over_uvloop():
    uvloop = pytest.importorskip("uvloop")

    async def scenario():
        async with listening() as (listener, address):
            client = await connect(*address)
            server = await listener.connections.get()
            assert server.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert server.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            await converse(client, server)
            await close_both(client, server)
        await test_a_half_closed_peer_gets_its_answers()
        await test_closing_with_unread_input_loses_nothing_that_was_promised()
        await test_a_deaf_peer_pauses_its_connection_and_ends_at_the_stall_timeout()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


_IDLE = """
import asyncio, gc, sys, tracemalloc
from katcp_aio.connection import ConnectionProtocol
from katcp_aio.errors import LineTooLong
from katcp_aio.limits import Limits

async def serve(count):
    limits, made, tasks = Limits(), [], []

    async def answer(connection):
        while messages := await connection.read():
            connection.send(*messages)

    def accept(connection):
        made.append(connection)
        tasks.append(asyncio.create_task(answer(connection)))

    server = await asyncio.get_running_loop().create_server(
        lambda: ConnectionProtocol(limits, on_connection=accept), "127.0.0.1", 0, backlog=count)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    print(server.sockets[0].getsockname()[1], flush=True)
    while len(made) < count:
        await asyncio.sleep(0.01)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    print((after - before) // count, flush=True)
    for connection in made:
        connection.abort()
    await asyncio.gather(*tasks)
    server.close()

asyncio.run(serve(500))
"""


async def test_an_idle_connection_of_a_server_takes_little_memory():
    """With its reading task, and after a conversation; the other ends are in this process, and do not count."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _IDLE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONASYNCIODEBUG": ""},  # which remembers where each task was made
    )
    port = int(await process.stdout.readline())
    peers = [await Peer.connect("127.0.0.1", port) for _ in range(500)]
    for peer in peers:
        peer.send("?watchdog")
    for peer in peers:
        await peer.expect("?watchdog")
    process.stdin.write(b"\n")
    used = int(await process.stdout.readline())
    await process.communicate()
    for peer in peers:
        await peer.close()
    assert used <= 12 * 1024
