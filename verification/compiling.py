"""Compile what the statements need, once, before processes share the cases: each would compile all of it otherwise."""

from __future__ import annotations

from collections.abc import Collection

import manifoldflow as mf
from manifoldflow.certificates.elementary import FUNCTIONS
from manifoldflow.certificates.interval import Interval
from manifoldflow.codegen import load_kernel

PARTS = {"flow": (), "geometry": (), "label noise": ("S9", "S14"), "activations": ("S11",), "series": ()}
"""With the statements that alone need a part; none named: all do."""

ACTIVATIONS = ("tanh(z)", "z**2", "atan(z)", "1/(1 + exp(-z))", "softplus(z)")  # of S11


def parts(statements: Collection[str]) -> list[str]:
    """The parts that any of these statements needs.

    >>> parts(["S1", "S14"])
    ['flow', 'geometry', 'label noise', 'series']
    """
    return [part for part, needing in PARTS.items() if not needing or set(needing) & set(statements)]


def compile_part(part: str) -> None:
    """Run one part of the toolkit on a tiny problem; what Numba compiles goes to its cache on disk.

    >>> compile_part("flow")
    """
    if part == "series":
        FUNCTIONS["exp"](Interval(1.0))
        return
    if part == "activations":
        for formula in ACTIVATIONS:
            load_kernel(mf.UnitFunction(formula))
        return
    data = mf.datasets.synthetic(n=2, d=3, rng=0)
    net = mf.TwoLayerNetwork(mf.UnitFunction("z**3 + z"), width=2)
    man = mf.ZeroLossManifold(net, data.X, data.y)
    theta = man.random_point(rng=0)
    if part == "flow":
        mf.sharpness_flow(man, theta, (0.0, 1e-3), method="implicit")
        return
    if part == "geometry":
        man.hessian_vector_product(theta, man.gradient(theta))
        mf.flattest_point(man, theta)
        return
    for batch in (1, "full"):
        mf.label_noise_sgd(net, data.X, data.y, theta, step_size="auto", n_steps=10, batch_size=batch)
