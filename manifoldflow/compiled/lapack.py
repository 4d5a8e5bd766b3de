"""Dense linear algebra inside compiled code: our kernels for moderate sizes, SciPy's BLAS and LAPACK for large.

Numba's linear algebra allocates and copies; the integrators must not. The routines SciPy exports for Cython are bound
by name, so that compiled code that calls them can be cached on disk. Matrices are row-major; their last axis is
contiguous, their first may be strided or longer than the matrix is wide; of symmetric ones and of Cholesky factors
A = U^T U the upper half is used. With
NUMBA_DISABLE_JIT=1 the same functions run through SciPy's Python interface.
"""

from __future__ import annotations

import llvmlite.binding
import numba
import numpy as np
import scipy.linalg
from numba import types
from numba.extending import get_cython_function_address

from . import batches, triangular
from .lines import LONG_REGISTERS, PLACE, row_stride, start, start_of_rows
from .options import jit, jit_address, jit_sums
from .products import product

# Where a BLAS takes over, by numbers of multiplications and orders of matrices: measured against OpenBLAS. On
# processors with shorter registers it is ahead earlier.
_LARGE = 2**27 if LONG_REGISTERS else 2**18
_LARGE_ORDER = 256
_SMALL = 300  # products with a transpose of fewer multiplications are faster as plain loops than as a BLAS call
_SMALL_ORDER = 8  # and factorisations of matrices up to this order than in blocks


def may_use_threads(m, n, d):
    """Whether a BLAS is called for products of m units, n samples and d parameters a unit, or to factor."""
    return n > _LARGE_ORDER or m * n * max(n, d) > min(_LARGE, 2**18)


def _bind(module: str, name: str, kinds: str) -> types.ExternalFunction:
    """A routine by name; a kind for each argument: a matrix by its place `m`, or what `.ctypes` points to, `.`."""
    symbol = f"manifoldflow_{name}"
    address = get_cython_function_address(f"scipy.linalg.cython_{module}", name)
    llvmlite.binding.add_symbol(symbol, address)
    return types.ExternalFunction(symbol, types.void(*(PLACE if kind == "m" else types.voidptr for kind in kinds)))


def _external(function, result, *arguments):
    """A kernel of ours, bound by name like those: compiled once, not into everything that calls it."""
    signature = result(*arguments)
    compiled = jit_address(function, signature)
    if numba.config.DISABLE_JIT:
        return None, function
    symbol = f"manifoldflow_{function.__name__}"
    llvmlite.binding.add_symbol(symbol, compiled.address)
    return compiled, types.ExternalFunction(symbol, signature)


_dgemm = _bind("blas", "dgemm", "......m.m..m.")
_dsyrk = _bind("blas", "dsyrk", "." * 10)
_dpotrf = _bind("lapack", "dpotrf", "." * 5)
_dpotrs = _bind("lapack", "dpotrs", "." * 8)
_dpotri = _bind("lapack", "dpotri", "." * 5)
_dgetrf = _bind("lapack", "dgetrf", "." * 6)
_dgetrs = _bind("lapack", "dgetrs", "." * 9)


def any_product(transpose_a, transpose_b, alpha, A, a_stride, B, b_stride, beta, C, c_stride, rows, columns, inner):
    """C = alpha op(A) op(B) + beta C by the way that is fastest for the size; see `gemm` and `products`."""
    work = rows * columns * inner
    if not transpose_b and work <= _LARGE:
        product(transpose_a, False, alpha, A, a_stride, B, b_stride, beta, C, c_stride, rows, columns, inner)
    elif work < _SMALL:
        _small_product(transpose_a, alpha, A, a_stride, B, b_stride, beta, C, c_stride, rows, columns, inner)
    else:
        _large_product(
            transpose_a, transpose_b, alpha, A, a_stride, B, b_stride, beta, C, c_stride, rows, columns, inner
        )


@jit_sums
def _small_product(transpose_a, alpha, A, a_stride, B, b_stride, beta, C, c_stride, rows, columns, inner):
    """C = alpha op(A) B^T + beta C."""
    row, step = (1, a_stride) if transpose_a else (a_stride, 1)
    for i in range(rows):
        for j in range(columns):
            total = 0.0
            for k in range(inner):
                total += A[i * row + k * step] * B[j * b_stride + k]
            c = i * c_stride + j
            C[c] = alpha * total + (beta * C[c] if beta != 0.0 else 0.0)


@jit
def _large_product(transpose_a, transpose_b, alpha, A, a_stride, B, b_stride, beta, C, c_stride, rows, columns, inner):
    # Row-major C = A B is column-major C^T = B^T A^T, so the operands change places and keep their flags.
    flags = np.empty(2, np.uint8)
    flags[0] = 84 if transpose_b else 78
    flags[1] = 84 if transpose_a else 78
    sizes = np.empty(6, np.int32)
    sizes[0], sizes[1], sizes[2] = columns, rows, inner
    sizes[3], sizes[4], sizes[5] = b_stride, a_stride, c_stride
    scalars = np.empty(2)
    scalars[0], scalars[1] = alpha, beta
    _dgemm(
        flags[0:].ctypes, flags[1:].ctypes, sizes[0:].ctypes, sizes[1:].ctypes, sizes[2:].ctypes,
        scalars[0:].ctypes, B, sizes[3:].ctypes, A, sizes[4:].ctypes, scalars[1:].ctypes, C, sizes[5:].ctypes,
    )  # fmt: skip


