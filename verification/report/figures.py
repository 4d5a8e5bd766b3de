"""The plots of a case, each under the statement that it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from verification.records import CaseReport

from . import figures_beyond
from .axes import BLUE, GREEN, GREY, ORANGE, RED, logarithmic, new_axes, power_of_ten
from .svg import SETTINGS, figure_svg

Plot = Callable[[CaseReport], tuple[str, Figure]]


def figures(case: CaseReport, prefix: str, statement: str | None = None) -> list[tuple[str, str]]:
    """The plots that the case's series allow, of one statement or all, as (caption, SVG)."""
    found = plots(case, statement)
    return [(caption, figure_svg(figure, f"{prefix}-{k}", caption)) for k, (caption, figure) in enumerate(found)]


def plots(case: CaseReport, statement: str | None = None) -> list[tuple[str, Figure]]:
    """The same as Matplotlib figures."""
    names = [verdict.statement for verdict in case.verdicts]
    chosen = [
        plot
        for owners, series, plot in _PLOTS
        if _has(case, series) and statement in (None, next((name for name in owners if name in names), ""))
    ]
    with mpl.rc_context(SETTINGS):
        return [plot(case) for plot in chosen if plot not in (decay, singular_values) or _moves(case)]


def _has(case: CaseReport, name: str) -> bool:
    """Is there a series of that name, or the part of one that follows a point?"""
    found, *parts = name.split(".")
    return found in case.series and all(part in case.series[found] for part in parts)


def _moves(case: CaseReport) -> bool:
    """Is there a flow to show? From a stationary point, or where F is constant, there is none."""
    sharpness = np.asarray(case.series["flow"]["sharpness"]) if "flow" in case.series else np.ones(1)
    return sharpness.size > 2 and float(np.ptp(sharpness)) > 1e-9 * float(sharpness[0])


def decay(case: CaseReport) -> tuple[str, Figure]:
    """F - F* and |grad F| against flow time, with the rates that S13 and S4 predict."""
    flow, facts = case.series["flow"], case.facts
    figure, axes = new_axes("flow time t", "", "Sharpness and gradient norm")
    t = np.asarray(flow["t"])
    sharpness = np.asarray(flow["sharpness"])
    best = case.series["minimum"]["sharpness"] if "minimum" in case.series else float("inf")
    excess = sharpness[-1] >= (1.0 - 1e-9) * best
    if excess:
        _semilog(axes, t, sharpness - best, BLUE, "F - F*", floor=1e-12 * abs(best))
    else:
        _semilog(axes, t, sharpness, BLUE, "F (it is below F*, or there is no F*)")
    _semilog(axes, t, np.asarray(flow["gradient_norm"]), ORANGE, "|grad F|")
    bounded = facts.get("failing_assumptions") == []
    if bounded:
        _predictions(axes, t, flow, facts, best)
    _time_axis(axes, t)
    logarithmic(axes, "y")
    axes.legend(fontsize=7.5, loc="lower left")
    shown = "Excess sharpness F - F*" if excess else "Sharpness F"
    bounds = ", and the bounds of S13 and S4 (dashed)" if bounded else ""
    return f"{shown} and gradient norm along the flow{bounds}.", figure


def _time_axis(axes: Axes, t: Any) -> None:
    """Logarithmic, from the first step or 1e-9 of the whole."""
    first = float(t[t > 0.0][0]) if np.any(t > 0.0) else 1.0
    logarithmic(axes, "x")
    axes.set_xlim(max(first, 1e-9 * float(t[-1])), max(float(t[-1]), 1.001 * first))


def _semilog(axes: Axes, t: Any, values: Any, colour: str, label: str, floor: float = 0.0) -> None:
    kept = (values > floor) & (t > 0.0)
    axes.plot(t[kept], values[kept], color=colour, label=label)


def _predictions(axes: Axes, t: Any, flow: dict[str, Any], facts: dict[str, Any], best: float) -> None:
    excess = (np.asarray(flow["sharpness"])[0] - best) * np.exp(-facts["global_rate"] * t)
    axes.plot(t, excess, "--", color=BLUE, linewidth=1.0, label="bound of S13")
    norms = np.asarray(flow["gradient_norm"])
    inside = np.flatnonzero(norms <= facts["radius_kappa_2"])
    if inside.size:
        k = inside[0]
        axes.plot(
            t[k:], norms[k] * np.exp(-facts["convexity_kappa_2"] * (t[k:] - t[k])), "--", color=ORANGE, linewidth=1.0,
            label="bound of S4",
        )
        axes.axhline(facts["radius_kappa_2"], color=GREY, linewidth=0.8, linestyle=":", label="r, kappa = 2")


def singular_values(case: CaseReport) -> tuple[str, Figure]:
    """Singular values of Z against flow time."""
    flow = case.series["flow"]
    figure, axes = new_axes("flow time t", "singular value of Z", "Features along the flow")
    t, values = np.asarray(flow["t"]), np.asarray(flow["singular_values"])
    for k, column in enumerate(values.T):
        kept = column > 1e-16 * values.max()
        axes.plot(t[kept], column[kept], color=BLUE if k == 0 else ORANGE, alpha=1.0 if k < 2 else 0.45,
                  label={0: "largest", 1: "the others"}.get(k))
    _time_axis(axes, t)
    logarithmic(axes, "y")
    axes.legend(fontsize=7.5, loc="lower left")
    return "The largest singular values of the feature matrix Z along the flow; where S1 applies all but the first vanish.", figure


