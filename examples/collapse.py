r"""All neurons become one

Along the flow, the pre-activations $z_{ji}$ of all 20 neurons come together: for each
sample they end at one number, $\varphi^{-1}(y_i/m)$, and the matrix $Z$ of all of them ends
with rank one (S1). The dots are those numbers, computed without the flow. The samples are
50 handwritten digits. Their Gram matrix has condition number $3.6\cdot10^6$, which is why
the flow is still busy at $t = 10^5$.
"""

import numpy as np
from figures import BLACK, BLUE, GREY, ORANGE, label, new_figure, save, target

import manifoldflow as mf


def figure():
    """Follow the flow from a random point and draw the features."""
    digits = mf.datasets.digits()
    labels = 40 * digits.y - 22  # the digits 0, 1, ..., 9 become -18, -14, ..., 18
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=20), digits.X, labels)
    sol = mf.sharpness_flow(man, man.random_point(rng=0))
    t = sol.t[1:]
    Z = np.array([man.preactivations(theta) for theta in sol.theta[1:]])  # (k, m, n)
    ends = man.preactivations(mf.flattest_point(man).x)  # n scalar equations

    made, (left, right) = new_figure("three samples, 20 neurons", "50 samples, 20 neurons")
    for digit, colour in ((0, BLUE), (4, BLACK), (9, ORANGE)):
        i = int(np.argmin(abs(labels - (4 * digit - 18))))
        left.plot(t, Z[:, :, i], color=colour, linewidth=0.7)
        left.plot(2 * t[-1], ends[0, i], "o", color=colour, markersize=4)
        label(left, f"a digit {digit}", 2e2, ends[0, i], colour)
    left.set(xscale="log", xlabel="flow time $t$", ylabel="pre-activation $z_{ji}$")

    values = np.linalg.svd(Z, compute_uv=False)  # (k, min(m, n))
    right.plot(t, values[:, 0], color=BLUE)
    right.plot(t, values[:, 1:], color=GREY, linewidth=0.7)
    label(right, "largest", t[0], values[0, 0], BLUE)
    label(right, "the other 19", t[0], 1e-2, GREY)
    right.set(xscale="log", yscale="log", ylim=(1e-14, 1e3))
    right.set(xlabel="flow time $t$", ylabel="singular value of $Z$")
    return made


if __name__ == "__main__":
    save(figure(), target(__file__))
