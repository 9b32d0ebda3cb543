"""Curves are put together from rows, say how much they grow, and show what was left out and why."""

import json

import pytest

from benchmarks.child import ChildError
from benchmarks.curves import curves, draw
from benchmarks.growth import climb
from benchmarks.harness import OURS, THEIRS, Result, Row, Settings
from benchmarks.report import as_json, as_markdown, machine

STEPS = (10, 100, 1000)


def points(ours, theirs=(), growth=None, notes=()):
    """Return the results of one curve; what has no figure has none."""
    results = []
    for number, step in enumerate(STEPS):
        rounds = {OURS: ours, THEIRS: theirs}
        rounds = {side: [figures[number]] for side, figures in rounds.items() if number < len(figures)}
        row = Row(f"cost/{step}", "a cost", "us", axis="things", step=step, growth=growth)
        results.append(Result(row, rounds, notes={THEIRS: notes[number]} if number < len(notes) else {}))
    return results


def tables(results):
    return as_markdown({"growth": results}, machine(Settings(), "no katcp-python: it was not wanted"))


@pytest.mark.parametrize(
    ("ours", "growth", "verdict"),
    [((2.0, 1.0, 4.0), 2, "met"), ((2.0, 1.0, 4.1), 2, "short"), ((2.0, 1.0, 9.0), None, ""), ((2.0,), 2, "")],
)
def test_a_curve_is_flat_by_its_own_first_point(ours, growth, verdict):
    (curve,) = curves(points(ours, growth=growth))
    assert curve.verdict == verdict


def test_a_curve_with_a_point_that_failed_has_failed():
    results = points((1.0, 1.0), growth=2)
    results[2].errors[OURS] = "RuntimeError: no"
    assert next(curves(results)).verdict == "failed"
    assert "a cost: katcp_aio failed: RuntimeError: no" in tables(results)


def test_rows_that_are_no_points_are_no_curves():
    assert not list(curves([Result(Row("key", "name", "us"), {OURS: [1.0]})]))


def test_tables_show_each_point_and_what_was_left_out():
    text = tables(points((1.0, 1.5, 2.0), (4.0, 5.0), 2, ("", "", "left out: it was late"))[::-1])
    assert "| growth with things | unit |  | 10 | 100 | 1,000 | last / first | aim |  |" in text
    assert "| a cost | us | katcp_aio | 1.00 | 1.50 | 2.00 | 2.00 x | <= 2 x | met |" in text
    assert "|  |  | aiokatcp | 4.00 | 5.00 | left out | 1.25 x |  |  |" in text
    assert text.count("a cost: aiokatcp left out: it was late") == 1
    assert "no katcp-python: it was not wanted." in text


def test_json_keeps_the_points():
    found = json.loads(json.dumps(as_json({"growth": points((1.0,), notes=("why",))}, machine(Settings()))))
    first = found["groups"]["growth"][0]
    assert (first["axis"], first["step"], first["rounds"]) == ("things", 10, {"katcp_aio": [1.0]})
    assert first["notes"] == {"aiokatcp": "why"}


def test_pictures_are_the_same_for_the_same_figures(tmp_path):
    pytest.importorskip("matplotlib")
    found = list(curves(points((1.0, 2.0, 3.0), (2.0, 3.0))))
    for name in ("one.svg", "two.svg"):
        draw(found, tmp_path / name, "a machine")
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert all(part in text for part in ("a cost", "things", "katcp_aio", "aiokatcp", "a machine"))
    assert text == (tmp_path / "two.svg").read_text(encoding="utf-8")


def test_points_after_the_time_is_up_are_left_out_of_the_others_curves():
    def slow(step):
        return {"cost": float(step)}

    assert climb(THEIRS, ["cost"], STEPS, 0.0, slow) == {
        "cost/10": "left out: the points before took more than 0 s",
        "cost/100": "left out: the points before took more than 0 s",
        "cost/1000": "left out: the points before took more than 0 s",
    }
    assert climb(OURS, ["cost"], STEPS, 0.0, slow) == {"cost/10": 10.0, "cost/100": 100.0, "cost/1000": 1000.0}


def test_a_point_that_a_peer_does_not_get_to_ends_its_curve():
    def failing(step):
        if step > STEPS[0]:
            raise ChildError("no answer")
        return {"cost": float(step), "other": None}

    assert climb(THEIRS, ["cost", "other"], STEPS, 60.0, failing) == {
        "cost/10": 10.0,
        "other/10": None,
        "cost/100": "given up: no answer",
        "other/100": "given up: no answer",
        "cost/1000": "given up: no answer",
        "other/1000": "given up: no answer",
    }
    with pytest.raises(ChildError):
        climb(OURS, ["cost"], STEPS, 60.0, failing)
