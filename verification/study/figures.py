"""The plots of the study."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verification.report.axes import BLUE, GREEN, GREY, ORANGE, RED, SIZE, logarithmic, new_axes
from verification.report.svg import SETTINGS, figure_svg

from .clock import ClockRow
from .endpoints import EndRun
from .large_steps import LargeRow
from .order import OrderResult
from .run import Study

_COLOURS = (BLUE, ORANGE, GREEN, RED)
_STYLES = ((BLUE, "o", "-", 4), (ORANGE, "s", "-", 4), (GREEN, "^", "-", 4), (RED, "D", "--", 6))
"""Colour, marker, line and size of a scheme: marks differ too, and the first stays visible under the last."""


def figures(study: Study) -> dict[str, tuple[str, str]]:
    """All plots by file name, each a caption and an `<svg>` element."""
    with mpl.rc_context(SETTINGS):
        made = [order_plot(result, k) for k, result in enumerate(study.order)]
        made += [clock_plot(case, rows) for case, rows in study.clock.items()]
        made += [large_plot(case, rows) for case, rows in study.large.items()]
        made += [end_plot(run, k) for k, run in enumerate(study.ends)]
    return {name: (caption, figure_svg(figure, name, caption)) for name, caption, figure in made}


Plot = tuple[str, str, Figure]


def order_plot(result: OrderResult, k: int) -> Plot:
    """Error against step size."""
    errors = result.errors
    figure, axes = new_axes("step size", "distance from the flow", result.case)
    low, high = errors.order_interval
    axes.plot(errors.step_sizes, errors.bias, "o", color=BLUE,
              label=f"mean of {result.runs} runs, order {errors.order:.2f} [{low:.2f}, {high:.2f}]")  # fmt: skip
    axes.plot(errors.step_sizes, result.corrected, color=BLUE, linewidth=1.0,
              label=f"by S14, order {result.predicted:.2f}")  # fmt: skip
    axes.plot(errors.step_sizes, errors.scatter, "s", color=ORANGE, markersize=4,
              label=f"scatter of a run, order {errors.scatter_order:.2f}")  # fmt: skip
    logarithmic(axes, "x", "y")
    shown = errors.step_sizes[:: (errors.step_sizes.size + 3) // 4]
    axes.xaxis.set_ticks(shown, [f"{value:.2g}" for value in shown])
    axes.legend(fontsize=7.5)
    caption = f"{result.case}: distance of SGD from the flow at one flow time, against the step size."
    return f"order-{k}", caption, figure


def clock_plot(case: str, rows: tuple[ClockRow, ...]) -> Plot:
    """The speed at step size 0, a scheme a line."""
    figure = new_axes("speed at step size 0", "", "The constant of the clock")[0]
    figure.set_size_inches(SIZE[0] * 1.5, 0.6 + 0.24 * len(rows))
    axes = figure.axes[0]
    axes.set_position((0.46, 0.14, 0.52, 0.78))
    for k, row in enumerate(rows):
        found = row.comparison.estimate
        axes.errorbar(found.value, -k, xerr=row.comparison.half_width, color=GREY, linewidth=0.8, capsize=2)
        axes.errorbar(found.value, -k, xerr=found.half_width(), fmt="o", markersize=3.5, color=BLUE, linewidth=2.0)
    axes.axvline(1.0, color=ORANGE, linewidth=1.2)
    axes.set_yticks(-np.arange(len(rows)), [row.scheme.name for row in rows])
    caption = f"{case}: intervals of 95 % (thick), and of 99.9 % for all together (thin); 1 is the predicted clock."
    return "clock", caption, figure


def large_plot(case: str, rows: tuple[LargeRow, ...]) -> Plot:
    """Speed against step size."""
    figure, axes = new_axes("share of the stable step size", "speed along the flow", "Steps that are not small")
    for style, scheme in zip(_STYLES, dict.fromkeys(row.scheme for row in rows), strict=False):
        colour, marker, line, size = style
        found = [row for row in rows if row.scheme == scheme]
        x = [row.fraction for row in found]
        axes.plot([0.0, *x], [1.0, *(row.comparison.predicted for row in found)], line, color=colour, linewidth=1.0)
        axes.errorbar(x, [row.comparison.estimate.value for row in found],
                      yerr=[row.comparison.estimate.half_width() for row in found], fmt=marker, markersize=size,
                      fillstyle="none", color=colour, label=scheme)  # fmt: skip
    axes.axhline(1.0, color=GREY, linestyle=":", label="leading order")
    axes.legend(fontsize=7.5, loc="upper left")
    return "large", f"{case}: measured speed (points; 95 % intervals are smaller) and that of S14 (lines).", figure


def end_plot(run: EndRun, k: int) -> Plot:
    """Singular values along a long run."""
    figure, axes = new_axes("flow time t", "singular value of Z", run.name)
    for j in range(run.flow.shape[1]):
        _line(axes, run, j, _COLOURS[j])
    logarithmic(axes, "x", "y")
    axes.legend(fontsize=7.5, loc="lower left")
    caption = f"{run.name}: singular values of the features of SGD pulled back to M (points), and of the flow."
    return f"ends-{k}", caption, figure


def _line(axes: Axes, run: EndRun, j: int, colour: str) -> None:
    names = ("flow", "SGD, pulled back") if j == 0 else (None, None)
    axes.plot(run.times, run.flow[:, j], color=colour, linewidth=1.0, label=names[0])
    axes.plot(run.times, run.pulled_back[:, j], "o", color=colour, markersize=3.0, label=names[1])
