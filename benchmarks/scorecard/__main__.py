"""``python -m benchmarks.scorecard [--rows 1,2] [--quick] [--ours] [--katcp-python PYTHON] [--json FILE] ...``."""

import argparse
import json
import os
import platform
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import peer
from ..report import PACKAGES, installed, processor
from .report import as_json, as_markdown
from .rows import OLDER, OURS, ROWS, THEIRS, Result
from .running import MODULES, run, stop_all
from .victim import OWN_PYTHON

WAITING = ("14", "17", "28")  # rows that leave the machine time to spare, and measure none: both sides at once


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scorecard", description=__doc__)
    parser.add_argument("--rows", metavar="N,N", help="only these rows")
    parser.add_argument("--quick", action="store_true", help="only rows that take seconds")
    parser.add_argument("--ours", action="store_true", help="without the peers")
    parser.add_argument("--katcp-python", metavar="PYTHON", help="a Python 3.9; python3.9 by default, if it is found")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was found")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table")
    found = parser.parse_args()
    found.wanted = (
        found.rows.split(",") if found.rows else [name for name in ROWS if not found.quick or ROWS[name].quick]
    )
    if unknown := set(found.wanted) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(in_order(ROWS))}")
    return found


def in_order(names) -> list[str]:
    return sorted(names, key=int)


def about(older: str) -> dict[str, Any]:
    """What the figures depend on; ``older`` says what katcp-python is here, or why it is not."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": round(os.getloadavg()[0], 2),
        "versions": {name: found for name in PACKAGES if name != "uvloop" and (found := installed(name))},
        "katcp-python": older,
    }


def run_all(wanted: list[str], without: set[str]) -> dict[str, dict[str, Result]]:
    """Run rows in order, one after another; those that measure no time, at once. Sides in ``without`` sit out."""
    results: dict[str, dict[str, Result]] = {name: {} for name in wanted}
    at_once = [name for name in wanted if name in WAITING]
    for batch in [at_once, *([name] for name in wanted if name not in WAITING)]:
        turns = [(ROWS[name], side) for name in batch for side in ROWS[name].sides if side not in without]
        with ThreadPoolExecutor(4 if batch is at_once else 1) as pool:
            try:
                for (subject, side), result in zip(turns, pool.map(lambda turn: run(*turn), turns), strict=True):
                    results[subject.number][side] = result
                    told = f"{subject.number}. {subject.name}: {side} {result.verdict} ({result.seconds:g} s)"
                    print(told, file=sys.stderr, flush=True)
            finally:
                stop_all()
    return results


def main() -> int:
    """Run what was asked for; return 1 if a row of ours failed."""
    for module in MODULES:
        import_module(f"benchmarks.scorecard.{module}")
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    python, older = (None, "without the peers") if options.ours else peer.prepare(options.katcp_python)
    if python is not None:
        os.environ[OWN_PYTHON] = python  # for the rows
    facts = about(older)
    without = {THEIRS, OLDER} if options.ours else {OLDER} if python is None else set()
    results = run_all(in_order(options.wanted), without)
    text = as_markdown(results, facts)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(as_json(results, facts), indent=1) + "\n", encoding="utf-8")
    return int(any(sides[OURS].verdict == "fail" for sides in results.values()))


if __name__ == "__main__":
    sys.exit(main())
