r"""How fast it is, and how fast it must be

The measured decay of the excess sharpness $F - F^*$ and of $|\mathrm{grad}\,F|^2$ (solid),
and the bounds that are proved (dashed): S13 from the start, S4 from where the flow enters
the region of S3. Their constants are known before the flow starts (S7). Once the flow is
near its end both decay at one rate, which the figure compares with the proved ones.
"""

import numpy as np
from figures import BLUE, ORANGE, label, new_figure, save, target

import manifoldflow as mf
from manifoldflow.assumptions import constants

KAPPA = 1.0  # the region of S3 is where |grad F| is at most constants.radius(KAPPA)


def figure():
    """Draw the same for two sets of data."""
    digits = mf.datasets.digits(10).X
    made, (left, right) = new_figure("orthonormal samples", "10 handwritten digits")
    draw(left, np.linalg.qr(digits.T)[0].T)
    draw(right, digits)
    return made


def draw(axes, X):
    """Integrate one flow; draw what was measured and what is proved."""
    net = mf.TwoLayerNetwork("sinh(z)", width=10)
    man = mf.ZeroLossManifold(net, X, np.linspace(-3.0, 3.0, len(X)))
    theta = man.random_point(rng=0)
    proved = constants(man, theta)
    sol = mf.sharpness_flow(man, theta, rtol=1e-10)
    excess = sol.sharpness - mf.flattest_point(man).fun
    kept = excess > 1e-9 * excess[0]  # below, F - F* is rounding
    t, excess, squared = sol.t[kept], excess[kept], sol.gradient_norm[kept] ** 2
    entry = np.argmax(squared <= proved.radius(KAPPA) ** 2)

    axes.semilogy(t, excess, color=BLUE)
    axes.semilogy(t, squared, color=ORANGE)
    axes.semilogy(t, excess[0] * np.exp(-proved.global_rate() * t), "--", color=BLUE)
    rate, later = 2.0 * proved.convexity(KAPPA), t[entry:]
    bound = squared[entry] * np.exp(-rate * (later - t[entry]))
    axes.semilogy(later, bound, "--", color=ORANGE)
    late = t > 0.6 * t[-1]
    measured = -np.polyfit(t[late], np.log(excess[late]), 1)[0]
    first = f"$F - F^*$: rate {measured:.2f}, proved {proved.global_rate():.2f} (S13)"
    second = rf"$|\mathrm{{grad}}\,F|^2$: proved {rate:.2f} (S4)"
    label(axes, first, 0.15 * t[-1], squared[0], BLUE)
    label(axes, second, 0.15 * t[-1], squared[0] / 12, ORANGE)
    axes.set(xlabel="flow time $t$", ylim=(None, 20 * squared[0]))


if __name__ == "__main__":
    save(figure(), target(__file__))
