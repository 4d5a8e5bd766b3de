r"""Label-noise SGD follows the flow

Stochastic gradient descent with noise on the labels, at three step sizes $\eta$. Left: the
sharpness along one run at each, at the flow time $t = \eta^2 k\,\sigma^2/(2n)$ after $k$
steps. Right: the distance of 32 runs, pulled back to the zero-loss manifold, from the flow
at the last of these times. That of their mean shrinks with the step size to the first power
(S9), the scatter about the mean more slowly.
"""

import numpy as np
from figures import BLACK, BLUE, GREY, ORANGE, label, new_figure, save, target

import manifoldflow as mf

STEP_SIZES, STD, END, RUNS = np.array([4e-4, 2e-4, 1e-4]), 1.0, 1.8e-3, 32


def figure():
    """Integrate the flow, simulate at each step size, compare."""
    data = mf.datasets.synthetic(n=4, d=8, rng=0)
    net = mf.TwoLayerNetwork("z**3 + z", width=6)
    man = mf.ZeroLossManifold(net, data.X, data.y)
    theta = man.random_point(rng=0)
    sol = mf.sharpness_flow(man, theta, (0.0, END), t_eval=np.linspace(0.0, END, 100))

    made, (left, right) = new_figure("one run at each step size", f"{RUNS} runs, at the last time")
    left.plot(1e3 * sol.t, sol.sharpness, color=GREY)
    label(left, "flow", 1e3 * sol.t[5], sol.sharpness[5], GREY)
    bias, scatter = [], []
    for k, eta in enumerate(STEP_SIZES):
        steps = round(END * 2 * man.n / (eta * STD) ** 2)
        run = mf.label_noise_sgd(
            net, data.X, data.y, theta, step_size=eta, noise=mf.LabelNoise(std=STD),
            n_steps=steps, n_runs=RUNS, rng=1, record_every=steps // 24, record="sharpness",
        )  # fmt: skip
        times, F = 1e3 * run.clock * run.flow_times, run.history["sharpness"][:, 0]
        left.plot(times, F, "^sv"[k], color=(BLACK, ORANGE, BLUE)[k], markersize=3)
        label(left, named(eta), 0.7, 1600 + 250 * k, (BLACK, ORANGE, BLUE)[k])
        ends = np.array([mf.gradient_flow_limit(man, end) for end in run.theta])  # back on M
        bias.append(np.linalg.norm(ends.mean(axis=0) - sol.theta[-1]))
        scatter.append(np.linalg.norm(ends - ends.mean(axis=0), axis=(1, 2)).mean())
    left.set(xlabel="flow time $t$ / $10^{-3}$", ylabel="sharpness $F$")

    right.loglog(STEP_SIZES, bias, "o", color=BLUE)
    right.loglog(STEP_SIZES, scatter, "s", color=ORANGE)
    right.loglog(STEP_SIZES, bias[0] * STEP_SIZES / STEP_SIZES[0], "--", color=BLUE, linewidth=0.8)
    label(right, "mean of the runs\n(dashed: slope 1)", STEP_SIZES[1], bias[1], BLUE, xytext=(-78, 8))
    label(right, "scatter of a run", STEP_SIZES[1], scatter[1], ORANGE, xytext=(-30, 10))
    right.set(xlabel=r"step size $\eta$", ylabel="distance from the flow")
    right.minorticks_off()
    right.set_xticks(STEP_SIZES, [f"{eta:g}" for eta in STEP_SIZES])
    return made


def named(eta):
    """Give a step size with its symbol."""
    return rf"$\eta = {1e4 * eta:.0f}\cdot10^{{-4}}$"


if __name__ == "__main__":
    save(figure(), target(__file__))
