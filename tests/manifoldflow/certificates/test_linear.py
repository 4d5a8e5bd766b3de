"""Products, inverses and smallest eigenvalues against exact rational arithmetic and mpmath."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from manifoldflow.certificates.interval import INF, Interval
from manifoldflow.certificates.linear import (
    distance_from_identity,
    floor_root,
    product,
    sharp_product,
    smallest_eigenvalue_bound,
    smallest_gram_eigenvalue,
    solution_near,
)


def exact_product(A, B):
    return [[sum(Fraction(a) * Fraction(b) for a, b in zip(row, column, strict=True)) for column in B.T.tolist()]
            for row in A.tolist()]  # fmt: skip


def wild(rng, *shape):
    return rng.normal(size=shape) * 10.0 ** rng.integers(-12, 12, shape)


def test_what_overflows_on_the_way_is_unknown():
    found = product(np.array([[1.5e308, 1.5e308, -1.7e308], [1.0, 1.0, 1.0]]), np.ones((3, 1)))
    assert (found.lo[0, 0], found.hi[0, 0]) == (-INF, INF)
    assert found.lo[1, 0] <= 3.0 <= found.hi[1, 0]
    assert np.isnan((Interval(np.nan) * Interval(0.0, 1.0)).lo)  # not nought, which only nought times infinity is


@pytest.mark.parametrize("multiply", [product, sharp_product])
def test_products_contain_the_exact_ones(multiply):
    rng = np.random.default_rng(0)
    for k in (1, 2, 7, 40):
        A, B = wild(rng, 3, k), wild(rng, k, 4)
        found, exact = multiply(A, B), exact_product(A, B)
        for i in range(3):
            for j in range(4):
                assert Fraction(float(found.lo[i, j])) <= exact[i][j] <= Fraction(float(found.hi[i, j]))


def test_sharp_products_keep_digits_where_terms_cancel():
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    y = rng.normal(size=60)
    y -= (x @ y) / (x @ x) * x  # x . y is rounding
    plain, sharp = (multiply(x[None], y[:, None]) for multiply in (product, sharp_product))
    exact = exact_product(x[None], y[:, None])[0][0]
    assert Fraction(float(sharp.lo[0, 0])) <= exact <= Fraction(float(sharp.hi[0, 0]))
    assert sharp.hi - sharp.lo < 1e-4 * (plain.hi - plain.lo)
    huge = sharp_product(np.array([[1e200, 1.0]]), np.array([[1e-200], [1.0]]))
    assert huge.lo[0, 0] <= 2.0 <= huge.hi[0, 0]


def test_products_of_intervals():
    rng = np.random.default_rng(2)
    A, B = rng.normal(size=(3, 5)), rng.normal(size=(5, 2))
    dA, dB = 0.1 * rng.random((3, 5)), 0.1 * rng.random((5, 2))
    found = product(Interval(A - dA, A + dA), Interval(B - dB, B + dB))
    for _ in range(200):
        inner = (A + dA * rng.choice([-1, 1], dA.shape)) @ (B + dB * rng.choice([-1, 1], dB.shape))
        assert (found.lo <= inner).all()
        assert (inner <= found.hi).all()
    assert np.isinf(product(Interval(A, np.full((3, 5), INF)), B).hi).all()


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6, 1e10])
def test_smallest_gram_eigenvalue(condition):
    rng = np.random.default_rng(3)
    U, V = (np.linalg.qr(rng.normal(size=(k, k)))[0] for k in (6, 9))
    X = U @ np.diag(np.geomspace(1.0, 1.0 / condition, 6)) @ V[:6]
    found = smallest_gram_eigenvalue(X)
    with mpmath.workdps(60):
        M = mpmath.matrix(X.tolist())
        exact = min(mpmath.eigsy(M * M.T, eigvals_only=True))
        assert mpmath.mpf(found.low) <= exact <= mpmath.mpf(found.high)
        assert found.width < 1e-13 * condition * float(exact)


def test_dependent_samples_have_no_positive_bound():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(4, 7))
    X[3] = X[0] + X[1]
    assert smallest_gram_eigenvalue(X).low == 0.0 or smallest_gram_eigenvalue(X).low < 1e-30
    assert smallest_gram_eigenvalue(rng.normal(size=(8, 7))).high == 0.0
    exact = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]])
    assert smallest_gram_eigenvalue(exact).low < 1e-30


def test_verified_cholesky():
    rng = np.random.default_rng(5)
    Q = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    for smallest in (1.0, 1e-6, 0.0, -1e-12, -1.0):
        A = Q @ np.diag([smallest, 0.5, 1, 1, 2, 3, 4, 5.0]) @ Q.T
        A = 0.5 * (A + A.T)
        bound = smallest_eigenvalue_bound(Interval(A))
        with mpmath.workdps(50):
            exact = min(mpmath.eigsy(mpmath.matrix(A.tolist()), eigvals_only=True))
        assert mpmath.mpf(bound) <= exact
        assert float(exact) - bound < 1e-13
    assert smallest_eigenvalue_bound(Interval(np.full((2, 2), np.nan))) == -INF


def test_verified_cholesky_counts_the_radius_of_entries():
    bound = smallest_eigenvalue_bound(Interval(np.eye(3) - 0.1, np.eye(3) + 0.1))
    assert 0.69 < bound <= 0.7
    assert smallest_eigenvalue_bound(Interval(np.eye(3) - 0.4, np.eye(3) + 0.4)) < 0.0


def test_solutions_of_linear_systems():
    rng = np.random.default_rng(6)
    K = rng.normal(size=(4, 4))
    K = K @ K.T + np.eye(4)
    r = rng.normal(size=4)
    found = solution_near(Interval(K - 1e-6, K + 1e-6), Interval(r))
    assert found is not None
    for _ in range(50):
        x = np.linalg.solve(K + 1e-6 * rng.choice([-1, 1], (4, 4)), r)
        assert (found.lo <= x).all()
        assert (x <= found.hi).all()
    assert solution_near(Interval(np.ones((2, 2))), Interval(np.ones(2))) is None
    assert solution_near(Interval(np.eye(2) - 0.6, np.eye(2) + 0.6), Interval(np.ones(2))) is None


def test_small_helpers():
    assert distance_from_identity(Interval(np.eye(2) + 0.25)) == pytest.approx(0.5)
    x = np.random.default_rng(7).random(100)
    assert all(Fraction(float(q)) ** 2 <= Fraction(float(v)) for q, v in zip(floor_root(x), x, strict=True))
    assert floor_root(np.zeros(1))[0] == 0.0
