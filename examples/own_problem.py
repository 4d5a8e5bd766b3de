r"""Your own data and activation

What the theorems say about your problem: `python examples/own_problem.py figure.svg
mine.npz "sinh(z) + z**3/5"`, with an archive that holds X and y, or a table `mine.csv`
whose last column is y. It prints which assumptions are proved and their constants, enclosed
by interval arithmetic, and draws the smallest eigenvalue of the Hessian of $F$ along a
flow. Where $|\mathrm{grad}\,F| \le \kappa\sqrt\mu\,\beta\,s_{\min}$ with $\kappa < 4$
(shaded, if A1 to A3 hold) it lies above the bound of S3. Elsewhere $F$ need not be convex.
"""

import sys

import numpy as np
from figures import BLUE, GREEN, RED, label, new_figure, save, target

import manifoldflow as mf
from manifoldflow.assumptions import constants
from manifoldflow.certificates import survey


def figure(file=None, activation="sinh(z) + z**3/5"):
    """Print what is proved; draw the curvature along the flow and the bound."""
    data = mf.datasets.load(file) if file else mf.datasets.digits(10)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(activation, width=10), data.X, data.y)
    theta = man.random_point(rng=0, scale=2.0)
    for found in survey(man, theta).certificates:
        print(f"{found.name:16} {found.verdict:10} {found.claim}")

    proved = constants(man, theta)
    sol = mf.sharpness_flow(man, theta)
    kept = np.flatnonzero(sol.gradient_norm > 1e-7 * sol.gradient_norm[0])
    norms = sol.gradient_norm[kept]
    smallest = np.array([man.hessian_spectrum(sol.theta[k])[0] for k in kept])

    made, (axes,) = new_figure("curvature along the flow")
    for chosen, mark, colour, text in (
        (smallest > 0, ".", BLUE, "convex"),
        (smallest <= 0, "x", RED, "not convex"),
    ):
        axes.plot(norms[chosen], smallest[chosen], mark, color=colour, markersize=4)
        if chosen.any():
            middle = np.flatnonzero(chosen)[chosen.sum() // 2]
            label(axes, text, norms[middle], smallest[middle], colour, xytext=(-60, 4))
    if not proved.failing:
        inside = np.geomspace(norms.min(), proved.radius(4.0), 100)
        bound = [proved.convexity(4.0 * norm / inside[-1]) for norm in inside]
        axes.plot(inside, bound, "--", color=GREEN)
        axes.axvspan(inside[0], inside[-1], color=GREEN, alpha=0.1, linewidth=0)
        label(axes, "bound of S3", inside[10], bound[0], GREEN, xytext=(0, -12))
    axes.set(xscale="log", xlabel=r"gradient norm $|\mathrm{grad}\,F|$")
    axes.set_ylabel(r"smallest eigenvalue of Hess $F$")
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(3 * min(smallest.min(), -0.3), 5 * max(smallest.max(), 1.0))
    return made


if __name__ == "__main__":
    save(figure(*sys.argv[2:]), target(__file__))
