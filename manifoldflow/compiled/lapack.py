"""Dense linear algebra inside compiled code: SciPy's own BLAS and LAPACK, called without allocation.

Numba's linear algebra allocates and copies; the integrators must not. The routines SciPy exports for Cython are bound
by name, so that compiled code that calls them can be cached on disk. Matrices are row-major; their last axis is
contiguous, their first may be strided. With NUMBA_DISABLE_JIT=1 the same functions run through SciPy's Python
interface.
"""

from __future__ import annotations

import numba
import numpy as np
import scipy.linalg
from numba import types

from .options import jit, jit_sums

_SMALL = 300  # products of fewer multiplications are faster as plain loops than as a BLAS call
_SMALL_ORDER = 12  # and factorisations of matrices up to this order


def may_use_threads(m, n, d):
    """Whether a BLAS could use threads for the products of m units, n samples and d parameters a unit, or to factor.

    OpenBLAS does from 262144 multiplications on; none does for these few thousand.
    """
    return n > _SMALL_ORDER or m * n * max(n, d) >= 4096


def _bind(module: str, name: str, n_arguments: int) -> types.ExternalFunction:
    import llvmlite.binding
    from numba.extending import get_cython_function_address

    symbol = f"manifoldflow_{name}"
    address = get_cython_function_address(f"scipy.linalg.cython_{module}", name)
    llvmlite.binding.add_symbol(symbol, address)
    return types.ExternalFunction(symbol, types.void(*[types.voidptr] * n_arguments))


_dgemm = _bind("blas", "dgemm", 13)
_dsyrk = _bind("blas", "dsyrk", 10)
_dpotrf = _bind("lapack", "dpotrf", 5)
_dpotrs = _bind("lapack", "dpotrs", 8)
_dpotri = _bind("lapack", "dpotri", 5)
_dgetrf = _bind("lapack", "dgetrf", 6)
_dgetrs = _bind("lapack", "dgetrs", 9)


@jit_sums
def _small_product(transpose_a, transpose_b, alpha, A, B, beta, C):
    inner = A.shape[0] if transpose_a else A.shape[1]
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[i, j] = beta * C[i, j] if beta != 0.0 else 0.0
        if transpose_b:
            for j in range(C.shape[1]):
                total = 0.0
                for k in range(inner):
                    total += (A[k, i] if transpose_a else A[i, k]) * B[j, k]
                C[i, j] += alpha * total
        else:
            for k in range(inner):
                factor = alpha * (A[k, i] if transpose_a else A[i, k])
                for j in range(C.shape[1]):
                    C[i, j] += factor * B[k, j]


@jit
def _large_product(transpose_a, transpose_b, alpha, A, B, beta, C):
    # Row-major C = A B is column-major C^T = B^T A^T, so the operands change places and keep their flags.
    flags = np.empty(2, np.uint8)
    flags[0] = 84 if transpose_b else 78
    flags[1] = 84 if transpose_a else 78
    sizes = np.empty(6, np.int32)
    sizes[0], sizes[1] = C.shape[1], C.shape[0]
    sizes[2] = A.shape[0] if transpose_a else A.shape[1]
    sizes[3], sizes[4], sizes[5] = B.strides[0] // 8, A.strides[0] // 8, C.strides[0] // 8
    scalars = np.empty(2)
    scalars[0], scalars[1] = alpha, beta
    _dgemm(
        flags[0:].ctypes, flags[1:].ctypes, sizes[0:].ctypes, sizes[1:].ctypes, sizes[2:].ctypes,
        scalars[0:].ctypes, B.ctypes, sizes[3:].ctypes, A.ctypes, sizes[4:].ctypes,
        scalars[1:].ctypes, C.ctypes, sizes[5:].ctypes,
    )  # fmt: skip


@jit
def _compiled_gemm(transpose_a, transpose_b, alpha, A, B, beta, C):
    inner = A.shape[0] if transpose_a else A.shape[1]
    if C.shape[0] * C.shape[1] * inner < _SMALL:
        _small_product(transpose_a, transpose_b, alpha, A, B, beta, C)
    else:
        _large_product(transpose_a, transpose_b, alpha, A, B, beta, C)


