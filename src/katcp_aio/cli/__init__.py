"""The ``katcp`` command. Law: a command says what is wrong in one line and by its exit code, and never by a traceback.

Each command is a module of this package, imported when it runs, so that ``katcp --help`` need not wait for the others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

__all__ = ["main"]

EXIT_FAILED = 1  # it went wrong, or the device said no
EXIT_INTERRUPTED = 130  # as shells count an end by SIGINT
EXIT_BROKEN_PIPE = 141  # and by SIGPIPE: whoever read our output has had enough


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv``, by default that of the process, and return the exit code.

    Raises:
        SystemExit: wrong usage (2), or after ``--help`` and ``--version`` (0); argparse's own way to end.
    """
    options = make_parser().parse_args(argv)
    try:
        return run_command(options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more when it ends; there is nobody to be told that this fails.
        sys.stdout = None
        return EXIT_BROKEN_PIPE


def make_parser() -> argparse.ArgumentParser:
    """Return the parser for all commands."""
    parser = argparse.ArgumentParser(
        prog="katcp", description="Devices and clients for KATCP, the control protocol of radio telescopes."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    demo = commands.add_parser(
        "demo",
        help="show a simulated antenna and a client that follows it",
        description="Start a simulated antenna, connect a client to it over TCP, list what it found, slew the antenna "
        "and follow its sensors. With --serve, leave the antenna running for clients of yours.",
    )
    demo.add_argument("--seconds", type=_seconds, default=6.0, help="how long to follow the antenna (%(default)g)")
    demo.add_argument("--seed", type=int, default=7, help="of the drifts and faults that are simulated (%(default)s)")
    demo.add_argument("--serve", action="store_true", help="only run the antenna, until SIGINT or SIGTERM")
    demo.add_argument("--host", default="127.0.0.1", help="address that the antenna listens at (%(default)s)")
    demo.add_argument("--port", type=_port, default=0, help="port that it listens at; 0 is any free one (%(default)s)")
    demo.add_argument("--plain", action="store_true", help="lines without colours, also on a terminal")
    return parser


def run_command(options: argparse.Namespace) -> int:
    """Run the command that was chosen, and return its exit code; what it raises becomes one line on stderr."""
    try:
        module = import_module(f".{options.command}", __package__)
        code: int = module.main(options)
        return code
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the whole program ends with it, and says so
        print(f"katcp {options.command}: {reason(error)}", file=sys.stderr)
        return EXIT_FAILED


def reason(error: BaseException) -> str:
    """Return what went wrong in one line; of several things at once, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    from ..reports import printable

    return printable(str(error) or type(error).__name__, longest=500)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600 seconds")
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return port


class _Version(argparse.Action):
    """Print the version; looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"katcp {version('katcp-aio')}")
        parser.exit()
