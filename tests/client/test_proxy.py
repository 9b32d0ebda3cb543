"""A device's requests on another server, end to end: client, proxy server, device; all in memory."""

import asyncio
import contextlib
import importlib.util
from pathlib import Path

import pytest

from katcp_aio.client.device import DeviceClient
from katcp_aio.client.mirror import SensorMirror
from katcp_aio.client.proxy import RequestProxy
from katcp_aio.errors import FailReply, InvalidReply
from katcp_aio.model.reading import Reading, Status
from katcp_aio.server.device import DeviceServer
from katcp_aio.server.metadata import MetadataRequests
from katcp_aio.testing import FakeDevice, FakeSensor

pytestmark = pytest.mark.usefixtures("time_flies")


class Gateway(DeviceServer):
    VERSION = "gateway-1.0"
    BUILD_STATE = "gateway-1.0.0"


@contextlib.asynccontextmanager
async def proxied(serve, protocol="4.0", prepare=lambda fake: None, **options):
    """Yield the scripted board, its proxy server, and a client of that."""
    async with FakeDevice(protocol, sensors={"rate": FakeSensor("float", 1.5)}) as fake:
        prepare(fake)
        gateway = Gateway()
        served = await serve(gateway)
        async with DeviceClient("board", connector=fake.connector) as board:
            with RequestProxy(board, gateway, **options), SensorMirror(board, gateway.sensors):
                async with DeviceClient("gateway", connector=served.connector) as client:
                    yield fake, gateway, client


async def test_arguments_informs_and_replies_pass_through(serve):
    def prepare(fake):
        fake.on("listdev", informs=[("a", 1), (b"\xff\0 ", 2)])
        fake.on("wordread", reply=("ok", b"\0\xff \n"))
        fake.help["wordread"] = "Read a word.\n?wordread name:string\n\nFrom a register."

    async with proxied(serve, prepare=prepare) as (fake, _, client):
        reply = await client.req.listdev()
        assert [inform.arguments for inform in reply.informs] == [(b"a", b"1"), (b"\xff\0 ", b"2")]
        assert reply.arguments == [b"2"]
        assert (await client.req.wordread("reg", b"\n\xfe")).arguments == [b"\0\xff \n"]
        fake.requests.assert_request("wordread", "reg", b"\n\xfe")
        assert "Read a word." in client.req.wordread.__doc__
        assert (await client.sensor.rate.read()).value == 1.5


async def test_refusals_pass_through_with_the_reason_that_was_logged(serve):
    def prepare(fake):
        fake.on("read", lambda peer, _request: refuse(peer))
        fake.on("odd", reply=("invalid", "usage"))
        fake.on("own", reply=("busy", "later", 30))
        fake.on("terse", reply=("busy",))

    def refuse(peer):
        peer.send(b"#log error 1234 board register\\_missing\n")
        raise FailReply("")

    async with proxied(serve, prepare=prepare) as (_, _, client):
        with pytest.raises(FailReply, match="register missing"):
            await client.req.read("x")
        with pytest.raises(InvalidReply, match="usage"):
            await client.req.odd()
        own = await client.req.own(check=False)
        assert (own.code, own.arguments) == ("busy", [b"later", b"30"])
        assert (await client.req.terse(check=False)).code == "busy"


async def test_what_a_device_says_wrong_is_a_refusal_and_no_fault_of_the_proxy(serve, caplog):
    def prepare(fake):
        fake.on("garbled", raw=b"!garbled ok \\q\n")
        fake.on("mute", raw=b"#log\n!mute fail\n")

    async with proxied(serve, prepare=prepare) as (_, _, client):
        with pytest.raises(FailReply, match="bad escape") as garbled:
            await client.req.garbled()
        assert "?garbled fail: bad escape" in str(garbled.value)
        assert (await client.req.mute(check=False)).code == "fail"
    assert "Traceback" not in caplog.text


async def test_the_servers_own_requests_stay_its_own(serve):
    def prepare(fake):
        fake.on("halt")
        fake.on("go")

    async with proxied(serve, prepare=prepare) as (fake, gateway, client):
        await client.req.help()
        assert [message.name for message in fake.requests.requests("halt")] == []
        assert "go" in gateway.handlers


async def test_which_requests_can_be_told_by_an_expression_in_slashes_too(serve):
    def prepare(fake):
        fake.on("tune")
        fake.on("go")

    async with proxied(serve, prepare=prepare, match="/^t/") as (_, gateway, _client):
        assert "tune" in gateway.handlers
        assert "go" not in gateway.handlers