@jit
def _compiled_gram(A, C):
    m, n = A.shape
    if m * n * n < _SMALL:
        _small_gram(A, C)
        return
    flags = np.empty(2, np.uint8)
    flags[0], flags[1] = 85, 78
    sizes = np.empty(4, np.int32)
    sizes[0], sizes[1], sizes[2], sizes[3] = n, m, A.strides[0] // 8, C.strides[0] // 8
    scalars = np.empty(2)
    scalars[0], scalars[1] = 1.0, 0.0
    _dsyrk(
        flags[0:].ctypes, flags[1:].ctypes, sizes[0:].ctypes, sizes[1:].ctypes, scalars[0:].ctypes,
        A.ctypes, sizes[2:].ctypes, scalars[1:].ctypes, C.ctypes, sizes[3:].ctypes,
    )  # fmt: skip


@jit
def _small_gram(A, C):
    for i in range(C.shape[0]):
        for k in range(i + 1):
            C[i, k] = 0.0
    for j in range(A.shape[0]):
        for i in range(C.shape[0]):
            factor = A[j, i]
            for k in range(i + 1):
                C[i, k] += factor * A[j, k]


@jit_sums
def _small_cholesky(A):
    """LAPACK's convention: 0, or the order of the first minor that is not positive definite."""
    for i in range(A.shape[0]):
        for k in range(i + 1):
            total = A[i, k]
            for j in range(k):
                total -= A[i, j] * A[k, j]
            if k < i:
                A[i, k] = total / A[k, k]
            elif total > 0.0:
                A[i, i] = np.sqrt(total)
            else:
                return i + 1
    return 0


@jit_sums
def _small_cholesky_solve(L, B):
    n = L.shape[0]
    for row in range(B.shape[0]):
        for i in range(n):
            total = B[row, i]
            for k in range(i):
                total -= L[i, k] * B[row, k]
            B[row, i] = total / L[i, i]
        for i in range(n - 1, -1, -1):
            value = B[row, i] / L[i, i]
            B[row, i] = value
            for k in range(i):
                B[row, k] -= value * L[i, k]


@jit
def _compiled_cholesky(A):
    n = A.shape[0]
    if n <= _SMALL_ORDER:
        return _small_cholesky(A)
    uplo = np.full(1, 85, np.uint8)
    sizes = np.empty(3, np.int32)
    sizes[0], sizes[1], sizes[2] = n, A.strides[0] // 8, 0
    _dpotrf(uplo.ctypes, sizes[0:].ctypes, A.ctypes, sizes[1:].ctypes, sizes[2:].ctypes)
    return sizes[2]


@jit
def _compiled_cholesky_inverse(L):
    n = L.shape[0]
    if n == 0:
        return 0
    uplo = np.full(1, 85, np.uint8)
    sizes = np.empty(3, np.int32)
    sizes[0], sizes[1], sizes[2] = n, L.strides[0] // 8, 0
    _dpotri(uplo.ctypes, sizes[0:].ctypes, L.ctypes, sizes[1:].ctypes, sizes[2:].ctypes)
    return sizes[2]


@jit
def _compiled_cholesky_solve(L, B):
    if L.shape[0] <= _SMALL_ORDER or B.shape[0] == 0:
        _small_cholesky_solve(L, B)
        return
    uplo = np.full(1, 85, np.uint8)
    sizes = np.empty(5, np.int32)
    sizes[0], sizes[1], sizes[2] = L.shape[0], B.shape[0], L.strides[0] // 8
    sizes[3], sizes[4] = B.strides[0] // 8, 0
    _dpotrs(
        uplo.ctypes, sizes[0:].ctypes, sizes[1:].ctypes, L.ctypes, sizes[2:].ctypes,
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


def _python_gemm(transpose_a, transpose_b, alpha, A, B, beta, C):
    product = (A.T if transpose_a else A) @ (B.T if transpose_b else B)
    C[...] = alpha * product + (beta * C if beta != 0.0 else 0.0)


def _python_gram(A, C):
    C[...] = A.T @ A


def _python_cholesky(A):
    if A.size == 0:
        return 0
    factor, info = scipy.linalg.lapack.dpotrf(A, lower=1, clean=0)
    A[...] = factor
    return info


def _python_cholesky_inverse(L):
    if L.size == 0:
        return 0
    inverse, info = scipy.linalg.lapack.dpotri(L, lower=1)
    L[...] = inverse
    return info


def _python_cholesky_solve(L, B):
    if B.size:
        B[...] = scipy.linalg.lapack.dpotrs(L, B.T, lower=1)[0].T


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
