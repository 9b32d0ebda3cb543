"""One row for one side: ``python -m benchmarks.scorecard.one ROW SIDE``. Law: the last line it writes is its result."""

import sys
from importlib import import_module

from .running import MODULES, main

__all__ = []

if __name__ == "__main__":
    for module in MODULES:
        import_module(f"benchmarks.scorecard.{module}")
    main(*sys.argv[1:])
