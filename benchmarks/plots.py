"""Plots as SVG files, in the report's style: Okabe and Ito's colours, and markers that differ as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from verification.report.svg import SETTINGS

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#888888"
STYLE = SETTINGS | {"svg.fonttype": "none", "font.family": "sans-serif", "lines.linewidth": 1.2}


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str = BLUE
    marker: str = "o"
    dash: str = "-"
    width: float = 1.2

    @classmethod
    def through(cls, label: str, points: Sequence[tuple[float, float]], *style: Any) -> Line:
        """A line through (x, y) points."""
        return cls(label, [x for x, _ in points], [y for _, y in points], *style)


@dataclass(frozen=True)
class Panel:
    """Lines with logarithmic axes, a title and labels."""

    title: str
    xlabel: str
    ylabel: str
    lines: Sequence[Line]


def write(path: Path, panels: Sequence[Panel], columns: int = 1, legend_columns: int = 1) -> None:
    """Write panels side by side, with one legend for all of them to their right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * columns + 2.2 * legend_columns, 2.9 * rows), layout="constrained")
        FigureCanvasSVG(figure)
        for axes, panel in zip(_axes(figure, rows, columns, len(panels)), panels, strict=True):
            _draw(axes, panel)
        handles = _handles(figure.axes)
        figure.legend(handles.values(), handles, loc="outside right center", fontsize=7.5, ncols=legend_columns)
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})


def _axes(figure: Figure, rows: int, columns: int, count: int) -> Iterable[Axes]:
    return (figure.add_subplot(rows, columns, k + 1) for k in range(count))


def _draw(axes: Axes, panel: Panel) -> None:
    axes.set(xlabel=panel.xlabel, ylabel=panel.ylabel, title=panel.title, xscale="log", yscale="log")
    for line in panel.lines:
        axes.plot(
            line.x, line.y, color=line.colour, marker=line.marker, linestyle=line.dash, linewidth=line.width,
            markersize=3.5, label=line.label,
        )  # fmt: skip
    axes.grid(True, linewidth=0.3, color="#bbbbbb")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())


def _handles(all_axes: Sequence[Axes]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for axes in all_axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return found
