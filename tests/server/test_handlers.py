import enum
import subprocess
import sys
import textwrap
from typing import Annotated, Literal

import pytest

from katcp_aio import DeviceServer, Limits, Range, UsageError, request
from katcp_aio.server.handlers import RequestOptions
from katcp_aio.wire.values import registry


class Base(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    async def request_foo(self, ctx):
        """Foo of the base."""
        return "base"


class MixIn:
    """No DeviceServer, and yet it has a request."""

    def request_mixed(self, ctx):
        """Come from a mix-in."""
        return "mixed"


async def reply_to(greeted, server, line):
    peer = await greeted(server)
    return (await peer.ask(line))[-1].arguments


async def test_the_table_follows_the_method_resolution_order(greeted):
    class A(Base):
        async def request_foo(self, ctx):
            """Foo of A."""
            return "a"

        async def request_help(self, ctx, name: str = ""):
            """Help of A."""
            return "own"

    class B(Base):
        async def request_foo(self, ctx):
            """Foo of B."""
            return "b"

    class Both(A, B, MixIn):
        pass

    peer = await greeted(Both())
    assert (await peer.ask("?foo"))[-1].arguments == (b"ok", b"a")
    assert (await peer.ask("?help"))[-1].arguments == (b"ok", b"own")
    assert (await peer.ask("?mixed"))[-1].arguments == (b"ok", b"mixed")


async def test_none_removes_a_request(greeted):
    class Quiet(Base):
        request_foo = None
        request_halt = None

    device = Quiet()
    assert "halt" not in device.handlers
    assert (await reply_to(greeted, device, "?foo"))[0] == b"invalid"


def test_other_values_are_no_handlers():
    class Odd(Base):
        request_bar = 1

    assert "bar" not in Odd().handlers


async def test_super_can_be_called(greeted):
    class Louder(Base):
        async def request_foo(self, ctx):
            """Foo, louder."""
            return (await super().request_foo(ctx)).upper()

    assert await reply_to(greeted, Louder(), "?foo") == (b"ok", b"BASE")


def test_requests_are_sorted():
    names = list(Base().handlers)
    assert names == sorted(names)


@pytest.mark.parametrize("missing", ["VERSION", "BUILD_STATE"])
def test_a_device_says_its_version(missing):
    class Nameless(Base):
        pass

    setattr(Nameless, missing, None)
    with pytest.raises(UsageError, match=f"Nameless does not say its {missing}"):
        Nameless()


def test_a_handler_that_cannot_be_called_is_refused_when_the_device_is_built():
    class Bad(Base):
        async def request_bad(self, ctx, value: dict):
            """Take what no message holds."""

    with pytest.raises(UsageError, match=r"request_bad, parameter value"):
        Bad()


@pytest.mark.parametrize("hint", [0, -1, float("nan"), float("inf")])
def test_a_timeout_hint_is_a_positive_number(hint):
    with pytest.raises(ValueError, match="timeout_hint"):
        RequestOptions(timeout_hint=hint)


async def test_the_decorator_works_without_arguments_and_gives_names(greeted):
    class Named(Base):
        @request
        async def request_plain(self, ctx):
            """Be as it is."""
            return "plain"

        @request(name="set-2nd")
        async def request_other(self, ctx):
            """Have a name that no method can have."""
            return "second"

    peer = await greeted(Named())
    assert (await peer.ask("?plain"))[-1].ok
    assert (await peer.ask("?set-2nd"))[-1].arguments == (b"ok", b"second")
    assert (await peer.ask("?other"))[-1].arguments[0] == b"invalid"


def test_requests_of_some_dialects_only():
    class Some(Base):
        @request(protocols={4})
        async def request_old(self, ctx):
            """Be there in version 4."""

        @request(protocols={5})
        async def request_new(self, ctx):
            """Be there in version 5."""

        @request(flag="B")
        async def request_bulk(self, ctx):
            """Be there with flag B."""

    def own(protocol):
        return sorted({"old", "new", "bulk"} & set(Some(protocol=protocol).handlers))

    assert own("5.1") == ["bulk", "new"]
    assert own("5.0") == ["new"]
    assert own("5.1-MI") == ["new"]
    assert own("4.0") == ["old"]


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"protocol": "4.0"}, {"version-list", "request-timeout-hint"}),
        ({"protocol": "5.0"}, {"request-timeout-hint"}),
        ({"protocol": "5.1-MIB"}, {"request-timeout-hint"}),
        ({"multi_client": False}, {"client-list"}),
        ({}, set()),
    ],
)
def test_standard_requests_that_not_every_dialect_has(options, missing):
    optional = {"version-list", "request-timeout-hint", "client-list"}
    assert optional - set(Base(**options).handlers) == missing


class Colour(enum.Enum):
    RED = 1
    DARK_BLUE = 2


async def test_requests_added_and_removed_at_run_time(greeted):
    device = Base()
    peer = await greeted(device)

    async def mix(ctx, colour: Colour, share: Annotated[float, Range(0, 1)] = 0.5, how: Literal["wet", "dry"] = "wet"):
        """Mix a colour."""
        return colour, share, how

    device.add_request("mix", mix, timeout_hint=9)
    await peer.expect("#interface-changed request mix added")
    assert (await peer.ask("?mix dark-blue 0.25"))[-1].arguments == (b"ok", b"dark-blue", b"0.25", b"wet")
    assert (await peer.ask("?mix green"))[-1].arguments[0] == b"invalid"
    help_text = (await peer.ask("?help mix"))[0].arguments[1].decode()
    assert "?mix colour:red|dark-blue [share:float:[0,1]] [how:wet|dry]" in help_text
    assert (await peer.ask("?request-timeout-hint mix"))[0].arguments == (b"mix", b"9.0")
    assert list(device.handlers) == sorted(device.handlers)

    device.add_request("mix", lambda ctx: None)
    await peer.expect("#interface-changed request mix modified")
    assert (await peer.ask("?mix"))[-1].arguments == (b"ok",)
    device.remove_request("mix")
    await peer.expect("#interface-changed request mix removed")
    assert (await peer.ask("?mix"))[-1].arguments[0] == b"invalid"
    with pytest.raises(KeyError):
        device.remove_request("mix")
    assert "mix" not in Base().handlers  # other devices of the class never had it


