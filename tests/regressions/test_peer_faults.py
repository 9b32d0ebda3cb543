"""Faults that were seen in other libraries of this protocol, each looked for as a client or an author would meet it.

Those that belong to one part of this library are with the tests of that part; here are those that go through several.
"""

import asyncio
import gc
import logging
import weakref

import pytest

from katcp_aio import DeviceServer, Limits, RequestContext, Sensor, request
from katcp_aio.testing import serve as serve_in_memory


class Device(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gate = asyncio.Event()
        self.rate = self.sensors.add(Sensor(float, "rate", "Pump rate", "Hz"))
        self.sensors.add(Sensor(int, "int.count", "Packets"))

    async def request_wait(self, ctx: RequestContext):
        """Wait for the test."""
        await self.gate.wait()

    async def request_echo(self, ctx: RequestContext, *arguments: bytes):
        """Return the arguments."""
        return arguments


async def greeted(served):
    """Return a client that has heard what every client hears first."""
    peer = served.peer()
    await peer.ask("?watchdog[2147483647]")
    peer.received.clear()
    return peer


# aiokatcp, section 4 A


async def test_hung_requests_of_a_dead_client_do_not_count_against_the_living(serve):
    served = await serve(Device(limits=Limits(max_in_flight=2)))
    dead = await greeted(served)
    dead.send("?wait[1]", "?wait[2]", "?wait[3]")
    living = await greeted(served)
    dead.abort()
    living.send("?wait[1]")
    for i in range(2, 50):
        assert (await living.ask(f"?watchdog[{i}]"))[-1].ok
    served.server.gate.set()
    await living.message("wait")


async def test_a_stalled_client_that_subscribes_again_and_again_is_held_back_in_the_midst_of_it(serve):
    """No lock, no reply and no first reading is exempt from the bound on what waits for a client."""
    limits = Limits(write_high=10_000, write_low=1000, max_backlog=100_000)
    device = Device(limits=limits)
    names = [device.sensors.add(Sensor(bytes, f"big.{i}", default=b"x" * 1000)).name for i in range(200)]
    served = await serve(device)
    deaf, other = await greeted(served), await greeted(served)
    deaf.pause()
    for i in range(1, 100):
        deaf.send(f"?sensor-sampling[{i}] {','.join(names)} event")
    for i in range(1, 100):
        for name in names[:20]:
            device.sensors[name].value = b"y" * 1000
        assert (await other.ask(f"?watchdog[{i}]"))[-1].ok
    client = next(client for client in device.clients if client.sampler is not None)
    assert client.connection.backlog < 50_000
    deaf.resume()
    replies = [await deaf.message("sensor-sampling") for _ in range(1, 100)]
    assert {(reply.mid, reply.arguments[0]) for reply in replies} == {(i, b"ok") for i in range(1, 100)}


@pytest.mark.parametrize("docstring", ["", "\n", "   \n\n  ", "One.\n\n\n", "\x00\x1b[2J", "Gr\u00fc\u00dfe \ud83d"])
async def test_a_handler_with_an_odd_docstring_breaks_no_help(serve, docstring):
    async def odd(ctx: RequestContext):
        pass

    odd.__doc__ = docstring
    served = await serve(Device())
    served.server.add_request("odd", odd)
    peer = await greeted(served)
    *rows, reply = await peer.ask("?help[1]")
    assert reply.arguments == (b"ok", str(len(served.server.handlers)).encode())
    assert all(len(row.arguments) == 2 for row in rows)
    assert (await peer.ask("?help[2] odd"))[-1].ok


async def test_a_request_that_was_held_back_is_not_started_while_the_server_stops(manual_clock, serve):
    device = Device(limits=Limits(max_in_flight=1), clock=manual_clock)
    served = await serve(device)
    peer = await greeted(served)
    peer.send("?wait[1]", "?wait[2]", "?wait[3]")
    await manual_clock.settle()
    stopping = asyncio.ensure_future(device.stop())
    await manual_clock.settle()
    device.gate.set()
    await manual_clock.advance(2)
    await stopping
    lines = await peer.end()
    assert [line for line in lines if line.startswith(b"!")] == [b"!wait[1] ok"]
    assert not [task for task in asyncio.all_tasks() if "katcp" in task.get_name()]


async def test_a_server_that_was_built_outside_the_loop_can_be_stopped():
    device = await asyncio.to_thread(Device)
    async with device:
        assert device.address is not None
    assert not device.running


# katcp-python, sections 1.5, 2 and 3


async def test_lines_may_end_in_any_way_and_come_in_any_pieces(serve):
    served = await serve(Device())
    peer = await greeted(served)
    for piece in (b"?echo a\r\n?ec", b"ho b\r?echo ", b"c\n", b"\n\r \t\n", b"?echo d\r"):
        peer.send_raw(piece)
    await peer.expect("!echo ok a", "!echo ok b", "!echo ok c", "!echo ok d")


async def test_a_line_of_blanks_is_ignored_and_a_bad_one_is_answered_and_harms_nothing(serve, caplog):
    peer = await greeted(await serve(Device()))
    peer.send(" \t ", "bad msg", "?watchdog[1]")
    log = await peer.message()
    assert (log.name, log.arguments[0], log.arguments[2]) == ("log", b"error", b"katcp-aio")
    assert b"Traceback" not in log.arguments[3]
    await peer.expect("!watchdog[1] ok")


async def test_nobody_asked_for_it_nobody_answers_it(serve):
    peer = await greeted(await serve(Device()))
    peer.send("#whatever 1 2", "?watchdog[1]")
    await peer.expect("!watchdog[1] ok")


@pytest.mark.parametrize("mid", ["", "[17]"])
async def test_informs_of_a_reply_carry_its_id_and_those_of_sampling_never_do(serve, mid):
    peer = await greeted(await serve(Device()))
    for name in ("help", "sensor-list", "sensor-value", "version-list", "client-list", "request-timeout-hint"):
        *rows, reply = await peer.ask(f"?{name}{mid}")
        assert reply.arguments == (b"ok", str(len(rows)).encode())
        assert {row.mid for row in rows} <= {reply.mid}
    peer.send(f"?sensor-sampling{mid} rate event")
    assert bytes(await peer.message()).startswith(b"#sensor-status ")
    await peer.expect(f"!sensor-sampling{mid} ok rate event")


async def test_names_and_expressions_as_old_clients_ask(serve):
    peer = await greeted(await serve(Device()))
    for request_, count in (("", b"2"), (" //", b"2"), (" /^int/", b"1"), (" /nothing/", b"0"), (" rate", b"1")):
        for name in ("sensor-list", "sensor-value"):
            assert (await peer.ask(f"?{name}{request_}"))[-1].arguments == (b"ok", count)
    for name in ("sensor-list", "sensor-value"):
        for bad in ("nope", "/", "rate,int.count"):
            (reply,) = await peer.ask(f"?{name} {bad}")
            assert reply.arguments[0] == b"fail"
            assert reply.arguments[1].startswith(b"Unknown sensor")  # which old clients look for
    (reply,) = await peer.ask("?sensor-sampling /^int/ event")
    assert reply.arguments == (b"fail", b"Unknown sensor '/^int/'")
    (reply,) = await peer.ask("?help nope")
    assert reply.arguments[1].startswith(b"Unknown request")
    (reply,) = await peer.ask("?nope")
    assert (reply.arguments[0], reply.arguments[1][:15]) == (b"invalid", b"Unknown request")


async def test_nothing_is_sent_but_messages_when_the_server_halts(serve):
    served = await serve(Device())
    peer = await greeted(served)
    peer.send("?halt[1]")
    assert await peer.end() == [b"!halt[1] ok", rb"#disconnect server\_shutting\_down"]


async def test_a_request_is_replied_to_once_whatever_its_handler_does(serve, caplog):
    class Twice(Device):
        async def request_twice(self, ctx: RequestContext):
            """Reply, and return something as well."""
            ctx.reply("ok", "first")
            return "second"

    peer = await greeted(await serve(Twice()))
    peer.send("?twice[1]", "?watchdog[2]")
    await peer.expect("!twice[1] ok first", "!watchdog[2] ok")


async def test_a_sensor_is_removed_and_comes_back_and_can_be_sampled_again(serve):
    served = await serve(Device())
    device = served.server
    peer = await greeted(served)
    await peer.ask("?sensor-sampling[1] rate event")
    device.sensors.remove("rate")
    await peer.expect("#interface-changed sensor rate removed")
    device.rate.value = 1.0
    device.sensors.add(device.rate)
    await peer.expect("#interface-changed sensor rate added")
    device.rate.value = 2.0
    peer.send("?sensor-sampling[2] rate event")
    status = await peer.message()  # the first of the new subscription: nothing came of the old one
    assert (status.name, status.arguments[-1]) == ("sensor-status", b"2.0")
    await peer.expect("!sensor-sampling[2] ok rate event")
    device.rate.value = 3.0
    assert (await peer.message("sensor-status")).arguments[-1] == b"3.0"


async def test_a_sensor_that_is_changed_before_the_server_starts_does_no_harm():
    device = Device()
    device.sensors.remove("rate")
    device.rate.value = 1.0
    device.inform_all("news")
    async with device:
        assert "rate" not in device.sensors


async def test_a_slow_request_can_be_overtaken_and_cancelled_by_another(serve):
    class Slow(Device):
        async def request_finish(self, ctx: RequestContext):
            """Have ?wait end."""
            self.gate.set()

    peer = await greeted(await serve(Slow()))
    peer.send("?wait[1]", "?watchdog[2]", "?finish[3]")
    await peer.expect("!watchdog[2] ok", "!finish[3] ok", "!wait[1] ok")


async def test_many_requests_at_once_are_all_answered(serve):
    """A queue that overflows must not lose a request in silence."""
    peer = await greeted(await serve(Device(limits=Limits(max_in_flight=3))))
    peer.send(*[f"?echo[{i}] {i}" for i in range(1, 1001)])
    assert [(await peer.message("echo")).mid for _ in range(1000)] == list(range(1, 1001))


async def test_two_servers_of_one_class_have_a_log_level_each(serve):
    one, other = await greeted(await serve(Device())), await greeted(await serve(Device()))
    await one.ask("?log-level all")
    assert (await other.ask("?log-level"))[-1].arguments == (b"ok", b"warn")
    assert logging.getLogger("katcp_aio").level == logging.NOTSET


async def test_no_refusal_shows_the_inside_of_the_server(serve, caplog):
    class Fragile(Device):
        async def request_break(self, ctx: RequestContext):
            """Fail in a way that nobody foresaw."""
            raise RuntimeError("password hunter2 in /etc/secret")

        async def request_unsendable(self, ctx: RequestContext):
            """Return what has no form on the wire."""
            return {"pid": 1}

    peer = await greeted(await serve(Fragile()))
    asked = [
        "?log-level loud",
        "?log-limit \\@",
        "?sensor-list /(/",
        "?sensor-value /[/",
        "?sensor-sampling rate period x",
        "?sensor-sampling rate period",
        "?sensor-sampling rate nope",
        "?help a b c",
        "?break",
        "?unsendable",
        "?nope",
        "?echo[0]",
        "?restart",
    ]
    peer.send(*asked, "?watchdog[1]")
    await peer.message("watchdog")
    text = b"\n".join(bytes(message) for message in peer.received.items)
    assert len(peer.received.items) == len(asked) + 1
    for secret in (b"Traceback", b".py", b"hunter2", b"/etc", b"0x"):
        assert secret not in text


async def test_a_server_that_was_stopped_can_be_forgotten():
    async def life():
        device = Device(limits=Limits(close_timeout=0.02))
        async with serve_in_memory(device) as served:
            peer = await greeted(served)
            await peer.ask("?sensor-sampling rate event")
            await peer.ask("?help")
            await device.stop()
            await peer.end()
        return weakref.ref(device)

    device = await life()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert device() is None


@pytest.mark.parametrize("protocol", ["4.0", "5.0", "5.1"])
async def test_handlers_for_some_versions_are_there_in_these_only(serve, protocol):
    class Filtered(Device):
        @request(protocols={5})
        async def request_new(self, ctx: RequestContext):
            """Say hello."""

        @request(flag="B")
        async def request_newest(self, ctx: RequestContext):
            """Say hello."""

        @request(protocols={4})
        async def request_old(self, ctx: RequestContext):
            """Say hello."""

    peer = await greeted(await serve(Filtered(protocol=protocol)))
    found = {name for name in ("new", "newest", "old") if (await peer.ask(f"?{name}"))[-1].ok}
    assert found == {"4.0": {"old"}, "5.0": {"new"}, "5.1": {"new", "newest"}}[protocol]


async def test_one_sensor_that_cannot_be_told_does_not_hide_the_others(serve, caplog):
    """Values are checked where they are set, so that ?sensor-value never finds one that has no form on the wire."""
    device = Device()
    sensor = device.sensors.add(Sensor(str, "note"))
    with pytest.raises((TypeError, ValueError)):
        sensor.value = "half a pair \ud83d"
    with pytest.raises(TypeError):
        device.rate.value = "fast"
    peer = await greeted(await serve(device))
    assert (await peer.ask("?sensor-value"))[-1].arguments == (b"ok", b"3")


@pytest.mark.parametrize("name", ["a,b", "a b", "/a/", "", "é", "a/b", "a\n"])
def test_a_sensor_name_that_no_client_could_ask_for_is_refused(name):
    with pytest.raises(ValueError, match="is no sensor name"):
        Sensor(int, name)


async def test_bytes_that_are_no_text_are_refused_wherever_an_argument_can_stand(serve, caplog):
    served = await serve(Device())
    peer = await greeted(served)
    odd = rb"\0\e[2J" + b"\xff\xfe\x80"
    for name in [*served.server.handlers, "no-such-request"]:
        if name in ("halt", "restart"):
            continue  # they take no argument, and would end the test
        for arguments in (odd, b"rate " + odd, b"rate period " + odd, b"/" + odd + b"/"):
            code = (await peer.ask(b"?%b %b" % (name.encode(), arguments)))[-1].arguments[0]
            assert code in (b"ok", b"fail", b"invalid")
    assert (await peer.ask(b"?echo " + odd))[-1].arguments == (b"ok", b"\0\x1b[2J\xff\xfe\x80")
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("odd", ["é", r"\e[2J", "x" * 100_000])
async def test_texts_for_people_are_short_and_plain_ascii_whatever_the_client_said(serve, odd):
    """5.1, section 2: printable ASCII, and the ends of lines."""
    peer = await greeted(await serve(Device()))
    for line in (
        f"?sensor-list {odd}",
        f"?sensor-value /{odd}(/",
        f"?sensor-sampling {odd} event",
        f"?sensor-sampling rate,{odd} event",
        f"?sensor-sampling rate {odd}",
        f"?sensor-sampling rate period {odd}",
        f"?help {odd}",
        f"?log-level {odd}",
        f"?request-timeout-hint {odd}",
        f"?{'x' * len(odd)}",
    ):
        (reply,) = await peer.ask(line)
        text = reply.arguments[1].decode("ascii")
        assert text.isprintable()
        assert len(text) < 400
