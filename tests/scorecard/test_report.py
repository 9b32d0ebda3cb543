"""The table of the scorecard: a column for whoever took part, and a figure that is out of its bounds stands out."""

import pytest

from benchmarks.scorecard import abuse, report, rows, tools

__all__ = []

ABOUT = {
    "when": "today",
    "processor": "a processor",
    "cores": 2,
    "system": "a system",
    "python": "a Python",
    "load": 0.5,
    "versions": {"katcp-aio": "1"},
    "katcp-python": "katcp-python 0.9.3",
}
SUMMARY = [
    "katcp_aio: 1 pass, 0 fail, 0 not run",
    "aiokatcp: 0 pass, 1 fail, 0 not run",
    "katcp-python: 0 pass, 1 fail, 0 not run",
]


def result(value):
    return rows.Result([rows.Figure("answered", value, "ms", at_most=100)])


@pytest.mark.parametrize("sides", [rows.DEVICES, rows.DEVICES[:2], rows.DEVICES[:1]])
def test_a_column_for_whoever_took_part(sides):
    found = {"3": dict(zip(sides, map(result, (3, 300, float("inf"))), strict=False))}
    lines = report.as_markdown(found, ABOUT).splitlines()
    columns = len(sides)
    assert f"| row | | passes | {' | '.join(sides)} |" in lines
    assert f"| | answered | <= 100 ms | {' | '.join(['3 ms', '**300 ms**', '**never**'][:columns])} |" in lines
    assert lines[-1] == "; ".join(SUMMARY[:columns]) + "."
    json = report.as_json(found, ABOUT)
    assert [side["verdict"] for side in json["rows"][0]["sides"].values()] == ["pass", "fail", "fail"][:columns]


def test_a_side_that_sits_a_row_out_leaves_its_cells_empty():
    found = {
        "3": {side: result(3) for side in rows.DEVICES},
        "19": {rows.OURS: result(3)},
    }
    assert "| | answered | <= 100 ms | 3 ms |  |  |" in report.as_markdown(found, ABOUT).splitlines()


def test_all_take_part_where_a_device_is_looked_at():
    assert rows.ROWS["1"].function is abuse.slow_requests
    assert rows.ROWS["1"].sides == (rows.OURS, rows.THEIRS, rows.OLDER)
    assert rows.ROWS["29"].function is tools.cancellation
    assert rows.ROWS["29"].sides == (rows.OURS,)
