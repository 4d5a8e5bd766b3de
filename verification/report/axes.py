"""Axes as every plot has them. Colours are those of Okabe and Ito, which colour-blind readers can tell apart."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
SIZE = (4.6, 3.1)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def new_axes(xlabel: str, ylabel: str, title: str) -> tuple[Figure, Axes]:
    """A figure of the usual size with a light grid."""
    figure = Figure(figsize=SIZE)
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.165, 0.15, 0.815, 0.76))  # fixed: a layout engine would draw everything twice
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(True, linewidth=0.3, color="#bbbbbb")
    return figure, axes


def logarithmic(axes: Axes, *names: str) -> None:
    """Logarithmic axes with a few labelled ticks, in plain text: a formula takes 10 ms to typeset."""
    for name in names:
        axes.set(**{f"{name}scale": "log"})
        axis: Axis = getattr(axes, f"{name}axis")
        axis.set_major_locator(LogLocator(numticks=7))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(power_of_ten)


def power_of_ten(value: float, position: float = 0.0) -> str:
    """A label such as 10⁻³.

    >>> power_of_ten(1e-3), power_of_ten(-1e12), power_of_ten(3.0), power_of_ten(0.0)
    ('10⁻³', '-10¹²', '3', '0')
    """
    del position  # Matplotlib's, of the tick
    exponent = round(math.log10(abs(value))) if value else 0
    if not math.isclose(abs(value), 10.0**exponent):
        return f"{value:g}"
    return f"{'-' if value < 0.0 else ''}10{str(exponent).translate(_RAISED)}"
