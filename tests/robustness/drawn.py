"""What hypothesis draws for the tests of robustness: problems of any shape and scale, formulas, activations."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import manifoldflow as mf
from derivations.checks.automatic import BOXES
from derivations.checks.evaluate import evaluate
from derivations.grammar import CALLS
from tests.manifoldflow.oracle import Oracle

SCALES = (1e-8, 1e-4, 1.0, 1e4, 1e8)
UNITS = {
    "z**3 + z": (), "sinh(z)": (), "tanh(z)": (), "z**2": (), "c*(z**3 + z)": ("c",),
    "a*c1*(z**3 + z) + c2**2*sin(z) + 0.3*a*c2": ("c1", "c2"),
}  # fmt: skip


def examples(count):
    """That many examples, or in the profile `long` as many times more as it has."""
    return settings(max_examples=count * max(settings.default.max_examples // 100, 1))


@dataclass(frozen=True)
class Drawn:
    """A problem, in numbers that hypothesis can shrink."""

    formula: str
    own: tuple
    m: int
    n: int
    d: int
    seed: int
    data_scale: float = 1.0
    label_scale: float = 1.0
    repeated: bool = False
    signed: bool = False

    @cached_property
    def network(self):
        weights = np.random.default_rng(self.seed).uniform(0.5, 2.0, self.m) if self.signed else None
        if weights is not None:
            weights[::2] *= -1.0
        return mf.TwoLayerNetwork(mf.UnitFunction(self.formula, own=self.own), self.m, weights)

    @cached_property
    def data(self):
        rng = np.random.default_rng(self.seed)
        X, y = self.data_scale * rng.normal(size=(self.n, self.d)), self.label_scale * rng.normal(size=self.n)
        if self.repeated:
            X[-1], y[-1] = X[0], y[0]
        return X, y

    @cached_property
    def man(self):
        return mf.ZeroLossManifold(self.network, *self.data)

    @cached_property
    def theta(self):
        return self.man.random_point(rng=self.seed)

    def vector(self, seed):
        return np.random.default_rng(seed).normal(size=self.man.shape)

    @cached_property
    def oracle(self):
        unit = self.network.unit
        names = ["z", *unit.own, "a"]

        def psi(z, c, a):
            values = [z, *c, a]
            return evaluate(unit.psi, lambda name, _: values[names.index(name)], BOXES) + 0.0 * z

        return Oracle(psi, *self.data, self.man.a, self.network.p)


@st.composite
def problems(draw, units=tuple(UNITS)):
    formula = draw(st.sampled_from(units))
    sizes = st.integers(1, 5)
    return Drawn(
        formula, UNITS[formula], draw(sizes), draw(sizes), draw(sizes), draw(st.integers(0, 99)),
        draw(st.sampled_from(SCALES)), draw(st.sampled_from(SCALES)), draw(st.booleans()), draw(st.booleans()),
    )  # fmt: skip


LEAVES = st.sampled_from(["z", "z", "z", "c", "2", "0.5", "pi", "1/3", "(-3)"])


@st.composite
def formulas(draw, depth=3):
    """A formula from everything that the parser knows, with z in it."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(LEAVES)
    kind = draw(st.sampled_from(["+", "-", "*", "/", "**", "call", "call", "call"]))
    inner = draw(formulas(depth=depth - 1))
    if kind == "call":
        return f"{draw(st.sampled_from(sorted(CALLS)))}({inner})"
    if kind == "**":
        return f"({inner})**{draw(st.sampled_from(['2', '3', '0.5', '(-1)', '(2/3)', '5']))}"
    return f"({inner}) {kind} ({draw(formulas(depth=depth - 1))})"
