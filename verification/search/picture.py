"""What the search's pictures share: files that stay small enough for a page."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import ArrayLike

from verification.report.glyphs import with_shared_glyphs
from verification.report.svg import figure_svg, standalone


def picture(figure: Figure, name: str, caption: str) -> str:
    """A figure as a file's text, the outlines of letters once and under short names."""
    shared, _, drawn = with_shared_glyphs(figure_svg(figure, name, caption)).partition("</svg>\n")
    return standalone(drawn.replace(">", f">{shared[shared.index('<defs>') :]}", 1))


def dots(axes: Axes, points: ArrayLike, colour: str, size: float) -> None:
    """Dots at points (k, 2): one path of lines without length, whose caps are round."""
    places = np.repeat(np.reshape(points, (-1, 2)), 2, axis=0)
    path = Path(places, [Path.MOVETO, Path.LINETO] * (len(places) // 2))
    path.should_simplify = False
    axes.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=size, capstyle="round"))
