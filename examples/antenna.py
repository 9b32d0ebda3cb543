"""The antenna of ``katcp demo``, on a port of its own. Its code is the module that is imported here."""

import argparse

from katcp_aio import run
from katcp_aio.cli.antenna import Antenna

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, nargs="?", default=5001)
    run(Antenna("127.0.0.1", parser.parse_args().port))
