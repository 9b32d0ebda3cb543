import asyncio
import errno
import socket
import ssl
import sys
import textwrap

import pytest

from katcp_aio import Address, Client, Limits, UsageError
from katcp_aio.server import listeners
from katcp_aio.server.access import Access, AccessRule
from katcp_aio.testing import Peer


async def ask(address, line="?watchdog"):
    peer = await Peer.connect(str(address.host), address.port)
    try:
        return await peer.ask(line)
    finally:
        await peer.close()


async def test_port_0_is_any_free_port(device_class):
    async with device_class("127.0.0.1", 0) as device:
        assert device.address == Address("127.0.0.1", device.address.port)
        assert device.address.port > 0
        assert (await ask(device.address))[-1].ok
    assert device.address is None


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a system without these options")
async def test_a_vanished_client_is_noticed_by_the_bounds_of_the_device(device_class):
    limits = Limits(keepalive_idle=7, keepalive_interval=2, keepalive_count=4)
    async with device_class("127.0.0.1", 0, limits=limits) as device:
        peer = await Peer.connect(*device.address)
        await peer.ask("?watchdog")
        sock = device.clients[0].connection.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        found = [
            sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_NODELAY", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        ]
        assert found == [1, 7, 2, 4, 15_000]
        await peer.close()


@pytest.mark.parametrize("port", [-1, 65536, "5000", None])
def test_a_port_that_there_is_not_is_told_at_once(device_class, port):
    with pytest.raises(UsageError, match=f"port {port!r} is no whole number from 0 to 65535"):
        device_class("127.0.0.1", port)


async def test_the_default_is_the_loopback_only(device_class):
    async with device_class() as device:
        assert [str(address.host) for address in device.addresses] == ["127.0.0.1"]


async def test_client_list_has_the_addresses_of_all(device_class):
    async with device_class() as device:
        first = await Peer.connect("127.0.0.1", device.address.port)
        second = await Peer.connect("127.0.0.1", device.address.port)
        own = {peer: "{}:{}".format(*peer.transport.get_extra_info("sockname")) for peer in (first, second)}
        told = await first.message("client-connected")
        assert told.arguments == (own[second].encode(),)
        *rows, reply = await second.ask("?client-list[1]")
        assert {row.arguments[0].decode() for row in rows} == set(own.values())
        assert reply.arguments == (b"ok", b"2")
        assert {str(client.address) for client in device.clients} == set(own.values())
        await first.close()
        await second.close()


@pytest.mark.parametrize("host", [["127.0.0.1", "127.0.0.2"], ""])
async def test_several_addresses_share_a_port(device_class, host):
    async with device_class(host, 0) as device:
        assert len({address.port for address in device.addresses}) == 1
        assert (await ask(Address("127.0.0.1", device.addresses[0].port)))[-1].ok
        if host:
            assert (await ask(device.addresses[1]))[-1].ok


async def test_ipv6(device_class):
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        async with device_class("::1", 0) as device:
            assert str(device.address) == f"[::1]:{device.address.port}"
            *rows, _ = await ask(device.address, "?client-list")
            assert rows[0].arguments[0].startswith(b"[::1]:")
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


async def test_a_unix_socket(device_class, tmp_path):
    path = tmp_path / "device.sock"
    async with device_class(path=path) as device:
        assert device.addresses == ()
        peer = await Peer.connect(path=str(path))
        assert (await peer.ask("?watchdog"))[-1].ok
        assert [client.address for client in device.clients] == [None]
        await peer.close()
    assert not path.exists()


async def test_a_given_socket(device_class):
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    device = device_class(sock=sock)
    async with device:
        assert device.address == Address("127.0.0.1", port)
        assert (await ask(device.address))[-1].ok
    assert sock.fileno() == -1
    with pytest.raises(UsageError, match="the socket that the server was given is closed"):
        await device.start()


async def test_a_given_socket_that_cannot_listen(device_class):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with pytest.raises(ValueError, match="Stream Socket"):
        await device_class(sock=sock).start()
    assert sock.fileno() == -1


async def test_tls(device_class, certificates):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.server.configure_cert(server)
    async with device_class(ssl=server) as device:
        client = ssl.create_default_context()
        certificates.authority.configure_trust(client)
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(
            Peer, "127.0.0.1", device.address.port, ssl=client, server_hostname="device.example"
        )
        assert (await peer.ask("?watchdog"))[-1].ok
        await peer.close()


async def test_clients_are_known_by_their_certificates(device_class, certificates):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.server.configure_cert(server)
    certificates.authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    async with device_class(ssl=server) as device:
        client = ssl.create_default_context()
        certificates.authority.configure_trust(client)
        certificates.operator.configure_cert(client)
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(
            Peer, "127.0.0.1", device.address.port, ssl=client, server_hostname="device.example"
        )
        await peer.ask("?watchdog")
        (known,) = device.clients
        subject = known.connection.get_extra_info("peercert")["subjectAltName"]
        assert subject == (("DNS", "operator.example"),)
        await peer.close()


@pytest.fixture
async def guarded(device_class, certificates, manual_clock):
    """Serve a device that asks clients for a certificate, while the time stands still; return it."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.server.configure_cert(server)
    certificates.authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    async with device_class(ssl=server, limits=Limits(handshake_timeout=0.3), clock=manual_clock) as device:
        yield device
        manual_clock.auto = True


def client_context(certificates, certificate):
    context = ssl.create_default_context()
    certificates.authority.configure_trust(context)
    context.check_hostname = False
    if certificate is not None:
        certificate.configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (None, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        ("stranger", "unable to get"),
        ("expired", "certificate has expired"),
    ],
)
async def test_a_certificate_that_is_not_accepted_is_told_on_both_sides(guarded, certificates, caplog, kind, why):
    certificate = None if kind is None else getattr(certificates, kind)
    context = client_context(certificates, certificate)
    client = Client("127.0.0.1", guarded.address.port, ssl=context, clock=guarded.clock)
    await client.start()
    while client.last_error is None:  # noqa: ASYNC110 - it is never for long, and there is no event for it
        await asyncio.sleep(0)
    assert "certificate" in str(client.last_error)
    await client.close()
    assert f"a client was refused in the TLS handshake: {why}" in caplog.text
    assert guarded.clients == ()


async def test_a_slow_handshake_is_cut_and_holds_up_nobody(guarded, certificates, manual_clock, caplog):
    address = "127.0.0.1", guarded.address.port
    silent = [await Peer.connect(*address) for _ in range(20)]
    context = client_context(certificates, certificates.operator)
    peer = await Peer.connect(*address, ssl=context)
    assert (await peer.ask("?watchdog"))[-1].ok
    assert not any(one.eof for one in silent)
    await manual_clock.advance(0.3)
    for one in silent:
        assert await one.end() == []
        await one.close()
    await peer.close()
    while guarded.trouble.counts.get("handshake", 0) < len(silent):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    assert "a TLS handshake was not completed within 0.3 s" in caplog.text


async def test_a_client_that_does_not_speak_tls_is_told_of_in_the_log(guarded, caplog):
    peer = await Peer.connect("127.0.0.1", guarded.address.port)
    peer.send("?watchdog")
    await peer.end()
    await peer.close()
    assert "a client was refused in the TLS handshake" in caplog.text


async def test_a_context_of_two_servers_tells_once(device_class, certificates, caplog):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.server.configure_cert(server)
    device_class(ssl=server)
    async with device_class(ssl=server) as device:
        peer = await Peer.connect("127.0.0.1", device.address.port)
        peer.send("?watchdog")
        await peer.end()
        await peer.close()
    assert caplog.text.count("refused") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="has no bound on open files")
async def test_a_client_for_which_there_is_hardly_a_file_left_is_told_so(device_class, monkeypatch, caplog):
    monkeypatch.setattr(listeners.resource, "getrlimit", lambda _: (10, 10))
    async with device_class() as device:
        peer = await Peer.connect("127.0.0.1", device.address.port)
        assert await peer.end() == [rb"#disconnect too\_many\_clients"]
        assert not device.clients
        await peer.close()
    assert "too many clients for the files that it may open" in caplog.text


CROWDED = textwrap.dedent(
    """
    import asyncio, resource, sys, time
    from katcp_aio import DeviceServer

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    class Device(DeviceServer):
        VERSION = BUILD_STATE = "device-1.0"

    async def serve():
        async with Device() as device:
            print(device.address.port, flush=True)
            before = time.process_time()
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            print(time.process_time() - before, flush=True)

    asyncio.run(serve())
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="has no bound on open files")
async def test_a_server_out_of_files_says_so_a_few_times_and_recovers():
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CROWDED, stdin=pipe, stdout=pipe, stderr=pipe, limit=100_000
    )
    port = int(await server.stdout.readline())
    peers = [await Peer.connect("127.0.0.1", port) for _ in range(150)]
    served = []
    for peer in peers:
        first = await peer.message()
        served += [peer] if first.name == "version-connect" else []
        assert first.name == "version-connect" or first.arguments == (b"too many clients",)
    assert 20 < len(served) < 64
    assert (await served[0].ask("?watchdog"))[-1].ok
    for peer in peers:
        if peer is not served[0]:
            await peer.close()
    await served[0].ask("?watchdog")
    again = await Peer.connect("127.0.0.1", port)
    while (await again.message()).name == "disconnect":  # it has not heard yet of all that have gone
        await again.close()
        again = await Peer.connect("127.0.0.1", port)
    assert (await again.ask("?watchdog"))[-1].ok
    for peer in (again, served[0]):
        await peer.close()
    out, err = await server.communicate(b"\n")
    assert float(out) < 1  # s: it did not spin
    assert 1 <= len(err.splitlines()) <= 20
    assert b"Traceback" not in err


