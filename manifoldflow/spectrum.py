"""Eigenvalues of the Riemannian Hessian from its structure: one block a unit, and n constraints.

On the tangent space the Hessian is P E P with E = diag(E_1, ..., E_m), E_j = sum_i A_i^T E_ji A_i. In the blocks'
eigenbases E is diagonal, E = diag(e), and U^{-T} J (J J^T = U^T U) becomes a matrix C with n orthonormal rows: the
Hessian is diag(e) compressed to the null space of C. With D = diag(1 / (e - sigma)) that gives

  - solves: (H - sigma)^{-1} b = D (b - C^T w), (C D C^T) w = C D b, one n x n matrix;
  - counts: #{eigenvalues < sigma} = #{e < sigma} + #{positive eigenvalues of C D C^T} - n (Haynsworth's inertia).

Lanczos on the solves finds the eigenvalues at an end, and counts prove that none of them, and none of their copies, was
missed: at the flattest point of equal units each eigenvalue has m - 1 of them. Memory: m (r + p) n numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from .compiled import geometry
from .compiled.lines import square
from .errors import GeometryError, InputError
from .validation import Array, one_of, positive_integer

# A whole spectrum is computed densely, with about five matrices of this size: 1 GB.
DENSE_LIMIT = 5000
_DENSE_IS_FASTER = 400
_CHUNK = 4_000_000  # numbers that one batch of blocks may hold


@dataclass(frozen=True, eq=False)
class DiagonalHessian:
    """The Hessian in the blocks' eigenbases: `e` (m D,) and `C` (n, m D) with orthonormal rows, D = r + p.

    `bases` (m, D, D) has the eigenvectors of a block in its columns; None where they were not kept.
    """

    e: Array
    C: Array
    bases: Array | None

    @property
    def dimension(self) -> int:
        """Dimension m D - n of the tangent space."""
        return self.e.size - len(self.C)

    @property
    def scale(self) -> float:
        """Largest |e|: rounding of an eigenvalue is some eps of it."""
        return float(np.abs(self.e).max())

    def tangent(self, x: Array) -> Array:
        """Projection onto the null space of C."""
        return x - self.C.T @ (self.C @ x)

    def coordinates(self, U: Array) -> Array:
        """A vector (m, D) of parameter space in the eigenbases, (m D,)."""
        assert self.bases is not None
        return np.matmul(U[:, None, :], self.bases).ravel()

    def vector(self, x: Array) -> Array:
        """The vector (m, D) of parameter space with coordinates x."""
        assert self.bases is not None
        m, D = self.bases.shape[:2]
        return np.matmul(self.bases, x.reshape(m, D, 1))[:, :, 0]

    def negated(self) -> DiagonalHessian:
        """The same with the opposite sign: its smallest eigenvalues are minus the largest."""
        return DiagonalHessian(-self.e, self.C, self.bases)


def diagonalise(problem: geometry.Problem, work: geometry.Workspace, keep_bases: bool = False) -> DiagonalHessian:
    """Diagonalise the blocks at the point at which `geometry.second_derivatives` filled the workspace.

    Costs m eigenvalue problems of size D = r + p; raises `GeometryError` where the curvature is not finite.
    """
    E, R, g = work.E, problem.R, work.g
    if not np.isfinite(E).all():
        raise GeometryError("The curvature of the sharpness is not finite here: activation derivatives overflow.")
    m, n, D = E.shape[2], R.shape[0], R.shape[1] + E.shape[0] - 1
    e, C = np.empty((m, D)), np.empty((n, m, D))
    bases = np.empty((m, D, D)) if keep_bases else None
    chunk = max(1, _CHUNK // (D * max(D, n)))
    for first in range(0, m, chunk):
        part = slice(first, first + chunk)
        e[part], Q = np.linalg.eigh(_blocks(E[:, :, part], R))
        C[:, part] = (np.swapaxes(jacobian_rows(g[:, part], R), 0, 1) @ Q).swapaxes(0, 1)
        if bases is not None:
            bases[part] = Q
    flat = C.reshape(n, m * D)
    # work.K holds the factor U of J J^T = U^T U in its upper triangle.
    flat = scipy.linalg.solve_triangular(square(work.K), flat, trans="T", overwrite_b=True, check_finite=False)
    return DiagonalHessian(e.ravel(), np.ascontiguousarray(flat), bases)


def _blocks(E: Array, R: Array) -> Array:
    """E_j = sum_i A_i^T E_ji A_i, (m, r + p, r + p)."""
    p, m, r = E.shape[0] - 1, E.shape[2], R.shape[1]
    blocks = np.empty((m, r + p, r + p))
    blocks[:, :r, :r] = R.T @ (E[0, 0][:, :, None] * R)
    if p:
        blocks[:, r:, :r] = np.moveaxis(E[1:, 0] @ R, 0, 1)
        blocks[:, :r, r:] = np.swapaxes(blocks[:, r:, :r], 1, 2)
        blocks[:, r:, r:] = np.moveaxis(E[1:, 1:].sum(axis=3), 2, 0)
    return blocks


def jacobian_rows(t: Array, R: Array) -> Array:
    """Element (i, j) is A_i^T t_ji, (n, m, r + p)."""
    weights = t[0].T[:, :, None] * R[:, None, :]
    own = np.moveaxis(t[1:], (2, 1, 0), (0, 1, 2))
    return np.concatenate([weights, own], axis=2)


class Shifted:
    """(H - sigma)^{-1} on the tangent space, and the number of eigenvalues below sigma."""

    def __init__(self, hessian: DiagonalHessian, sigma: float) -> None:
        self.hessian = hessian
        gaps = hessian.e - sigma
        # Exactly on an eigenvalue of a block: next to it is as good, and finite.
        tiny = np.finfo(float).eps * max(hessian.scale, np.finfo(float).tiny)
        self.D = 1.0 / np.where(np.abs(gaps) < tiny, tiny, gaps)
        self.values, self.vectors = scipy.linalg.eigh(weighted_gram(hessian.C, self.D), check_finite=False)
        self.below = int((gaps < 0).sum() + (self.values > 0).sum()) - len(hessian.C)

    def solve(self, b: Array) -> Array:
        """(H - sigma)^{-1} b for the tangent part of b, and a tangent vector."""
        C = self.hessian.C
        w = self.vectors @ ((self.vectors.T @ (C @ (self.D * b))) / self.values)
        return self.D * (b - C.T @ w)


def weighted_gram(C: Array, D: Array) -> Array:
    """C diag(D) C^T without a copy of C."""
    total = np.zeros((len(C), len(C)))
    step = max(1, _CHUNK // len(C))
    for first in range(0, C.shape[1], step):
        part = slice(first, first + step)
        total += (C[:, part] * D[part]) @ C[:, part].T
    return total


def whole_spectrum(hessian: DiagonalHessian, vectors: bool = False) -> tuple[Array, Array | None]:
    """All eigenvalues, ascending, and the eigenvectors in the blocks' eigenbases as columns; dense."""
    basis = scipy.linalg.qr(hessian.C.T)[0][:, len(hessian.C) :]
    compressed = (basis.T * hessian.e) @ basis
    if not vectors:
        return scipy.linalg.eigvalsh(compressed), None
    values, columns = scipy.linalg.eigh(compressed)
    return values, basis @ columns


