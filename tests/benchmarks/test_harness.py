"""The harness takes turns, counts the right rounds, and says of each figure whether it is what was aimed at."""

import dataclasses
import json

import pytest

from benchmarks import harness
from benchmarks.harness import FLOOR, LESS, OLDER, OURS, THEIRS, Result, Row, Settings, measure, run
from benchmarks.report import as_json, as_markdown, figure, machine

SETTINGS = Settings(rounds=3)


@pytest.fixture
def turns(monkeypatch):
    """Register a measure whose figures are counted up, and return the order in which it was asked."""
    monkeypatch.setattr(harness, "MEASURES", [])
    order = []

    @measure("group", Row("figure", "what is measured", "things/s", target=2), Row("other", "... besides", "ms", LESS))
    def counted(side, _settings):
        number = 0
        try:
            while True:
                order.append(side)
                yield {"figure": {OURS: 30.0, THEIRS: 10.0, FLOOR: 100.0}[side] + number, "other": 1.0}
                number += 1
        finally:
            order.append(f"{side} down")

    return order


def test_sides_take_turns_and_are_taken_down(turns):
    run(harness.MEASURES[0], SETTINGS)
    assert turns == [OURS, THEIRS, FLOOR] * 4 + ["ours down", "theirs down", "floor down"]


def test_the_first_round_warms_up(turns):
    result, _ = run(harness.MEASURES[0], SETTINGS)
    assert result.rounds[OURS] == [31.0, 32.0, 33.0]
    assert result.median(THEIRS) == 12.0
    assert result.ratio == 32.0 / 12.0
    assert result.verdict == "met"


@pytest.mark.parametrize(("settings", "rounds"), [(SETTINGS, 2), (Settings(rounds=1), 1), (Settings(quick=True), 1)])
def test_what_is_long_has_few_rounds(turns, settings, rounds):
    result, _ = run(dataclasses.replace(harness.MEASURES[0], rounds=2), settings)
    assert {side: len(figures) for side, figures in result.rounds.items()} == dict.fromkeys(
        [OURS, THEIRS, FLOOR], rounds
    )


def test_a_side_that_is_not_here_is_not_asked(turns):
    subject = dataclasses.replace(harness.MEASURES[0], sides=(OURS, OLDER))
    run(subject, Settings(rounds=1))
    assert turns == [OURS, OURS, "ours down"]


def test_a_text_in_place_of_a_figure_says_why_there_is_none(monkeypatch):
    monkeypatch.setattr(harness, "MEASURES", [])

    @measure("group", Row("figure", "what is measured", "things/s"))
    def saying(side, _settings):
        while True:
            yield {"figure": 1.0 if side == OURS else "left out: it was late"}

    (result,) = run(harness.MEASURES[0], Settings(rounds=1))
    assert (result.rounds, result.notes[THEIRS]) == ({OURS: [1.0]}, "left out: it was late")
    assert "| what is measured | things/s | 1.00 | left out |" in tables(result)


def test_a_side_that_fails_leaves_the_others_their_figures(turns, monkeypatch):
    function = harness.MEASURES[0].function

    def failing(side, settings):
        if side == OURS:
            raise RuntimeError("no device")
        return function(side, settings)

    monkeypatch.setattr(harness, "MEASURES", [])
    measure("group", Row("figure", "what is measured", "things/s", target=2))(failing)
    (result,) = run(harness.MEASURES[0], SETTINGS)
    assert result.verdict == "failed"
    assert result.errors == {OURS: "RuntimeError: no device"}
    assert result.median(THEIRS) == 12.0
    assert "what is measured: katcp_aio failed: RuntimeError: no device" in tables(result)


def result(ours, theirs=None, **row):
    rounds = {OURS: [ours]} | ({THEIRS: [theirs]} if theirs else {})
    return Result(Row("key", "name", "us", **row), rounds)


def tables(*results):
    return as_markdown({"group": list(results)}, machine(SETTINGS))


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (result(20.0, 10.0, target=2), "met"),
        (result(19.0, 10.0, target=2), "short"),
        (result(10.0, 20.0, target=2, better=LESS), "met"),
        (result(10.0, 19.0, target=2, better=LESS), "short"),
        (result(9.0, bound=10, better=LESS), "met"),
        (result(11.0, bound=10, better=LESS), "short"),
        (result(9.0, 30.0, target=4, bound=10, better=LESS), "short"),
        (result(9.0, 10.0), ""),
    ],
)
def test_verdict(found, verdict):
    assert found.verdict == verdict


def test_tables_show_where_the_peer_is_better():
    assert "| name | us | 20.0 | 10.0 | 0.50 x | 1 x, <= 25 us | short |" in tables(
        result(20.0, 10.0, target=1, bound=25, better=LESS)
    )


def test_json_keeps_all_rounds():
    groups = {"group": [result(20.0, 10.0, target=2)]}
    found = json.loads(json.dumps(as_json(groups, machine(SETTINGS))))
    assert found["groups"]["group"][0]["rounds"] == {"katcp_aio": [20.0], "aiokatcp": [10.0]}
    assert found["about"]["settings"]["rounds"] == 3


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0.123, "0.12"), (9.876, "9.88"), (98.76, "98.8"), (1234567.8, "1,234,568")]
)
def test_figures_show_what_matters(value, text):
    assert figure(value) == text
