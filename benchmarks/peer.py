"""Where katcp-python comes from. Law: what cannot be had is said in the tables, and nothing else fails for it.

It runs on no Python newer than 3.9, so that it gets a virtual environment of its own: beside this one's files, made
when it is first asked for, and kept.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["prepare"]

REQUIREMENTS = ("katcp==0.9.3", "tornado<5")
NEWEST = (3, 9)
PATIENCE = 180.0  # seconds that one step may take
VERSIONS = "import sys, katcp, tornado; print(katcp.__version__, tornado.version, '%d.%d.%d' % sys.version_info[:3])"


def prepare(python: str | None) -> tuple[str | None, str]:
    """Return an interpreter that has katcp-python and what that is; or None, and why there is none.

    Args:
        python: one old enough to make the environment with; None: ``python3.9``, if it is found.
    """
    base = python or shutil.which("python3.9")
    if base is None:
        return None, "no katcp-python: no python3.9 was found"
    try:
        version = tuple(map(int, output(base, "-c", "import sys; print(*sys.version_info[:2])").split()))
        if version > NEWEST:
            return None, f"no katcp-python: it does not run on Python {version[0]}.{version[1]}"
        own = environment(base)
        katcp, tornado, found = output(own, "-c", VERSIONS).split()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return None, f"no katcp-python: {type(error).__name__} in making its environment"
    return own, f"katcp-python {katcp} (tornado {tornado}, CPython {found})"


def environment(base: str) -> str:
    """Return the interpreter of the environment, which is made if it is not there."""
    folder = Path(sys.prefix) / "katcp-python"
    own = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    try:
        output(own, "-c", VERSIONS)
    except (OSError, subprocess.SubprocessError):
        output(base, "-m", "venv", "--clear", str(folder))
        output(own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS)
    return own


def output(*command: str) -> str:
    """Run a command and return what it says; what it complains of is seen."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
    return done.stdout.strip()
