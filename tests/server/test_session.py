import asyncio

import pytest

from katcp_aio import ConnectionLost, DeviceServer, Limits, RequestContext, UsageError, request
from katcp_aio.testing import serve as serve_in_memory


class Device(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.started = []
        self.ended = []
        self.gates = {}

    def gate(self, name) -> asyncio.Event:
        return self.gates.setdefault(name, asyncio.Event())

    async def request_wait(self, ctx: RequestContext, name: str):
        """Wait for the test to open a gate."""
        self.started.append(name)
        try:
            await self.gate(name).wait()
        finally:
            self.ended.append(name)
        return name

    @request(serial=True)
    async def request_serial(self, ctx: RequestContext, name: str):
        """Wait, and let nothing overtake."""
        return await self.request_wait(ctx, name)

    @request(cancel_on_disconnect=True)
    async def request_tied(self, ctx: RequestContext, name: str):
        """Wait as long as the client does."""
        return await self.request_wait(ctx, name)

    async def request_quick(self, ctx: RequestContext, name: str):
        """Answer at once."""
        self.started.append(name)
        return name

    async def request_task(self, ctx: RequestContext):
        """Tell in which task this runs."""
        return asyncio.current_task().get_name()

    async def request_rows(self, ctx: RequestContext, count: int):
        """Send many informs."""
        return await ctx.informs(("row", i) for i in range(count))

    async def request_yields(self, ctx: RequestContext, count: int):
        """Yield many informs."""
        for i in range(count):
            yield i

    async def request_big(self, ctx: RequestContext, size: int):
        """Return many bytes."""
        return b"x" * size


async def test_requests_with_ids_run_side_by_side_and_reply_when_ready(greeted):
    device = Device()
    peer = await greeted(device)
    peer.send("?wait[1] a", "?wait[2] b", "?quick[3] c")
    await peer.expect("!quick[3] ok c")
    assert device.started == ["a", "b", "c"]  # started in the order in which they came
    device.gate("b").set()
    await peer.expect("!wait[2] ok b")
    device.gate("a").set()
    await peer.expect("!wait[1] ok a")


async def test_requests_without_ids_are_answered_in_the_order_they_came(greeted):
    device = Device()
    peer = await greeted(device)
    peer.send("?wait a", "?quick b", "?watchdog", "?wait c", "?wait d")
    device.gate("d").set()
    device.gate("c").set()
    await asyncio.sleep(0)
    assert device.started in [[], ["a"]]
    device.gate("a").set()
    await peer.expect("!wait ok a", "!quick ok b", "!watchdog ok", "!wait ok c", "!wait ok d")


@pytest.mark.parametrize("whole_server", [False, True])
async def test_serial_requests_let_nothing_overtake(greeted, whole_server):
    device = Device(serial=whole_server)
    peer = await greeted(device)
    peer.send(f"?{'wait' if whole_server else 'serial'}[1] a", "?quick[2] b", "?watchdog[3]")
    other = await greeted(peer.served)
    assert (await other.ask("?watchdog[1]"))[-1].ok  # other clients are not held up
    assert device.started == ["a"]
    device.gate("a").set()
    first = await peer.message("wait" if whole_server else "serial")
    assert first.arguments == (b"ok", b"a")
    await peer.expect("!quick[2] ok b", "!watchdog[3] ok")


async def test_a_handler_that_does_not_wait_has_no_task_of_its_own(greeted):
    peer = await greeted(Device())
    before = len(asyncio.all_tasks())
    peer.send(*[f"?quick[{i}] x" for i in range(1, 101)])
    for i in range(1, 101):
        await peer.expect(f"!quick[{i}] ok x")
    assert len(asyncio.all_tasks()) == before


async def test_a_client_at_its_bound_is_not_read_and_others_do_not_notice(greeted):
    device = Device(limits=Limits(max_in_flight=4))
    peer = await greeted(device)
    peer.send(*[f"?wait[{i}] {i}" for i in range(1, 401)])
    other = await greeted(peer.served, announced_to=[peer])
    for i in range(1, 20):
        assert (await other.ask(f"?watchdog[{i}]"))[-1].ok
    assert device.started == ["1", "2", "3", "4"]
    (client, _) = device.clients
    assert client.in_flight == 4
    device.gate("3").set()
    await peer.expect("!wait[3] ok 3")
    await other.ask("?watchdog[20]")
    assert device.started == ["1", "2", "3", "4", "5"]
    for i in range(1, 401):
        device.gate(str(i)).set()
    replies = {(await peer.message("wait")).mid for _ in range(399)}
    assert replies == set(range(1, 401)) - {3}


async def test_a_half_closed_client_gets_its_answers(greeted):
    device = Device()
    peer = await greeted(device)
    peer.send("?wait[1] a", "?watchdog[2]", "?rows[3] 3")
    peer.half_close()
    await peer.expect("!watchdog[2] ok", "#rows[3] row 0", "#rows[3] row 1", "#rows[3] row 2", "!rows[3] ok 3")
    assert not peer.eof
    device.gate("a").set()
    await peer.expect("!wait[1] ok a")
    assert await peer.end() == []
    assert device.clients == ()


async def test_a_line_that_is_not_finished_is_no_request(greeted):
    device = Device()
    peer = await greeted(device)
    peer.send_raw(b"?quick[1] a\n?quick[2] b")
    peer.half_close()
    await peer.expect("!quick[1] ok a")
    assert await peer.end() == []
    assert device.started == ["a"]


async def test_when_its_client_goes_a_handler_runs_on(greeted):
    device = Device()
    peer = await greeted(device)
    peer.send("?wait[1] a", "?tied[2] b", "?wait[3] c")
    await peer.ask("?watchdog[4]")
    peer.abort()
    other = await greeted(peer.served)
    await other.ask("?watchdog[1]")
    assert device.started == ["a", "b", "c"]
    assert device.ended == ["b"]  # which was tied to its client
    assert len(device.clients) == 1
    device.gate("a").set()
    device.gate("c").set()
    await other.ask("?watchdog[2]")
    assert device.ended == ["b", "a", "c"]


async def test_requests_of_a_dead_client_that_were_not_started_never_are(greeted):
    device = Device(limits=Limits(max_in_flight=1))
    peer = await greeted(device)
    peer.send("?wait[1] a", "?quick[2] b")
    other = await greeted(peer.served)
    await other.ask("?watchdog[1]")
    peer.abort()
    await other.ask("?watchdog[2]")
    device.gate("a").set()
    await other.ask("?watchdog[3]")
    assert device.started == ["a"]


@pytest.mark.parametrize("turns", range(3))
async def test_nor_are_those_that_are_read_when_it_has_gone(greeted, turns):
    """The server would not know of them, and could not end them when it stops."""
    device = Device(limits=Limits(max_in_flight=1))
    peer = await greeted(device)
    other = await greeted(peer.served)
    peer.send("?wait[1] a")
    await other.ask("?watchdog[1]")
    peer.send("?wait[2] b")  # is not read yet: one is in flight
    await other.ask("?watchdog[2]")
    device.gate("a").set()
    for _ in range(turns):
        await asyncio.sleep(0)
    peer.abort()
    await other.ask("?watchdog[3]")
    await device.stop(0)
    assert device.started == device.ended


async def test_what_dead_clients_left_running_is_bounded(greeted, caplog):
    device = Device(limits=Limits(max_abandoned=3))
    peer = await greeted(device)
    peer.send(*[f"?wait[{i}] {i}" for i in range(1, 6)])
    await peer.ask("?watchdog[9]")
    peer.abort()
    other = await greeted(peer.served)
    await other.ask("?watchdog[1]")
    assert device.ended == ["1", "2"]  # the oldest
    assert device.trouble.counts["abandoned"] == 2
    for i in range(1, 6):
        device.gate(str(i)).set()


async def test_long_replies_give_others_their_turn(greeted):
    """What counts is not time, but how much of the long reply had to be made before the other had its answer."""
    device = Device(limits=Limits(batch_time=1e-9))
    peer = await greeted(device)
    other = await greeted(peer.served)
    for name in ("rows", "yields"):
        peer.send(f"?{name}[1] 5000")
        await peer.line()
        await other.ask("?watchdog[1]")
        seen = len(peer.unread)
        assert seen < 4000
        while (await peer.message(name)).type.value != "!":
            pass


async def test_a_client_that_does_not_read_is_not_read_either(greeted):
    limits = Limits(write_high=1000, write_low=100)
    device = Device(limits=limits)
    peer = await greeted(device)
    other = await greeted(peer.served, announced_to=[peer])
    peer.pause()
    peer.send(*[f"?big[{i}] 2000" for i in range(1, 101)], "?quick[200] last")
    for i in range(1, 10):
        await other.ask(f"?watchdog[{i}]")
    assert "last" not in device.started
    (client, _) = device.clients
    assert client.connection.backlog < 10_000
    peer.resume()
    for i in range(1, 101):
        assert len(await peer.line()) > 2000, i
    await peer.expect("!quick[200] ok last")


async def test_a_client_that_never_reads_is_disconnected_and_costs_little(manual_clock, greeted, caplog):
    device = Device(limits=Limits(write_high=1000, write_low=100, stall_timeout=30), clock=manual_clock)
    peer = await greeted(device)
    peer.pause()
    peer.send("?rows[1] 100000")
    await manual_clock.advance(29)
    (client,) = device.clients
    assert client.connection.backlog < 10_000
    await manual_clock.advance(32)
    assert device.clients == ()
    assert device.trouble.counts["dropped"] == 1
    assert "did not read" in caplog.text


async def test_informs_nobody_reads_end_the_connection_at_the_bound(greeted, caplog):
    device = Device(limits=Limits(max_backlog=50_000, write_high=1000, write_low=100))
    peer = await greeted(device)
    other = await greeted(peer.served)
    peer.pause()
    for i in range(1, 300):
        device.inform_all("news", b"n" * 1000)
        await other.ask(f"?watchdog[{i}]")
        other.received.clear()
    assert len(device.clients) == 1
    assert "left more than 50000 bytes unread" in caplog.text


async def test_a_handler_that_sends_to_a_client_that_went_ends_quietly(greeted, caplog):
    device = Device(limits=Limits(write_high=1000, write_low=100))
    peer = await greeted(device)
    peer.pause()
    peer.send("?rows[1] 100000")
    other = await greeted(peer.served)
    await other.ask("?watchdog[1]")
    peer.abort()
    await other.ask("?watchdog[2]")
    assert len(device.clients) == 1
    assert caplog.records == []


async def test_a_client_is_sent_away_with_any_reason(greeted, device_class):
    peer = await greeted(device_class())
    (client,) = peer.served.server.clients
    client.disconnect("no room for \udcff")
    assert await peer.end() == [rb"#disconnect no\_room\_for\_\\udcff"]


async def test_the_client_as_handlers_see_it(device_class, greeted):
    class Talkative(device_class):
        async def request_who(self, ctx: RequestContext):
            """Tell who asks."""
            ctx.client.inform("you", ctx.client.description, ctx.client.address is None)
            with pytest.raises(UsageError, match=r"#who would be taken for part of the reply to \?who"):
                ctx.client.inform("who")
            ctx.logger.warning("asked")
            return ctx.message.mid

        async def request_leave(self, ctx: RequestContext):
            """End the connection."""
            ctx.client.disconnect("as you wish")

    peer = await greeted(Talkative())
    await peer.ask("?who[3]")
    assert peer.received.items[-2].name == "you"
    peer.send("?leave[4]")
    await peer.expect(r"#disconnect as\_you\_wish")
    assert await peer.end() == []


async def test_the_logger_of_a_request_names_client_and_request(greeted, caplog, device_class):
    class Logging(device_class):
        async def request_note(self, ctx: RequestContext):
            """Log something."""
            ctx.logger.error("something")

    peer = await greeted(Logging())
    await peer.ask("?note[1]")
    assert "something [memory ?note]" in caplog.text


async def test_one_byte_at_a_time(serve):
    served = await serve(Device())
    peer = served.peer(chunk=1)
    peer.send("?quick[1] a", "?yields[2] 3", r"?quick[3] \_\\")
    replies = [await peer.message("quick")]
    while len(replies) < 2:
        replies.append(await peer.message("quick"))
    assert [reply.arguments[1] for reply in replies] == [b"a", b" \\"]


async def test_a_failing_connect_hook_disconnects_its_client_alone(serve, device_class, caplog):
    class Picky(device_class):
        async def on_client_connect(self, client):
            if len(self.clients) > 1:
                raise ValueError("one is enough")

    served = await serve(Picky())
    first = served.peer()
    await first.ask("?watchdog[1]")
    second = served.peer()
    lines = await second.end()
    assert lines[-1] == rb"#disconnect internal\_error"
    await first.ask("?watchdog[2]")
    assert "one is enough" in caplog.text


async def test_a_slow_connect_hook_holds_up_its_client_alone_and_ends_with_it(serve, device_class):
    class Slow(device_class):
        ended = 0

        async def on_client_connect(self, client):
            client.inform("wait-please")
            if len(self.clients) == 1:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.ended += 1

    served = await serve(Slow())
    first = served.peer()
    first.send("?watchdog[1]")
    await first.message("wait-please")
    second = served.peer()
    assert (await second.ask("?watchdog[1]"))[-1].ok
    assert not [message for message in first.received.items if message.name == "watchdog"]
    first.abort()
    await second.ask("?watchdog[2]")
    assert served.server.ended == 1
    assert len(served.server.clients) == 1


async def test_connection_lost_reaches_a_handler_that_drains():
    class Streaming(Device):
        caught = None

        async def request_stream(self, ctx: RequestContext):
            """Send without an end."""
            try:
                await ctx.informs(iter(lambda: "x", None))
            except ConnectionLost as error:
                Streaming.caught = error
                raise

    async with serve_in_memory(Streaming(limits=Limits(write_high=1000, write_low=100))) as served:
        peer, other = served.peer(), served.peer()
        peer.pause()
        peer.send("?stream[1]")
        await other.ask("?watchdog[1]")
        peer.abort()
        await other.ask("?watchdog[2]")
        assert isinstance(Streaming.caught, ConnectionLost)


@pytest.mark.parametrize("mid", ["[1]", ""])
async def test_a_handler_that_is_cancelled_in_its_last_moment_harms_no_other_request(greeted, mid):
    async def last(ctx):
        ctx.task.cancel()
        return 5

    device = Device()
    device.add_request("last", last)
    peer = await greeted(device)
    peer.send(f"?last{mid}", "?quick[2] a")
    await peer.expect(f"!last{mid} ok 5", "!quick[2] ok a")
    assert (await peer.ask("?watchdog[3]"))[-1].ok


async def test_stopping_waits_for_a_handler_that_cleans_up_after_its_client(serve, greeted):
    served = await serve(Device())
    started, cleaned = asyncio.Event(), []

    async def tied(_ctx):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            cleaned.append(True)

    served.server.add_request("clean", tied, cancel_on_disconnect=True)
    peer = await greeted(served)
    peer.send("?clean[1]")
    await started.wait()
    peer.abort()
    await asyncio.sleep(0)
    await served.server.stop()
    assert cleaned == [True]


@pytest.mark.parametrize("ids", [True, False])
async def test_a_task_whose_handler_is_cancelled_ends_and_its_client_is_served_on(greeted, ids):
    device = Device(limits=Limits(max_in_flight=1))
    tasks = []
    held = asyncio.Event()

    async def hold(_ctx):
        tasks.append(asyncio.current_task())
        held.set()
        await asyncio.Event().wait()

    device.add_request("hold", hold)
    peer = await greeted(device)
    mid = "[1]" if ids else ""
    peer.send(f"?hold{mid}")
    await held.wait()
    peer.send("?watchdog[2]")  # waits, at the bound or for its order
    tasks[0].cancel()
    await peer.expect(rf"!hold{mid} fail request\_cancelled", "!watchdog[2] ok")
    await asyncio.wait(tasks)  # as a loop does that is shut down: it would wait for ever
