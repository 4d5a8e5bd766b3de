"""Eigenvalues through the units' blocks against dense matrices made of Hessian-vector products, and counts of them."""

import tracemalloc

import numpy as np
import pytest
import scipy.linalg

import manifoldflow as mf
from manifoldflow import spectrum
from manifoldflow.compiled import geometry
from manifoldflow.errors import GeometryError, InputError
from tests.manifoldflow.conftest import problem


def manifold(formula, n, d, width, weights=None, seed=0):
    rng = np.random.default_rng(seed)
    network = mf.TwoLayerNetwork(formula, width=width, output_weights=weights)
    return mf.ZeroLossManifold(network, rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=n)).reduced


SIGNED = np.random.default_rng(1).normal(size=15)
CASES = {
    "cubic": lambda: manifold("z**3 + z", 8, 10, 15),
    "signed": lambda: manifold("sinh(z)", 8, 10, 15, SIGNED),
    "trained": lambda: manifold("z**3 + z", 6, 8, 15, "trained"),
    "wide data": lambda: manifold("z**3 + z", 10, 6, 15),
    "indefinite": lambda: manifold("tanh(z)", 8, 10, 15),
}


def dense(man, theta):
    """All eigenvalues, from Hessian-vector products with every unit vector and an SVD of the Jacobian."""
    size = theta.size
    columns = [man.hessian_vector_product(theta, e.reshape(theta.shape)).ravel() for e in np.eye(size)]
    null = scipy.linalg.null_space(man.jacobian(theta).reshape(man.n, size))
    return np.linalg.eigvalsh(null.T @ np.stack(columns, axis=1) @ null)


def diagonal(man, theta, keep_bases=False):
    W, work = man.coordinates.reduce(theta), man.workspace()
    geometry.second_derivatives(W, man.problem, work, np.empty_like(W))
    return spectrum.diagonalise(man.problem, work, keep_bases)


