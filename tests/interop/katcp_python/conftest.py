"""The tests here need a Python that has katcp-python, and are collected only where one is named: ``nox -s interop``."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

__all__ = []

HERE = Path(__file__).parent
PYTHON = os.environ.get("KATCP_PYTHON")  # an interpreter with katcp 0.9.3, which needs Python 3.9 or older
PATIENCE = 20  # s, for a busy machine to start a Python

if not PYTHON:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def program():
    """Return a context manager that runs one of the programs beside this file with the other Python."""

    @contextlib.asynccontextmanager
    async def run(name, *arguments):
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, HERE / name, *map(str, arguments)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                async with asyncio.timeout(PATIENCE):
                    await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.communicate()

    return run


@pytest.fixture
def device(program):
    """Return a context manager that runs a device and yields its port."""

    @contextlib.asynccontextmanager
    async def run(flavour, port=0):
        async with program("device.py", flavour, port) as process, asyncio.timeout(3 * PATIENCE):
            line = await process.stdout.readline()
            assert line, (await process.stderr.read()).decode()
            yield int(line)

    return run
