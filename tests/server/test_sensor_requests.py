import asyncio
import enum

import pytest

from katcp_aio import Address, DeviceServer, Limits, Lru, Sensor, Timestamp
from katcp_aio.model.strategies import Strategy, strategies

NOW = 1_500_000_000.0
ONE_ONLY = "; without a strategy, or without protocol flag B, only one can be named"


class Colour(enum.Enum):
    RED = 1
    DARK_BLUE = 2


class Device(DeviceServer):
    VERSION = "device-1.0"
    BUILD_STATE = "device-1.0.2"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        add = self.sensors.add
        self.rate = add(Sensor(float, "rate", "Pump rate", "Hz", 1.0, nominal=(0.5, 5.0), warn=(0.1, 10.0)))
        self.count = add(Sensor(int, "count", "Strokes", nominal=(0, 100)))
        self.colour = add(Sensor(Colour, "colour", "Of the light"))
        self.note = add(Sensor(str, "a.note", "A remark", default="all well"))
        self.on = add(Sensor(bool, "on", "Runs", default=True))


@pytest.fixture
async def peer(manual_clock, greeted):
    return await greeted(Device(clock=manual_clock))


async def answers(peer, line, *expected):
    peer.send(line)
    await peer.expect(*expected)


async def test_sensor_list(peer):
    await answers(
        peer,
        "?sensor-list[4]",
        r"#sensor-list[4] a.note A\_remark \@ string",
        r"#sensor-list[4] colour Of\_the\_light \@ discrete red dark-blue",
        r"#sensor-list[4] count Strokes \@ integer 0 100",
        r"#sensor-list[4] on Runs \@ boolean",
        r"#sensor-list[4] rate Pump\_rate Hz float 0.5 5.0 0.1 10.0",
        "!sensor-list[4] ok 5",
    )
    await answers(peer, "?sensor-list on", r"#sensor-list on Runs \@ boolean", "!sensor-list ok 1")
    await answers(peer, "?sensor-list nope", r"!sensor-list fail Unknown\_sensor\_'nope'")


async def test_sensor_value(peer):
    await answers(
        peer,
        "?sensor-value[9]",
        r"#sensor-value[9] 1500000000.0 1 a.note unknown all\_well",
        "#sensor-value[9] 1500000000.0 1 colour unknown red",
        "#sensor-value[9] 1500000000.0 1 count unknown 0",
        "#sensor-value[9] 1500000000.0 1 on unknown 1",
        "#sensor-value[9] 1500000000.0 1 rate unknown 1.0",
        "!sensor-value[9] ok 5",
    )
    peer.served.server.rate.set(7, timestamp=NOW + 0.25)
    await answers(peer, "?sensor-value rate", "#sensor-value 1500000000.25 1 rate warn 7.0", "!sensor-value ok 1")
    await answers(peer, "?sensor-value nope", r"!sensor-value fail Unknown\_sensor\_'nope'")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("/^co/", ["colour", "count"]),
        ("//", ["a.note", "colour", "count", "on", "rate"]),
        ("/nothing/", []),
        ("/[.]/", ["a.note"]),
    ],
)
@pytest.mark.parametrize("request_name", ["sensor-list", "sensor-value"])
async def test_regular_expressions(peer, request_name, pattern, names):
    *rows, reply = await peer.ask(f"?{request_name} {pattern}")
    column = 0 if request_name == "sensor-list" else 2
    assert [row.arguments[column].decode() for row in rows] == names
    assert reply.arguments == (b"ok", str(len(names)).encode())


async def test_a_pattern_that_is_none_fails_in_one_line(peer):
    for pattern in ("/(/", r"/(a*)*\_/", "/" + "a" * 300 + "/"):
        (reply,) = await peer.ask(f"?sensor-list {pattern}")
        assert reply.arguments[0] == b"fail"
        assert b"\n" not in reply.arguments[1]


async def test_a_version_4_server_speaks_in_milliseconds(manual_clock, greeted):
    class Old(Device):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.sensors.add(Sensor(Timestamp, "when", "", default=Timestamp(1.5)))
            self.sensors.add(Sensor(Address, "where", "", default=Address("127.0.0.1", 80)))
            self.sensors.add(Sensor(Lru, "part", ""))
            self.sensors.add(Sensor(int, "wide", ""))

    peer = await greeted(Old(protocol="4.0", clock=manual_clock))
    await answers(peer, "?sensor-value when", "#sensor-value 1500000000000 1 when unknown 1500", "!sensor-value ok 1")
    await answers(peer, "?sensor-list where", r"#sensor-list where \@ \@ string", "!sensor-list ok 1")
    await answers(peer, "?sensor-list part", r"#sensor-list part \@ \@ lru", "!sensor-list ok 1")
    await answers(peer, "?sensor-list rate", r"#sensor-list rate Pump\_rate Hz float 0.1 10.0", "!sensor-list ok 1")
    await answers(
        peer, "?sensor-list wide", r"#sensor-list wide \@ \@ integer -2147483648 2147483647", "!sensor-list ok 1"
    )
    peer.served.server.rate.set(1.0, Sensor.Status.UNREACHABLE)
    await answers(peer, "?sensor-value rate", "#sensor-value 1500000000000 1 rate unknown 1.0", "!sensor-value ok 1")
    await answers(
        peer,
        "?sensor-sampling rate period 1000",
        "#sensor-status 1500000000000 1 rate unknown 1.0",
        "!sensor-sampling ok rate period 1000",
    )
    await manual_clock.advance(2.5)
    await peer.expect(*["#sensor-status 1500000000000 1 rate unknown 1.0"] * 2)
    (reply,) = await peer.ask("?sensor-sampling rate event-rate 1 10")
    assert reply.arguments == (b"fail", b"protocol 4.0-M has no strategy event-rate")