def smallest(hessian: DiagonalHessian, k: int) -> tuple[Array, Array]:
    """The k smallest eigenvalues with their copies, ascending, and an eigenvector of the first."""
    if hessian.scale == 0.0:
        return np.zeros(k), hessian.tangent(np.ones(hessian.e.size))
    if hessian.e.size <= _DENSE_IS_FASTER or k > hessian.dimension // 4:
        values, vectors = whole_spectrum(hessian, vectors=True)
        assert vectors is not None
        return values[:k], vectors[:, 0]
    low, high = _bracket(hessian, k)
    found, first = _lanczos(hessian, Shifted(hessian, low), k)
    return _certified(hessian, found, k, low, high), first


def _bracket(hessian: DiagonalHessian, k: int) -> tuple[float, float]:
    """Numbers below the first eigenvalue and above the k-th: interlacing with e, then bisection by counts."""
    e = np.sort(hessian.e)
    last = e[min(len(hessian.C) + k - 1, e.size - 1)]
    margin = 1e-3 * (last - e[0]) + 1e-10 * hessian.scale + np.finfo(float).tiny
    low, high = float(e[0] - margin), float(last + margin)
    for _ in range(10):
        middle = 0.5 * (low + high)
        below = Shifted(hessian, middle).below
        if below == 0:
            low = middle
        elif below >= k:
            high = middle
        else:
            break
    return low, high


