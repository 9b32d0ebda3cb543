"""Who asked for what, and what came of it: one record a request that may have changed something."""

import asyncio
import json
import logging
import ssl

import pytest

from katcp_aio import (
    READ_ONLY,
    Audit,
    AuditRecord,
    DeviceServer,
    FailReply,
    InvalidReply,
    KatcpLogHandler,
    log_audit,
    request,
)
from katcp_aio.server.access import Access, AccessRule
from katcp_aio.testing import Peer


class Device(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def request_set(self, ctx, *values: bytes):
        """Set something."""

    async def request_slow(self, ctx, seconds: float):
        """Take a while."""
        await asyncio.sleep(seconds)
        return "done"

    def request_fail(self, ctx):
        """Fail."""
        raise FailReply("not now")

    def request_busy(self, ctx):
        """Fail with a code of its own."""
        raise FailReply("later", code="busy")

    def request_invalid(self, ctx):
        """Refuse the arguments."""
        raise InvalidReply("not so")

    def request_crash(self, ctx):
        """Break."""
        raise RuntimeError("hunter2")

    def request_unwritable(self, ctx):
        """Return what no message can hold."""
        return {"a": 1}

    async def request_early(self, ctx):
        """Reply before the work is done, and fail then."""
        ctx.reply("ok", "early")
        await asyncio.sleep(0)
        raise FailReply("too late")

    def request_done(self, ctx):
        """Reply, with a code of its own, and end."""
        ctx.reply("done")

    def request_bye(self, ctx):
        """Disconnect the client."""
        ctx.client.disconnect("bye")

    @request(cancel_on_disconnect=True)
    async def request_tied(self, ctx):
        """Wait as long as the client does."""
        await asyncio.sleep(1000)

    async def request_rows(self, ctx):
        """Send informs for ever."""
        while True:
            await ctx.informs(["row" * 1000] * 100)


@pytest.fixture
def records():
    return []


@pytest.fixture
async def audited(records, serve, manual_clock):
    """Serve a device that is audited, and connect a raw client."""
    served = await serve(Device(audit=Audit(records.append), clock=manual_clock))
    peer = served.peer()
    peer.served = served
    return peer


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("?set", "ok"),
        ("?slow 0", "ok"),
        ("?fail", "fail"),
        ("?busy", "busy"),
        ("?invalid", "invalid"),
        ("?crash", "fail"),
        ("?unwritable", "fail"),
        ("?early", "ok"),
        ("?done", "done"),
        ("?slow soon", "invalid"),
        ("?no-such", "invalid"),
        ("?log-level", "ok"),
        ("?log-level loud", "invalid"),
        ("?restart", "fail"),
    ],
)
async def test_each_request_is_recorded_once_with_what_came_of_it(audited, records, line, outcome):
    await audited.ask(line)
    await audited.ask("?watchdog")
    (record,) = records
    name, *arguments = line[1:].split()
    assert record == AuditRecord(
        time=record.time,
        peer="memory",
        certificate=None,
        request=name,
        mid=None,
        arguments=tuple(arguments),
        omitted=0,
        outcome=outcome,
        told=True,
        duration=0.0,
    )


@pytest.mark.parametrize("name", sorted(READ_ONLY))
async def test_what_only_looks_is_not_recorded(audited, records, name):
    await audited.ask(f"?{name}")
    assert records == []


async def test_a_device_may_say_what_else_only_looks(serve, records):
    served = await serve(Device(audit=Audit(records.append, skip=READ_ONLY | {"fail"})))
    peer = served.peer()
    await peer.ask("?fail")
    await peer.ask("?set 1")
    assert [record.request for record in records] == ["set"]


async def test_time_and_duration(audited, records, manual_clock):
    before = manual_clock.time()
    audited.send("?slow[7] 2.5")
    await manual_clock.advance(2.5)
    await audited.message("slow")
    (record,) = records
    assert (record.mid, record.time, record.duration) == (7, before, 2.5)


async def test_what_the_rules_refuse_is_recorded_too(serve, records):
    served = await serve(Device(audit=Audit(records.append), access=Access([AccessRule(allow=READ_ONLY)])))
    peer = served.peer()
    assert (await peer.ask("?halt[3]"))[-1].arguments[0] == b"fail"
    (record,) = records
    assert (record.request, record.mid, record.outcome) == ("halt", 3, "refused")


async def test_what_the_default_rules_refuse_says_from_where(serve, records, come_from):
    served = await serve(Device(audit=Audit(records.append)))
    await come_from(served.server, "10.8.0.7", 1234).ask("?halt")
    assert [(record.peer, record.outcome) for record in records] == [("10.8.0.7:1234", "refused")]


