"""Connections that end and come back, hearts that stop, and what is cancelled at any point."""

import asyncio
import shutil
import socket
import ssl
import subprocess

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.client.states import State
from katcp_aio.errors import ConnectionLost, NotConnected, RequestTimeout
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice

__all__ = []

BACKOFF = Backoff(initial=1, longest=8, randomness=0, settle=5)


@pytest.fixture
async def client(fake_device, manual_clock):
    async with Client("fake", 7147, connector=fake_device.connector, reconnect=BACKOFF, clock=manual_clock) as client:
        yield client


async def test_a_lost_connection_comes_back(client, fake_device, manual_clock):
    states = []
    client.on_state(states.append)
    fake_device.on("hang", reply=None)
    hanging = asyncio.create_task(client.request("hang"))
    await fake_device.received("hang")
    fake_device.end("close")
    await client.wait_disconnected()
    with pytest.raises(ConnectionLost, match=r"fake:7147: closed by the device \(\?hang may have been carried out\)"):
        await hanging
    assert str(client.last_error) == "fake:7147: closed by the device"
    await manual_clock.advance(1)
    await client.wait_connected()
    assert client.last_error is None
    assert states == [State.WAITING, State.CONNECTING, State.NEGOTIATING, State.CONNECTED]
    assert (await client.request("watchdog")).ok


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
async def test_however_it_ends_it_is_noticed(client, fake_device, manual_clock, how):
    fake_device.end(how)
    await client.wait_disconnected()
    await manual_clock.advance(1)
    assert (await client.request("watchdog")).ok


async def test_the_devices_own_words_are_kept(client, fake_device):
    fake_device.on("halt", raw=b"!halt[1] ok\n#disconnect Device\\_server\\_shutting\\_down.\n")
    fake_device.on("hang", reply=None)
    halt, hang = await asyncio.gather(client.request("halt"), client.request("hang"), return_exceptions=True)
    assert halt.ok
    assert isinstance(hang, ConnectionLost)
    assert hang.reason == "Device server shutting down."
    assert client.last_error.reason == "Device server shutting down."
    assert not client.connected


async def test_what_came_before_a_reset_is_still_heard(client, fake_device):
    fake_device.on("x", reply=("ok", 7), then="close")
    assert await client.request("x", returns=(int,)) == (7,)


async def test_attempts_grow_apart_and_begin_anew_after_a_success(client, fake_device, manual_clock):
    attempts = []
    client.on_state(lambda state: attempts.append(manual_clock.monotonic()) if state is State.CONNECTING else None)
    await manual_clock.advance(10)
    fake_device.refusing = True
    fake_device.end()
    begin = manual_clock.monotonic()
    await manual_clock.advance(40)
    assert [when - begin for when in attempts] == [1, 3, 7, 15, 23, 31, 39]
    fake_device.refusing = False
    await manual_clock.advance(8)
    assert client.connected
    await manual_clock.advance(10)
    attempts.clear()
    begin = manual_clock.monotonic()
    fake_device.end()
    await manual_clock.advance(1)
    assert [when - begin for when in attempts] == [1]


async def test_a_device_that_is_away_is_told_once(client, fake_device, manual_clock, caplog):
    caplog.set_level("WARNING", "katcp_aio.client")
    fake_device.refusing = True
    fake_device.end()
    await manual_clock.advance(1000)
    assert [record.getMessage() for record in caplog.records] == [
        "fake:7147: closed by the device",
        "fake:7147: the device refuses connections",
    ]
    assert client.trouble.counts["connection"] > 100


async def test_a_device_that_turns_clients_away_at_once_is_not_hammered(client, fake_device, manual_clock):
    attempts = []
    client.on_state(lambda state: attempts.append(manual_clock.monotonic()) if state is State.CONNECTED else None)
    client.on_state(lambda state: fake_device.send("#disconnect full") if state is State.CONNECTED else None)
    begin = manual_clock.monotonic()
    fake_device.end()
    await manual_clock.advance(40)
    assert [when - begin for when in attempts] == [1, 3, 7, 15, 23, 31, 39]


async def test_a_callback_of_the_state_may_ask_at_once(client, fake_device, manual_clock):
    asked = []

    def ask(state):
        if state is State.CONNECTED:
            asked.append(asyncio.get_running_loop().create_task(client.request("watchdog")))

    cancel = client.on_state(ask)
    fake_device.end()
    await manual_clock.advance(1)
    assert [(await task).ok for task in asked] == [True]
    cancel()


