"""What the figures of the examples share: size, colours, names written next to the lines, vector output."""

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, which readers who are colour-blind can tell apart.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"

STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.5,
    "font.size": 9.0,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.4,
    "svg.fonttype": "path",  # looks the same on machines without the font
    "svg.hashsalt": "manifoldflow",  # the same bytes every time
}


def new_figure(*titles: str) -> tuple[Figure, list[Axes]]:
    """Give a figure with one panel a title, side by side, and their axes."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.7 * len(titles) + 0.6 * (len(titles) == 1), 2.9), layout="constrained")
        return figure, [figure.add_subplot(1, len(titles), k, title=title) for k, title in enumerate(titles, 1)]


def label(axes: Axes, text: str, x: float, y: float, colour: str, **options: object) -> None:
    """Write the name of a line next to it, in its colour."""
    style = {"xytext": (4, 3), "textcoords": "offset points", "color": colour, "fontsize": 8.5}
    axes.annotate(text, (x, y), **{**style, **options})


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure; the ending of the name says how: .svg and .pdf are vectors."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)


def target(script: str) -> str:
    """Give the file named on the command line, or the script's name with .svg."""
    return sys.argv[1] if len(sys.argv) > 1 else f"{Path(script).stem}.svg"
