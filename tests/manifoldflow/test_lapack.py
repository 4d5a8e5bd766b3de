"""The linear algebra inside compiled code against NumPy, and the whole toolkit with the compiler switched off."""

import itertools
import json

import numpy as np
import pytest
import scipy.linalg

from manifoldflow.compiled import lapack
from manifoldflow.compiled.batches import padded
from manifoldflow.compiled.lapack import cholesky, cholesky_inverse, cholesky_solve, gemm, gram, lu, lu_solve
from manifoldflow.compiled.lines import LANES, in_lines, square

# Around a tile of four by sixteen, around the size (300 multiplications) where loops give way to BLAS in products with
# a transpose, 6^3 = 216, 7^3 = 343, and past the inner size (256) that is taken at a time.
SIZES = [(1, 1, 1), (3, 4, 5), (6, 6, 6), (7, 7, 7), (4, 8, 3), (5, 9, 3), (8, 16, 2), (9, 17, 2), (17, 17, 17),
         (2, 60, 70), (40, 1, 200), (1, 1, 299), (1, 300, 1), (9, 18, 257), (5, 24, 600)]  # fmt: skip
EMPTY = [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)]
FLAGS = list(itertools.product([False, True], repeat=2))


def operands(rng, m, n, k, transpose_a, transpose_b, strided):
    """A, B, C of the shapes that `gemm` takes; strided ones are columns of wider arrays."""
    shapes = [(k, m) if transpose_a else (m, k), (n, k) if transpose_b else (k, n), (m, n)]
    if not strided:
        return [rng.normal(size=shape) for shape in shapes]
    return [rng.normal(size=(rows, columns + 3))[:, 2 : columns + 2] for rows, columns in shapes]


@pytest.mark.parametrize(("transpose_a", "transpose_b"), FLAGS)
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("size", [*SIZES, *EMPTY])
def test_gemm(rng, size, strided, transpose_a, transpose_b):
    m, n, k = size
    for alpha, beta in ((1.0, 0.0), (-0.7, 1.0), (2.0, 0.3)):
        A, B, C = operands(rng, m, n, k, transpose_a, transpose_b, strided)
        wanted = alpha * (A.T if transpose_a else A) @ (B.T if transpose_b else B) + beta * C
        before = A.copy(), B.copy()
        gemm(transpose_a, transpose_b, alpha, A, B, beta, C)
        np.testing.assert_allclose(C, wanted, atol=1e-14 * (k + 1) * 4)
        np.testing.assert_array_equal(A, before[0])
        np.testing.assert_array_equal(B, before[1])


@pytest.mark.parametrize("size", [(3, 4, 5), (30, 20, 25)])
def test_gemm_with_beta_nought_does_not_read_c(rng, size):
    m, n, k = size
    A, B, C = operands(rng, m, n, k, False, False, False)
    C[:] = np.nan
    gemm(False, False, 1.0, A, B, 0.0, C)
    np.testing.assert_allclose(C, A @ B, atol=1e-13)


def test_gemm_leaves_the_surroundings_of_a_view_alone(rng):
    whole = np.full((20, 30), 7.0)
    A, B = rng.normal(size=(20, 21)), rng.normal(size=(21, 22))
    gemm(False, False, 1.0, A, B, 0.0, whole[:, 4:26])
    np.testing.assert_allclose(whole[:, 4:26], A @ B, atol=1e-13)
    assert np.all(whole[:, :4] == 7.0)
    assert np.all(whole[:, 26:] == 7.0)


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (4, 3), (3, 9), (4, 9), (20, 30), (0, 3)])
def test_gram_fills_the_upper_half(rng, size, strided):
    m, n = size
    A = rng.normal(size=(m, n + 3))[:, 2 : n + 2] if strided else rng.normal(size=(m, n))
    C = np.full((n, n), np.nan)
    gram(A, 0.0, C)
    np.testing.assert_allclose(np.triu(C), np.triu(A.T @ A), atol=1e-13)
    gram(A, 0.5, C)
    np.testing.assert_allclose(np.triu(C), np.triu(1.5 * A.T @ A), atol=1e-13)
    lines = in_lines(np.zeros((n, n)))
    gram(A, 0.0, lines)
    np.testing.assert_allclose(np.triu(square(lines)), np.triu(A.T @ A), atol=1e-13)
    assert np.all(lines[:, n:] == 0.0)