async def test_waiting_for_the_connection_has_a_timeout_of_its_own(client, fake_device, manual_clock):
    fake_device.refusing = True
    fake_device.end()
    await client.wait_disconnected()
    waiting = [asyncio.create_task(client.wait_connected(timeout)) for timeout in (0.5, None)]
    waiting.append(asyncio.create_task(client.wait_connected()))
    await manual_clock.advance(5)
    with pytest.raises(NotConnected, match=r"not connected within 0\.5 s"):
        await waiting[0]
    with pytest.raises(NotConnected, match="not connected within 5 s"):
        await waiting[2]
    fake_device.refusing = False
    await manual_clock.advance(5)
    await waiting[1]


async def test_a_device_that_accepts_and_never_says_a_word_times_out(manual_clock):
    async with FakeDevice(banner=()) as device:
        device.on("watchdog", reply=None)
        client = Client("fake", 7147, connector=device.connector, clock=manual_clock)
        entering = asyncio.create_task(client.__aenter__())
        await manual_clock.advance(Limits().negotiate_timeout)
        await entering
        asked = asyncio.create_task(client.request("watchdog", timeout=10))
        await manual_clock.advance(9.99)
        assert not asked.done()
        await manual_clock.advance(0.01)
        with pytest.raises(RequestTimeout):
            await asked
        assert client.connected
        await client.close()


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ((b"SSH-2.0-OpenSSH_9.6\r\n",), "what came first is no KATCP: SSH-2.0-OpenSSH_9.6"),
        ((b"\xff\x1b[2J" + 99 * b"x" + b"\n",), rf"what came first is no KATCP: \\xff\\x1b\[2J{52 * 'x'}\.\.\."),
        ((b"!x\n",), "no greeting has come"),
        ((), "no greeting has come"),
    ],
)
async def test_who_is_no_device_is_told_by_what_came(first, told, manual_clock):
    async with FakeDevice(banner=first) as device:
        client = Client("fake", 7147, connector=device.connector, clock=manual_clock, timeout=1)
        entering = asyncio.create_task(client.__aenter__())
        await manual_clock.advance(1)
        with pytest.raises(NotConnected, match=f"^fake:7147: not connected within 1 s: {told}$"):
            await entering


@pytest.mark.parametrize("banner", [(b"SSH-2.0-x\n",), (), None])
async def test_who_is_no_device_may_say_so_only_when_it_is_asked(banner, manual_clock):
    async with FakeDevice(banner=banner) as device:
        device.on("help", raw=b"HTTP/1.1 400 Bad Request\n", then="close")
        client = Client("fake", 7147, connector=device.connector, clock=manual_clock, reconnect=None)
        entering = asyncio.create_task(client.__aenter__())
        await manual_clock.advance(Limits().negotiate_timeout)
        await entering
        line = {(): "HTTP/1.1 400 Bad Request", None: None}.get(banner, "SSH-2.0-x")
        with pytest.raises(ConnectionLost) as lost:
            await client.request("help")
        assert lost.value.reason == "closed by the device" + (f"; what came first is no KATCP: {line}" if line else "")
        await client.close()


# The heartbeat


async def beating(device, clock, **options):
    client = Client(connector=device.connector, clock=clock, heartbeat=10, reconnect=BACKOFF, **options)
    await client.start()
    await clock.settle()
    return client


async def test_an_idle_device_is_asked_whether_it_is_there(fake_device, manual_clock):
    client = await beating(fake_device, manual_clock)
    await manual_clock.advance(50)
    assert client.connected
    assert [request.name for request in fake_device.requests] == ["watchdog"] * 5
    await client.close()


async def test_a_client_may_be_closed_in_the_turn_in_which_its_device_would_be_asked(fake_device, manual_clock):
    loop, complaints = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))

    def begin_to_close():
        closing = client.close()
        closing.send(None)
        closing.close()

    loop.call_later(10, begin_to_close)  # before the heartbeat
    client = await beating(fake_device, manual_clock)
    await manual_clock.advance(10)
    assert client.state is State.CLOSED
    assert complaints == []
    await client.close()


async def test_a_device_that_speaks_is_not_asked(fake_device, manual_clock):
    client = await beating(fake_device, manual_clock)
    for _ in range(10):
        await manual_clock.advance(5)
        fake_device.inform("log", "info", 1, "x", "alive")
    assert not fake_device.requests
    await client.close()


