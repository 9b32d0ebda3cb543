"""A client and a device that behaves: connecting, asking, listening, closing."""

import asyncio
import contextlib
import gc
import logging
import weakref

import pytest

from katcp_aio.client.backoff import Backoff
from katcp_aio.client.client import Client
from katcp_aio.client.states import State
from katcp_aio.errors import (
    ConnectionLost,
    FailReply,
    InvalidReply,
    LineTooLong,
    MalformedMessage,
    NotConnected,
    ProtocolError,
    ReplyTooLong,
    RequestTimeout,
    UsageError,
)
from katcp_aio.limits import Limits
from katcp_aio.testing import FakeDevice
from katcp_aio.testing.serving import connect_in_memory

__all__ = []


def make(device, **options):
    return Client("fake", 7147, connector=device.connector, **options)


@pytest.fixture
async def client(fake_device):
    async with make(fake_device) as client:
        yield client


async def test_is_connected_and_negotiated_inside_the_block(fake_device):
    client = make(fake_device)
    assert client.state is State.IDLE
    async with client:
        assert client.connected
        assert client.dialect.version == "5.1-MITB"
        assert client.versions["katcp-device"] == ("fake-1.0", "fake-1.0.0")
        assert client.last_error is None
        assert client.description == "fake:7147"
        assert "connected" in repr(client)
    assert client.state is State.CLOSED
    assert not fake_device.peers


@pytest.mark.parametrize("heartbeat", [0, -1.0, float("nan")])
def test_a_heartbeat_without_a_pause_is_refused(heartbeat):
    with pytest.raises(ValueError, match="above zero"):
        Client("fake", heartbeat=heartbeat)


async def test_a_reply_has_arguments_and_informs(client, fake_device):
    fake_device.on("count", informs=[(0, "a b"), (1, b"\xff\0")])
    reply = await client.request("count", 3, "x y", True)
    fake_device.requests.assert_request("count", 3, "x y", True)
    assert reply.ok
    assert reply.code == "ok"
    arguments, informs = reply
    assert arguments == reply.arguments == [b"2"]
    assert [inform.arguments for inform in informs] == [(b"0", b"a b"), (b"1", b"\xff\0")]


async def test_values_are_decoded_by_the_types_given(client, fake_device):
    fake_device.on("values", reply=("ok", 2.5, 7, "text", b"more"))
    assert await client.request("values", returns=(float, int, str)) == (2.5, 7, "text")


@pytest.mark.parametrize(
    ("types", "says"), [((float,) * 3, "has 1 values, not 3"), ((int,), "value 1")], ids=["too few", "wrong type"]
)
async def test_values_of_other_types_are_the_devices_fault(client, fake_device, types, says):
    fake_device.on("values", reply=("ok", 2.5))
    with pytest.raises(ProtocolError, match=says):
        await client.request("values", returns=types)


async def test_a_refusal_is_an_exception_that_says_all(client, fake_device):
    fake_device.on("set-rate", reply=("fail", "The pump is slewing"), informs=["why"])
    with pytest.raises(FailReply) as caught:
        await client.request("set-rate", 2.5)
    error = caught.value
    assert str(error) == "fake:7147: ?set-rate fail: The pump is slewing"
    assert error.text == "The pump is slewing"
    assert error.request.arguments == (b"2.5",)
    assert error.reply.arguments == (b"fail", b"The pump is slewing")
    assert [inform.arguments for inform in error.informs] == [(b"why",)]
    assert error.device == "fake:7147"


async def test_an_unknown_request_is_invalid(client):
    with pytest.raises(InvalidReply):
        await client.request("no-such-thing")


async def test_a_return_code_of_the_devices_own_is_kept(client, fake_device):
    fake_device.on("check-own", reply=(b"\0\n\r ", 42))
    with pytest.raises(FailReply) as caught:
        await client.request("check-own")
    assert caught.value.code == "\0\n\r "
    reply = await client.request("check-own", check=False)
    assert not reply.ok
    assert reply.code == "\0\n\r "
    assert reply.arguments == [b"42"]


@pytest.mark.parametrize("arguments", [(), ("fail",), ("fail", b"\xaf")], ids=["nothing", "no reason", "not text"])
async def test_a_meagre_refusal_is_still_a_refusal(client, fake_device, arguments):
    fake_device.on("x", reply=arguments)
    with pytest.raises(FailReply):
        await client.request("x")


