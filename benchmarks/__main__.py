"""``python -m benchmarks [group ...] [--quick] [--loop uvloop] [--json FILE] [--markdown FILE] [--plot FILE]``."""

import argparse
import json
import os
import sys
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from . import peer
from .child import PROFILES
from .curves import curves, draw
from .harness import MEASURES, Result, Settings, run
from .report import as_json, as_markdown, machine

GROUPS = ("wire", "server", "sensors", "client", "memory", "startup", "growth")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; all of them by default")
    parser.add_argument("--quick", action="store_true", help="under two minutes, and rougher")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="event loop of both sides")
    parser.add_argument("--only", default="", help="only measures with this in one of their names")
    parser.add_argument("--rounds", type=int, help="rounds of each measure")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="leave a cProfile of each process there")
    parser.add_argument("--katcp-python", metavar="PYTHON", help="a Python 3.9; python3.9 by default, if it is found")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves of the group growth, as SVG or PNG")
    found = parser.parse_args()
    if unknown := set(found.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if found.loop == "uvloop" and find_spec("uvloop") is None:
        parser.error("uvloop is not installed")
    if found.plot and find_spec("matplotlib") is None:
        parser.error("matplotlib is not installed")
    if found.plot and found.groups and "growth" not in found.groups:
        parser.error("--plot draws what the group growth measures")
    return found


def main() -> int:
    """Run what was asked for; return 1 if a measure of ours failed."""
    options = arguments()
    python, older = peer.prepare(options.katcp_python)
    settings = Settings(options.loop, 2, 0.15, quick=True) if options.quick else Settings(options.loop)
    settings = replace(settings, katcp_python=python, rounds=options.rounds or settings.rounds)
    if options.profile:
        os.environ[PROFILES] = str(options.profile.resolve())
    about = machine(settings, older)
    groups: dict[str, list[Result]] = {}
    for group in options.groups or GROUPS:
        import_module(f"benchmarks.{group}")
        wanted = [one for one in MEASURES if one.group == group and any(options.only in row.name for row in one.rows)]
        groups[group] = [result for one in wanted for result in run(one, settings)]
    text = as_markdown(groups, about)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(as_json(groups, about), indent=1) + "\n", encoding="utf-8")
    results = [result for results in groups.values() for result in results]
    if options.plot:
        draw(list(curves(results)), options.plot, text.partition("\n")[0])
    return int(any(result.verdict == "failed" for result in results))


if __name__ == "__main__":
    sys.exit(main())
