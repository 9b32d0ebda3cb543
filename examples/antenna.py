"""The antenna of ``katcp demo``, on a port of its own. Its code is the module that is imported here."""

import sys

from katcp_aio import run
from katcp_aio.cli.antenna import Antenna

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 5001
    run(Antenna("127.0.0.1", port))
