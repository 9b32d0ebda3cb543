import io
import re
import sys

import pytest

from katcp_aio import Address
from katcp_aio.cli.output import as_json
from katcp_aio.cli.screen import PlainScreen, RichScreen, make_screen, show, sparkline


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def terminal_type(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)


def tell_a_story(screen):
    screen.title("Title")
    screen.section("Section")
    screen.line("a [bold]line[/bold] :smile:")
    screen.item("?name of:thing", "What it is.")
    screen.table(("sensor", "value", "status"), [("a.long.name", "1.500", "nominal"), ("b", "stow", "error")])


def test_plain_lines_are_aligned_and_have_no_escapes():
    out = io.StringIO()
    tell_a_story(make_screen(out))
    assert out.getvalue().splitlines() == [
        "Title",
        "",
        "Section",
        "a [bold]line[/bold] :smile:",
        "  ?name of:thing",
        "      What it is.",
        "  sensor       value  status",
        "  a.long.name  1.500  nominal",
        "  b            stow   error",
    ]


def test_a_terminal_gets_colours_by_status():
    out = Terminal()
    screen = make_screen(out)
    tell_a_story(screen)
    assert isinstance(screen, RichScreen)
    assert re.search(r"\x1b\[32mnominal", out.getvalue())
    assert re.search(r"\x1b\[1;31merror", out.getvalue())
    assert "a [bold]line[/bold] :smile:" in out.getvalue()


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    tell_a_story(make_screen(out))
    assert "nominal" in out.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", out.getvalue())


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_gets_plain_lines(monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    assert isinstance(make_screen(Terminal()), PlainScreen)


def test_plain_on_request():
    assert isinstance(make_screen(Terminal(), plain=True), PlainScreen)


def test_without_rich_there_are_plain_lines(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert isinstance(make_screen(Terminal()), PlainScreen)


def test_a_watched_table_is_drawn_anew():
    out = Terminal()
    rows = [("first", "nominal")]
    with make_screen(out).watch(("sensor", "status"), lambda _: rows, lambda _: f"so far {len(rows)}") as refresh:
        rows[0] = ("second", "warn")
        refresh()
    assert out.getvalue().index("first") < out.getvalue().index("second")
    assert "so far 1" in out.getvalue()


def test_a_watched_table_is_no_longer_than_the_terminal(monkeypatch):
    monkeypatch.setenv("LINES", "10")
    out = Terminal()
    rows = [(f"row{number:04}", "nominal") for number in range(1000)]
    with make_screen(out).watch(("sensor", "status"), lambda most: rows[:most], lambda most: f"besides {most}"):
        pass
    last_picture = out.getvalue().rpartition("sensor")[2]
    assert [line for line in range(1000) if f"row{line:04}" in last_picture] == [0, 1, 2, 3, 4, 5]
    assert "besides 6" in last_picture


def test_on_a_narrow_terminal_the_trend_gives_way(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    make_screen(out).table(("sensor", "value", "status", "trend"), [("a.long.name", "12345.678", "nominal", 24 * "x")])
    assert re.search(r"a\.long\.name .*12345\.678 .*nominal.* x+…", out.getvalue())


def test_where_there_is_no_output_nobody_is_shown_anything():
    tell_a_story(make_screen(None))


def test_what_a_device_sends_cannot_move_the_cursor():
    assert show("a\x1b[2Jb\r\n") == "a\\x1b[2Jb\\x0d\\x0a"
    assert show(b"\xff\x00") == "\\xff\\x00"
    assert len(show("x" * 1000)) < 100


def test_numbers_for_people():
    assert (show(1.23456), show(3), show(None)) == ("1.235", "3", "")


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([], 8, ""),
        ([1.0], 8, "▁"),
        ([1, 1, 1], 8, "▁▁▁"),
        ([0, 7, 4], 8, "▁█▅"),
        ([100, 0, 7], 2, "▁█"),
        ([0, float("nan"), 7], 8, "▁ █"),
        ([float("inf"), 0, 7], 8, " ▁█"),
    ],
)
def test_sparkline(values, width, line):
    assert sparkline(values, width) == line


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (1.5, 1.5),
        (True, True),
        (None, None),
        (float("nan"), "nan"),
        (b"\xff", "\udcff"),
        (Address("::1", 5), "[::1]:5"),
    ],
)
def test_values_in_json(value, json):
    assert as_json(value) == json