def symmetric_product(A, a_stride, beta, C, c_stride, n, inner):
    """The upper half of C = A^T A + beta C."""
    product(True, True, 1.0, A, a_stride, A, a_stride, beta, C, c_stride, n, n, inner)


_I, _X, _B = types.intp, types.float64, types.boolean
_kept_product, _product = _external(
    any_product, types.void, _B, _B, _X, PLACE, _I, PLACE, _I, _X, PLACE, _I, _I, _I, _I
)
_kept_symmetric, _symmetric_product = _external(symmetric_product, types.void, PLACE, _I, _X, PLACE, _I, _I, _I)
_kept_factor, _factor = _external(triangular.factor, _I, PLACE, _I, _I)
_kept_solve, _solve = _external(triangular.solve, types.void, PLACE, _I, _I, PLACE, _I, _I)
_kept_inverses, _inverses = _external(batches.inverses, _I, PLACE, PLACE, _I, PLACE, PLACE, PLACE)
_kept_apply, _apply_batch = _external(batches.apply_batch, types.void, PLACE, _I, PLACE, PLACE)
_kept_weighted, _add_weighted = _external(batches.add_weighted, types.void, PLACE, PLACE, PLACE, _I, _I, PLACE)


@jit
def _compiled_gemm(transpose_a, transpose_b, alpha, A, B, beta, C):
    _product(
        transpose_a, transpose_b, alpha, start_of_rows(A), row_stride(A), start_of_rows(B), row_stride(B), beta,
        start_of_rows(C), row_stride(C), C.shape[0], C.shape[1], A.shape[0] if transpose_a else A.shape[1],
    )  # fmt: skip


@jit
def _compiled_gram(A, beta, C):
    m, n = A.shape
    if m * n * n <= _LARGE:
        _symmetric_product(start_of_rows(A), row_stride(A), beta, start_of_rows(C), row_stride(C), n, m)
        return
    flags = np.empty(2, np.uint8)
    flags[0], flags[1] = 76, 78
    sizes = np.empty(4, np.int32)
    sizes[0], sizes[1], sizes[2], sizes[3] = n, m, A.strides[0] // 8, C.strides[0] // 8
    scalars = np.empty(2)
    scalars[0], scalars[1] = 1.0, beta
    _dsyrk(
        flags[0:].ctypes, flags[1:].ctypes, sizes[0:].ctypes, sizes[1:].ctypes, scalars[0:].ctypes,
        A.ctypes, sizes[2:].ctypes, scalars[1:].ctypes, C.ctypes, sizes[3:].ctypes,
    )  # fmt: skip


@jit
def _small_cholesky(A):
    for i in range(A.shape[0]):
        pivot = A[i, i]
        if not pivot > 0.0:
            return i + 1
        A[i, i] = np.sqrt(pivot)
        for k in range(i + 1, A.shape[0]):
            A[i, k] /= A[i, i]
        for k in range(i + 1, A.shape[0]):
            for j in range(k, A.shape[0]):
                A[k, j] -= A[i, k] * A[i, j]
    return 0


@jit_sums
def _small_cholesky_solve(U, B):
    n = U.shape[0]
    for row in range(B.shape[0]):
        for i in range(n):
            value = B[row, i] / U[i, i]
            B[row, i] = value
            for k in range(i + 1, n):
                B[row, k] -= value * U[i, k]
        for i in range(n - 1, -1, -1):
            total = B[row, i]
            for k in range(i + 1, n):
                total -= U[i, k] * B[row, k]
            B[row, i] = total / U[i, i]


@jit
def _compiled_cholesky(A):
    """LAPACK's convention: 0, or the order of the first minor that is not positive definite."""
    n = A.shape[0]
    if n <= _SMALL_ORDER:
        return _small_cholesky(A)
    if n <= _LARGE_ORDER:
        return _factor(start_of_rows(A), row_stride(A), n)
    uplo = np.full(1, 76, np.uint8)
    sizes = np.empty(3, np.int32)
    sizes[0], sizes[1], sizes[2] = n, A.strides[0] // 8, 0
    _dpotrf(uplo.ctypes, sizes[0:].ctypes, A.ctypes, sizes[1:].ctypes, sizes[2:].ctypes)
    return sizes[2]


@jit
def _compiled_cholesky_inverse(U):
    n = U.shape[0]
    if n == 0:
        return 0
    uplo = np.full(1, 76, np.uint8)
    sizes = np.empty(3, np.int32)
    sizes[0], sizes[1], sizes[2] = n, U.strides[0] // 8, 0
    _dpotri(uplo.ctypes, sizes[0:].ctypes, U.ctypes, sizes[1:].ctypes, sizes[2:].ctypes)
    return sizes[2]