async def test_a_device_that_does_not_know_the_question_is_alive(fake_device, manual_clock):
    fake_device.on("watchdog", reply=("invalid", "unknown"))
    client = await beating(fake_device, manual_clock)
    await manual_clock.advance(100)
    assert client.connected
    assert not client.trouble.counts
    await client.close()


@pytest.mark.parametrize("protocol", ["5.1-MI", "5.0-M"])
async def test_two_questions_without_an_answer_end_the_connection(protocol, manual_clock):
    async with FakeDevice(protocol) as device:
        client = await beating(device, manual_clock)
        device.on("watchdog", reply=None, times=2)
        device.on("watchdog", reply=None, times=1)
        await manual_clock.advance(29)
        assert client.connected
        await manual_clock.advance(20)
        assert client.connected  # again
        assert len(device.peers) == 1
        await client.close()
        assert client.trouble.counts["connection"] == 1


async def test_a_question_that_was_not_sent_is_not_sent_to_the_next_connection(manual_clock):
    """Without ids nothing would go before its answer, for which nobody waits."""
    async with FakeDevice("5.0-M") as device:
        device.on("hang", reply=None)
        device.on("watchdog", reply=None)
        client = await beating(device, manual_clock)
        with pytest.raises(RequestTimeout):
            await asyncio.gather(client.request("hang", timeout=9), manual_clock.advance(9))
        await manual_clock.advance(9)  # it is asked, is late with the first reply, and is connected to again
        assert (await device.connected(2), client.connected) == (device.peers[0], True)
        asked = asyncio.create_task(client.request("get"))
        await manual_clock.settle()
        assert [request.name for request in device.requests] == ["hang", "get"]
        await asyncio.gather(asked, return_exceptions=True)
        await client.close()


async def test_a_busy_device_is_left_alone(fake_device, manual_clock):
    """One that answers in order cannot answer ?watchdog before it is done; the request has its own timeout."""
    client = await beating(fake_device, manual_clock)
    fake_device.on("calibrate", delay=100)
    asked = asyncio.create_task(client.request("calibrate", timeout=200))
    await manual_clock.advance(100)
    assert (await asked).ok
    assert [request.name for request in fake_device.requests] == ["calibrate"]
    await client.close()


# Cancelling


@pytest.mark.parametrize("steps", range(12))
@pytest.mark.parametrize("banner", [None, ()], ids=["greets", "silent"])
async def test_connecting_can_be_cancelled_at_any_point(banner, steps):
    async with FakeDevice(banner=banner) as device:
        task = asyncio.create_task(Client.connect("fake", connector=device.connector))
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            await task.result().close()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not device.peers


@pytest.mark.parametrize("steps", range(8))
async def test_a_request_can_be_cancelled_at_any_point(steps, client, fake_device):
    fake_device.on("echo", lambda peer, request: request.arguments[0])
    tasks = [asyncio.create_task(client.request("echo", number)) for number in range(3)]
    for _ in range(steps):
        await asyncio.sleep(0)
    cancelled = tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0].arguments, results[2].arguments] == [[b"0"], [b"2"]]
    assert isinstance(results[1], asyncio.CancelledError) is cancelled
    assert (await client.request("echo", "next")).arguments == [b"next"]


@pytest.mark.parametrize("when", ["connected", "away"])
async def test_who_cancels_every_task_leaves_none_waiting(client, fake_device, manual_clock, when):
    """As the end of asyncio.run does: what a task does about it, in a ``finally``, may be to ask the device."""
    fake_device.on("hang", reply=None)
    if when == "away":
        fake_device.refusing = True
        fake_device.end()
        await client.wait_disconnected()

    async def ask():
        with pytest.raises(asyncio.CancelledError):
            await client.request("hang", timeout=None)
        with pytest.raises(ConnectionLost, match="the client's task was cancelled"):
            await client.request("stop", timeout=None)
        with pytest.raises(NotConnected, match="the client's task was cancelled"):
            await client.wait_connected(timeout=None)

    asking = asyncio.create_task(ask())
    await manual_clock.settle()
    (link,) = [task for task in asyncio.all_tasks() if task.get_name() == "katcp client fake:7147"]
    for task in asking, link:
        task.cancel()
    await manual_clock.settle()
    assert asking.done()
    await asking
    assert client.state is State.CLOSED
    assert link.cancelled()


