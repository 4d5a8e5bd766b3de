"""Lines of eight numbers, and rows that are padded to whole lines: whatever the width, the path is the plain loop's."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import manifoldflow as mf
from manifoldflow.compiled.lines import LANES, load, start, store, total
from manifoldflow.sgd.noise import Draws
from manifoldflow.sgd.walk import Setting
from tests.manifoldflow.oracle import relative
from tests.manifoldflow.test_sgd import uses_of

# --- lines ----------------------------------------------------------------------------------------


@njit
def lines_at_work(x, y, factor, at, out):
    source, target = start(x), start(out)
    line = load(source, at) * load(start(y), 0)
    line += factor * load(source, 0)
    store(target, at, line + load(target, at))
    return total(line)


def test_lines_multiply_add_and_sum_in_a_fixed_order():
    rng = np.random.default_rng(0)
    x, out = rng.normal(size=(3, LANES)), np.ones((3, LANES))
    y = np.exp2(rng.integers(-3, 3, LANES))  # powers of two: products are exact
    x[2] = np.array([1e16, 1.0, 1.0, 1.0, -1e16, 1.0, 1.0, 1.0]) / y  # one after the other they add up to 3
    assert lines_at_work(x, y, 0.0, 2 * LANES, out) == 6.0
    np.testing.assert_allclose(out[2], 1.0 + x[2] * y, rtol=1e-15)
    np.testing.assert_array_equal(out[:2], 1.0)
    lines_at_work(x, y, 3.0, 3, out)  # a line may begin anywhere
    np.testing.assert_allclose(out.ravel()[3:11], 1.0 + x.ravel()[3:11] * y + 3.0 * x[0], rtol=1e-14)


def test_a_line_and_a_number_do_not_add():
    @njit
    def wrong(x):
        return total(load(start(x), 0) + 1.0)

    with pytest.raises(TypingError, match="No implementation of function"):
        wrong(np.ones(LANES))


def test_only_arrays_without_gaps_have_an_address():
    @njit
    def first(x):
        return start(x)[0]

    assert first(np.full(4, 3.0)) == 3.0
    with pytest.raises(TypingError):
        first(np.ones(4)[::2])


# --- rows -----------------------------------------------------------------------------------------


def setting(m, n, batch=1, momentum=0.0):
    X = np.random.default_rng(0).normal(size=(n, n))
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=m), X, np.ones(n))
    return Setting(man, Draws(n, batch, "replacement", mf.LabelNoise()), None, momentum)


@pytest.mark.parametrize(
    ("m", "n", "batch", "momentum", "capacity", "width"),
    [(10, 5, 1, 0.0, 0, 16), (17, 5, 1, 0.0, 0, 24), (30, 12, 1, 0.0, 0, 32), (40, 12, 1, 0.0, 8, 48),
     (10, 5, 2, 0.0, 8, 16), (3, 5, 1, 0.5, 8, 16), (10, 12, 9, 0.0, 16, 16), (128, 20, 1, 0.0, 8, 144),
     (1000, 20, 1, 0.0, 8, 1008), (1024, 20, 1, 0.0, 8, 1040)],
)  # fmt: skip
def test_how_many_terms_wait_and_how_wide_a_row_is(m, n, batch, momentum, capacity, width):
    case = setting(m, n, batch, momentum)
    assert (case.capacity, case.width) == (capacity, width)
    padded = case.in_lines(np.arange(float(2 * m)).reshape(2, m))
    np.testing.assert_array_equal(padded[:, m - 1 :], np.tile([[m - 1.0], [2 * m - 1.0]], (1, width - m + 1)))
    assert padded.ctypes.data % 64 == 0


# Functions that are called a unit at a time (tanh) and arithmetic on whole lines, where a padding of zeros would give
# 0/0 and an infinite slope; at-once and pending steps.
UNITS = {
    "tanh": ("c*tanh(z)", lambda z, c: c * anp.tanh(z)),
    "sqrt": ("c*sqrt(z) + z**3", lambda z, c: c * anp.sqrt(z) + z**3),
    "ratio": ("c*z/(z + c) + z", lambda z, c: c * z / (z + c) + z),
}


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize(("m", "n", "momentum"), [(5, 3, 0.0), (5, 3, 0.6), (33, 14, 0.0), (33, 14, 0.6)])
def test_padded_rows_give_the_path_of_a_plain_loop(name, m, n, momentum):
    formula, psi = UNITS[name]
    rng = np.random.default_rng(1)
    X, theta = rng.uniform(0.5, 1.5, (n, n + 1)) / n, rng.uniform(0.5, 1.5, (m, n + 2))
    network = Network(mf.UnitFunction(formula, own=("c",)), m)

    def output(theta, x):
        return anp.sum(psi(anp.dot(theta[:, :-1], x), theta[:, -1]))

    y = np.array([output(theta, x) for x in X]) + 0.1
    eta, n_steps, noise = 1e-3 / m, 60, mf.LabelNoise("gaussian", std=0.5)
    run = mf.label_noise_sgd(network, X, y, theta, step_size=eta, noise=noise, n_steps=n_steps, momentum=momentum,
                             rng=4)  # fmt: skip
    gradient = autograd.grad(lambda theta, x, target: (output(theta, x) - target) ** 2)
    now, before = theta.copy(), theta
    for rows, xi in uses_of(np.random.default_rng(4).spawn(1)[0], n, 1, noise, n_steps):
        step = -eta * gradient(now, X[rows[0]], y[rows[0]] + xi[0]) + momentum * (now - before)
        now, before = now + step, now
    assert relative(now, theta) > 1e-5
    np.testing.assert_allclose(run.theta[0], now, atol=1e-12)


class Network:
    """Units with one trained parameter and no fixed coefficients."""

    p = 1

    def __init__(self, unit, width):
        self.unit, self.width = unit, width

    def inputs(self, X):
        return X

    def coefficients(self, X):
        return np.ones((self.width, len(X)))
