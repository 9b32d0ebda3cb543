"""One command leaves all that the page in the docs is made of."""

import json
import sys
from importlib.util import find_spec

import pytest

from benchmarks.__main__ import main

PLOTS = find_spec("matplotlib") is not None


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Return what runs the command with some arguments, where no other Python is found."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
        return main()

    return run


def test_what_the_page_is_made_of(command, tmp_path, capsys):
    markdown, figures, plot = tmp_path / "figures.md", tmp_path / "figures.json", tmp_path / "growth.svg"
    drawn = ["--plot", plot] if PLOTS else []
    assert (
        command("growth", "--quick", "--only", "parsing a line", "--markdown", markdown, "--json", figures, *drawn) == 0
    )
    text = markdown.read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "no katcp-python: no python3.9 was found." in text
    assert "| growth with arguments | unit |  | 1 | 10 | 100 | 1,000 | 10,000 | last / first | aim |  |" in text
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert [row["step"] for row in found["groups"]["growth"] if row["rounds"]] == [1, 10, 100, 1000, 10_000]
    assert plot.exists() == PLOTS


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["speed"], "no such group: speed"),
        (["wire", "--plot", "x.svg"], "--plot draws what the group growth measures" if PLOTS else "matplotlib is not"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(command, capsys, arguments, complaint):
    with pytest.raises(SystemExit):
        command(*arguments)
    assert complaint in capsys.readouterr().err