async def test_a_request_added_by_one_is_known_to_the_next_in_the_same_write(greeted):
    class Growing(Base):
        async def request_grow(self, ctx):
            """Add a request."""
            self.add_request("grown", lambda ctx: "yes")

    peer = await greeted(Growing(limits=Limits(batch_time=60)))  # both in one turn; all are told of it in the next
    peer.send("?grow[1]", "?grown[2]")
    await peer.expect("!grow[1] ok", "!grown[2] ok yes")


def test_two_methods_for_one_request_are_refused(device_class):
    class Twice(device_class):
        async def request_foo(self, ctx):
            """Foo."""

        @request(name="foo")
        async def request_bar(self, ctx):
            """Bar."""

    with pytest.raises(UsageError, match=r"Twice: two methods answer \?foo"):
        Twice()


@pytest.mark.parametrize(("protocol", "there"), [("5.1", True), ("5.0", False), ("4.0", False)])
async def test_a_request_added_at_run_time_is_there_in_its_dialects_only(greeted, device_class, protocol, there):
    device = device_class(protocol=protocol)
    peer = await greeted(device)
    device.add_request("bulk", lambda ctx: "yes", flag="B")
    device.add_request("new", lambda ctx: "yes", protocols={5})
    assert ("bulk" in device.handlers) is there
    assert ("new" in device.handlers) is (protocol != "4.0")
    assert (await peer.ask("?bulk"))[-1].ok is there
    changes = [message for message in peer.received.items if message.name == "interface-changed"]
    assert len(changes) == device.dialect.major - 4 + there


@pytest.mark.parametrize("name", ["log", "disconnect", "sensor-status", "interface-changed"])
def test_a_request_is_not_called_as_what_is_told_unasked(device_class, name):
    with pytest.raises(UsageError, match=f"#{name}, which clients are sent unasked"):
        device_class().add_request(name, lambda ctx: None)


@pytest.mark.parametrize("name", ["", "1st", "under_score", "with space", "é"])
def test_a_request_has_a_proper_name(name):
    with pytest.raises(UsageError, match="request name"):
        Base().add_request(name, lambda ctx: None)


async def test_unhandled_requests_can_be_answered(greeted):
    class Fake(Base):
        async def unhandled_request(self, ctx, *arguments: bytes):
            return ctx.message.name, *arguments

    assert await reply_to(greeted, Fake(), "?whatever[3] a b") == (b"ok", b"whatever", b"a", b"b")


def test_devices_work_without_docstrings(tmp_path):
    """As under ``python -OO``, which removes them."""
    program = textwrap.dedent(
        """
        import asyncio
        from katcp_aio import DeviceServer
        from katcp_aio.testing import serve

        class Device(DeviceServer):
            VERSION = "device-1.0"
            BUILD_STATE = "device-1.0.2"
            async def request_foo(self, ctx, number: int):
                "Foo."
                return number

        async def main():
            async with serve(Device()) as served:
                peer = served.peer()
                print((await peer.ask("?foo 3"))[-1])
                print((await peer.ask("?help foo"))[0])
                print((await peer.ask("?help"))[-1].ok)

        asyncio.run(main())
        """
    )
    found = subprocess.run(
        [sys.executable, "-OO", "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60
    )
    assert found.stdout.splitlines() == ["<Message !foo ok 3>", r"<Message #help foo ?foo\\_number:integer>", "True"]


async def test_types_of_one_servers_own(greeted, device_class):
    class Angle:
        def __init__(self, degrees):
            self.degrees = degrees

    types = registry.child()
    types.register(
        Angle, "angle", lambda value: b"%ddeg" % value.degrees, lambda raw: Angle(int(raw.removesuffix(b"deg")))
    )

    class Mount(device_class):
        async def request_turn(self, ctx, by: Angle) -> Angle:
            """Turn."""
            return Angle(by.degrees + 1)

        async def request_sweep(self, ctx):
            """Turn, and tell of it in every way that there is."""
            ctx.client.inform("told", Angle(1))
            self.inform_all("told", Angle(2))
            ctx.inform(Angle(3))
            await ctx.informs([Angle(4), (5, Angle(5))])
            ctx.reply("ok", Angle(6))

        async def request_steps(self, ctx):
            """Turn step by step."""
            yield Angle(7)

    peer = await greeted(Mount(types=types))
    peer.send("?sweep", "?steps")
    await peer.expect("#told 1deg", "#told 2deg", "#sweep 3deg", "#sweep 4deg", "#sweep 5 5deg", "!sweep ok 6deg")
    await peer.expect("#steps 7deg", "!steps ok 1")
    peer.send("?turn 3deg", "?turn 3", "?turn x")
    await peer.expect("!turn ok 4deg", "!turn ok 4deg")
    assert (await peer.message("turn")).arguments[0] == b"invalid"
    with pytest.raises(UsageError, match="no KATCP type"):  # no other server knows it
        Mount()


async def test_no_values_at_all_are_a_plain_ok(greeted):
    class Device(Base):
        async def request_none(self, ctx):
            """Return nothing, as a tuple."""
            return ()

    assert await reply_to(greeted, Device(), "?none") == (b"ok",)
    assert await reply_to(greeted, Device(), "?none[7]") == (b"ok",)