async def test_the_log_lines_before_a_bare_fail_explain_it(client, fake_device):
    fake_device.on(
        "read",
        raw=b"#log info 1 x hello\n#log error 2 x no\\_such\\_register\n!read[2] fail\n",
    )
    fake_device.inform("log", "error", 0, "x", "long ago")
    await client.request("watchdog")
    with pytest.raises(FailReply, match="no such register") as caught:
        await client.request("read", "x")
    assert [inform.arguments[-1] for inform in caught.value.log] == [b"no such register"]
    assert "long ago" not in str(caught.value)


async def test_requests_in_flight_together_get_their_own_replies(client, fake_device):
    async def echo(peer, request):
        await asyncio.sleep(0)
        return request.arguments[0]

    fake_device.on("echo", echo)
    replies = await asyncio.gather(*(client.request("echo", number, returns=(int,)) for number in range(50)))
    assert replies == [(number,) for number in range(50)]


async def test_a_request_can_have_a_very_long_reply(client, fake_device):
    fake_device.on("read", reply=("ok", bytes(2_000_000)))
    reply = await client.request("read")
    assert reply.arguments == [bytes(2_000_000)]


async def test_a_line_over_the_bound_ends_its_request_and_no_other(fake_device):
    limits = Limits(max_reply_line=1000)

    async def connector():
        return connect_in_memory(fake_device, limits=limits)

    fake_device.on("read", reply=("ok", b"x" * 2000))
    async with Client(connector=connector, limits=limits) as client:
        with pytest.raises(LineTooLong, match="1000 bytes"):
            await client.request("read")
        assert (await client.request("watchdog")).ok


async def test_more_informs_than_the_bound_are_too_many(fake_device):
    fake_device.on("count", informs=range(10))
    async with make(fake_device, limits=Limits(max_informs=9)) as client:
        with pytest.raises(ReplyTooLong, match="more than 9 informs in the reply to"):
            await client.request("count")
        assert (await client.request("watchdog")).ok
        assert client.trouble.counts == {"late reply": 1}


@pytest.mark.parametrize("line", [b"!x[1] ok \\q\n", b"#x[1] \\q\n!x[1] ok\n"], ids=["reply", "inform"])
async def test_a_malformed_reply_does_not_wait_for_the_timeout(client, fake_device, line):
    fake_device.on("x", raw=line)
    with pytest.raises(MalformedMessage, match="bad escape"):
        await client.request("x", timeout=None)
    assert client.trouble.counts["malformed"] == 1
    assert (await client.request("watchdog")).ok


async def test_what_nobody_asked_for_is_counted_and_harms_nothing(client, fake_device, caplog):
    fake_device.send(
        "!surprise[3] ok",
        "!surprise ok",
        "#surprise[4] x",
        "?surprise",
        "junk",
        "#x \\q",
        "#x[9] \\q",
        "!x[9] \\q",
        "#y",
    )
    assert (await client.request("watchdog")).ok
    assert client.trouble.counts == {"unknown reply": 2, "unknown inform": 1, "request": 1, "malformed": 4}
    assert "surprise" in caplog.text
    assert len(fake_device.requests) == 1  # and nothing is said back


async def test_a_reply_under_another_name_is_no_reply(client, fake_device):
    fake_device.on("x", raw=b"!y[1] ok\n!x[1] ok 2\n")
    assert (await client.request("x")).arguments == [b"2"]


async def test_a_reply_sent_twice_counts_once(client, fake_device):
    fake_device.on("x", copies=2)
    assert (await client.request("x")).ok
    assert (await client.request("watchdog")).ok
    assert client.trouble.counts == {"unknown reply": 1}


async def test_wrong_calls_raise_where_they_are_made(client):
    with pytest.raises(ValueError, match="message name"):
        await client.request("no_name")
    with pytest.raises(TypeError):
        await client.request("x", object())
    assert not client.trouble.counts


@pytest.mark.parametrize("ids", [True, False])
async def test_too_many_requests_are_a_usage_error(fake_device, ids):
    protocol = "5.1-MI" if ids else "5.1-M"
    async with make(fake_device, protocol=protocol, limits=Limits(max_pending=2)) as client:
        fake_device.on("hang", reply=None)
        waiting = [asyncio.create_task(client.request("hang")) for _ in range(2)]
        await fake_device.received("hang", 2 if ids else 1)
        with pytest.raises(UsageError, match="2 requests"):
            await client.request("watchdog")
    for task in waiting:
        with pytest.raises(ConnectionLost, match="the client was closed"):
            await task


