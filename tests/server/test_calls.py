import asyncio
import logging

import pytest

from katcp_aio import DeviceServer, FailReply, InvalidReply, KatcpError, RequestContext, UsageError
from katcp_aio.errors import RequestTimeout
from katcp_aio.wire.message import Message


class Device(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.outcomes = []

    async def request_nothing(self, ctx):
        """Return nothing."""

    def request_plain(self, ctx, number: int) -> int:
        """Double a number."""
        return 2 * number

    async def request_many(self, ctx):
        """Return several values."""
        return 1, "two", True, 0.5, b"\x00"

    async def request_fail(self, ctx):
        """Fail."""
        raise FailReply("not now")

    async def request_code(self, ctx):
        """Fail with a code of its own."""
        raise FailReply("later", code="busy")

    async def request_invalid(self, ctx):
        """Refuse the arguments."""
        raise InvalidReply("not so")

    async def request_crash(self, ctx):
        """Break."""
        raise RuntimeError("the password is hunter2")

    def request_plain_crash(self, ctx):
        """Break at once."""
        raise RuntimeError("the password is hunter2")

    async def request_downstream(self, ctx):
        """Ask another device, which does not answer."""
        raise RequestTimeout(Message.request("far"), 5.0, device="far:1")

    async def request_unwritable(self, ctx):
        """Return what no message can hold."""
        return {"a": 1}

    async def request_early(self, ctx: RequestContext):
        """Reply before the work is done."""
        ctx.reply("ok", "early")
        await asyncio.sleep(0)
        self.outcomes.append(ctx.replied)

    async def request_twice(self, ctx: RequestContext):
        """Reply twice."""
        ctx.reply("ok", 1)
        try:
            ctx.reply("ok", 2)
        except UsageError as error:
            self.outcomes.append(str(error))
        try:
            ctx.inform("late")
        except UsageError as error:
            self.outcomes.append(str(error))
        return 3

    async def request_no_code(self, ctx: RequestContext):
        """Reply without a return code, which would be no reply."""
        ctx.reply()

    async def request_early_then_fail(self, ctx: RequestContext):
        """Fail after the reply."""
        ctx.reply("ok")
        raise FailReply("too late")

    async def request_informs(self, ctx: RequestContext):
        """Send informs in both ways."""
        ctx.inform("one", 1)
        return await ctx.informs([("two", 2), "three"])

    async def request_rows(self, ctx):
        """Yield informs."""
        yield 1, "a"
        await asyncio.sleep(0)
        yield "b"

    async def request_rows_fail(self, ctx):
        """Yield and then fail."""
        yield "first"
        raise FailReply("the second is missing")

    async def request_no_rows(self, ctx):
        """Yield nothing."""
        return
        yield

    async def request_cancelled_inside(self, ctx):
        """Wait for a task that is cancelled."""
        task = asyncio.ensure_future(asyncio.sleep(100))
        asyncio.get_running_loop().call_soon(task.cancel)
        await task

    def request_result_of_cancelled(self, ctx):
        """Take the result of what was cancelled."""
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        return future.result()

    def request_fail_object(self, ctx):
        """Fail with what is no text."""
        raise FailReply(ValueError("no such pump"))

    async def request_fail_surrogate(self, ctx):
        """Fail with text that UTF-8 cannot say, as of a file name."""
        raise FailReply("no file \udcff")

    async def request_wait(self, ctx: RequestContext):
        """Wait until it is cancelled."""
        self.outcomes.append(ctx.task)
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("request_line", "answer"),
    [
        ("?nothing", ["!nothing ok"]),
        ("?nothing[7]", ["!nothing[7] ok"]),
        ("?no-code", [r"!no-code fail ?no-code:\_TypeError\_in\_the\_device,\_error\_1"]),
        ("?plain[1] 21", ["!plain[1] ok 42"]),
        ("?many", [r"!many ok 1 two 1 0.5 \0"]),
        ("?fail[3]", [r"!fail[3] fail not\_now"]),
        ("?code", ["!code busy later"]),
        ("?invalid", [r"!invalid invalid not\_so"]),
        ("?fail-object", [r"!fail-object fail no\_such\_pump"]),
        ("?fail-surrogate[6]", [r"!fail-surrogate[6] fail no\_file\_\\udcff"]),
        ("?informs[9]", ["#informs[9] one 1", "#informs[9] two 2", "#informs[9] three", "!informs[9] ok 2"]),
        ("?rows[5]", ["#rows[5] 1 a", "#rows[5] b", "!rows[5] ok 2"]),
        ("?rows-fail", ["#rows-fail first", r"!rows-fail fail the\_second\_is\_missing"]),
        ("?no-rows", ["!no-rows ok 0"]),
        ("?early[2]", ["!early[2] ok early"]),
        ("?nosuch[4] a", [r"!nosuch[4] invalid Unknown\_request\_'nosuch'"]),
        ("?plain", [r"!plain invalid missing\_argument\_number"]),
        ("?plain x", [r"!plain invalid argument\_number:\_'x'\_is\_no\_integer"]),
        ("?plain 1 2", [r"!plain invalid too\_many\_arguments\_for\_?plain:\_at\_most\_1,\_got\_2"]),
        ("?watchdog 1", [r"!watchdog invalid too\_many\_arguments\_for\_?watchdog:\_at\_most\_0,\_got\_1"]),
        ("?cancelled-inside", [r"!cancelled-inside fail request\_cancelled"]),
        ("?result-of-cancelled[8]", [r"!result-of-cancelled[8] fail request\_cancelled"]),
    ],
)
async def test_each_end_of_a_handler_has_one_reply(greeted, request_line, answer):
    peer = await greeted(Device())
    peer.send(request_line)
    await peer.expect(*answer)
    peer.send("?watchdog[99]")
    await peer.expect("!watchdog[99] ok")