STATUS = "#sensor-status 1500000000.0 1 "


@pytest.mark.parametrize(
    "strategy",
    ["auto", "event", "period 2.5", "differential 1.50", "event-rate 1 1e1", "differential-rate 1.5 1 10"],
)
async def test_each_strategy_begins_with_the_current_value_and_is_echoed_as_given(peer, strategy):
    await answers(
        peer,
        f"?sensor-sampling[3] rate {strategy}",
        STATUS + "rate unknown 1.0",
        f"!sensor-sampling[3] ok rate {strategy}",
    )
    await answers(peer, "?sensor-sampling rate", f"!sensor-sampling ok rate {strategy}")


async def test_none_ends_a_strategy(peer):
    await peer.ask("?sensor-sampling rate event")
    await answers(peer, "?sensor-sampling rate none", "!sensor-sampling ok rate none")
    peer.served.server.rate.value = 3
    await answers(peer, "?sensor-sampling rate", "!sensor-sampling ok rate none")
    await answers(peer, "?sensor-sampling count", "!sensor-sampling ok count none")  # never set


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("rate carrot", "Unknown strategy 'carrot'"),
        ("rate none 4", "expected no parameters for none, found 1"),
        ("rate period", "expected 1 parameter for period, found 0"),
        ("rate event-rate 1", "expected 2 parameters for event-rate, found 1"),
        ("rate event-rate 1 2 3", "expected 2 parameters for event-rate, found 3"),
        ("rate period foo", "period must be a number, found 'foo'"),
        ("rate period 0.0", "period must be above zero, found '0.0'"),
        ("rate period -1", "period must be above zero, found '-1'"),
        ("rate period nan", "period must be a number, found 'nan'"),
        ("rate period inf", "period must be a finite number, found 'inf'"),
        ("rate event-rate 0 0", "longest-period must be above zero, found '0'"),
        ("rate event-rate -1 1", "shortest-period must not be negative, found '-1'"),
        ("rate differential -1", "difference must not be negative, found '-1'"),
        ("rate differential nan", "difference must be a number, found 'nan'"),
        ("colour differential 1", "differential is for integer and float sensors only, and colour is discrete"),
        ("nope event", "Unknown sensor 'nope'"),
        ("nope", "Unknown sensor 'nope'"),
        ("rate,count", f"Unknown sensor 'rate,count'{ONE_ONLY}"),
        ("rate,nope event", "Unknown sensor 'nope'"),
        ("rate,,count event", "Unknown sensor ''"),
        ("rate,colour differential 1", "differential is for integer and float sensors only, and colour is discrete"),
    ],
)
async def test_what_is_wrong_changes_nothing(peer, arguments, text):
    await peer.ask("?sensor-sampling rate auto")
    (reply,) = await peer.ask(f"?sensor-sampling {arguments}")
    assert reply.arguments == (b"fail", text.encode())
    await answers(peer, "?sensor-sampling rate", "!sensor-sampling ok rate auto")


async def test_a_period_as_short_as_nothing_is_raised_to_the_bound(manual_clock, peer):
    await answers(
        peer, "?sensor-sampling rate period 1e-9", STATUS + "rate unknown 1.0", "!sensor-sampling ok rate period 1e-9"
    )
    peer.received.clear()
    await manual_clock.advance(0.0105)
    assert len(peer.unread) == 10  # one a millisecond


async def test_bulk_is_all_in_order_and_each_once(peer):
    await answers(
        peer,
        "?sensor-sampling[2] rate,count,a.note,rate event",
        STATUS + "rate unknown 1.0",
        STATUS + "count unknown 0",
        STATUS + r"a.note unknown all\_well",
        "!sensor-sampling[2] ok rate,count,a.note,rate event",
    )
    (client,) = peer.served.server.clients
    assert len(client.sampler) == 3
    peer.served.server.count.value = 5
    await peer.expect(STATUS + "count nominal 5")


async def test_bulk_needs_its_flag(manual_clock, greeted):
    peer = await greeted(Device(protocol="5.0", clock=manual_clock))
    (reply,) = await peer.ask("?sensor-sampling rate,count event")
    assert reply.arguments == (b"fail", b"Unknown sensor 'rate,count'" + ONE_ONLY.encode())


async def test_sampling_clear(peer):
    await peer.ask("?sensor-sampling-clear")  # nothing to clear yet
    await peer.ask("?sensor-sampling rate,count event")
    await answers(peer, "?sensor-sampling-clear[5]", "!sensor-sampling-clear[5] ok")
    peer.served.server.rate.value = 2
    await answers(peer, "?sensor-sampling rate", "!sensor-sampling ok rate none")


