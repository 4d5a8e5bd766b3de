r"""Your own data and activation

What the theorems say about your problem: `python examples/own_problem.py figure.svg mine.npz "sinh(z) + z**3/5"`, with an
archive that holds X and y, or a table `mine.csv` whose last column is y. It prints which assumptions are proved and their
constants, enclosed by interval arithmetic, and draws the smallest eigenvalue of the Hessian of $F$ along a flow. Where
$|\mathrm{grad}\,F| \le \kappa\sqrt\mu\,\beta\,s_{\min}$ with $\kappa < 4$ (shaded) it lies above the bound of S3. Elsewhere $F$ need
not be convex, and here it is not.
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
    norms = sol.gradient_norm
    kept = np.flatnonzero(norms > 1e-4 * proved.radius(4.0))
    smallest = np.array([man.hessian_spectrum(sol.theta[k])[0] for k in kept])
    norms = norms[kept]

    made, (axes,) = new_figure("curvature along the flow")
    convex = smallest > 0
    axes.plot(norms[convex], smallest[convex], ".", color=BLUE)
    axes.plot(norms[~convex], smallest[~convex], "x", color=RED, markersize=4)
    inside = np.geomspace(norms.min(), proved.radius(4.0), 100)
    axes.plot(inside, [proved.convexity(4.0 * norm / proved.radius(4.0)) for norm in inside], "--", color=GREEN)
    axes.axvspan(inside[0], inside[-1], color=GREEN, alpha=0.1, linewidth=0)
    label(axes, "bound of S3", inside[10], proved.convexity(0.0), GREEN, xytext=(0, -12))
    label(axes, "convex", norms[convex][-1], smallest[convex][-1], BLUE, xytext=(10, 6))
    label(axes, "not convex", norms[0], smallest[0], RED, xytext=(-72, 4))
    axes.set(xscale="log", xlabel=r"gradient norm $|\mathrm{grad}\,F|$", ylabel=r"smallest eigenvalue of Hess $F$")
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(3 * smallest.min(), 5.0)
    return made


if __name__ == "__main__":
    save(figure(*sys.argv[2:]), target(__file__))
