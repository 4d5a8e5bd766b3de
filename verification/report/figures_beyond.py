"""The plots of S10, S11, S12 and S14."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from verification.records import CaseReport

from .axes import BLUE, GREEN, GREY, ORANGE, RED, logarithmic, new_axes

_STYLES = ((BLUE, ORANGE, GREEN, RED), "os^D", ("-", "--", "-.", ":"))
"""Of schemes, which often agree: every mark is larger than the one that it surrounds."""


def levels(case: CaseReport) -> tuple[str, Figure]:
    """Features of the units against k_i / a_j, on the curve of S10."""
    found = case.series["levels"]
    figure, axes = new_axes("$k_i / a_j$", "feature $z_{ji}$", "Features where the flow stops")
    axes.plot(found["grid"], found["inverse"], color=ORANGE, label="inverse of $\\varphi''$, S10")
    level, feature = np.ravel(found["level"]), np.ravel(found["feature"])
    shown = np.unique(np.linspace(0, level.size - 1, 120).round().astype(int))
    axes.plot(level[shown], feature[shown], "o", color=BLUE, markersize=2.5, label="units and samples")
    axes.legend(fontsize=7.5)
    return "With signed output weights the units differ, and all lie on one curve.", figure


def curvatures(case: CaseReport) -> tuple[str, Figure]:
    """Measured curvature of F in a sample's features at the rank-one point, against y/m."""
    found = case.series["curvatures"]
    figure, axes = new_axes("y / m of the sample", "curvature / 8 s", f"Rank-one point of {found['unit']}")
    labels, measured, predicted = (np.asarray(found[name]) for name in ("labels", "measured", "predicted"))
    order = np.argsort(labels)
    axes.plot(labels[order], predicted[order], color=GREY, linewidth=1.0, label=r"$\varphi'\varphi'''$, S11")
    low = measured < 0.0
    for chosen, marker, colour, name in ((low, "s", RED, "maximum"), (~low, "o", GREEN, "minimum")):
        if chosen.any():
            axes.plot(labels[chosen], measured[chosen], marker, color=colour, markersize=4, label=name)
    axes.axhline(0.0, color=GREY, linewidth=0.7)
    axes.margins(y=0.3)
    axes.legend(fontsize=7.5, loc="upper center", ncols=3)
    return (
        "Curvature of F along moves of one sample's features, measured by differences of F (marks); below 0 the "
        "rank-one point is a maximum."
    ), figure


def ranks(case: CaseReport) -> tuple[str, Figure]:
    """Singular values of the feature matrix at the flattest point, for dependent and independent samples."""
    found = case.series["ranks"]
    figure, axes = new_axes("number of the singular value", "singular value of Z", "Rank of the features at the flattest point")
    for name, colour, marker in (("dependent", BLUE, "o"), ("independent", ORANGE, "s")):
        if name in found:
            values = np.asarray(found[name])
            floor = 1e-16 * float(values[0])
            axes.plot(np.arange(1, values.size + 1), np.maximum(values, floor), marker, color=colour, markersize=4,
                      label=f"{name} samples")  # fmt: skip
    logarithmic(axes, "y")
    axes.legend(fontsize=7.5)
    return "Singular values of Z: rank one for independent samples only. Below 1e-16 of the first, they are drawn there.", figure


def speeds(case: CaseReport) -> tuple[str, Figure]:
    """Speed of SGD along the flow against the step size."""
    found = case.series["speeds"]
    figure, axes = new_axes("step size / stable step size", "speed along the flow", "Steps that are not small")
    schemes = list(dict.fromkeys(found["scheme"]))
    for k, (scheme, colour, marker, line) in enumerate(zip(schemes, *_STYLES, strict=False)):
        rows = [k for k, name in enumerate(found["scheme"]) if name == scheme]
        x, speed, half, predicted = (
            np.array([found[name][k] for k in rows]) for name in ("fraction", "speed", "half_width", "predicted")
        )
        axes.plot(np.r_[0.0, x], np.r_[1.0, predicted], line, color=colour, linewidth=1.0, label=f"{scheme}, S14")
        axes.errorbar(x, speed, half, fmt=marker, color=colour, fillstyle="none", markersize=4 + 2 * k,
                      capsize=2, label=f"{scheme}, SGD")  # fmt: skip
    axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle=":", label="leading order")
    axes.legend(fontsize=7.5)
    return (
        "Speed of SGD along the flow on its own clock, extrapolated to no noise, with 99.9 % intervals, and what S14 "
        "predicts (lines)."
    ), figure