async def test_subscriptions_are_bounded(manual_clock, greeted):
    peer = await greeted(Device(clock=manual_clock, limits=Limits(max_subscriptions=2)))
    assert (await peer.ask("?sensor-sampling rate,count event"))[-1].ok
    (reply,) = await peer.ask("?sensor-sampling on event")
    assert reply.arguments == (b"fail", b"a client samples at most 2 sensors")
    (reply,) = await peer.ask("?sensor-sampling a,b,c event")  # before it is known that there are none of these
    assert reply.arguments == (b"fail", b"a client samples at most 2 sensors")
    assert (await peer.ask("?sensor-sampling rate auto"))[-1].ok  # what it has may be changed
    assert (await peer.ask("?sensor-sampling count none"))[-1].ok
    assert (await peer.ask("?sensor-sampling on event"))[-1].ok


async def test_strategies_are_the_clients_own(peer, greeted):
    other = await greeted(peer.served, announced_to=[peer])
    await peer.ask("?sensor-sampling rate event")
    await answers(other, "?sensor-sampling rate", "!sensor-sampling ok rate none")
    peer.served.server.rate.value = 2
    await peer.expect(STATUS + "rate nominal 2.0")
    await answers(other, "?watchdog", "!watchdog ok")  # and nothing before it


async def test_strategies_end_with_their_client_and_their_sensor(peer, greeted):
    device = peer.served.server
    other = await greeted(peer.served, announced_to=[peer])
    await peer.ask("?sensor-sampling rate,count event")
    await other.ask("?sensor-sampling rate,count event")
    await peer.close()
    await other.ask("?watchdog")
    device.sensors.add(Sensor(float, "rate", "Pump rate", "Hz", 1.0, nominal=(0.5, 5.0), warn=(0.1, 10.0)))
    await other.expect("#interface-changed sensor rate modified")
    device.rate.value = 4  # the old one: nobody's any more
    device.sensors["rate"].value = 4  # looks the same, and nobody has asked for it
    await answers(other, "?sensor-sampling rate", "!sensor-sampling ok rate none")
    device.sensors.remove("count")
    device.count.value = 3
    await other.expect("#interface-changed sensor count removed")
    await answers(other, "?watchdog", "!watchdog ok")


async def test_strategies_of_one_servers_own(manual_clock, greeted):
    class EveryOther(Strategy):
        __slots__ = ("seen",)

        def __init__(self):
            super().__init__()
            self.seen = 0

        def on_reading(self, reading, now):
            self.seen += 1
            return self.seen % 2 == 0

    own = strategies.child()
    own.register("every-other")(lambda params: EveryOther())
    device = Device(clock=manual_clock, strategies=own)
    peer = await greeted(device)
    await answers(
        peer,
        "?sensor-sampling count every-other",
        STATUS + "count unknown 0",
        "!sensor-sampling ok count every-other",
    )
    for value in range(1, 5):
        device.count.value = value
    await peer.expect(STATUS + "count nominal 2", STATUS + "count nominal 4")
    other = await greeted(Device(clock=manual_clock))
    (reply,) = await other.ask("?sensor-sampling count every-other")
    assert reply.arguments == (b"fail", b"Unknown strategy 'every-other'")


async def test_a_strategy_that_cannot_begin_leaves_all_sensors_of_the_request_as_they_were(manual_clock, greeted):
    class Superstitious(Strategy):
        __slots__ = ()

        def start(self, reading, now):
            if reading.value == 13:
                raise ZeroDivisionError

    own = strategies.child()
    own.register("superstitious")(lambda params: Superstitious())
    device = Device(clock=manual_clock, strategies=own)
    unlucky = device.sensors.add(Sensor(int, "unlucky", default=13))
    peer = await greeted(device)
    await peer.ask("?sensor-sampling rate event")
    peer.send("?sensor-sampling rate,count,unlucky superstitious")
    first = STATUS + "rate unknown 1.0"
    await peer.expect(first, STATUS + "count unknown 0", first)  # event begins anew
    assert (await peer.message("sensor-sampling")).arguments[0] == b"fail"
    for name, strategy in (("rate", "event"), ("count", "none"), ("unlucky", "none")):
        await answers(peer, f"?sensor-sampling {name}", f"!sensor-sampling ok {name} {strategy}")
    device.rate.value = 2.0
    device.count.value = unlucky.value = 7
    await peer.expect(STATUS + "rate nominal 2.0")
    await answers(peer, "?watchdog", "!watchdog ok")


async def test_a_value_set_in_another_thread_is_sampled_in_the_loops(greeted):
    device = Device()
    peer = await greeted(device)
    await peer.ask("?sensor-sampling count event")
    loop = asyncio.get_running_loop()

    def measure():
        for value in range(1, 101):
            device.count.set_threadsafe(loop, value)

    await asyncio.to_thread(measure)
    values = [int((await peer.message("sensor-status")).arguments[-1]) for _ in range(100)]
    assert values == list(range(1, 101))
