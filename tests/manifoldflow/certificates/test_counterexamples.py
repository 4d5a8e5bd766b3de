"""Counterexamples where A1 fails (S11): thresholds against closed forms, maxima, neurons that disagree."""

import mpmath
import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.certificates import disagreeing_critical_point, rank_one_point, stability_thresholds
from manifoldflow.errors import InputError
from tests.manifoldflow.oracle import Oracle, tanh

# The closed forms of S11, here and nowhere in the code.
CLOSED = {
    "tanh(z)": lambda: [-1 / mpmath.sqrt(3), 1 / mpmath.sqrt(3)],
    "atan(z)": lambda: [-mpmath.pi / 6, mpmath.pi / 6],
    "sigmoid(z)": lambda: [(3 - mpmath.sqrt(3)) / 6, (3 + mpmath.sqrt(3)) / 6],
    "softplus(z)": lambda: [mpmath.log(2)],
    "erf(z)": lambda: [-mpmath.erf(1 / mpmath.sqrt(2)), mpmath.erf(1 / mpmath.sqrt(2))],
    "z**3 + z": list,
}


@pytest.mark.parametrize("formula", CLOSED)
def test_thresholds_are_the_closed_forms(formula, arithmetic):
    name = "arb" if "Arb" in arithmetic.description else "float64"
    found = stability_thresholds(formula, arithmetic=name)
    assert found.certificate.proved
    with mpmath.workdps(50):
        wanted = CLOSED[formula]()
        assert found.values.lo.size == len(wanted)
        for lo, hi, value in zip(found.values.lo, found.values.hi, wanted, strict=True):
            assert mpmath.mpf(lo) <= value <= mpmath.mpf(hi)
            assert hi - lo < 1e-14


@pytest.mark.parametrize("formula", ["tanh(z)", "atan(z)", "sigmoid(z)", "softplus(z)"])
def test_the_rank_one_point_turns_at_the_threshold(formula):
    width = 3
    for threshold in stability_thresholds(formula).values.mid:
        kinds = []
        for share in (1.0 - 1e-9, 1.0 + 1e-9):
            label = width * threshold * share
            man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=width), np.eye(1), [label])
            kinds += rank_one_point(man).kinds
        assert sorted(kinds) == ["maximum", "minimum"]


def test_thresholds_that_are_not_all_found_say_so():
    square = stability_thresholds("z**2").certificate
    assert not square.proved
    assert "nought everywhere" in square.reason
    double = stability_thresholds("z**5 + z").certificate  # a double zero of phi''' changes no sign
    assert not double.proved
    assert "could not be told from nought on 1 parts" in double.reason
    wave = stability_thresholds("sin(z)", (-2.0, 2.0)).certificate
    assert not wave.proved
    assert "phi' is not proved to keep its sign" in wave.reason
    assert stability_thresholds("sin(z)", (-1.5, 1.5)).certificate.proved
    with pytest.raises(InputError, match="z_range must increase"):
        stability_thresholds("tanh(z)", (1.0, 1.0))


def manifold(formula, labels, width, weights=None):
    rng = np.random.default_rng(4)
    network = mf.TwoLayerNetwork(formula, width=width, output_weights=weights)
    return mf.ZeroLossManifold(network, rng.normal(size=(len(labels), 5)), labels)


def test_the_rank_one_point_is_a_maximum_and_moves_lower_it():
    man = manifold("tanh(z)", [0.6, -0.3], width=3)
    found = rank_one_point(man)
    assert found.certificate.proved
    assert found.kinds == ("maximum", "maximum")
    z = found.z.mid
    theta = man.coordinates.expand(man.coordinates.weights_from_preactivations(np.tile(z, (3, 1))))
    assert np.linalg.norm(man.gradient(theta)) < 1e-12
    rng = np.random.default_rng(0)
    for _ in range(10):
        u = man.projection(theta, rng.normal(size=man.shape))
        assert man.sharpness(man.retraction(theta, 1e-3 * u)) < man.sharpness(theta)


