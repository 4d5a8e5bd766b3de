r"""What fails for tanh

For tanh, $\varphi'''$ is negative around 0: assumption A1 fails. Two units and one sample
show what becomes of the theorem. The dots are the ends of flows from random starts, for
labels with $y/m$ between 0 and 1. Above the threshold $1/\sqrt3$ both units end equal, as
S1 says where A1 holds. Below it the point at which they are equal is a local maximum of the
sharpness (S11), which every flow leaves; where $y/m < 1/2$, one unit saturates. The
threshold is the value of $\varphi$ at the zero of $\varphi'''$, enclosed by interval
arithmetic to the last digit.
"""

import warnings

import numpy as np
from figures import BLUE, GREY, RED, label, new_figure, save, target

import manifoldflow as mf
from manifoldflow.certificates import stability_thresholds


def figure():
    """Follow flows from random starts for each label, and draw where they end."""
    made, (axes,) = new_figure("two units, one sample")
    for ratio in np.linspace(0.01, 0.99, 99):
        man = mf.ZeroLossManifold(
            mf.TwoLayerNetwork("tanh(z)", width=2), [[1.0]], [2 * ratio]
        )
        for seed in range(2):
            axes.plot([ratio, ratio], flow_end(man, seed), ".", color=BLUE, markersize=3)

    threshold = stability_thresholds("tanh(z)").values.hi[-1]
    axes.plot([0, threshold], [0, threshold], "--", color=RED)
    axes.axvline(threshold, color=GREY, linewidth=0.8)
    label(axes, "equal units:\na local maximum", 0.24, 0.24, RED, xytext=(-58, 10))
    label(axes, f"{threshold:.4f}", threshold, -0.8, GREY)
    label(axes, "one unit", 0.2, 1.0, BLUE, xytext=(0, -12))
    label(axes, "the other", 0.2, -0.6, BLUE, xytext=(8, -6))
    label(axes, "both", 0.8, 0.8, BLUE, xytext=(6, -10))
    axes.set(xlabel="label per unit $y/m$", ylabel=r"$\tanh z_j$ at the end of the flow")
    return made


def flow_end(man, seed):
    """Give the two units' outputs at the end of the flow from a random point."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", mf.errors.AssumptionWarning
        )  # A1 fails: that is the subject
        sol = mf.sharpness_flow(man, man.random_point(rng=seed), (0.0, 1e4))
    return np.tanh(man.preactivations(sol.theta[-1])[:, 0])


if __name__ == "__main__":
    save(figure(), target(__file__))