async def test_a_client_that_went_is_not_told_and_the_result_is_recorded(audited, records, manual_clock):
    audited.send("?slow[1] 5", "?tied[2]")
    await manual_clock.settle()
    audited.abort()
    await manual_clock.settle()
    assert [(record.request, record.outcome, record.told) for record in records] == [("tied", "fail", False)]
    await manual_clock.advance(5)
    assert [(record.request, record.outcome, record.told) for record in records[1:]] == [("slow", "ok", False)]


async def test_a_client_that_the_handler_itself_sends_away_is_not_told(audited, records):
    audited.send("?bye")
    await audited.message("disconnect")
    assert [(record.outcome, record.told) for record in records] == [("ok", False)]


async def test_a_client_that_went_while_it_was_sent_informs(audited, records, manual_clock):
    audited.pause()
    audited.send("?rows[1]")
    await manual_clock.settle()
    audited.abort()
    await manual_clock.settle()
    assert [(record.request, record.outcome, record.told) for record in records] == [("rows", "fail", False)]


async def test_an_audit_that_fails_harms_nobody(serve, caplog):
    def broken(_record):
        raise OSError("disk full")

    served = await serve(Device(audit=Audit(broken)))
    peer = served.peer()
    assert (await peer.ask("?set 1"))[-1].ok
    assert (await peer.ask("?fail"))[-1].arguments == (b"fail", b"not now")
    assert served.server.trouble.counts == {"audit": 2}
    assert "?set of client memory is not in the audit: OSError: disk full" in caplog.text


async def test_an_audit_may_begin_while_the_device_runs(serve, records):
    served = await serve(Device())
    peer = served.peer()
    await peer.ask("?set 1")
    served.server.audit = Audit(records.append)
    await peer.ask("?set 2")
    assert [record.arguments for record in records] == [("2",)]


async def test_long_and_many_arguments_are_cut(audited, records):
    await audited.ask("?set " + "x" * 5000 + " 1" * 99)
    (record,) = records
    assert record.arguments == ("x" * 200 + "...", *["1"] * 31)
    assert record.omitted == 68
    assert len(str(record)) < 1000


NASTY = '\x00\x1b[2J\r\n\x7f\x85\u2028\u2029\u202e{"outcome": "ok"}%s%d'


async def test_nothing_that_a_client_sends_forges_a_line(audited, records):
    wire = NASTY.encode().replace(b"\x00", rb"\0").replace(b"\x1b", rb"\e").replace(b"\r", rb"\r")
    await audited.ask(b"?set " + wire.replace(b"\n", rb"\n").replace(b" ", rb"\_") + b" \xff\xfe")
    (record,) = records
    line = str(record)
    assert line.isascii()
    assert line.isprintable()
    fields = json.loads(line)
    assert fields["outcome"] == "ok"
    assert fields["arguments"][0].endswith('{"outcome": "ok"}%s%d')
    assert fields["arguments"][1] == r"\xff\xfe"


async def test_by_default_each_is_a_line_of_json_in_the_log(serve, caplog):
    caplog.set_level(logging.INFO, "katcp_aio.audit")
    served = await serve(Device(audit=Audit()))
    peer = served.peer()
    await peer.ask("?set[5] 10% done")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "katcp_aio.audit"]
    fields = json.loads(line)
    assert list(fields) == [
        "time", "peer", "certificate", "request", "mid", "arguments", "omitted", "outcome", "told", "duration",
    ]  # fmt: skip
    assert (fields["request"], fields["mid"], fields["arguments"]) == ("set", 5, ["10%", "done"])
    assert fields["time"].endswith("+00:00")


def test_the_time_is_utc():
    record = AuditRecord(
        time=1_700_000_000.25,
        peer="10.8.0.7:1",
        certificate="CN=operator",
        request="halt",
        mid=None,
        arguments=(),
        omitted=0,
        outcome="ok",
        told=True,
        duration=0.00123456,
    )
    assert json.loads(str(record))["time"] == "2023-11-14T22:13:20.250+00:00"
    assert json.loads(str(record))["duration"] == 0.001235


async def test_clients_are_not_sent_the_audit(serve, caplog):
    caplog.set_level(logging.INFO, "katcp_aio.audit")
    device = Device(audit=Audit(log_audit))
    handler = KatcpLogHandler(device)
    logging.getLogger().addHandler(handler)
    try:
        peer = (await serve(device)).peer()
        await peer.ask("?log-level all")
        assert [message.name for message in await peer.ask("?set 1")] == ["set"]
    finally:
        logging.getLogger().removeHandler(handler)


async def test_who_is_known_by_a_certificate_is_named(certificates, records):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificates.server.configure_cert(server)
    certificates.authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    async with Device(ssl=server, audit=Audit(records.append)) as device:
        context = ssl.create_default_context()
        certificates.authority.configure_trust(context)
        context.check_hostname = False
        certificates.operator.configure_cert(context)
        peer = await Peer.connect("127.0.0.1", device.address.port, ssl=context)
        await peer.ask("?set 1")
        assert records[0].certificate.endswith("DNS=operator.example")
        await peer.close()
