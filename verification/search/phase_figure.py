"""The picture of a phase diagram. Colours differ in lightness too, so that a grey print can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from derivations.printing import latex
from verification.report.svg import SETTINGS

from .one_sample import RANDOM
from .phase import Found
from .picture import dots, picture

_KINDS = {"minimum": "#0072B2", "maximum": "#F0E442", "undecided": "#888888", "none": "#ffffff"}
_ENDS = {"rank one": "#0072B2", "disagreeing": "#F0E442", "moving": "#D55E00", "none": "#ffffff"}
_COUNTS = ("#ffffff", "#d9e6f2", "#a6c8e0", "#6fa8cf", "#3a83b8", "#1f5f8f", "#123b5d")


def figure(found: Found) -> str:
    """Four panels with the thresholds drawn over each, as a file's text."""
    with mpl.rc_context(SETTINGS):
        drawn = Figure(figsize=(7.2, 5.6))
        FigureCanvasSVG(drawn)
        axes = drawn.subplots(2, 2, sharex=True, sharey=True)
        drawn.subplots_adjust(left=0.09, right=0.985, top=0.9, bottom=0.09, hspace=0.32, wspace=0.08)
        rows = found.rows
        _panel(axes[0, 0], found, [row.kinds for row in rows], _KINDS, "rank-one point")
        _panel(axes[0, 1], found, [[str(count) for count in row.patterns] for row in rows], _counts(found),
               "disagreeing critical points")  # fmt: skip
        _panel(axes[1, 0], found, [row.nearby for row in rows], _ENDS, "flow from beside the rank-one point")
        _panel(axes[1, 1], found, [row.random for row in rows], _ENDS, f"flows from {RANDOM} random points")
        for k in range(2):
            axes[1, k].set_xlabel("label per unit $y/m$")
            axes[k, 0].set_ylabel("$e$")
        drawn.suptitle(rf"$\varphi(z) = {latex(found.diagram.family.phi)}$", fontsize=11.0)
        caption = f"Phase diagram of {found.diagram.text} over y/m and e; lines: thresholds where phi''' = 0."
        return picture(drawn, "phase", caption)


def _counts(found: Found) -> dict[str, str]:
    largest = max(int(row.patterns.max()) for row in found.rows)
    steps = np.linspace(0, len(_COUNTS) - 1, max(largest + 1, 2)).round().astype(int)
    return {str(count): _COUNTS[steps[count]] for count in range(largest + 1)}


def _panel(
    axes: Axes, found: Found, cells: Sequence[Sequence[str]], colours: Mapping[str, str], title: str
) -> None:
    """All cells of a colour are one path of a few rectangles: a tenth of the file that a path a cell would give."""
    x, y = found.labels, np.array([row.coefficient for row in found.rows])
    width, height = float(x[1] - x[0]), float(y[1] - y[0])
    corner = np.array([x[0] - width / 2, y[0] - height / 2])
    for word, colour in colours.items():
        boxes = [Path(corner + np.array(corners) * [width, height], closed=True) for corners in _boxes(cells, word)]
        if boxes and colour != "#ffffff":
            whole = Path.make_compound_path(*boxes)
            axes.add_patch(PathPatch(whole, facecolor=colour, edgecolor=colour, linewidth=0.2))
    _thresholds(axes, found)
    axes.set(xlim=(x[0] - width / 2, x[-1] + width / 2), ylim=(y[0] - height / 2, y[-1] + height / 2))
    seen = [word for word in colours if any(word in row for row in cells)]
    patches = [Patch(facecolor=colours[word], edgecolor="black", linewidth=0.4, label=word) for word in seen]
    axes.legend(handles=patches, fontsize=6.5, loc="upper right", frameon=True, framealpha=0.9, handlelength=1.0,
                ncols=2 if len(seen) > 4 else 1, borderpad=0.3, labelspacing=0.3)  # fmt: skip
    axes.set_title(title, fontsize=9.0)


def _boxes(cells: Sequence[Sequence[str]], word: str) -> list[list[tuple[int, int]]]:
    """Corners of rectangles that make up the cells with the word, in columns and rows; the first corner twice.

    >>> _boxes(["ab", "ab", "bb"], "a")
    [[(0, 0), (1, 0), (1, 2), (0, 2), (0, 0)]]
    """
    growing: dict[tuple[int, int], int] = {}
    found = []
    for k, row in enumerate([*cells, []]):
        runs = _runs(row, word)
        found += [(run, first, k) for run, first in growing.items() if run not in runs]
        growing = {run: growing.get(run, k) for run in runs}
    return [[(a, low), (b, low), (b, high), (a, high), (a, low)] for (a, b), low, high in found]


def _runs(row: Sequence[str], word: str) -> list[tuple[int, int]]:
    """Where the word stands, as half-open ranges.

    >>> _runs(["a", "a", "b", "a"], "a")
    [(0, 2), (3, 4)]
    """
    marks = np.diff(np.array([0, *(cell == word for cell in row), 0], dtype=int))
    return list(zip(np.flatnonzero(marks == 1).tolist(), np.flatnonzero(marks == -1).tolist(), strict=True))


def _thresholds(axes: Axes, found: Found) -> None:
    """The zeros of phi''', a row of dots for each coefficient."""
    points = [(value, row.coefficient) for row in found.rows for value in row.thresholds]
    if points:
        dots(axes, points, "black", 2.6)
