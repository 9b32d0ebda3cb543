"""What is checked before a change is taken. Plain ``nox`` runs lint, typing, tests and docs; ``nox -l`` lists all.

Law: a session only starts tools; what the tools check is set in pyproject.toml.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13"]
ON_ALL_CORES = ["-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]  # what pytest is told: a process for each

nox.needs_version = ">=2025.2"
nox.options.sessions = ["lint", "typing", "tests", "docs"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
# A Python which this machine lacks is named as skipped: nothing is downloaded for it, and it is no failure.
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False


def runs(python: Path, version: str) -> bool:
    """Whether ``python`` starts and is of that version: a version manager's stand-in may exist and only complain."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version


def pyenv_root() -> Path:
    """Where pyenv keeps its interpreters, if it is there at all."""
    if root := os.environ.get("PYENV_ROOT"):
        return Path(root)
    if pyenv := shutil.which("pyenv"):
        answer = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return Path(answer.stdout.strip())
    return Path.home() / ".pyenv"


def candidates(version: str) -> Iterator[Path]:
    """Yield the files which may be that Python: first from PATH, then pyenv's own, newest first."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if found := shutil.which(f"python{version}", path=folder):
            yield Path(found)
    installed = pyenv_root().glob(f"versions/{version}.*/bin/python{version}")
    yield from sorted(installed, key=lambda path: [int(n) for n in path.parts[-3].split(".") if n.isdigit()])[::-1]


def show_interpreters_to_nox() -> None:
    """Put the folder of each interpreter that PATH hides at the end of PATH, where nox and virtualenv look."""
    for version in PYTHONS:
        if sys.version_info[:2] == tuple(map(int, version.split("."))):
            continue
        found = next((path for path in candidates(version) if runs(path, version)), None)
        if found is not None and str(found.parent) not in os.environ["PATH"].split(os.pathsep):
            os.environ["PATH"] += os.pathsep + str(found.parent)


show_interpreters_to_nox()


def install(session: nox.Session, group: str, *, project: str | None = ".") -> None:
    """Install a dependency group and, unless told otherwise, the project itself (editable) with it."""
    editable = ["-e", project] if project else []
    session.install("--quiet", *editable, *nox.project.dependency_groups(PYPROJECT, group))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and spelling."""
    install(session, "lint", project=None)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of the package, and of how users call it."""
    install(session, "typing", project=".[cli]")
    session.run("mypy", "src", "tests/typing", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite and measure its coverage. With arguments, run pytest with these, and measure nothing."""
    install(session, "test", project=".[cli]")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    # Measured by coverage itself, and not by a plugin of pytest: this package is one too, and loaded before others.
    # Each Python has its own data file, so that sessions may run side by side, and each process of pytest a part of it.
    env = {"COVERAGE_FILE": str(Path(session.virtualenv.location) / "coverage")}
    session.run("coverage", "erase", env=env)
    session.run("coverage", "run", "-m", "pytest", *ON_ALL_CORES, env=env)
    session.run("coverage", "combine", "--quiet", env=env)
    session.run("coverage", "report", env=env)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, where a warning is an error, and run the code it shows."""
    install(session, "docs", project=".[cli]")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")
    session.run("pytest", "tests/test_docs_code.py", *session.posargs)


def katcp_python() -> list[str]:
    """Return the option that names the last Python that runs katcp-python, where there is one."""
    older = next((path for path in candidates("3.9") if runs(path, "3.9")), None)
    return ["--katcp-python", str(older)] if older else []


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed and memory beside aiokatcp and katcp-python. Arguments go to ``python -m benchmarks``."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *katcp_python(), *session.posargs)


@nox.session
def scorecard(session: nox.Session) -> None:
    """Measure how a device bears abuse and loss, and its peers. Arguments go to ``python -m benchmarks.scorecard``."""
    install(session, "scorecard", project=".[cli]")
    session.run("python", "-m", "benchmarks.scorecard", *katcp_python(), *session.posargs)


@nox.session
def interop(session: nox.Session) -> None:
    """Talk with katcp-python in each version of the protocol, where there is a Python old enough to run it."""
    found = next((path for path in candidates("3.9") if runs(path, "3.9")), None)
    if found is None:
        session.skip("there is no Python 3.9, the last that all of katcp-python works with")
    folder = Path(session.create_tmp()) / "katcp-python"
    if not folder.exists():
        session.run(str(found), "-m", "venv", str(folder), external=True)
    theirs = str(folder / "bin" / "python")
    session.run(theirs, "-m", "pip", "install", "--quiet", "katcp==0.9.3", "tornado<5", external=True)
    install(session, "test")
    session.run("pytest", "tests/interop", *session.posargs, env={"KATCP_PYTHON": theirs})


@nox.session(python="3.11")
def fuzz(session: nox.Session) -> None:
    """Fuzz parser, escapes, types and signatures with atheris for five minutes, or ``-- SECONDS``, all together."""
    targets = ("parser", "escapes", "values", "signature")
    seconds = int(session.posargs[0]) if session.posargs else 300
    install(session, "fuzz")
    for target in targets:
        session.run("python", "-m", "fuzz", target, str(max(1, seconds // len(targets))))


@nox.session
def soak(session: nox.Session) -> None:
    """Wear a device out for ten minutes, or ``-- SECONDS``; memory, tasks and descriptors must be as before."""
    session.install("--quiet", "-e", ".")
    session.run("python", "-m", "fuzz.soak", *session.posargs)


@nox.session
def chance(session: nox.Session) -> None:
    """Give the tests by chance a night: thousands of examples and seeds. Arguments go to pytest."""
    install(session, "test", project=".[cli]")
    parts = ["tests/chance", "tests/client/test_client_hostile.py", "tests/client/test_convergence.py"]
    session.run("pytest", *(session.posargs or parts), env={"HYPOTHESIS_PROFILE": "long"})


@nox.session(python=PYTHONS)
def flakes(session: nox.Session) -> None:
    """Run the suite seven times on each Python, or ``-- TIMES``, in random orders, every other time on uvloop.

    ``-- TIMES debug`` has each run in asyncio's debug mode and with blocking calls forbidden, uvloop's runs too: it
    obeys the same variable, and its own calls are no Python that could block. Two processes share the tests. A table
    of all runs, with the seed that repeats the order of each, comes last.
    """
    install(session, "flakes", project=".[cli]")
    strict = session.posargs[-1:] == ["debug"]
    times = session.posargs[: -1 if strict else None] or ["7"]
    for number in range(int(times[0])):
        seed, loop = random.randrange(2**32), ("asyncio", "uvloop")[number % 2]
        pytest = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "worksteal"]
        order = [f"--randomly-seed={seed}", "-p", "tests.strict", *(["--uvloop"] if loop == "uvloop" else [])]
        order += ["--no-blocking"] * strict
        env = {"PYTHONASYNCIODEBUG": "1"} if strict else {}
        began = time.monotonic()
        said = session.run(*pytest, *order, env=env, silent=True, success_codes=range(256))
        if not isinstance(said, str):  # nox --install-only runs nothing
            return
        took = time.monotonic() - began
        ended = re.search(r"^(?P<counts>.*?) in [0-9.]+s", said.strip().rpartition("\n")[2])
        outcome = ended["counts"] if ended else "no end"
        flaked = not re.fullmatch(r"\d+ passed(, \d+ skipped)?", outcome)
        way = f"{loop}, debug" if strict else loop
        RUNS.append((f"{len(RUNS) + 1}", f"{seed}", str(session.python), way, outcome, f"{took:.0f} s", flaked))
        session.log("  ".join(RUNS[-1][:-1]) + (f"\n{said}" if flaked else ""))
    session.log(table([("run", "seed", "Python", "loop", "outcome", "time"), *(run[:-1] for run in RUNS)]))
    if any(run[-1] for run in RUNS):
        session.error("not each run passed; `pytest -p randomly --randomly-seed=SEED` repeats the order of one")


RUNS: list[tuple] = []  # of `flakes`, on all Pythons


def table(rows: list[tuple[str, ...]]) -> str:
    """Return rows of words as lines, each column as wide as its longest word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n" + "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


