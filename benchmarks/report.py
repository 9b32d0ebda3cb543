"""Figures as Markdown and as JSON. Law: a table tells machine, versions and settings, and where a peer is better."""

import dataclasses
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .curves import Curve, curves
from .harness import OURS, SIDES, THEIRS, Result, Settings

__all__ = ["as_json", "as_markdown", "machine"]

PACKAGES = ("katcp-aio", "aiokatcp", "katcp-codec", "attrs", "uvloop")


def machine(settings: Settings, older: str = "katcp-python was not asked for") -> dict[str, Any]:
    """What the figures depend on; ``older`` says what katcp-python is here, or why it is not."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": round(os.getloadavg()[0], 2),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
        "katcp-python": older,
        "settings": dataclasses.asdict(settings),
    }


def installed(name: str) -> str | None:
    """The version of a distribution; None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """The processor by its name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def figure(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return ""
    digits = max(0, 2 - (len(str(int(abs(value)))) - 1)) if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


def cell(result: Result, side: str) -> str:
    """A side's figure, or that it has failed."""
    if side in result.errors:
        return "failed"
    return "left out" if side in result.notes and side not in result.rounds else figure(result.median(side))


def aim(result: Result) -> str:
    """What is aimed at: a ratio, a bound, or both."""
    row, parts = result.row, []
    if row.target is not None:
        parts.append(f"{row.target:.3g} x")
    if row.bound is not None:
        parts.append(f"{'>=' if row.better == 'more' else '<='} {row.bound:g} {row.unit}")
    return ", ".join(parts)


def as_markdown(groups: dict[str, list[Result]], about: dict[str, Any]) -> str:
    """Tables for each group. A ratio above 1 says how many times better katcp_aio is."""
    settings = about["settings"]
    lines = [
        f"{about['python']} on {about['system']}, {about['processor']}, {about['cores']} cores; {about['when']}.",
        ", ".join(f"{name} {found}" for name, found in about["versions"].items()) + f"; {about['katcp-python']}.",
        f"Loop {settings['loop']}; medians of {settings['rounds']} rounds of {settings['seconds']:g} s of load.",
        f"All at their defaults, over loopback, load from another process; load before: {about['load']}.",
    ]
    for group, results in groups.items():
        lines += table(group, [result for result in results if not result.row.axis])
        lines += curve_tables(group, list(curves(results)))
    for results in groups.values():
        lines += remarks(results)
    return "\n".join(lines) + "\n"


def table(group: str, results: list[Result]) -> list[str]:
    """Return a table with a row for each result."""
    if not results:
        return []
    always = (OURS, THEIRS)
    sides = [side for side in SIDES if side in always or any(side in one.rounds | one.errors for one in results)]
    heads = [group, "unit", *(SIDES[side] for side in sides), "ratio", "aim", ""]
    lines = ["", f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * (len(sides) + 1) + "---|---|"]
    for result in results:
        ratio = f"{figure(result.ratio)} x" if result.ratio else ""
        cells = [result.row.name, result.row.unit, *(cell(result, side) for side in sides)]
        lines.append(f"| {' | '.join([*cells, ratio, aim(result), result.verdict])} |")
    return lines


def curve_tables(group: str, found: list[Curve]) -> list[str]:
    """Return a table for each axis, with a row for each curve and side, and a column for each point."""
    lines = []
    for axis in dict.fromkeys(curve.axis for curve in found):
        those = [curve for curve in found if curve.axis == axis]
        points = [point for curve in those for point in curve.points if point.rounds or point.errors or point.notes]
        steps = sorted({point.row.step for point in points})
        heads = [f"{group} with {axis}", "unit", "", *(f"{step:,}" for step in steps), "last / first", "aim", ""]
        lines += ["", f"| {' | '.join(heads)} |", "|---|---|---|" + "---:|" * (len(steps) + 1) + "---|---|"]
        lines += [f"| {' | '.join(row)} |" for curve in those for row in curve_rows(curve, steps)]
    return lines


def curve_rows(curve: Curve, steps: list[int]) -> list[list[str]]:
    """Return the cells of a curve, a row for each side."""
    rows = []
    limit = curve.points[0].row.growth
    points = {point.row.step: point for point in curve.points}
    for number, side in enumerate(curve.sides):
        growth = curve.growth(side)
        cells = ["" if number else curve.name, "" if number else curve.unit, SIDES[side]]
        cells += [cell(points[step], side) if step in points else "" for step in steps]
        cells.append(f"{figure(growth)} x" if growth else "")
        cells += [f"<= {limit:g} x" if limit else "", curve.verdict] if side == OURS else ["", ""]
        rows.append(cells)
    return rows


def remarks(results: list[Result]) -> list[str]:
    """Say why figures are missing; what holds for several points of a curve is said once."""
    said: dict[str, None] = {}
    for result in results:
        said |= {f"{result.row.name}: {SIDES[side]} failed: {why}": None for side, why in result.errors.items()}
        for side, why in result.notes.items():
            if side not in result.rounds:
                said[f"{result.row.name}: {SIDES[side]} {why}"] = None
    return [f"\n{text}" for text in said]


def as_json(groups: dict[str, list[Result]], about: dict[str, Any]) -> dict[str, Any]:
    """All rounds of all sides."""
    tables = {
        group: [
            dataclasses.asdict(result.row)
            | {
                "rounds": {SIDES[side]: figures for side, figures in result.rounds.items()},
                "errors": {SIDES[side]: error for side, error in result.errors.items()},
                "notes": {SIDES[side]: note for side, note in result.notes.items()},
                "ratio": result.ratio,
                "verdict": result.verdict,
            }
            for result in results
        ]
        for group, results in groups.items()
    }
    return {"about": about | {"command": [Path(sys.argv[0]).name, *sys.argv[1:]]}, "groups": tables}