async def test_a_connector_that_waits_for_what_is_cancelled_is_called_again(fake_device, manual_clock):
    shared = asyncio.get_running_loop().create_future()

    async def connector():
        if not shared.cancelled():
            await shared
        return await fake_device.connector()

    client = Client("fake", 7147, connector=connector, reconnect=BACKOFF, clock=manual_clock)
    await client.start()
    await manual_clock.settle()
    shared.cancel()
    await manual_clock.settle()
    assert client.state is State.WAITING
    assert str(client.last_error) == "fake:7147: what the connector waited for was cancelled"
    await manual_clock.advance(1)
    assert client.connected
    await client.close()


async def test_waiting_can_be_cancelled(client, fake_device, manual_clock):
    fake_device.refusing = True
    fake_device.end()
    await client.wait_disconnected()
    tasks = [
        asyncio.create_task(wait)
        for wait in (client.wait_connected(None), client.wait_for_inform("x"), client.request("x", timeout=None))
    ]
    await manual_clock.settle()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    fake_device.refusing = False
    await manual_clock.advance(8)
    assert client.connected
    assert not fake_device.requests


@pytest.mark.parametrize("turns", range(6))
async def test_a_reply_that_crosses_with_the_end_is_no_trouble(fake_device, turns):
    async with Client(connector=fake_device.connector) as client:
        asking = asyncio.create_task(client.request("watchdog"))
        for _ in range(turns):
            await asyncio.sleep(0)
    await asyncio.gather(asking, return_exceptions=True)
    assert not client.trouble.counts


async def test_a_fault_of_the_library_leaves_nobody_waiting(client, fake_device, manual_clock, monkeypatch, caplog):
    fake_device.on("hang", reply=None)
    hanging = asyncio.create_task(client.request("hang"))
    await fake_device.received("hang")
    monkeypatch.setattr("katcp_aio.client.desk.Desk.receive", lambda *args: 1 / 0)
    fake_device.inform("x")
    with pytest.raises(ConnectionLost, match="division by zero"):
        await hanging
    assert client.state is State.CLOSED
    assert "ended by a fault" in caplog.text


# Over sockets, where these are the point


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_over_tcp(host):
    async with FakeDevice() as device:
        try:
            _, port = await device.listen(host)
        except OSError:
            pytest.skip(f"no {host} here")
        async with Client(host, port) as client:
            assert (await client.request("watchdog")).ok
            peer = await device.connected()
            assert peer.transport.get_extra_info("sockname")[1] == port


async def test_over_a_unix_socket(tmp_path):
    device = FakeDevice()
    path = str(tmp_path / "device")
    server = await asyncio.get_running_loop().create_unix_server(device.make_protocol, path)
    async with device, Client(path=path) as client:
        assert (await client.request("watchdog")).ok
        assert client.description == path
    server.close()


@pytest.fixture
def certificate(tmp_path):
    """Make a certificate for localhost that nobody but this test trusts; return (certificate, key)."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate, and is not here")
    pem, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", pem]
    subprocess.run([openssl, *command.split(), *names], check=True, capture_output=True)
    return pem, key


async def test_over_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=certificate[0])
    async with FakeDevice() as device:
        _, port = await device.listen(ssl=context)
        async with Client("localhost", port, ssl=trusting) as client:
            device.on("read", reply=("ok", bytes(300_000)))
            assert (await client.request("read")).arguments == [bytes(300_000)]
        with pytest.raises(NotConnected, match="certificate"):
            await Client("localhost", port, ssl=ssl.create_default_context(), reconnect=None).__aenter__()


async def test_tls_with_a_device_that_has_none_fails_in_time():
    async with FakeDevice() as device:
        host, port = await device.listen()
        client = Client(host, port, ssl=ssl.create_default_context(), reconnect=None)
        with pytest.raises(NotConnected):
            await client.__aenter__()


async def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = Client("127.0.0.1", port, reconnect=None)
    with pytest.raises(NotConnected, match=f"127.0.0.1:{port}: not connected: .*(refused|Connect call failed)"):
        await client.__aenter__()


async def test_a_name_that_does_not_exist():
    client = Client("no-such-host.invalid", 7147, reconnect=None, limits=Limits(connect_timeout=5))
    with pytest.raises(NotConnected):
        await client.__aenter__()