@pytest.fixture
def structured(monkeypatch):
    """Lanczos and counts even where a dense matrix would be faster."""
    monkeypatch.setattr(spectrum, "_DENSE_IS_FASTER", 0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("k", [1, 4, 12])
def test_both_ends_of_the_spectrum(structured, name, k):
    man = CASES[name]()
    theta = man.random_point(rng=1)
    wanted = dense(man, theta)
    assert wanted.size == man.dimension
    tolerance = 1e-11 * np.abs(wanted).max()
    np.testing.assert_allclose(man.hessian_spectrum(theta, k=k), wanted[:k], atol=tolerance)
    np.testing.assert_allclose(man.hessian_spectrum(theta, k=k, which="largest"), wanted[-k:], atol=tolerance)
    np.testing.assert_allclose(man.hessian_spectrum(theta), wanted, atol=tolerance)


def test_the_indefinite_case_is_indefinite():
    man = CASES["indefinite"]()
    wanted = dense(man, man.random_point(rng=1))
    assert wanted[0] < -1.0
    assert wanted[-1] > 1.0


def test_copies_are_found(structured):
    # At the flattest point of m equal units every eigenvalue has m - 1 copies; Lanczos alone sees few of them.
    man = CASES["cubic"]()
    theta = mf.flattest_point(man).x
    got = man.hessian_spectrum(theta, k=20)
    wanted = dense(man, theta)
    np.testing.assert_allclose(got, wanted[:20], rtol=1e-8)
    assert np.ptp(got[:14]) < 1e-8 * got[0] < np.diff(got)[13]


@pytest.mark.parametrize("candidates", [[], [0], [0, 3], [1, 2, 2, 5], [7]], ids=str)
def test_what_lanczos_misses_is_counted_and_found(candidates):
    man = CASES["indefinite"]()
    theta = man.random_point(rng=1)
    hessian, wanted = diagonal(man, theta), dense(man, theta)
    given = wanted[candidates]
    got = spectrum._certified(hessian, given, 5, wanted[0] - 1.0, wanted[-1] + 1.0)
    np.testing.assert_allclose(got, wanted[:5], atol=1e-11 * np.abs(wanted).max())


def test_a_value_that_is_no_eigenvalue_is_not_believed():
    man = CASES["indefinite"]()
    theta = man.random_point(rng=1)
    hessian, wanted = diagonal(man, theta), dense(man, theta)
    wrong = np.array([0.5 * (wanted[0] + wanted[1]), 0.5 * (wanted[2] + wanted[3])])
    got = spectrum._certified(hessian, wrong, 4, wanted[0] - 1.0, wanted[-1] + 1.0)
    np.testing.assert_allclose(got, wanted[:4], atol=1e-11 * np.abs(wanted).max())


@pytest.mark.parametrize("name", CASES)
def test_counts(name):
    man = CASES[name]()
    theta = man.random_point(rng=1)
    hessian, wanted = diagonal(man, theta), dense(man, theta)
    for k in range(0, wanted.size - 1, 7):
        sigma = 0.5 * (wanted[k] + wanted[k + 1])
        assert spectrum.Shifted(hessian, sigma).below == k + 1
    assert spectrum.Shifted(hessian, wanted[0] - 1.0).below == 0
    assert spectrum.Shifted(hessian, wanted[-1] + 1.0).below == wanted.size


@pytest.mark.parametrize("name", CASES)
def test_solves(name):
    man = CASES[name]()
    theta = man.random_point(rng=1)
    hessian = diagonal(man, theta, keep_bases=True)
    sigma = dense(man, theta)[0] - 1.0
    U = man.projection(theta, np.random.default_rng(2).normal(size=man.shape))
    solution = hessian.vector(spectrum.Shifted(hessian, sigma).solve(hessian.coordinates(man.coordinates.reduce(U))))
    solution = man.coordinates.expand(solution)
    back = man.hessian_vector_product(theta, solution) - sigma * solution
    np.testing.assert_allclose(back, U, atol=1e-9 * np.abs(U).max())
    np.testing.assert_allclose(man.projection(theta, solution), solution, atol=1e-11 * np.abs(solution).max())


@pytest.mark.parametrize("name", ["cubic", "trained", "per_sample", "diagonal", "wide_data", "tanh"])
def test_eigenvectors(structured, name):
    case = problem(name)
    hessian = diagonal(case.man, case.theta, keep_bases=True)
    values, x = spectrum.smallest(hessian, 1)
    v = case.man.coordinates.expand(hessian.vector(x))
    assert np.linalg.norm(v) == pytest.approx(1.0)
    image = case.oracle.hessian_vector_product(case.theta, v)
    np.testing.assert_allclose(image, values[0] * v, atol=1e-6 * hessian.scale)
    assert values[0] == pytest.approx(case.oracle.spectrum(case.theta)[0], abs=1e-11 * hessian.scale)


def test_stiff_data(structured, digits_run):
    # cond(G) ~ 1e6; eigenvalues from 1e-4 to 1e3. Dense and structured share E only.
    man = digits_run[0]
    theta = mf.flattest_point(man).x
    wanted = man.hessian_spectrum(theta)
    np.testing.assert_allclose(man.hessian_spectrum(theta, k=25), wanted[:25], atol=1e-13 * wanted[-1])
    assert wanted[-1] > 1e6 * wanted[0] > 0.0


def test_large_sizes_take_little_memory():
    # 18,000 parameters: a dense matrix would have 2.6 GB.
    man = manifold("z**3 + z", 12, 12, 1500)
    theta = man.random_point(rng=0)
    with pytest.raises(InputError, match=r"17988 eigenvalues.*13 GB.*Give k"):
        man.hessian_spectrum(theta)
    with pytest.raises(InputError, match="k must be at most 4497, a quarter"):
        man.hessian_spectrum(theta, k=5000)
    tracemalloc.start()
    values = man.hessian_spectrum(theta, k=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 8 * man.m * man.n * 12
    hessian = diagonal(man, theta)
    assert spectrum.Shifted(hessian, values[0] - 1e-6 * abs(values[0])).below == 0
    assert spectrum.Shifted(hessian, values[2] + 1e-6 * abs(values[2])).below == 3


@pytest.mark.parametrize("formula", ["z", "z**2"])
def test_a_sharpness_without_curvature(structured, formula):
    # F is constant on M: E is zero for z, and rounding of terms of size 16 s_i for z^2.
    rng = np.random.default_rng(0)
    network = mf.TwoLayerNetwork(formula, width=60)
    man = mf.ZeroLossManifold(network, rng.normal(size=(8, 10)), rng.uniform(1.0, 2.0, size=8))
    theta = man.random_point(rng=0)
    for which in ("smallest", "largest"):
        np.testing.assert_allclose(man.hessian_spectrum(theta, k=3, which=which), 0.0, atol=1e-9)


def test_a_manifold_of_dimension_zero_has_no_eigenvalues():
    man = manifold("z**3 + z", 3, 3, 1)
    theta = man.random_point(rng=0)
    assert man.hessian_spectrum(theta).size == 0
    with pytest.raises(InputError, match="k must be at most 0"):
        man.hessian_spectrum(theta, k=1)


def test_bad_arguments():
    man = manifold("z**3 + z", 3, 4, 2)
    theta = man.random_point(rng=0)
    for k, text in ((0, "k must be"), (-1, "k must be"), (1.5, "k must be"), (True, "k must be"), (99, "at most 3")):
        with pytest.raises(InputError, match=text):
            man.hessian_spectrum(theta, k=k)
    with pytest.raises(InputError, match=r"which must be one of 'smallest', 'largest'; got 'SA'"):
        man.hessian_spectrum(theta, k=1, which="SA")
    with pytest.raises(GeometryError, match="not on the manifold"):
        man.hessian_spectrum(theta + 1.0, k=1)