def test_products_that_go_to_the_blas(rng):
    m, n, k = 700, 700, 300
    assert m * n * k > lapack._LARGE
    A, B, C, K = rng.normal(size=(m, k)), rng.normal(size=(k, n)), np.empty((m, n)), np.empty((n, n))
    gemm(False, False, 1.0, A, B, 0.0, C)
    np.testing.assert_allclose(C, A @ B, atol=1e-11)
    gram(C, 0.0, K)
    np.testing.assert_allclose(np.triu(K), np.triu(C.T @ C), atol=1e-8)


@pytest.mark.parametrize("n", [1, 3, 4, 8, 13, 52])
def test_a_batch_inverts_and_applies_eight_matrices(rng, n):
    order = padded(n)
    factor, S = rng.normal(size=(n, n + 3)), np.zeros((order, order))
    S[:n, :n] = factor @ factor.T
    d = np.ones((order, LANES))
    d[:n] = rng.uniform(0.05, 20.0, size=(n, LANES))
    H, M, pivots = np.zeros((order, order, LANES)), np.empty((order, order, LANES)), np.empty((order, LANES))
    assert lapack.batch_inverses(d, S, M, pivots, H)
    x, y, weighted = rng.normal(size=(order, LANES)), np.empty((order, LANES)), np.zeros((n, n))
    lapack.apply_batch(H, x, y)
    lapack.add_weighted_batch(x, H, d, weighted)
    for lane in range(LANES):
        e = d[:n, lane] ** 2
        wanted = np.linalg.inv(np.linalg.inv(S[:n, :n]) + np.diag(e))
        np.testing.assert_allclose(H[:n, :n, lane], wanted, rtol=1e-7, atol=1e-9 * np.abs(wanted).max())
        np.testing.assert_allclose(y[:n, lane], H[:n, :n, lane] @ x[:n, lane], atol=1e-12 * np.abs(y).max())
    wanted = np.einsum("il,ikl,kl->ik", x[:n], H[:n, :n], d[:n])
    np.testing.assert_allclose(weighted, wanted, atol=1e-12 * np.abs(wanted).max())


def test_a_batch_says_when_one_matrix_is_not_positive_definite(rng):
    n = 8
    factor = rng.normal(size=(n, n))
    S, d = -np.eye(n) + 0.01 * factor @ factor.T, np.full((n, LANES), 0.5)
    H, M, pivots = np.zeros((n, n, LANES)), np.empty((n, n, LANES)), np.empty((n, LANES))
    assert lapack.batch_inverses(d, S, M, pivots, H)
    d[:, 5] = 3.0
    assert not lapack.batch_inverses(d, S, M, pivots, H)


@pytest.mark.parametrize("n", [0, 1, 5, 12, 13, 40])
def test_cholesky_inverse_fills_the_upper_half(rng, n):
    A = positive_definite(rng, n)
    L = A.copy()
    assert cholesky(L) == 0
    assert cholesky_inverse(L) == 0
    np.testing.assert_allclose(np.triu(L), np.triu(np.linalg.inv(A)), rtol=1e-9, atol=1e-11)


def positive_definite(rng, n, strided=False):
    factor = rng.normal(size=(n, n + 2))
    matrix = factor @ factor.T + 0.1 * np.eye(n)
    return np.pad(matrix, ((0, 0), (1, 2)))[:, 1 : n + 1] if strided else matrix


@pytest.mark.parametrize("n", [1, 2, 7, 9, 11, 64, 150, 300])
@pytest.mark.parametrize("strided", [False, True])
def test_cholesky(rng, n, strided):
    A = positive_definite(rng, n, strided)
    rhs = rng.normal(size=(3, n + 1))[:, :n] if strided else rng.normal(size=(3, n))
    original, given = A.copy(), rhs.copy()
    assert cholesky(A) == 0
    np.testing.assert_allclose(np.triu(A), np.linalg.cholesky(original).T, atol=1e-11)
    cholesky_solve(A, rhs)
    np.testing.assert_allclose(rhs @ original, given, atol=1e-9)
    lines, again = in_lines(original), given.copy()
    assert cholesky(lines) == 0
    cholesky_solve(lines, again)
    np.testing.assert_array_equal(np.triu(square(lines)), np.triu(A))
    np.testing.assert_array_equal(again, rhs)


