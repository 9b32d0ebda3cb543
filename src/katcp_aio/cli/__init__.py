"""The ``katcp`` command. Law: a command says what is wrong in one line and by its exit code, and never by a traceback.

Each command is a module of this package, imported when it runs, so that ``katcp --help`` need not wait for the others.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

__all__ = ["main", "make_parser"]

EXIT_FAILED = 1  # it went wrong, or the device said no
EXIT_TIMEOUT = 2  # the device did not answer in time
EXIT_NOT_CONNECTED = 3  # there is no device, or no longer
EXIT_USAGE = 64  # by the custom of sysexits.h: not 2, which scripts are to take for a timeout
EXIT_INTERRUPTED = 130  # as shells count an end by SIGINT
EXIT_BROKEN_PIPE = 141  # and by SIGPIPE: whoever read our output has had enough

_NUMBER = re.compile(r"-\.?\d")  # below zero, and no option; -1e-3 is one too, as for argparse from Python 3.14 on


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv``, by default that of the process, and return the exit code.

    Raises:
        SystemExit: wrong usage (64), or after ``--help`` and ``--version`` (0); argparse's own way to end.
    """
    if hasattr(sys.stdout, "reconfigure"):  # where that is ASCII: a unit in other letters must not end the table
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return run_command(parse(argv))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more when it ends; there is nobody to be told that this fails.
        sys.stdout = None
        return EXIT_BROKEN_PIPE


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options in ``argv``; what argparse leaves as it follows an option is the pattern, or arguments."""
    parser = make_parser()
    options, left = parser.parse_known_args(argv)
    if not any(word.startswith("-") and not _NUMBER.match(word) for word in left):
        if "arguments" in options:
            options.arguments += left
            left = []
        elif getattr(options, "pattern", None) == "" and left:
            options.pattern = left.pop()
    if left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    return options


def make_parser() -> argparse.ArgumentParser:
    """Return the parser for all commands."""
    parser = _Parser(
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

    call = commands.add_parser(
        "call",
        help="make one request",
        description="Make one request. The informs and values of the answer go to stdout, one line each, with tabs "
        "between arguments. Exit code: 0 ok, 1 fail or invalid, 2 no answer in time, 3 not connected.",
    )
    _add_device(call, "for its answer (5, or what the device says that the request takes)")
    call.add_argument("request", metavar="REQUEST", help="its name")
    call.add_argument(
        "arguments",
        metavar="ARGUMENT",
        nargs="*",
        default=[],
        help="its arguments, unescaped; after -- those that begin with a dash",
    )

    sensors = commands.add_parser("sensors", help="list sensors and their values")
    _add_device(sensors)
    _add_pattern(sensors)

    watch = commands.add_parser("watch", help="follow sensors until Ctrl-C")
    _add_device(watch)
    _add_pattern(watch)
    watch.add_argument(
        "--strategy",
        nargs="+",
        metavar=("NAME", "PARAMETER"),
        help="sampling strategy and its parameters, times in seconds (event-rate 0.1 5, or auto); PATTERN may follow",
    )
    watch.add_argument("--seconds", type=_seconds, default=None, help="end after so many")
    return parser


def _add_device(command: argparse.ArgumentParser, text: str = "for its answers (5; 30 for its lists)") -> None:
    command.add_argument("device", metavar="HOST:PORT", type=_device, help="the device; [::1]:5000 for IPv6")
    command.add_argument("--json", action="store_true", help="write JSON, for programs")
    command.add_argument("--timeout", type=_seconds, help=f"seconds to connect, or {text}")
    command.add_argument("--plain", action="store_true", help="lines without colours, also on a terminal")


def _add_pattern(command: argparse.ArgumentParser) -> None:
    command.add_argument("pattern", metavar="PATTERN", nargs="?", default="", help="only names in which it is found")


def run_command(options: argparse.Namespace) -> int:
    """Run the command that was chosen, and return its exit code; what it raises becomes one line on stderr."""
    # A client tells the log of each attempt to connect that fails. Here, what matters of it becomes the one line.
    log = logging.getLogger("katcp_aio.client")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        module = import_module(f".{options.command}", __package__)
        code: int = module.main(options)
        return code
    except Exception as error:
        if isinstance(_first(error), BrokenPipeError):
            raise BrokenPipeError from error
        print(f"katcp {options.command}: {reason(error)}", file=sys.stderr)
        return exit_code(error)
    finally:
        log.setLevel(level)


def exit_code(error: BaseException) -> int:
    """Return the exit code for what went wrong."""
    from ..errors import ConnectionLost, RequestTimeout

    error = _first(error)
    if isinstance(error, RequestTimeout):
        return EXIT_TIMEOUT
    return EXIT_NOT_CONNECTED if isinstance(error, ConnectionLost) else EXIT_FAILED


def reason(error: BaseException) -> str:
    """Return what went wrong in one line; of several things at once, the first."""
    from ..reports import printable

    error = _first(error)
    texts = [str(error) or type(error).__name__, *getattr(error, "__notes__", ())]
    return printable(", ".join(texts), longest=500)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _device(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port or not host:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), _port(port)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds") from None
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600 seconds")
    return seconds


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """A parser with an exit code of its own, to which numbers are arguments, however they are written."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._negative_number_matcher = _NUMBER

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


class _Version(argparse.Action):
    """Print the version; looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from ..version import library_version

        print(f"katcp {library_version()}")
        parser.exit()
