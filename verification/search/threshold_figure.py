"""The picture of the first negative eigenvalues: ratio over width, the paths told apart by shape and by place."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from verification.report.svg import SETTINGS

from .picture import dots, picture
from .threshold import Found

_STYLES = {"ray": ("o", "#0072B2", 0.94, "rays", "right"), "flow": ("^", "#D55E00", 1.06, "flows", "left")}
_SEARCHED = "#00775a"


def figure(found: Found) -> str:
    """Left all crossings over m, right how far the smallest ratio of each m is from 1; a file's text."""
    with mpl.rc_context(SETTINGS):
        drawn = Figure(figsize=(7.2, 3.6))
        FigureCanvasSVG(drawn)
        left, right = drawn.subplots(1, 2, width_ratios=(1.5, 1.0))
        drawn.subplots_adjust(left=0.09, right=0.985, top=0.92, bottom=0.13, wspace=0.25)
        _all(left, found)
        _smallest(right, found)
        for axes, margin in ((left, 1.5), (right, 4.0)):
            limits = 0.6 * found.sizes[0], margin * found.sizes[-1]
            axes.set(xscale="log", yscale="log", xlabel="m", xlim=limits)
            axes.set_xticks(found.sizes, [str(m) for m in found.sizes], fontsize=7.0)
            axes.xaxis.set_minor_locator(NullLocator())
        right.set_yscale("log" if any(item.ratio > 1.0 for item in found.crossings) else "linear")
        least = found.smallest
        caption = (
            "Gradient over S3's threshold where the smallest Hessian eigenvalue changes sign, on rays and flows, over "
            f"the width m; smallest {least.ratio:.4f} at m = {least.m}."
        )
        return picture(drawn, "threshold", caption)


def _all(axes: Axes, found: Found) -> None:
    quantity = r"$|\mathrm{grad}\,F|\;/\;4\sqrt{\mu}\,\beta\,s_{\min}$"
    axes.set_title(quantity + r" where $\lambda_{\min}$ changes sign", fontsize=9.0)
    for path, (_, colour, shift, label, side) in _STYLES.items():
        pairs = [(item.m * shift, item.ratio) for item in found.crossings if item.path == path]
        dots(axes, pairs, colour, 3.2)
        top = max((pair for pair in pairs if pair[0] == found.sizes[0] * shift), default=(found.sizes[0], 1.0))
        axes.annotate(label, top, (0, 5), textcoords="offset points", color=colour, fontsize=8.0, ha=side)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.annotate("threshold of S3", (0.02, 1.0), (0, -10), xycoords=("axes fraction", "data"),
                  textcoords="offset points", fontsize=8.0)  # fmt: skip
    axes.set_ylim(0.05, 20.0 * max(item.ratio for item in found.crossings))


def _smallest(axes: Axes, found: Found) -> None:
    """What rays and flows met by chance, and what the search found."""
    axes.set_title("smallest ratio - 1", fontsize=9.0)
    for path, (marker, colour, _, label, _) in _STYLES.items():
        _line(axes, found, path, marker, colour, label)
    _line(axes, found, "search", "s", _SEARCHED, "search")
    m = max((m for m in found.sizes if found.ratios("search", m)), default=0)
    if m:
        place = m, found.ratios("search", m)[0] - 1.0
        axes.annotate(f"{1.0 + place[1]:.4f}", place, (-6, -3), textcoords="offset points", color=_SEARCHED,
                      fontsize=8.0, ha="right")  # fmt: skip


def _line(axes: Axes, found: Found, path: str, marker: str, colour: str, label: str) -> None:
    smallest = [(m, ratio) for m in found.sizes for ratio in found.ratios(path, m)[:1]]
    pairs = [(m, ratio - 1.0) for m, ratio in smallest if ratio > 1.0]  # a refutation is in the other panel
    axes.plot(*np.array(pairs).reshape(-1, 2).T, color=colour, linewidth=1.0, marker=marker, markersize=3.2)
    if pairs:
        axes.annotate(label, pairs[-1], (5, 0), textcoords="offset points", color=colour, fontsize=8.0, va="center")
