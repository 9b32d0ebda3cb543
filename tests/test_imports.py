"""A program loads what it uses: the names of ``katcp_aio`` bring their modules with them, and no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import katcp_aio

SOURCE = Path(__file__).parents[1] / "src"

# What takes time to import, and neither a server nor a client has a use for until it is asked for something special.
SPECIAL = {
    "argparse",
    "csv",
    "ctypes",
    "dataclasses",
    "datetime",
    "difflib",
    "email",
    "http",
    "importlib.metadata",
    "json",
    "multiprocessing",
    "pathlib",
    "pickle",
    "sqlite3",
    "statistics",
    "tempfile",
    "unittest",
    "urllib",
    "xml",
    "zipfile",
}


def run(program):
    """Return what a fresh process prints, in which nothing is imported that measures or tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    env["PYTHONPATH"] = str(SOURCE)
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout.split()


def loaded_by(statement):
    """Return the modules that a statement imports, without those of asyncio and of what else is needed anyway."""
    before = "import asyncio, async_timeout, attrs, sys; before = set(sys.modules)"
    return set(run(f"{before}\n{statement}\nprint(*sys.modules.keys() - before)"))


def below(packages, modules):
    return sorted(module for module in modules if module.startswith(tuple(f"katcp_aio.{name}" for name in packages)))


def test_the_package_alone_loads_what_servers_and_clients_share():
    loaded = loaded_by("import katcp_aio")
    assert below(["wire", "model", "connection"], loaded)
    assert not below(["client", "server", "blocking", "testing", "cli"], loaded)
    assert not loaded & SPECIAL


def test_a_client_loads_nothing_of_servers_and_nothing_that_few_clients_use():
    loaded = loaded_by("from katcp_aio import Client, DeviceClient")
    assert "katcp_aio.client.device" in loaded
    few = [f"client.{name}" for name in ("group", "metrics", "mirror", "proxy", "recorder", "sinks")]
    assert not below(["server", *few], loaded)
    assert not loaded & SPECIAL


def test_a_device_loads_nothing_of_clients_and_nothing_that_few_devices_use():
    loaded = loaded_by("from katcp_aio import DeviceServer, Sensor, request")
    assert "katcp_aio.server.device" in loaded
    few = [f"server.{name}" for name in ("audit", "metadata", "timesync")]
    assert not below(["client", *few], loaded)
    assert not loaded & SPECIAL


def test_what_is_special_is_loaded_by_the_name_that_needs_it():
    assert {"csv", "json", "katcp_aio.client.sinks"} <= loaded_by("from katcp_aio import CsvSink")


def test_all_names_are_there_to_be_seen_before_they_are_loaded():
    program = "import katcp_aio; print(*dir(katcp_aio)); print('|', *vars(katcp_aio))"
    seen, loaded = (part.split() for part in " ".join(run(program)).split("|"))
    assert set(katcp_aio.__all__) <= set(seen)
    assert "Client" not in loaded
    assert seen == sorted(seen)
    assert set(seen) <= set(dir(katcp_aio)), "what is loaded by now is there as well"


def test_a_star_imports_all_names():
    program = "from katcp_aio import *; print(*dir())"
    assert set(katcp_aio.__all__) <= set(run(program))


def test_a_name_is_looked_for_once():
    for name in katcp_aio.__all__:
        assert getattr(katcp_aio, name) is vars(katcp_aio)[name]


def test_a_name_that_there_is_not_is_named():
    with pytest.raises(AttributeError, match="module 'katcp_aio' has no attribute 'Servant'"):
        katcp_aio.Servant  # noqa: B018 - the access is what fails
    with pytest.raises(ImportError, match="Servant"):
        exec("from katcp_aio import Servant")
