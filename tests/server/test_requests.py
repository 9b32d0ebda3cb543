import pytest

from katcp_aio import LogLevel, RequestContext, request
from katcp_aio.version import library_version

LIBRARY = f"katcp-aio-{'.'.join(library_version().split('.')[:2])} katcp-aio-{library_version()}"


async def test_the_greeting_of_version_5(serve, device_class):
    device = device_class()
    device.versions["firmware"] = ("3.1", "3.1.7")
    peer = (await serve(device)).peer()
    rows = [
        "katcp-protocol 5.1-MITB",
        f"katcp-library {LIBRARY}",
        "katcp-device device-1.0 device-1.0.2",
        "firmware 3.1 3.1.7",
    ]
    await peer.expect(*[f"#version-connect {row}" for row in rows])
    peer.send("?version-list[10]")
    await peer.expect(*[f"#version-list[10] {row}" for row in rows], "!version-list[10] ok 4")


async def test_the_greeting_of_version_4(serve, device_class):
    peer = (await serve(device_class(protocol="4.0"))).peer()
    await peer.expect("#version device-1.0", "#build-state device-1.0.2")


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ({"protocol": "5.0"}, "5.0-MI"),
        ({"protocol": "5.1-MIB"}, "5.1-MIB"),
        ({"multi_client": False}, "5.1-ITB"),
    ],
)
async def test_the_flags_that_are_announced(serve, device_class, options, version):
    peer = (await serve(device_class(**options))).peer()
    await peer.expect(f"#version-connect katcp-protocol {version}")


async def test_help_lists_all_requests_sorted(greeted, device_class):
    peer = await greeted(device_class())
    *rows, reply = await peer.ask("?help[1]")
    names = [row.arguments[0].decode() for row in rows]
    assert names == sorted(names)
    assert reply.arguments == (b"ok", str(len(names)).encode())
    assert {"help", "halt", "restart", "watchdog", "version-list", "client-list", "log-level", "sensor-list"} <= {
        *names
    }
    assert {"sensor-value", "sensor-sampling", "sensor-sampling-clear", "request-timeout-hint"} <= {*names}
    assert {"log-limit", "log-local"} <= {*names}
    assert all(len(row.arguments) == 2 and row.arguments[1] for row in rows)


async def test_every_standard_text_is_plain_ascii(greeted, device_class):
    peer = await greeted(device_class())
    for row in (await peer.ask("?help"))[:-1]:
        row.arguments[1].decode("ascii")


async def test_help_of_one_request(greeted, device_class):
    class Documented(device_class):
        async def request_set_rate(self, ctx: RequestContext, rate: float, unit: str = "hz"):
            """Set the rate.

            It takes effect at once:
                also while the pump runs.
            """

    peer = await greeted(Documented())
    row, reply = await peer.ask("?help set-rate")
    assert row.arguments[1].decode() == (
        "Set the rate.\n?set-rate rate:float [unit:string]\n\nIt takes effect at once:\n    also while the pump runs."
    )
    assert reply.arguments == (b"ok", b"1")
    assert (await peer.ask("?help nosuch"))[-1].arguments == (b"fail", b"Unknown request 'nosuch'")


async def test_watchdog(greeted, device_class):
    peer = await greeted(device_class())
    peer.send("?watchdog", "?watchdog[2147483647]")
    await peer.expect("!watchdog ok", "!watchdog[2147483647] ok")


async def test_timeout_hints(greeted, device_class):
    class Slow(device_class):
        @request(timeout_hint=30)
        async def request_calibrate(self, ctx):
            """Take long."""

        @request(timeout_hint=2.5)
        async def request_align(self, ctx):
            """Take less long."""

    peer = await greeted(Slow())
    peer.send("?request-timeout-hint[1]", "?request-timeout-hint[2] watchdog", "?request-timeout-hint[3] nosuch")
    await peer.expect(
        "#request-timeout-hint[1] align 2.5",
        "#request-timeout-hint[1] calibrate 30.0",
        "!request-timeout-hint[1] ok 2",
        "#request-timeout-hint[2] watchdog 0.0",
        "!request-timeout-hint[2] ok 1",
        r"!request-timeout-hint[3] fail Unknown\_request\_'nosuch'",
    )


async def test_log_level_is_one_for_the_device_and_stays(greeted, device_class):
    device = device_class()
    peer = await greeted(device)
    peer.send("?log-level", "?log-level trace", "?log-level")
    await peer.expect("!log-level ok warn", "!log-level ok trace", "!log-level ok trace")
    await peer.close()
    again = await greeted(peer.served)
    for level in ("off", "fatal", "error", "warn", "info", "debug", "trace", "all"):
        assert (await again.ask(f"?log-level {level}"))[-1].arguments == (b"ok", level.encode())
    assert device.log_level is LogLevel.ALL
    assert (await again.ask("?log-level loud"))[-1].arguments[0] == b"invalid"
    assert (await again.ask("?log-level"))[-1].arguments == (b"ok", b"all")


@pytest.mark.parametrize("name", ["log-limit", "log-local"])
async def test_a_client_can_have_a_level_of_its_own(greeted, device_class, name):
    device = device_class()
    peer = await greeted(device)
    other = await greeted(peer.served, announced_to=[peer])
    peer.send(f"?{name}", f"?{name} debug", f"?{name}", "?log-level")
    await peer.expect(f"!{name} ok warn", f"!{name} ok debug", f"!{name} ok debug", "!log-level ok warn")
    assert (await other.ask(f"?{name}"))[-1].arguments == (b"ok", b"warn")


async def test_a_version_4_server_leaves_ids_alone_but_answers_with_them(greeted, device_class):
    """A client that sends ids to a server which announced none gets them back: that is the least surprise."""
    peer = await greeted(device_class(protocol="4.0"))
    peer.send("?watchdog[3]", "?watchdog")
    await peer.expect("!watchdog[3] ok", "!watchdog ok")
