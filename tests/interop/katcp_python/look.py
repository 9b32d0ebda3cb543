"""A client of katcp-python 0.9.3: ``python look.py HOST PORT``. Looks at a device and prints what it found, as JSON.

The device is the one in the test beside this file.
"""

import json
import sys

import tornado.gen
from katcp import AsyncClient, Message
from katcp.resource_client import KATCPClientResource
from tornado.ioloop import IOLoop

HOST, PORT = sys.argv[1], int(sys.argv[2])
PATIENCE = 10


def text(arguments):
    """Return arguments as texts."""
    return [argument.decode("latin-1") for argument in arguments]


@tornado.gen.coroutine
def plain():
    """Ask with the plain client."""
    client = AsyncClient(HOST, PORT)
    client.set_ioloop(IOLoop.current())
    client.start(timeout=PATIENCE)
    yield client.until_protocol(timeout=PATIENCE)
    found = {"protocol": str(client.protocol_flags), "versions": sorted(client.versions)}

    @tornado.gen.coroutine
    def ask(name, *arguments):
        reply, informs = yield client.future_request(Message.request(name, *arguments), timeout=PATIENCE)
        raise tornado.gen.Return([text(reply.arguments), [text(inform.arguments) for inform in informs]])

    found["echo"] = yield ask("echo", bytes(range(256)), b"")
    found["steps"] = yield ask("steps", 3)
    found["refused"] = yield ask("refuse")
    found["bad"] = yield ask("set-rate", "fast")
    found["unknown"] = yield ask("nothing")
    found["value"] = yield ask("sensor-value", "rate")
    found["period"] = yield ask("sensor-sampling", "rate", "period", client.convert_seconds(2.5))
    found["many"] = yield [ask("set-rate", number) for number in range(20)]
    client.stop()
    yield client.until_stopped(timeout=PATIENCE)
    raise tornado.gen.Return(found)


@tornado.gen.coroutine
def resource():
    """Discover, command and follow with the resource client."""
    pump = KATCPClientResource({"name": "pump", "address": (HOST, PORT), "controlled": True})
    pump.start()
    yield pump.until_synced(timeout=PATIENCE)
    found = {
        "requests": sorted(pump.req),
        "sensors": sorted(pump.sensor),
        "types": {name: sensor.type for name, sensor in pump.sensor.items()},
        "units": pump.sensor.rate.units,
        "description": pump.sensor.rate.description,
        "help": pump.req.set_rate.description,
    }
    found["values"] = {}
    for name in sorted(pump.sensor):
        reading = yield pump.sensor[name].get_reading()
        found["values"][name] = [reading.timestamp, reading.status, str(reading.value)]

    seen = []
    pump.sensor.rate.register_listener(lambda *reading: seen.append(reading[-1]))
    found["strategy"] = str((yield pump.set_sampling_strategy("rate", "event")))
    reply = yield pump.req.set_rate(7.25)
    found["reply"] = [bool(reply), text(reply.reply.arguments)]
    found["reached"] = yield pump.wait("rate", 7.25, timeout=PATIENCE)
    found["seen"] = seen

    yield pump.req.grow()  # the device gets a sensor and a request, and says so
    while "late" not in pump.sensor or "late_request" not in pump.req:
        yield tornado.gen.sleep(0.02)
    reply = yield pump.req.late_request()
    found["late"] = [pump.sensor.late.type, bool(reply)]

    yield pump.req.halt()
    yield pump.until_state("disconnected", timeout=PATIENCE)
    pump.stop()
    raise tornado.gen.Return(found)


@tornado.gen.coroutine
def main():
    """Do all of it."""
    raise tornado.gen.Return({"plain": (yield plain()), "resource": (yield resource())})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(IOLoop.current().run_sync(main, timeout=4 * PATIENCE)))
