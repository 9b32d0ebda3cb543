"""The scorecard as Markdown and as JSON. Law: a figure stands beside what it had to be."""

import dataclasses
import math
from typing import Any

from .rows import DEVICES, ROWS, Figure, Result

__all__ = ["as_json", "as_markdown", "summary"]

Results = dict[str, dict[str, Result]]  # row -> side -> what it did


def number(value: float) -> str:
    """Three digits that matter."""
    if math.isinf(value):
        return "never"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bound(figure: Figure) -> str:
    """What passes."""
    if figure.at_least is not None and figure.at_least == figure.at_most:
        return f"{number(figure.at_most)}"
    parts = []
    if figure.at_least is not None:
        parts.append(f">= {number(figure.at_least)}")
    if figure.at_most is not None:
        parts.append(f"<= {number(figure.at_most)}")
    return f"{', '.join(parts)} {figure.unit}".strip()


def told(figure: Figure | None) -> str:
    """One figure, marked if it is out of its bounds."""
    if figure is None:
        return ""
    text = f"{number(figure.value)} {figure.unit}".strip()
    if math.isinf(figure.value):
        text = figure.note or "never"
    return text if figure.passed else f"**{text}**"


def verdict(result: Result | None) -> str:
    return "" if result is None else result.verdict


def lines_of(name: str, results: dict[str, Result], sides: list[str]) -> list[str]:
    """The lines of one row: its name and verdicts, and then each figure; a column for each of ``sides``."""
    of = [results.get(side) for side in sides]
    lines = [" | ".join([f"| {name} | **{ROWS[name].name}** |", *map(verdict, of)]) + " |"]
    found = [{figure.name: figure for figure in (result.figures if result else [])} for result in of]
    for what in dict.fromkeys(what for figures in found for what in figures):
        each = [figures.get(what) for figures in found]
        some = next(figure for figure in each if figure is not None)
        text = f"{what} ({some.note})" if some.note and not math.isinf(some.value) and each[0] else what
        lines.append(" | ".join([f"| | {text} | {bound(some)}", *map(told, each)]) + " |")
    return lines


def as_markdown(results: Results, about: dict[str, Any]) -> str:
    """One table; bold figures are out of their bounds."""
    sides = sides_of(results)
    lines = [
        f"{about['python']} on {about['system']}, {about['processor']}, {about['cores']} cores; {about['when']}.",
        ", ".join(f"{name} {found}" for name, found in about["versions"].items()) + ".",
        f"All at their defaults, over loopback; load before: {about['load']}; {about['katcp-python']}.",
        "",
        " | ".join(["| row | | passes", *sides]) + " |",
        "|---|---|---|" + "---|" * len(sides),
    ]
    for name, found in results.items():
        lines += lines_of(name, found, sides)
    for name, found in results.items():
        for side, result in found.items():
            if why := result.failed or result.skipped:
                lines.append(f"\nRow {name}, {side}: {'failed' if result.failed else 'not run'}: {why}.")
    return "\n".join([*lines, "", summary(results)]) + "\n"


def sides_of(results: Results) -> list[str]:
    """Who was put to any row, in the order of the columns."""
    return [side for side in DEVICES if any(side in found for found in results.values())]


def summary(results: Results) -> str:
    """How many rows passed, for each side."""
    parts = []
    for side in sides_of(results):
        verdicts = [sides[side].verdict for sides in results.values() if side in sides]
        if verdicts:
            parts.append(f"{side}: " + ", ".join(f"{verdicts.count(one)} {one}" for one in ("pass", "fail", "not run")))
    return "; ".join(parts) + "."


def as_json(results: Results, about: dict[str, Any]) -> dict[str, Any]:
    """All that was found; what never happened is null."""
    rows = [
        {
            "row": name,
            "name": ROWS[name].name,
            "sides": {side: plain(result) | {"verdict": result.verdict} for side, result in sides.items()},
        }
        for name, sides in results.items()
    ]
    return {"about": about, "rows": rows}


def plain(result: Result) -> dict[str, Any]:
    """A result as JSON can have it."""
    found = dataclasses.asdict(result)
    for figure in found["figures"]:
        if math.isinf(figure["value"]):
            figure["value"] = None
    return found