async def test_ids_begin_anew_after_the_largest(client, fake_device, monkeypatch):
    fake_device.on("hang", reply=None)
    first = asyncio.create_task(client.request("hang"))
    await fake_device.received("hang")
    monkeypatch.setattr("katcp_aio.client.pending.MAX_MID", 3)
    for _ in range(5):
        await client.request("watchdog")
    assert [request.mid for request in fake_device.requests.requests()] == [1, 2, 3, 2, 3, 2]
    first.cancel()


# Not connected


async def test_before_the_start_and_after_the_end_there_are_no_requests(fake_device):
    client = make(fake_device)
    with pytest.raises(UsageError, match="not started"):
        await client.request("watchdog")
    await client.close()
    await client.close()
    with pytest.raises(UsageError, match="closed"):
        await client.request("watchdog")
    with pytest.raises(UsageError):
        await client.start()
    with pytest.raises(NotConnected):
        await client.wait_connected()
    with pytest.raises(NotConnected):
        await client.wait_for_inform("x")
    async with client.informs("x") as informs:
        assert [inform async for inform in informs] == []


async def test_a_client_cannot_be_started_twice(client):
    with pytest.raises(UsageError):
        await client.start()
    assert (await client.request("watchdog")).ok


async def test_connecting_in_vain_ends_with_the_reason(fake_device, manual_clock):
    fake_device.refusing = True
    client = make(fake_device, timeout=3, clock=manual_clock)
    entering = asyncio.create_task(client.__aenter__())
    await manual_clock.advance(3)
    with pytest.raises(NotConnected, match=r"not connected within 3 s: the device refuses connections") as caught:
        await entering
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert client.state is State.CLOSED


async def test_the_one_attempt_of_a_client_that_does_not_reconnect(fake_device):
    fake_device.refusing = True
    client = make(fake_device, reconnect=None)
    with pytest.raises(NotConnected, match="the device refuses"):
        await client.__aenter__()
    with pytest.raises(UsageError):
        await client.request("watchdog")


async def test_a_client_that_does_not_reconnect_ends_with_its_connection(fake_device):
    async with make(fake_device, reconnect=None) as client:
        fake_device.on("hang", reply=None)
        fake_device.on("bye", reply=None, then="close")
        waiting = asyncio.create_task(client.request("hang"))
        with pytest.raises(ConnectionLost, match=r"closed by the device \(\?bye may have been carried out\)"):
            await client.request("bye")
        with pytest.raises(ConnectionLost):
            await waiting
        with pytest.raises(NotConnected, match=r"closed by the device \(\?watchdog was not sent\)"):
            await client.request("watchdog")
        assert client.state is State.CLOSED
        with pytest.raises(NotConnected, match="closed by the device"):
            await client.wait_connected()
        with pytest.raises(NotConnected, match=r"closed by the device \(\?watchdog was not sent\)"):
            await client.request("watchdog")


async def test_a_request_waits_for_the_connection_within_its_timeout(fake_device, manual_clock):
    fake_device.refusing = True
    client = make(fake_device, reconnect=Backoff(initial=1, randomness=0), clock=manual_clock)
    await client.start()
    asked = asyncio.create_task(client.request("watchdog", timeout=5))
    hopeless = asyncio.create_task(client.request("watchdog", timeout=0.5))
    await manual_clock.advance(0.5)
    with pytest.raises(RequestTimeout, match=r"\?watchdog: not sent within 0.5 s") as caught:
        await hopeless
    assert not caught.value.sent
    fake_device.refusing = False
    await manual_clock.advance(0.5)
    assert (await asked).ok
    assert len(fake_device.requests) == 1
    await client.close()


async def test_what_waits_for_a_connection_when_the_client_closes_was_not_sent(fake_device):
    fake_device.refusing = True
    client = make(fake_device)
    await client.start()
    asked = asyncio.create_task(client.request("watchdog"))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(NotConnected, match="was not sent"):
        await asked


async def test_connect_gives_a_connected_client(fake_device):
    client = await Client.connect("fake", connector=fake_device.connector)
    assert client.connected
    await client.close()


# Timeouts


async def test_no_reply_in_time(client, fake_device, manual_clock):
    fake_device.on("hang", reply=None)
    asked = [asyncio.create_task(client.request("hang", timeout=timeout)) for timeout in (2, 1, 1)]
    await manual_clock.advance(0.999)
    assert not asked[1].done()
    await manual_clock.advance(0.001)
    with pytest.raises(RequestTimeout, match=r"fake:7147: \?hang: no reply within 1 s") as caught:
        await asked[1]
    assert caught.value.sent
    assert caught.value.request.name == "hang"
    assert asked[2].done()
    assert not asked[0].done()
    await manual_clock.advance(1)
    for task in asked[::2]:
        with pytest.raises(RequestTimeout):
            await task