@jit
def _compiled_cholesky_solve(U, B):
    if U.shape[0] <= _SMALL_ORDER:
        _small_cholesky_solve(U, B)
        return
    if U.shape[0] <= _LARGE_ORDER or B.shape[0] <= 2:
        _solve(start_of_rows(U), row_stride(U), U.shape[0], start_of_rows(B), row_stride(B), B.shape[0])
        return
    uplo = np.full(1, 76, np.uint8)
    sizes = np.empty(5, np.int32)
    sizes[0], sizes[1], sizes[2] = U.shape[0], B.shape[0], U.strides[0] // 8
    sizes[3], sizes[4] = B.strides[0] // 8, 0
    _dpotrs(
        uplo.ctypes, sizes[0:].ctypes, sizes[1:].ctypes, U.ctypes, sizes[2:].ctypes,
        B.ctypes, sizes[3:].ctypes, sizes[4:].ctypes,
    )  # fmt: skip


@jit
def _compiled_lu(A, pivots):
    n = A.shape[0]
    if n == 0:
        return 0
    sizes = np.empty(3, np.int32)
    sizes[0], sizes[1], sizes[2] = n, A.strides[0] // 8, 0
    _dgetrf(
        sizes[0:].ctypes, sizes[0:].ctypes, A.ctypes, sizes[1:].ctypes, pivots.ctypes, sizes[2:].ctypes
    )  # fmt: skip
    return sizes[2]


@jit
def _compiled_lu_solve(LU, pivots, B):
    if LU.shape[0] == 0 or B.shape[0] == 0:
        return
    # The factors are those of the transpose in LAPACK's eyes: ask for the transposed solve.
    trans = np.full(1, 84, np.uint8)
    sizes = np.empty(5, np.int32)
    sizes[0], sizes[1], sizes[2] = LU.shape[0], B.shape[0], LU.strides[0] // 8
    sizes[3], sizes[4] = B.strides[0] // 8, 0
    _dgetrs(
        trans.ctypes, sizes[0:].ctypes, sizes[1:].ctypes, LU.ctypes, sizes[2:].ctypes,
        pivots.ctypes, B.ctypes, sizes[3:].ctypes, sizes[4:].ctypes,
    )  # fmt: skip


@jit
def batch_inverses(d, S, M, pivots, H):
    """H = d^{-1} (I - (I + d S d)^{-1}) d^{-1} in every lane, d (n, 8), H and the scratch M (n, n, 8); see `batches`.

    False where a matrix is not positive definite.
    """
    return _inverses(start(d), start(S), H.shape[0], start(M), start(pivots), start(H)) == 1


@jit
def apply_batch(H, x, y):
    """Y = H x in every lane."""
    _apply_batch(start(H), H.shape[0], start(x), start(y))


@jit
def add_weighted_batch(P, H, Q, S):
    """S_ik += the sum over the lanes of P_i H_ik Q_k, S (n, n)."""
    _add_weighted(start(P), start(H), start(Q), S.shape[0], H.shape[0], start(S))


def _python_gemm(transpose_a, transpose_b, alpha, A, B, beta, C):
    product = (A.T if transpose_a else A) @ (B.T if transpose_b else B)[:, : C.shape[1]]
    C[...] = alpha * product + (beta * C if beta != 0.0 else 0.0)


def _python_gram(A, beta, C):
    C = C[:, : C.shape[0]]
    C[...] = A.T @ A + (beta * C if beta != 0.0 else 0.0)


def _python_cholesky(A):
    if A.size == 0:
        return 0
    A = A[:, : A.shape[0]]
    factor, info = scipy.linalg.lapack.dpotrf(A, lower=0, clean=0)
    A[...] = factor
    return info


def _python_cholesky_inverse(U):
    if U.size == 0:
        return 0
    inverse, info = scipy.linalg.lapack.dpotri(U, lower=0)
    U[...] = inverse
    return info


def _python_cholesky_solve(U, B):
    if B.size:
        B[...] = scipy.linalg.lapack.dpotrs(U[:, : U.shape[0]], B.T, lower=0)[0].T


def _python_lu(A, pivots):
    if A.size == 0:
        return 0
    factors, pivots[...], info = scipy.linalg.lapack.dgetrf(A.T)
    A[...] = factors.T
    return info


def _python_lu_solve(LU, pivots, B):
    if B.size:
        B[...] = scipy.linalg.lapack.dgetrs(LU.T, pivots, B.T, trans=1)[0].T


if numba.config.DISABLE_JIT:
    gemm, gram, cholesky, cholesky_solve = _python_gemm, _python_gram, _python_cholesky, _python_cholesky_solve
    lu, lu_solve, cholesky_inverse = _python_lu, _python_lu_solve, _python_cholesky_inverse
else:
    gemm, gram, cholesky, cholesky_solve = _compiled_gemm, _compiled_gram, _compiled_cholesky, _compiled_cholesky_solve
    lu, lu_solve, cholesky_inverse = _compiled_lu, _compiled_lu_solve, _compiled_cholesky_inverse
