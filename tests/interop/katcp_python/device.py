"""A device of katcp-python 0.9.3, to be run by a Python that has it: ``python device.py FLAVOUR [PORT]``.

FLAVOUR is 5.0, 5.1 or 4. It prints its port, serves until SIGTERM, and has something of each kind that there is.
"""

import signal
import sys

import tornado.gen
from katcp import AsyncDeviceServer, Message, ProtocolFlags, Sensor
from katcp.kattypes import Float, Int, Str, request, request_timeout_hint, return_reply
from tornado.ioloop import IOLoop

MULTI, IDS, HINTS, BULK = b"M", b"I", b"T", b"B"
FLAVOURS = {
    "4": ProtocolFlags(4, 0, [MULTI]),
    "5.0": ProtocolFlags(5, 0, [MULTI, IDS]),
    "5.1": ProtocolFlags(5, 1, [MULTI, IDS, HINTS, BULK]),
}
FLAVOUR = sys.argv[1]
LONG_AGO = 1234.5


class Pump(AsyncDeviceServer):
    """A pump."""

    VERSION_INFO = ("pump", 1, 0)
    BUILD_INFO = ("pump", 1, 0, "rc1")
    PROTOCOL_INFO = FLAVOURS[FLAVOUR]

    def setup_sensors(self):
        """Add one sensor of each type."""
        for sensor, value in (
            (Sensor.float("rate", "Pump rate", "Hz", [0, 100]), 1.5),
            (Sensor.integer("starts", "Starts", "count"), 3),
            (Sensor.boolean("on", "Whether it runs"), True),
            (Sensor.discrete("mode", "Mode", params=["idle", "slew"]), "slew"),
            (Sensor.string("label", "Label"), "a b"),
            (Sensor.timestamp("since", "Start"), 2345.5),
            (Sensor.address("peer", "Peer"), ("127.0.0.1", 5)),
            (Sensor.lru("lru", "Unit"), Sensor.LRU_NOMINAL),
        ):
            sensor.set_value(value, timestamp=LONG_AGO)
            self.add_sensor(sensor)

    @request(Float())
    @return_reply(Float())
    def request_set_rate(self, req, rate):
        """Set the rate."""
        self.get_sensor("rate").set_value(rate)
        return ("ok", rate)

    @request(Int())
    @return_reply(Int())
    def request_count(self, req, n):
        """Count."""
        for number in range(n):
            req.inform(number)
        return ("ok", n)

    @request()
    @return_reply()
    def request_refuse(self, req):
        """Refuse."""
        return ("fail", "no such thing")

    @request()
    @return_reply()
    def request_crash(self, req):
        """Raise what nobody expects."""
        raise KeyError("oops")

    def request_echo(self, req, msg):
        """Return the arguments, as bytes."""
        return req.make_reply("ok", *msg.arguments)

    @request(Int())
    @return_reply(Str())
    def request_all_bytes(self, req, n):
        """Return so many times all the bytes that there are."""
        return ("ok", bytes(range(256)) * n)

    @request_timeout_hint(33.5)
    @request(Float(), Str())
    @return_reply(Str())
    @tornado.gen.coroutine
    def request_slow(self, req, seconds, word):
        """Take a while, and return the word."""
        yield tornado.gen.sleep(seconds)
        raise tornado.gen.Return(("ok", word))

    @request(Str(), Str())
    @return_reply()
    def request_set_units(self, req, name, units):
        """Add a sensor, or replace it by one with these units."""
        self.add_sensor(Sensor.integer(name, "Added", units))
        self.mass_inform(self._changed(name, "added"))
        return ("ok",)

    @request(Str())
    @return_reply()
    def request_drop(self, req, name):
        """Remove a sensor."""
        self.remove_sensor(name)
        self.mass_inform(self._changed(name, "removed"))
        return ("ok",)

    @staticmethod
    def _changed(name, how):
        return Message.inform("interface-changed", "sensor", name, how)


def main():
    """Serve."""
    loop = IOLoop.current()
    server = Pump("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0)

    @tornado.gen.coroutine
    def stop():
        yield server.stop()
        loop.stop()

    def start():
        server.start()
        sys.stdout.write(f"{server.bind_address[1]}\n")
        sys.stdout.flush()

    signal.signal(signal.SIGTERM, lambda *_: loop.add_callback_from_signal(stop))
    loop.add_callback(start)
    loop.start()


if __name__ == "__main__":
    main()