async def test_the_timeout_is_the_requests_or_the_devices_or_the_clients(client, fake_device, manual_clock):
    fake_device.on("hang", reply=None)
    fake_device.on("slow", delay=20)
    client.timeout_hints["slow"] = 30
    begin = manual_clock.monotonic()
    hanging = asyncio.create_task(client.request("hang"))
    slow = asyncio.create_task(client.request("slow"))
    hurried = asyncio.create_task(client.request("slow", timeout=1))
    patient = asyncio.create_task(client.request("hang", timeout=None))
    await manual_clock.advance(1)
    assert hurried.done()
    await manual_clock.advance(4)
    with pytest.raises(RequestTimeout, match="within 5 s"):
        await hanging
    await manual_clock.advance(15)
    assert (await slow).ok
    assert manual_clock.monotonic() == begin + 20
    with pytest.raises(RequestTimeout):
        await hurried
    await manual_clock.advance(1e6)
    assert not patient.done()
    patient.cancel()


async def test_a_late_reply_is_counted_and_goes_to_nobody(client, fake_device, manual_clock):
    fake_device.on("get", raw=b"#get[1] x\n!get[1] ok late\n", delay=2, times=1)
    fake_device.on("get", reply=("ok", "new"))
    fake_device.on("get", raw=b"#get[1] x\n!get[1] ok late\n", delay=2, times=1)
    late = asyncio.create_task(client.request("get", timeout=1))
    await manual_clock.advance(1)
    with pytest.raises(RequestTimeout):
        await late
    assert (await client.request("get")).arguments == [b"new"]
    await manual_clock.advance(1)
    assert client.trouble.counts == {"late reply": 1}
    assert (await client.request("get")).arguments == [b"new"]


async def test_a_late_reply_may_be_malformed(client, fake_device, manual_clock):
    fake_device.on("get", raw=b"#get[1] \\q\n!get[1] ok \\q\n", delay=2)
    late = asyncio.create_task(client.request("get", timeout=1))
    await manual_clock.advance(2)
    with pytest.raises(RequestTimeout):
        await late
    assert client.trouble.counts == {"malformed": 2}
    assert (await client.request("watchdog")).ok


async def test_a_request_that_is_still_owed_a_reply_holds_nothing_of_its_caller(client, fake_device, manual_clock):
    class Thing:
        pass

    async def ask():
        thing = Thing()
        with contextlib.suppress(RequestTimeout):
            await client.request("hang", timeout=1)
        return weakref.ref(thing)

    fake_device.on("hang", reply=None)
    asking = asyncio.create_task(ask())
    await manual_clock.advance(1)
    thing = await asking
    del asking
    gc.collect()
    assert thing() is None


# Building and dropping


def test_a_client_that_is_dropped_unclosed_says_so():
    async def forget():
        device = FakeDevice()
        await make(device).start()
        await device.connected()
        await device.close()

    def scenario():
        asyncio.run(forget())
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed <Client fake:7147"):
        scenario()


def test_a_client_that_is_kept_unclosed_to_the_end_of_its_loop_says_what_is_to_be_done():
    kept = []

    async def forget():
        async with FakeDevice() as device:
            kept.append(make(device))
            await kept[0].start()
            await device.connected()

    def scenario():
        asyncio.run(forget())
        kept.clear()
        gc.collect()

    advice = r"use async with, or await close\(\) before the loop ends"
    with pytest.warns(ResourceWarning, match=f"^unclosed <Client fake:7147>, whose task was cancelled: {advice}$"):
        scenario()


async def test_failed_attempts_are_told_in_the_log(fake_device, caplog):
    caplog.set_level(logging.WARNING, logger="katcp_aio.client")
    fake_device.refusing = True
    async with asyncio.timeout(5):
        with pytest.raises(NotConnected):
            await make(fake_device, reconnect=None).__aenter__()
    assert "the device refuses connections" in caplog.text


def test_a_wrong_argument_is_a_type_error_and_no_more():
    with pytest.raises(TypeError):
        Client(no_such_option=1)
    gc.collect()


def test_building_one_needs_no_loop():
    assert Client("::1", 7147).description == "[::1]:7147"
    assert Client(path="/run/pump").description == "/run/pump"