def test_cholesky_says_where_it_failed(rng):
    A = positive_definite(rng, 6)
    A[3, 3] = -1.0
    assert cholesky(A) == 4
    assert cholesky(np.zeros((2, 2))) == 1
    for n, row in ((20, 0), (20, 9), (21, 20), (300, 150)):
        A = positive_definite(rng, n)
        A[row, row] = -1.0
        assert cholesky(A) == row + 1


@pytest.mark.parametrize("n", [1, 2, 7, 64, 150])
@pytest.mark.parametrize("strided", [False, True])
def test_lu(rng, n, strided):
    A = rng.normal(size=(n, n + 3))[:, 1 : n + 1] if strided else rng.normal(size=(n, n))
    rhs, pivots = rng.normal(size=(2, n)), np.zeros(n, np.int32)
    original, given = A.copy(), rhs.copy()
    assert lu(A, pivots) == 0
    lu_solve(A, pivots, rhs)
    # Row k of rhs is a right-hand side: A x = b.
    np.testing.assert_allclose(rhs @ original.T, given, atol=1e-9)
    np.testing.assert_allclose(rhs, scipy.linalg.solve(original, given.T).T, atol=1e-9)


def test_lu_needs_its_pivots_and_sees_singular_matrices():
    A, pivots = np.array([[0.0, 2.0], [3.0, 1.0]]), np.zeros(2, np.int32)
    assert lu(A, pivots) == 0
    rhs = np.array([[2.0, 5.0]])
    lu_solve(A, pivots, rhs)
    np.testing.assert_allclose(rhs, [[4 / 3, 1.0]], rtol=1e-15)
    assert lu(np.ones((2, 2)), pivots) == 2


def test_empty_systems():
    nothing, pivots = np.empty((0, 0)), np.empty(0, np.int32)
    assert cholesky(nothing) == lu(nothing, pivots) == 0
    for rows in (0, 2):
        rhs = np.empty((rows, 0))
        cholesky_solve(nothing, rhs)
        lu_solve(nothing, pivots, rhs)
    matrix, rhs = np.eye(3), np.empty((0, 3))
    assert cholesky(matrix) == 0
    cholesky_solve(matrix, rhs)
    assert rhs.shape == (0, 3)


# --- without the compiler -------------------------------------------------------------------------

EVERYTHING = """
import json
import numpy as np
import manifoldflow as mf

rng = np.random.default_rng(0)
X, y = rng.normal(size=(3, 4)), rng.normal(size=3)
out = {}
for name, network in (
    ("cubic", mf.TwoLayerNetwork("z**3 + z", width=3)),
    ("trained", mf.TwoLayerNetwork("z**3 + z", width=3, output_weights="trained")),
    ("sinh", mf.TwoLayerNetwork("sinh(z)", width=3)),
):
    man = mf.ZeroLossManifold(network, X, y)
    theta = man.random_point(rng=0)
    u = rng.normal(size=man.shape)
    out[name + " theta"] = theta
    out[name + " gradient"] = man.gradient(theta)
    out[name + " hvp"] = man.hessian_vector_product(theta, u)
    out[name + " retraction"] = man.retraction(theta, 0.01 * u)
    if name != "sinh":
        for method in ("explicit", "implicit"):
            sol = mf.sharpness_flow(man, theta, (0.0, 0.01), rtol=1e-4, method=method)
            out[name + " " + method] = sol.theta[-1]
        for batch in (1, "full"):
            run = mf.label_noise_sgd(network, X, y, theta, step_size=1e-4, n_steps=20, rng=3, batch_size=batch,
                                     noise=mf.LabelNoise("gaussian", std=0.3))
            out[name + " sgd " + str(batch)] = run.theta[0]
print(json.dumps({key: value.tolist() for key, value in out.items()}))
"""


@pytest.fixture(scope="module")
def both_ways():
    from tests.manifoldflow.conftest import run_python

    results = []
    for disabled in (0, 1):
        code, out, err = run_python(EVERYTHING, NUMBA_DISABLE_JIT=disabled)
        assert code == 0, err
        results.append(json.loads(out))
    return results


def test_the_same_numbers_without_the_compiler(both_ways):
    compiled, interpreted = both_ways
    assert len(compiled) == 4 * 3 + 4 * 2
    for name, value in compiled.items():
        wanted = np.array(value)
        np.testing.assert_allclose(
            np.array(interpreted[name]), wanted, atol=1e-12 * max(1.0, np.abs(wanted).max()), err_msg=name
        )
