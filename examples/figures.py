"""What the figures of the examples share: size, colours, names next to the lines, vectors."""

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours. Readers who are colour-blind tell black, blue and orange apart; the others take a label.
BLACK, BLUE, ORANGE, GREEN, RED, GREY = "#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"

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
        panels = len(titles)
        width = 3.7 * panels + 0.6 * (panels == 1)
        figure = Figure(figsize=(width, 2.9), layout="constrained")
        return figure, [figure.add_subplot(1, panels, k + 1, title=titles[k]) for k in range(panels)]


def label(axes: Axes, text: str, x: float, y: float, colour: str, xytext=(4, 3)) -> None:
    """Write the name of a line next to it, in its colour; xytext is from (x, y), in points."""
    axes.annotate(text, (x, y), xytext, textcoords="offset points", color=colour, fontsize=8.5)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure; the ending of the name says how: .svg and .pdf are vectors."""
    with mpl.rc_context(STYLE):
        metadata = {"Date": None} if str(path).endswith(".svg") else None
        figure.savefig(path, metadata=metadata)


def target(script: str) -> str:
    """Give the file named on the command line, or the script's name with .svg."""
    return sys.argv[1] if len(sys.argv) > 1 else f"{Path(script).stem}.svg"
