"""Figures as Markdown and as JSON. Law: a table tells machine, versions and settings, and where a peer is better."""

import dataclasses
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .harness import FLOOR, SIDES, Result, Settings

__all__ = ["as_json", "as_markdown", "machine"]

PACKAGES = ("katcp-aio", "aiokatcp", "katcp-codec", "attrs", "uvloop")


def machine(settings: Settings) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": round(os.getloadavg()[0], 2),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
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
    return "failed" if side in result.errors else figure(result.median(side))


def aim(result: Result) -> str:
    """What is aimed at: a ratio, a bound, or both."""
    row, parts = result.row, []
    if row.target is not None:
        parts.append(f"{row.target:.3g} x")
    if row.bound is not None:
        parts.append(f"{'>=' if row.better == 'more' else '<='} {row.bound:g} {row.unit}")
    return ", ".join(parts)


def as_markdown(groups: dict[str, list[Result]], about: dict[str, Any]) -> str:
    """One table for each group. A ratio above 1 says how many times better katcp_aio is."""
    settings = about["settings"]
    lines = [
        f"{about['python']} on {about['system']}, {about['processor']}, {about['cores']} cores; {about['when']}.",
        ", ".join(f"{name} {found}" for name, found in about["versions"].items()) + ".",
        f"Loop {settings['loop']}; medians of {settings['rounds']} rounds of {settings['seconds']:g} s of load.",
        f"All at their defaults, over loopback, load from another process; load before: {about['load']}.",
    ]
    for group, results in groups.items():
        sides = [side for side in SIDES if side != FLOOR or any(FLOOR in result.rounds for result in results)]
        heads = [group, "unit", *(SIDES[side] for side in sides), "ratio", "aim", ""]
        lines += ["", f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * (len(sides) + 1) + "---|---|"]
        for result in results:
            ratio = f"{figure(result.ratio)} x" if result.ratio else ""
            cells = [result.row.name, result.row.unit, *(cell(result, side) for side in sides)]
            lines.append(f"| {' | '.join([*cells, ratio, aim(result), result.verdict])} |")
    for results in groups.values():
        lines += [
            f"\n{result.row.name}: {SIDES[side]} failed: {error}"
            for result in results
            for side, error in result.errors.items()
        ]
    return "\n".join(lines) + "\n"


def as_json(groups: dict[str, list[Result]], about: dict[str, Any]) -> dict[str, Any]:
    """All rounds of all sides."""
    tables = {
        group: [
            dataclasses.asdict(result.row)
            | {
                "rounds": {SIDES[side]: figures for side, figures in result.rounds.items()},
                "errors": {SIDES[side]: error for side, error in result.errors.items()},
                "ratio": result.ratio,
                "verdict": result.verdict,
            }
            for result in results
        ]
        for group, results in groups.items()
    }
    return {"about": about | {"command": [Path(sys.argv[0]).name, *sys.argv[1:]]}, "groups": tables}