def _lanczos(hessian: DiagonalHessian, shifted: Shifted, k: int) -> tuple[Array, Array]:
    """Eigenvalues next to a shift below all of them, ascending, some copies missing; an eigenvector of the first."""
    N = hessian.e.size
    start = hessian.tangent(np.random.default_rng(0).normal(size=N))
    operator = LinearOperator((N, N), matvec=lambda b: shifted.solve(np.ravel(b)), dtype=np.float64)
    try:
        inverse, vectors = eigsh(operator, k, which="LA", v0=start, ncv=min(N, max(2 * k + 10, 24)), maxiter=300)
    except ArpackNoConvergence as partial:
        # What did converge is used; counting finds the rest.
        inverse, vectors = partial.eigenvalues, partial.eigenvectors
    order = np.argsort(-inverse)
    quotients = np.einsum("ik,i,ik->k", vectors, hessian.e, vectors)  # as exact as e, whatever the shift
    return np.sort(quotients), (vectors[:, order[0]] if inverse.size else start / np.linalg.norm(start))


def _certified(hessian: DiagonalHessian, candidates: Array, k: int, low: float, high: float) -> Array:
    """The k smallest eigenvalues: candidates confirmed by counts on both sides, bisection for what they missed."""
    values: list[float] = []
    for candidate in [*map(float, candidates), np.inf]:
        width = 1e-9 * abs(candidate) + 1e-13 * hessian.scale
        below = k if candidate == np.inf else Shifted(hessian, candidate - width).below
        while len(values) < min(below, k):
            missed, copies = _bisect(hessian, len(values), low, min(high, candidate))
            values += [missed] * copies
        if len(values) >= k:
            break
        if values and candidate - values[-1] <= 2.0 * width:
            continue  # a copy that is counted already
        values += [candidate] * (Shifted(hessian, candidate + width).below - len(values))
    return np.sort(values)[:k]


def _bisect(hessian: DiagonalHessian, index: int, low: float, high: float) -> tuple[float, int]:
    """Eigenvalue number `index` (from 0) and the number of its copies from there on, by counts alone."""
    while high - low > 1e-13 * hessian.scale + 1e-12 * max(abs(low), abs(high)):
        middle = 0.5 * (low + high)
        if Shifted(hessian, middle).below > index:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high), max(1, Shifted(hessian, high).below - index)


def which_eigenvalues(k: int | None, which: str, dimension: int) -> tuple[int | None, str]:
    """What is asked for, checked: `k` (None: all, where they fit a dense matrix) and `which` end; `InputError`."""
    one_of("which", which, ("smallest", "largest"))
    if k is None and dimension > DENSE_LIMIT:
        raise InputError(
            f"The whole spectrum has {dimension} eigenvalues and would need about {5 * 8 * dimension**2 / 1e9:.0f} GB; "
            f"at most {DENSE_LIMIT} are computed densely. Give k for the k smallest or largest."
        )
    if k is not None and positive_integer("k", k) > dimension:
        raise InputError(f"k must be at most {dimension}, the number of eigenvalues; got {k}.")
    if k is not None and k > dimension // 4 and dimension > DENSE_LIMIT:
        raise InputError(f"k must be at most {dimension // 4}, a quarter of so many eigenvalues; got {k}.")
    return (None if k is None else int(k)), which


def eigenvalues(hessian: DiagonalHessian, k: int | None, which: str) -> Array:
    """All eigenvalues, or the k smallest or largest, ascending."""
    if k is None:
        return whole_spectrum(hessian)[0]
    return smallest(hessian, k)[0] if which == "smallest" else -smallest(hessian.negated(), k)[0][::-1]
