"""katcp-python as a device, for a Python that has it: ``python older.py OPTIONS``. Law: no import of this folder.

It is told what to do over its pipe as the others are (see ``child.py``), and runs without threads, as its own
AsyncDeviceServer does: that is when it is fastest. Tornado's loop is its own, not asyncio.
"""

import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path

from katcp import AsyncDeviceServer, ProtocolFlags, Sensor
from katcp.kattypes import Str, request, return_reply
from tornado import gen
from tornado.ioloop import IOLoop

__all__ = []


class Device(AsyncDeviceServer):
    VERSION_INFO = ("benchmark", 1, 0)
    BUILD_INFO = ("benchmark", 1, 0, "")
    PROTOCOL_INFO = ProtocolFlags(5, 1, [b"M", b"I", b"T", b"B"])

    def setup_sensors(self):
        """None yet."""

    @request(Str(multiple=True))
    @return_reply(Str(multiple=True))
    def request_echo(self, req, *args):
        """Return the arguments."""
        return ("ok", *args)


class Server:
    """What ``served.py`` says of the others.

    Args:
        sensors: how many it starts with.
    """

    def __init__(self, sensors=0):
        self.device = Device("127.0.0.1", 0)
        self.sensors = []
        self.add_sensors(sensors)
        self.device.start()

    def add_sensors(self, count):
        """Add sensors to those that are there."""
        for number in range(len(self.sensors), len(self.sensors) + count):
            name = "rack.unit.temperature-%06d" % number  # noqa: UP031 - one way with all the others
            sensor = Sensor.integer(name, "A temperature of the benchmark", "K")
            self.device.add_sensor(sensor)
            self.sensors.append(sensor)

    @gen.coroutine
    def update(self, count, final, burst):
        """Set the first sensor, some times in each turn of the loop; return when this began."""
        began = time.time()
        sensor = self.sensors[0]
        for number in range(1, count):
            sensor.set_value(number)
            if number % burst == 0:
                yield gen.moment
        sensor.set_value(final)
        raise gen.Return(began)

    def usage(self):
        """Return CPU seconds used so far, and bytes of memory held now."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        rss = pages * os.sysconf("SC_PAGE_SIZE")
        return {"cpu": used.ru_utime + used.ru_stime, "rss": rss, "at": time.monotonic()}


def answer(ok, value):
    """Tell the parent."""
    os.write(sys.stdout.fileno(), json.dumps([ok, value]).encode() + b"\n")


@gen.coroutine
def obey(server, line):
    """Do what a line says."""
    what, arguments = json.loads(line)
    try:
        value = yield gen.maybe_future(getattr(server, what)(**arguments))
    except Exception as error:  # noqa: BLE001 - the parent is to hear of it
        traceback.print_exc()
        answer(False, f"{type(error).__name__}: {error}")
    else:
        answer(True, value)


def main(options):
    """Serve until the parent closes the pipe."""
    loop = IOLoop.current()
    server = Server(**json.loads(options))
    rest = [b""]

    def read(descriptor, _events):
        data = os.read(descriptor, 1 << 16)
        if not data:
            loop.remove_handler(descriptor)
            loop.stop()
        *lines, rest[0] = (rest[0] + data).split(b"\n")
        for line in lines:
            loop.add_callback(obey, server, line)

    loop.add_handler(sys.stdin.fileno(), read, loop.READ)
    loop.add_callback(lambda: answer(True, server.device.bind_address[1]))
    loop.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
