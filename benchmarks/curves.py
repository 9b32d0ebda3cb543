"""Rows that are the points of curves, put together. Law: a curve is flat or not by its own first point."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .harness import OURS, SIDES, Result

__all__ = ["Curve", "curves", "draw"]

COLOURS = {"ours": "#0b6e4f", "theirs": "#c8553d", "older": "#7a5195", "floor": "#8c8c8c"}
COLUMNS = 3
WIDTH, HEIGHT = 3.1, 2.4  # inches of one picture
SPAN = 30.0  # the largest value of a picture over the smallest, at least: what is flat is to look flat


@dataclass(frozen=True)
class Curve:
    """One cost, as it grows; its points by size."""

    points: Sequence[Result]

    @property
    def name(self) -> str:
        return self.points[0].row.name

    @property
    def unit(self) -> str:
        return self.points[0].row.unit

    @property
    def axis(self) -> str:
        """What there is more of from point to point."""
        return self.points[0].row.axis

    @property
    def sides(self) -> list[str]:
        """Those that have a point, or a reason to have none."""
        return [side for side in SIDES if any(side in p.rounds or side in p.errors for p in self.points)]

    def figures(self, side: str) -> list[tuple[int, float]]:
        """The points of a side."""
        found = [(point.row.step, point.median(side)) for point in self.points]
        return [(step, figure) for step, figure in found if figure is not None]

    def growth(self, side: str) -> float | None:
        """How many times more the last point costs than the first; None without two points."""
        found = [figure for _, figure in self.figures(side)]
        return found[-1] / found[0] if len(found) > 1 and found[0] else None

    @property
    def verdict(self) -> str:
        """As of a result: whether ours is as flat as was aimed at."""
        if any(OURS in point.errors for point in self.points):
            return "failed"
        limit, growth = self.points[0].row.growth, self.growth(OURS)
        if limit is None or growth is None:
            return ""
        return "met" if growth <= limit else "short"


def curves(results: Sequence[Result]) -> Iterator[Curve]:
    """Yield the curves among some results, in their order."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.row.axis:
            found.setdefault((result.row.axis, result.row.name), []).append(result)
    for points in found.values():
        yield Curve(sorted(points, key=lambda point: point.row.step))


def limits(curve: Curve) -> tuple[float, float] | None:
    """Return the lowest and the highest value to be shown; None if there is none to show."""
    values = [figure for side in curve.sides for _, figure in curve.figures(side) if figure > 0]
    if not values:
        return None
    low, high = min(values) / 1.5, max(values) * 1.5
    wider = max(1.0, SPAN * low / high) ** 0.5
    return low / wider, high * wider


def short(value: float) -> str:
    """A number as it fits under a picture."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e4 else f"{value:,g}"


def draw(found: Sequence[Curve], path: Path, about: str) -> None:
    """Draw curves into a file, whose name says in which format; needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    # Text stays text, and the same figures give the same file.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "katcp_aio", "font.size": 8}
    from matplotlib import pyplot as plt

    rows = -(-len(found) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(COLUMNS * WIDTH, rows * HEIGHT + 0.5), squeeze=False, layout="constrained"
    )
    lines = {}
    for curve, one in zip(found, axes.flat, strict=False):
        for side in curve.sides:
            steps, values = zip(*curve.figures(side), strict=True) if curve.figures(side) else ((), ())
            style = {"color": COLOURS[side], "marker": "o", "markersize": 3}
            (lines[SIDES[side]],) = one.plot(steps, values, linestyle=":" if side == "floor" else "-", **style)
        one.set(xscale="log", yscale="log", title=curve.name, xlabel=curve.axis, ylabel=curve.unit)
        one.set_ylim(limits(curve))
        for axis in (one.xaxis, one.yaxis):
            axis.set_major_formatter(lambda value, _: short(value))
        one.minorticks_off()
        one.title.set_fontsize(7.5)
        one.grid(color="#dddddd", linewidth=0.6)
        one.spines[["top", "right"]].set_visible(False)
    for one in list(axes.flat)[len(found) :]:
        one.set_axis_off()
    figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=len(SIDES), frameon=False)
    figure.supxlabel(about, fontsize=7, color="#555555")
    plt.savefig(path, metadata={"Date": None})
    plt.close(figure)