@pytest.mark.parametrize("name", ["crash", "plain-crash", "unwritable"])
async def test_an_unexpected_exception_is_one_line_for_the_client_and_a_traceback_in_the_log(greeted, caplog, name):
    peer = await greeted(Device())
    (reply,) = await peer.ask(f"?{name}[1]")
    code, text = reply.arguments
    assert code == b"fail"
    for inside in (b"hunter2", b"Traceback", b".py", b"\n"):
        assert inside not in text
    assert name.encode() in text
    assert any(record.exc_info for record in caplog.records)


async def test_the_line_for_the_client_leads_to_the_traceback_in_the_log(greeted, caplog):
    device = Device()
    peer = await greeted(device)
    for number in (1, 2):
        (reply,) = await peer.ask("?crash")
        assert reply.arguments[1].endswith(b" in the device, error %d" % number)
    assert [record.getMessage() for record in caplog.records if record.exc_info or record.exc_text] == [
        f"?crash of client memory, error {number}" for number in (1, 2)
    ]
    assert device.trouble.counts == {"error": 2}


async def test_debug_sends_the_traceback(greeted):
    peer = await greeted(Device(debug=True))
    (reply,) = await peer.ask("?crash")
    assert b"hunter2" in reply.arguments[1]
    assert reply.arguments[1].startswith(b"Traceback")


async def test_trouble_with_another_device_is_told(greeted):
    peer = await greeted(Device())
    (reply,) = await peer.ask("?downstream")
    assert reply.arguments == (b"fail", b"?downstream: far:1: ?far: no reply within 5 s")


async def test_a_second_reply_is_an_error_here_and_nothing_on_the_wire(greeted, caplog):
    device = Device()
    peer = await greeted(device)
    peer.send("?twice[1]", "?watchdog[2]")
    await peer.expect("!twice[1] ok 1", "!watchdog[2] ok")
    assert device.outcomes == ["?twice: reply after the reply has left", "?twice: inform after the reply has left"]
    assert "?twice replied and returned a value as well" in caplog.text


async def test_failing_after_the_reply_is_logged(greeted, caplog):
    peer = await greeted(Device())
    peer.send("?early-then-fail", "?watchdog")
    await peer.expect("!early-then-fail ok", "!watchdog ok")
    assert "?early-then-fail failed after its reply: too late" in caplog.text


