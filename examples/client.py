"""A client of the pump in pump.py: ``python client.py 127.0.0.1 5000``. It finds out by itself what the pump can do."""

import argparse
import asyncio
import sys

from katcp_aio import DeviceClient, InvalidReply, KatcpError


async def main(host: str, port: int) -> None:
    """Look around, set the rate, follow it, and calibrate."""
    # A script that finds no pump is to say so; a program that runs for years leaves out reconnect=None.
    async with DeviceClient(host, port, reconnect=None) as pump:
        print("requests:", ", ".join(pump.req))
        for name in pump.sensor:
            sensor = pump.sensor[name]
            reading = await sensor.read()
            print(f"sensor {name}: {reading.value} {sensor.units} ({reading.status.value})")

        await pump.req.set_rate(7.5)
        reading = await pump.sensor.rate.read()
        print(f"the rate is {reading.value} {pump.sensor.rate.units}, and that is {reading.status.value}")

        try:
            await pump.req.set_rate(75)
        except InvalidReply as error:
            print("refused:", error)

        async for step in pump.stream("calibrate"):
            print("calibration step", *[argument.decode() for argument in step.arguments])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", type=int, nargs="?", default=5000)
    options = parser.parse_args()
    try:
        asyncio.run(main(options.host, options.port))
    except (KatcpError, OSError) as error:
        sys.exit(f"client.py: {error}")