def smallest_eigenvalue(case: CaseReport) -> tuple[str, Figure]:
    """Smallest Hessian eigenvalue against the gradient norm, with the region of S3."""
    found, facts = case.series["region"], case.facts
    figure, axes = new_axes("|grad F|", "smallest eigenvalue of Hess F", "Curvature and the region of S3")
    norms, values = np.asarray(found["gradient_norm"]), np.asarray(found["smallest_eigenvalue"])
    radius = facts["radius_kappa_2"]
    axes.axvspan(norms.min() / 3.0, 2.0 * radius, color=GREEN, alpha=0.12, label="region of S3, kappa <= 4")
    x = np.geomspace(norms.min() / 3.0, 2.0 * radius, 100)
    axes.plot(x, (4.0 - 2.0 * x / radius) / 2.0 * facts["convexity_kappa_2"], "--", color=GREEN, label="bound of S3")
    positive = values > 0.0
    axes.plot(norms[positive], values[positive], "o", color=BLUE, markersize=4, label="positive")
    axes.plot(norms[~positive], values[~positive], "s", color=RED, markersize=5, label="negative")
    logarithmic(axes, "x")
    _signed_axis(axes, values, facts["convexity_kappa_2"])
    axes.axhline(0.0, color=GREY, linewidth=0.7)
    axes.legend(fontsize=7.5, loc="best")
    return "Smallest Hessian eigenvalue at each point tried, against the gradient norm; S3 is about the shaded part.", figure


def _signed_axis(axes: Axes, values: Any, bound: float) -> None:
    """Logarithmic above and below zero, linear up to a fifth of the bound; at most five ticks a side."""
    axes.set_yscale("symlog", linthresh=0.2 * bound)
    largest = max(float(np.abs(values).max()), bound)
    decades = np.arange(np.ceil(np.log10(0.2 * bound)), np.floor(np.log10(largest)) + 1.0)
    ticks = 10.0 ** decades[:: max(1, int(np.ceil(decades.size / 4)))]
    below = -ticks[::-1] if values.min() < 0.0 else ticks[:0]
    axes.set_yticks(np.concatenate([below, [0.0], ticks]))
    axes.yaxis.set_major_formatter(power_of_ten)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(4.0 * min(values.min(), -0.2 * bound), 4.0 * largest)


def noise_against_flow(case: CaseReport) -> tuple[str, Figure]:
    """Sharpness and disagreement of the units: one SGD run and the flow, in flow time."""
    found = case.series["noise"]["long"]
    figure, axes = new_axes("flow time t", "relative to the start", "Label-noise SGD and the flow")
    t, start = np.asarray(found["times"]), np.asarray(case.series["flow"]["sharpness"])[0]
    for name, colour, values, flow_values in (
        ("F", BLUE, np.asarray(found["sharpness"]) / start, np.asarray(found["flow_sharpness"]) / start),
        ("disagreement of the units", ORANGE, np.asarray(found["spread"]), np.asarray(found["flow_spread"])),
    ):
        axes.plot(np.r_[0.0, t], np.r_[1.0, flow_values], color=colour, label=f"{name}, flow")
        axes.plot(t, values, "o", color=colour, markersize=3.5, label=f"{name}, SGD")
    axes.set_ylim(0.0, 1.05)
    axes.legend(fontsize=7.5)
    eta, std = found["step_size"], found["noise_std"]
    return f"One run of label-noise SGD (step size {eta:.3g}, noise {std:.3g}), pulled back to M, and the flow.", figure


def order(case: CaseReport) -> tuple[str, Figure]:
    """Error against step size, log-log, with the fitted line."""
    found = case.series["noise"]["errors"]
    figure, axes = new_axes("step size", "distance from the flow", "Error against step size")
    etas, bias, scatter = (np.asarray(found[name]) for name in ("step_sizes", "bias", "scatter"))
    low, high = found["order_interval"]
    axes.plot(etas, bias, "o", color=BLUE, label=f"mean of the runs, order {found['order']:.2f} [{low:.2f}, {high:.2f}]")
    axes.plot(etas, scatter, "s", color=ORANGE, markersize=4, label=f"scatter of a run, order {found['scatter_order']:.2f}")
    centre = np.exp(np.mean(np.log(etas)))
    for values, slope, colour in ((bias, 1.0, BLUE), (scatter, found["scatter_order"], ORANGE)):
        if np.all(values > 0.0):
            axes.plot(etas, np.exp(np.mean(np.log(values))) * (etas / centre) ** slope, "--", color=colour, linewidth=1.0)
    logarithmic(axes, "x", "y")
    for axis, values in ((axes.xaxis, etas), (axes.yaxis, _spaced(bias, scatter))):
        axis.set_ticks(values, [f"{value:.2g}" for value in values])
    axes.legend(fontsize=7.5)
    return "Distance of SGD from the flow at a fixed flow time; the dashed blue line has slope 1.", figure


def _spaced(*values: Any) -> Any:
    """Five numbers, evenly spread in logarithms over the positive values."""
    found = np.concatenate(values)
    found = found[found > 0.0]
    return np.geomspace(found.min(), found.max(), 5) if found.size else np.array([1.0])


_PLOTS: tuple[tuple[tuple[str, ...], str, Plot], ...] = (
    (("S4", "S13", "S2"), "flow", decay),
    (("S1", "S8"), "flow.singular_values", singular_values),
    (("S3",), "region", smallest_eigenvalue),
    (("S9",), "noise.long", noise_against_flow),
    (("S9",), "noise.errors", order),
    (("S10",), "levels", figures_beyond.levels),
    (("S11",), "curvatures", figures_beyond.curvatures),
    (("S12",), "ranks", figures_beyond.ranks),
    (("S14",), "speeds", figures_beyond.speeds),
)
"""The statements that a plot may stand under (it does under the first that was tested), its series, and the plot."""