def test_no_maximum_is_claimed_where_there_is_none():
    man = manifold("z**3 + z", [0.6, -0.3], width=3)
    assert rank_one_point(man).certificate.verdict == "refuted"
    single = manifold("tanh(z)", [0.2], width=1)
    assert "only one unit" in rank_one_point(single).certificate.reason
    rng = np.random.default_rng(0)
    wide = mf.ZeroLossManifold(mf.TwoLayerNetwork("tanh(z)", width=4), rng.normal(size=(3, 2)), [0.1, 0.2, 0.3])
    assert "independent" in rank_one_point(wide).certificate.reason
    with pytest.raises(InputError, match="equal output weights"):
        rank_one_point(manifold("tanh(z)", [0.2], 2, [1.0, 2.0]))


@pytest.mark.parametrize(("formula", "labels"), [
    ("tanh(z)", [1.3, 0.4]), ("atan(z)", [1.6, 0.3]), ("sigmoid(z)", [0.9, 0.5]), ("softplus(z)", [3.0, 4.0]),
    ("z*sigmoid(z)", [0.8, 0.2]),
])  # fmt: skip
def test_neurons_disagree_at_a_critical_point(formula, labels):
    man = manifold(formula, labels, width=3)
    found = disagreeing_critical_point(man)
    assert found.certificate.proved, found.certificate.line
    column = found.low[:, found.sample], found.high[:, found.sample]
    assert column[1].min() < column[0].max()  # two of the intervals are disjoint
    # theta is so close that the gradient is rounding; it is on M to rounding too.
    assert np.linalg.norm(man.gradient(found.theta)) < 1e-10
    assert np.abs(man.residual(found.theta)).max() < 1e-12
    Z = man.preactivations(found.theta)
    assert (found.low - 1e-9 <= Z).all()
    assert (found.high + 1e-9 >= Z).all()
    assert found.distance < 1e-10


def test_the_disagreeing_point_by_automatic_differentiation():
    man = manifold("tanh(z)", [1.3, 0.4], width=3)
    found = disagreeing_critical_point(man)
    oracle = Oracle(tanh, man.X, man.y, man.a)
    assert np.linalg.norm(oracle.gradient(found.theta)) < 1e-10


@pytest.mark.parametrize("formula", ["z**3 + z", "sinh(z)"])
def test_where_phi_second_is_injective_there_is_none(formula):
    found = disagreeing_critical_point(manifold(formula, [1.3, 0.4], width=3))
    assert found.certificate.verdict == "refuted"
    assert "injective" in found.certificate.reason
    assert np.isnan(found.theta).all()


def test_what_is_not_found_is_not_claimed():
    # tanh: u^2 + uv + v^2 = 1 (u, v the values of tanh) and u + 2 v = 0.1 have no common solution inside (-1, 1).
    none = disagreeing_critical_point(manifold("tanh(z)", [0.1, 0.1], width=3))
    assert none.certificate.verdict == "not proved"
    assert "no solution was found" in none.certificate.reason
    # On a range where phi'' of tanh is injective.
    assert disagreeing_critical_point(manifold("tanh(z)", [1.3], 3), (-0.5, 0.5)).certificate.verdict == "refuted"
    square = disagreeing_critical_point(manifold("z**2", [1.3], 3))
    assert "every point of M is critical" in square.certificate.reason
    assert disagreeing_critical_point(manifold("tanh(z)", [0.3], 1)).certificate.verdict == "refuted"
    with pytest.raises(InputError, match="disagree anyway"):
        disagreeing_critical_point(manifold("tanh(z)", [0.2], 2, [1.0, 2.0]))
    with pytest.raises(InputError, match="z_range must increase"):
        disagreeing_critical_point(manifold("tanh(z)", [1.3], 3), (1.0, -1.0))
