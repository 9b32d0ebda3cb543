"""Rows that are tests of their own: the row runs them and counts. Law: what is not there is not run, and says so."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from .rows import OURS, Figure, Skip, row
from .running import ROOT

__all__ = []

MINE = (OURS,)
TWO = ("-n", "2", "--dist", "worksteal")  # processes share the tests
SAMPLE = 60  # changes of the code; 0.5 s each, for two at a time
AT_WORK = ("chance", "client", "connection", "server", "testing")  # tests in which there is a loop to block
FAILED = re.compile(r"^(?:FAILED|ERROR) \S*?(test_\w+\.py::\w+)", re.MULTILINE)
EXECUTED = re.compile(r"number_of_executed_units:\s+(\d+)")
COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")


def run_tests(*arguments: str, env: dict[str, str] | None = None, wrap: tuple[str, ...] = ("-m", "pytest")) -> dict:
    """Run pytest, and return its counts and what it has written."""
    if missing := [name for name in ("pytest", "pytest_asyncio", "hypothesis", "xdist") if find_spec(name) is None]:
        raise Skip(f"not installed: {', '.join(missing)}")
    done = subprocess.run(
        [sys.executable, *wrap, "-q", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | (env or {}),
    )
    found: dict = {
        "passed": 0,
        "failed": 0,
        "error": 0,
        "skipped": 0,
        "text": done.stdout + done.stderr,
        "names": FAILED.findall(done.stdout),
    }
    for count, what in COUNTS.findall(done.stdout.strip().rpartition("\n")[2]):
        found[what.removesuffix("s")] += int(count)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {done.returncode}: {found['text'][-300:]}")
    return found


def counts(found: dict) -> list[Figure]:
    return [
        Figure("tests passed", found["passed"], at_least=1),
        Figure("tests failed", found["failed"] + found["error"], at_most=0, note=", ".join(found["names"])),
    ]


def need(*names: str) -> None:
    """Skip unless these files of the tests, by pattern, are there."""
    for name in names:
        if not list((ROOT / "tests").rglob(name)):
            raise Skip(f"there is no {name} in tests")


@row("19", "the codec: what is written is read; beside katcp-codec", seconds=200.0, quick=False, sides=MINE)
def codec(_side: str) -> list[Figure]:
    from .codec import compare

    return [*counts(run_tests("tests/wire")), *compare()]


@row("20", "the parser and the decoders under a fuzzer, ten seconds each", seconds=120.0, quick=False, sides=MINE)
def fuzzer(_side: str) -> list[Figure]:
    if find_spec("atheris") is None:
        raise Skip("not installed: atheris")
    from fuzz.targets import TARGETS

    runs, broken = 0, []
    for name in TARGETS:
        with tempfile.TemporaryDirectory() as found:  # what is new is not kept: this is no hunt
            command = [sys.executable, "-m", "fuzz", name, "10", found]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        runs += sum(int(count) for count in EXECUTED.findall(done.stderr))
        broken += [name] * bool(done.returncode)
    return [
        Figure("inputs", runs, at_least=10_000),
        Figure("targets with an exception, or slower than 5 s", len(broken), at_most=0, note=", ".join(broken)),
    ]


@row("29", "every public await cancelled at each of its suspension points", seconds=150.0, quick=False, sides=MINE)
def cancellation(_side: str) -> list[Figure]:
    need("test_cancel_*.py")
    return counts(run_tests(*(str(path) for path in sorted((ROOT / "tests").rglob("test_cancel_*.py")))))


@row("30", "the tests in asyncio's debug mode, blocking calls forbidden", seconds=330.0, quick=False, sides=MINE)
def debug_mode(_side: str) -> list[Figure]:
    forbidden = find_spec("blockbuster") is not None
    options = ["-p", "tests.strict", "--no-blocking"] * forbidden + [f"tests/{part}" for part in AT_WORK]
    found = run_tests(*TWO, *options, env={"PYTHONASYNCIODEBUG": "1"})
    return [
        *counts(found),
        Figure("blocking calls were forbidden", int(forbidden), at_least=1),
        Figure("never awaited or retrieved", found["text"].count("was never "), at_most=0),
    ]


@row(
    "31",
    "coverage of lines and branches, and whether small changes of wire, strategies and limits are noticed",
    seconds=300.0,
    quick=False,
    sides=MINE,
)
def coverage(_side: str) -> list[Figure]:
    if find_spec("coverage") is None:
        raise Skip("not installed: coverage")
    with tempfile.TemporaryDirectory() as folder:
        env = {"COVERAGE_FILE": str(Path(folder) / "coverage")}
        found = run_tests(*TWO, env=env, wrap=("-m", "coverage", "run", "-m", "pytest"))
        tool = [sys.executable, "-m", "coverage"]
        subprocess.run([*tool, "combine", "--quiet"], cwd=ROOT, check=True, env=os.environ | env)
        report = [*tool, "report", "--format=total", "--precision=2", "--fail-under=0"]
        done = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | env)
    return [*counts(found), Figure("lines and branches", float(done.stdout), "%", at_least=100), mutation()]


def mutation() -> Figure:
    """Change a copy of the code in one place, run the tests that reach it, and count how often one of them fails.

    The bound is 85 % of all changes, less twice the standard error of a sample of this size.
    """
    mutmut = shutil.which("mutmut", path=str(Path(sys.executable).parent))
    name, bound = "changes noticed", 85 - 200 * (0.85 * 0.15 / SAMPLE) ** 0.5
    if mutmut is None:
        return Figure(name, 0, "%", note="none was tried: mutmut is not installed")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "mutants", "_build", "found"))

        def run(*arguments: str) -> str:
            command = [mutmut, *arguments]
            return subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False).stdout[-300:]

        said = run("run", "--max-children", "2", "none")  # of that name there is none, but all are made, and timed
        found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(copy.glob("mutants/**/*.meta"))]
        changes = [change for of_a_file in found for change in of_a_file["exit_code_by_key"]]
        if not changes:
            raise RuntimeError(f"mutmut made no changes: {said}")
        seed = random.randrange(2**32)
        said = run("run", "--max-children", "2", *random.Random(seed).sample(changes, SAMPLE))
        run("export-cicd-stats")
        result = json.loads((copy / "mutants" / "mutmut-cicd-stats.json").read_text(encoding="utf-8"))
    noticed = result["killed"] + result["timeout"]
    tried = sum(result.values()) - result["total"]  # the others of the total have no outcome
    if tried != SAMPLE:
        raise RuntimeError(f"mutmut tried {tried} of {SAMPLE} changes: {said}")
    note = f"a sample of {tried} of {len(changes)}, by seed {seed}; the whole is nox -s mutation"
    return Figure(name, 100 * noticed / tried, "%", at_least=round(bound), note=note)


@row(
    "32",
    "the tests in random orders, on asyncio and on uvloop",
    seconds=300.0,
    quick=False,
    sides=MINE,
)
def random_order(_side: str) -> list[Figure]:
    if find_spec("pytest_randomly") is None:
        raise Skip("not installed: pytest-randomly")
    found, seeds, longest = [], [], 0.0
    for options in [(), ("--uvloop",)] if find_spec("uvloop") else [()]:
        seeds.append(random.randrange(2**32))
        began = time.monotonic()
        found.append(run_tests(*TWO, f"--randomly-seed={seeds[-1]}", "-p", "tests.strict", *options))
        longest = max(longest, time.monotonic() - began)
    together = {key: sum((one[key] for one in found), start=type(found[0][key])()) for key in found[0] if key != "text"}
    return [
        Figure("runs", len(found), note=f"by seeds {', '.join(map(str, seeds))}; nox -s flakes has more"),
        *counts(together),
        Figure("longest run", longest, "s", at_most=120),
    ]
