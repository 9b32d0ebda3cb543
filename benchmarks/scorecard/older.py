"""katcp-python's device under abuse, for a Python that has it: ``python older.py OPTIONS``. No import of this folder.

It has the requests and sensors of ``devices.py``, is at its defaults, and stops on SIGTERM as its documentation shows:
an AsyncDeviceServer, whose handlers wait without a thread each, on Tornado's own loop.
"""

import gc
import json
import logging
import signal
import sys
import time

from katcp import AsyncDeviceServer, ProtocolFlags, Sensor
from katcp.kattypes import Float, Int, Str, request, return_reply
from tornado import gen
from tornado.ioloop import IOLoop

__all__ = []

LIFE = 300  # seconds, after which a device ends that was forgotten
SECRET = "hunter2"  # what no client is to see  # bait


class Tally:
    """What goes on in the device, told by ?inside."""

    slow = 0


@gen.coroutine
def slow(seconds):
    """Wait, and be counted meanwhile."""
    Tally.slow += 1
    try:
        yield gen.sleep(seconds)
    finally:
        Tally.slow -= 1


class Device(AsyncDeviceServer):
    VERSION_INFO = ("scorecard", 1, 0)
    BUILD_INFO = ("scorecard", 1, 0, "")
    PROTOCOL_INFO = ProtocolFlags(5, 1, [b"M", b"I", b"T", b"B"])

    def __init__(self, host, port, sensors):
        self.count = sensors
        super().__init__(host, port)

    def setup_sensors(self):
        """Add them."""
        self.fast = Sensor.string("fast", "Changes all the time")
        self.add_sensor(self.fast)
        for number in range(self.count):
            self.add_sensor(Sensor.integer("rack.unit.level-%06d" % number, "A level", default=number))  # noqa: UP031

    @request(Float())
    @return_reply()
    @gen.coroutine
    def request_slow(self, req, seconds):
        """Take a while."""
        yield slow(seconds)
        raise gen.Return(("ok",))

    @request(Float())
    @return_reply()
    @gen.coroutine
    def request_slow_bound(self, req, seconds):
        """Take a while."""
        yield slow(seconds)
        raise gen.Return(("ok",))

    @request(Int())
    @return_reply(Str())
    def request_big(self, req, size):
        """Return many bytes."""
        return ("ok", "x" * size)

    @request(Str(multiple=True))
    @return_reply(Str(multiple=True))
    def request_echo(self, req, *args):
        """Return the arguments."""
        return ("ok", *args)

    @request()
    @return_reply()
    def request_boom(self, req):
        """Fail in an unforeseen way."""
        raise RuntimeError("password is " + SECRET)

    @request()
    @return_reply(Int(), Int(), Int())
    def request_inside(self, req):
        """Tell of the inside: it has no tasks, but handlers of ?slow, and objects."""
        gc.collect()
        return ("ok", 0, Tally.slow, len(gc.get_objects()))


@gen.coroutine
def feed(sensor, rate, size):
    """Give a sensor a new value ``rate`` times a second, each beginning with its number."""
    number, began = 0, time.monotonic()
    while True:
        while number < (time.monotonic() - began) * rate:
            number += 1
            sensor.set_value(("%09d" % number).ljust(size, "x"))  # noqa: UP031 - one way with all the others
        yield gen.sleep(0.002)


@gen.coroutine
def stop(loop, device):
    """Stop the device and then the loop."""
    yield device.stop()
    loop.stop()


def main(host, port, sensors, rate, size, tls):
    """Serve."""
    if tls:
        raise SystemExit("katcp-python has no TLS")
    loop = IOLoop.current()
    device = Device(host, port, sensors)
    signal.signal(signal.SIGTERM, lambda *_: loop.add_callback_from_signal(stop, loop, device))
    loop.add_callback(device.start)
    loop.add_callback(lambda: print(json.dumps({"port": device.bind_address[1]}), flush=True))
    if rate:
        loop.add_callback(feed, device.fast, rate, size)
    loop.start()


if __name__ == "__main__":
    signal.alarm(LIFE)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    defaults = {"host": "127.0.0.1", "port": 0, "sensors": 0, "rate": 0, "size": 0, "tls": ""}
    main(**dict(defaults, **json.loads(sys.argv[1])))