async def test_access_by_certificate(device_class, certificates):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.server.configure_cert(server)
    certificates.authority.configure_trust(server)
    server.verify_mode = ssl.CERT_OPTIONAL
    access = Access([AccessRule(certificate="DNS=operator.example", allow="*"), AccessRule(allow="watchdog")])
    async with device_class(ssl=server, access=access) as device:
        port = device.address.port
        guest = await Peer.connect("127.0.0.1", port, ssl=client_context(certificates, None))
        assert (await guest.ask("?watchdog[1]"))[-1].ok
        assert (await guest.ask("?halt[2]"))[-1].arguments[0] == b"fail"
        operator = await Peer.connect("127.0.0.1", port, ssl=client_context(certificates, certificates.operator))
        assert (await operator.ask("?halt[1]"))[-1].ok
        await device.serve_forever()
        for peer in (guest, operator):
            await peer.close()


async def test_as_many_wait_to_be_accepted_as_the_limit_says(device_class):
    async with device_class() as device:
        port = device.address.port
        socks = []
        for _ in range(200):  # while the loop does not turn, the kernel keeps them
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            socks.append(sock)
        assert all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 for sock in socks)
        assert all(sock.getpeername()[1] == port for sock in socks)  # connected
        for sock in socks:
            sock.close()


async def test_everywhere_is_one_family_on_a_machine_that_has_one(device_class, monkeypatch):
    loop = asyncio.get_running_loop()
    create_server = loop.create_server

    async def without_ipv6(factory, host, *args, **options):
        if host == "::":
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return await create_server(factory, host, *args, **options)

    monkeypatch.setattr(loop, "create_server", without_ipv6)
    async with device_class("", 0) as device:
        assert [str(address.host) for address in device.addresses] == ["0.0.0.0"]
        assert (await ask(Address("127.0.0.1", device.address.port)))[-1].ok


async def test_a_path_that_is_another_server_s_by_now_is_left_alone(device_class, tmp_path):
    path = tmp_path / "device.sock"
    async with device_class(path=path):
        path.rename(tmp_path / "ours.sock")  # its inode stays taken
        path.touch()
    assert path.exists()