@nox.session(python=PYTHONS)
def debug(session: nox.Session) -> None:
    """Test in asyncio's debug mode, with blocking calls forbidden, and, from 3.12 on, with tasks that start at once."""
    install(session, "debug", project=".[cli]")
    parts = session.posargs or ["tests/server", "tests/client", "tests/connection", "tests/testing", "tests/chance"]
    pytest = ["python", "-m", "pytest", "-p", "tests.strict", *ON_ALL_CORES, *parts]
    session.run(*pytest, env={"PYTHONASYNCIODEBUG": "1"})
    session.run(*pytest, "--no-blocking")
    if session.python != "3.11":
        session.run(*pytest, "--eager")


@nox.session
def mutation(session: nox.Session) -> None:
    """Change wire, strategies and limits in small ways, and count what the tests notice; half an hour or so.

    Arguments are names of mutants. ``mutmut results`` and ``mutmut show NAME`` tell of those that survived.
    """
    install(session, "mutation", project=".[cli]")
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "export-cicd-stats")
    counts = json.loads(Path("mutants/mutmut-cicd-stats.json").read_text(encoding="utf-8"))
    noticed, tried = counts["killed"] + counts["timeout"], sum(counts.values()) - counts["total"]
    session.log(f"{noticed} of {tried} changes were noticed: {100 * noticed / max(1, tried):.1f} %")