async def test_requests_come_and_go_with_the_device_and_with_the_proxy(serve):
    async with proxied(serve, "5.1-MITB", prefix="b-") as (fake, gateway, client):
        fake.on("tune", reply=("ok", 1))
        fake.inform("interface-changed", "request", "tune", "added")
        while "b-tune" not in gateway.handlers:
            await client.request("watchdog")
        assert (await client.request("b-tune")).arguments == [b"1"]
        fake.inform("interface-changed", "request", "tune", "removed")
        while "b-tune" in gateway.handlers:
            await client.request("watchdog")
    assert not [name for name in gateway.handlers if name.startswith("b-")]


async def test_what_every_server_answers_for_itself_is_not_passed_on(serve):
    class Labelled(MetadataRequests, Gateway):
        pass

    far, gateway = await serve(Labelled()), Gateway()
    far.server.add_request("go", lambda _ctx: None)
    async with DeviceClient("far", connector=far.connector) as client:
        before = set(gateway.handlers)
        with RequestProxy(client, gateway, prefix="far-"):
            assert set(gateway.handlers) - before == {"far-go"}


async def test_what_the_servers_version_of_the_protocol_has_not_is_not_passed_on(serve):
    far, gateway = await serve(Gateway()), Gateway(protocol="4.0")
    far.server.add_request("zoom", lambda _ctx: None)
    async with DeviceClient("far", connector=far.connector) as client:
        with RequestProxy(client, gateway, match=lambda _name: True):
            assert "version-list" not in gateway.handlers
            assert "zoom" in gateway.handlers
        assert "zoom" not in gateway.handlers


async def test_a_request_that_the_server_cannot_have_costs_the_others_nothing(serve, caplog):
    def prepare(fake):
        fake.on("disconnect")  # a server's clients would take its own #disconnect for part of the reply
        fake.on("set-rate")

    async with proxied(serve, prepare=prepare) as (fake, gateway, client):
        await client.req.set_rate(2)
        fake.requests.assert_request("set-rate", "2")
        assert "disconnect" not in gateway.handlers
    assert "request disconnect is not passed on: " in caplog.text


async def test_what_the_program_did_to_a_request_itself_is_left_alone(serve):
    def prepare(fake):
        for name in ("gone", "go", "own"):
            fake.on(name)

    async with proxied(serve, prepare=prepare) as (_, gateway, _client):
        gateway.remove_request("gone")
        gateway.add_request("own", lambda _ctx: None)
        own = gateway.handlers["own"]
    assert "go" not in gateway.handlers
    assert gateway.handlers["own"] is own


async def test_while_the_device_is_away_a_request_waits_for_it_or_fails(serve):
    async with proxied(serve, prepare=lambda fake: fake.on("go")) as (fake, _, client):
        fake.refusing = True
        fake.end()
        await asyncio.get_running_loop().clock.settle()
        with pytest.raises(FailReply, match="not sent within 5 s"):
            await client.req.go(timeout=60)


def load_example(name):
    """Return an example as a module."""
    path = Path(__file__).parents[2] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_example_serves_several_clients_in_front_of_a_board_that_takes_one(serve, manual_clock):
    connections = []

    async def only_one():
        assert not [peer for peer in board.peers if not peer.lost], "a second connection to the board"
        connections.append(1)
        return await board.connector()

    async with FakeDevice("4.0", sensors={"temp": FakeSensor("float", 30.0, timestamp=2.5)}) as board:
        board.on("wordread", reply=("ok", "0xcafe"))
        proxy = load_example("proxy").Proxy("127.0.0.1", 0, DeviceClient("board", connector=only_one))
        served = await serve(proxy)
        async with (
            DeviceClient("one", connector=served.connector) as one,
            DeviceClient("two", connector=served.connector) as two,
        ):
            await proxy.board.wait_synced()
            await manual_clock.settle()
            for client in (one, two):
                assert client.dialect.version.startswith("5.1")
                assert (await client.req.wordread("reg")).arguments == [b"0xcafe"]
                await client.sensor["board.temp"].sample("event")
                assert client.sensor["board.temp"].reading == Reading(2.5, Status.NOMINAL, 30.0)
            board.set("temp", 31.0, timestamp=3.5)
            await one.sensor["board.temp"].wait_for(31.0, timeout=1)
            await two.sensor["board.temp"].wait_for(31.0, timeout=1)
            board.refusing = True
            board.end()
            await one.sensor["board.temp"].wait_for(Status.UNREACHABLE, timeout=1)
            assert (await one.sensor["board-there"].read()).value is False
        assert connections == [1]
        await proxy.stop()
