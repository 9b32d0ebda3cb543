"""The repository's own promises: what README, CI and the hooks say about the tools is what is so."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from katcp_aio.cli import make_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def marked(name):
    found = re.search(rf"^<!-- {name}-command -->\n```sh\n(.*)\n```$", README, re.MULTILINE)
    assert found, f"README.md has no one-line block marked {name}-command"
    return found[1]


@pytest.mark.parametrize("name", ["demo", "test"])
def test_readme_commands_do_their_own_set_up(name):
    assert marked(name).startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_ci_runs_the_test_command_of_the_readme():
    printed = subprocess.run([ROOT / ".ci" / "run", "--print"], capture_output=True, text=True, check=True)
    assert printed.stdout == marked("test") + "\n"


def shell_lines():
    for block in re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"(?:^|bin/)katcp (.*?)(?:  |$)", block, re.MULTILINE)


@pytest.mark.parametrize("line", list(shell_lines()))
def test_readme_uses_the_katcp_command_as_it_is(line):
    options = make_parser().parse_args(shlex.split(line.removesuffix("&")))
    assert options.command == line.split()[0]


def test_readme_shows_the_demo_and_the_commands():
    assert [line.split()[0] for line in shell_lines()] == ["demo", "demo", "sensors", "call", "watch"]


def test_the_core_has_three_dependencies():
    names = [re.match(r"[a-z-]+", requirement)[0] for requirement in PYPROJECT["project"]["dependencies"]]
    assert names == ["async-timeout", "attrs", "decorator"]


def test_hooks_use_the_tools_of_the_sessions():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    wanted = set(PYPROJECT["dependency-groups"]["lint"])
    assert set(re.findall(r'"((?:ruff|codespell)[^"]*)"', hooks)) == wanted


def test_every_ignored_rule_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ruff = text.partition("[tool.ruff.lint]")[2]
    rules = [line for line in ruff.splitlines() if re.match(r'\s+"[A-Z]+[0-9]*",', line)]
    assert rules
    assert [line for line in rules if not re.search(r",\s+# \S", line)] == []