async def test_a_clients_text_cannot_forge_a_line_in_the_log(greeted, caplog):
    def echo(ctx, text: str):
        ctx.reply("ok")
        raise FailReply(text)

    device = Device()
    device.add_request("echo", echo)
    peer = await greeted(device)
    peer.send(r"?echo a\nERROR\_all\_is\_lost\e[2J", "?watchdog")
    await peer.expect("!echo ok", "!watchdog ok")
    assert r"a\x0aERROR all is lost\x1b[2J" in caplog.text


@pytest.mark.usefixtures("broken_log")
@pytest.mark.parametrize("name", ["crash", "plain-crash", "twice", "early-then-fail"])
async def test_a_log_that_raises_takes_no_reply_from_a_client(greeted, name):
    peer = await greeted(Device())
    peer.send(f"?{name}[1]")
    assert (await peer.message(name)).mid == 1
    await peer.ask("?watchdog[2]")


class Mute(KatcpError):
    """An exception that cannot say what it is."""

    def __str__(self):
        raise LookupError


@pytest.mark.parametrize(
    ("error", "text"),
    [(Mute(), r"?mute:\_<Mute\_without\_a\_text>"), (FailReply(Mute()), r"<Mute\_without\_a\_text>")],
)
async def test_an_exception_that_cannot_say_what_it_is_is_a_reply_too(greeted, error, text):
    async def mute(ctx):
        raise error

    device = Device()
    device.add_request("mute", mute)
    peer = await greeted(device)
    peer.send("?mute[1]", "?watchdog[2]")
    await peer.expect(f"!mute[1] fail {text}", "!watchdog[2] ok")


class Way(BaseException):
    """What nobody is to catch."""


@pytest.mark.parametrize("waits", [True, False])
async def test_a_client_does_not_wait_for_a_handler_that_ended_otherwise_than_by_an_exception(greeted, caplog, waits):
    async def leave(ctx):
        if waits:
            await asyncio.sleep(0)
        raise Way

    device = Device()
    device.add_request("leave", leave)
    peer = await greeted(device)
    peer.send("?leave[1]")
    await peer.expect(r"#disconnect internal\_error")
    await peer.end()
    assert "Way" in caplog.text
    assert (await (await greeted(peer.served)).ask("?watchdog"))[-1].ok


async def test_a_handler_can_be_cancelled_alone(greeted, caplog):
    device = Device()
    peer = await greeted(device)
    peer.send("?wait[1]", "?wait[2]")
    await peer.ask("?watchdog[3]")
    device.outcomes[0].cancel()
    await peer.expect(r"!wait[1] fail request\_cancelled")
    assert (await peer.ask("?watchdog[4]"))[-1].ok  # and its client is served as before
    device.outcomes[1].cancel()
    await peer.expect(r"!wait[2] fail request\_cancelled")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("line", "told", "answer"),
    [
        (r"?echo[5] a\zb", r"malformed\_message:\_bad\_escape\_\\z", r"!echo[5] invalid bad\_escape\_\\z"),
        ("?watchdog a\x00", r"malformed\_message:\_unescaped\_NUL", r"!watchdog invalid unescaped\_NUL"),
        ("?echo[0] a", r"malformed\_message:\_message\_id", None),
        ("$foo", r"malformed\_message:\_message\_type", None),
        ("!watchdog[3] ok", r"unexpected\_reply\_!watchdog", None),
    ],
)
async def test_what_is_no_request_is_answered_with_a_log_inform(greeted, line, told, answer, caplog):
    peer = await greeted(Device())
    peer.send(line, "?watchdog[9]")
    log = await peer.line()
    assert log.startswith(b"#log error ")
    assert told.encode() in log
    if answer is not None:
        assert (await peer.line()).startswith(answer.encode())
    await peer.expect("!watchdog[9] ok")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_informs_from_a_client_are_ignored(greeted, caplog):
    peer = await greeted(Device())
    peer.send("#something 1 2", "?watchdog")
    await peer.expect("!watchdog ok")
    assert caplog.records == []


async def test_a_flood_of_malformed_lines_makes_a_few_lines_in_the_log(greeted, caplog):
    device = Device()
    peer = await greeted(device)
    peer.send_raw(b"junk\n" * 2000)
    await peer.ask("?watchdog[1]")
    assert device.trouble.counts["malformed"] == 2000
    assert len(caplog.records) <= 2 * device.limits.log_rate
