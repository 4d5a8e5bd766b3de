"""F, its gradient and its Hessian at features Z, for floats and for numbers of many digits alike.

Labels are free in a search, so every Z is a point of some M: y is what the network gives there. The pointwise
expressions are those of the derivation of a generic unit a*phi(z); only the contractions are written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import Symbol

from derivations import derive_general
from derivations.functions import ActivationDerivative
from manifoldflow.codegen.passes import compile_program
from manifoldflow.codegen.program import Program

from .family import evaluate

Numbers = NDArray[Any]  # float64, or objects of mpmath

_READ = ("g", "h", "alpha", "E")


@dataclass(frozen=True, eq=False)
class Geometry:
    """X (n, d), a (m,), the table phi, phi', phi'', phi''' (4, m, n), and what follows.

    s (n,), G and K (n, n), B, C, E (m, n), multipliers lam (n,), F, and the norm of the Riemannian gradient C X.
    """

    X: Numbers
    a: Numbers
    table: Numbers
    s: Numbers
    G: Numbers
    B: Numbers
    lam: Numbers
    C: Numbers
    E: Numbers
    F: Any
    gradient_norm: Any

    @property
    def y(self) -> Numbers:
        """The labels that make this a point of M, (n,)."""
        return np.asarray((self.a[:, None] * self.table[0]).sum(axis=0))

    def hessian(self, U: Numbers) -> Any:
        """Hess F[U, U] = sum_ji E_ji u_ji^2 with u = U X^T, for a tangent U (m, d)."""
        return (self.E * (U @ self.X.T) ** 2).sum()

    @property
    def gradient_curvature(self) -> Any:
        """Hess F[g, g] / |g|^2 for g = grad F: half the rate of decay of |g|^2 along the flow."""
        return self.hessian(self.C @ self.X) / self.gradient_norm**2

    def constraints(self) -> Numbers:
        """The Jacobian as a matrix, (n, m d)."""
        m, n = self.B.shape
        return (self.B.T[:, :, None] * self.X[:, None, :]).reshape(n, m * self.X.shape[1])

    def hessian_matrix(self) -> Numbers:
        """sum_i E_ji x_i x_i^T in a block for each unit, (m d, m d); small sizes only."""
        m, d = self.B.shape[0], self.X.shape[1]
        matrix = np.zeros((m, d, m, d), dtype=self.E.dtype)
        for j in range(m):
            matrix[j, :, j, :] = (self.X.T * self.E[j]) @ self.X
        return matrix.reshape(m * d, m * d)


def geometry(X: Numbers, a: Numbers, table: Numbers) -> Geometry:
    """Everything at one point; all arrays float64, or all of mpmath's numbers."""
    G = X @ X.T
    s = np.diagonal(G)
    inputs = {"a": a[:, None], "s": s[None, :]} | {f"phi{order}": table[order] for order in range(4)}
    found = evaluate(_program(False), inputs)
    B, A = found["g"], found["alpha"]
    lam = solve((B.T @ B) * G, (B * (A @ G)).sum(axis=0))
    C = A - B * lam
    E = evaluate(_program(True), inputs | {"lambda_": lam[None, :]})["E"]
    return Geometry(X, a, table, s, G, B, lam, C, E, found["h"].sum(), square_root(((C @ G) * C).sum()))


@cache
def _program(second: bool) -> Program:
    """The derived g, h, alpha, or E, in a, s, lambda_ and the activation's derivatives phi0 to phi3."""
    read = {item.name: item.expression for item in derive_general(separable=True).pointwise if item.name in _READ}
    names = {x: Symbol(f"phi{x.orders[0]}", real=True) for e in read.values() for x in e.atoms(ActivationDerivative)}
    local = {name: expression.xreplace(names) for name, expression in read.items() if (name == "E") == second}
    return compile_program(local)


def square_root(value: Any) -> Any:
    """Of a float or a number of mpmath."""
    return mpmath.sqrt(value) if isinstance(value, mpmath.mpf) else np.sqrt(value)


def solve(matrix: Numbers, right: Numbers) -> Numbers:
    """The solution of a linear system, in the arithmetic of its entries."""
    if matrix.dtype != object:
        return np.linalg.solve(matrix, right)
    found = mpmath.lu_solve(mpmath.matrix(matrix.tolist()), mpmath.matrix(right.tolist()))
    return np.array(list(found), dtype=object)


def inverse_diagonal(matrix: Numbers) -> Numbers:
    """The diagonal of the inverse."""
    unit = np.eye(len(matrix), dtype=matrix.dtype)
    return np.array([solve(matrix, unit[i])[i] for i in range(len(matrix))], dtype=matrix.dtype)


def smallest_eigenvalue(matrix: Numbers) -> Any:
    """Of a symmetric matrix."""
    if matrix.dtype != object:
        return np.linalg.eigvalsh(matrix)[0]
    return mpmath.eigsy(mpmath.matrix(matrix.tolist()), eigvals_only=True)[0]


def spectrum(point: Geometry, groups: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """Eigenvalues of the Riemannian Hessian on T within the data's span, ascending, and eigenvectors (k, m, d).

    Units of a group are equal at the point. The Hessian then maps moves that are equal within groups to such moves, and
    differences within a group, which are tangent, to such: the first are a problem of the size of the groups, and the
    second have the eigenvalues of X^T diag(E_j) X, of which the copies are left out.
    """
    n, d = point.X.shape
    firsts = np.cumsum((0, *groups[:-1]))
    roots = np.sqrt(np.array(groups, dtype=float))
    B, E = point.B[firsts] * roots[:, None], point.E[firsts]
    blocks = [(point.X.T * row) @ point.X for row in E]
    constraints = (B.T[:, :, None] * point.X[:, None, :]).reshape(n, -1)
    basis = np.linalg.qr(constraints.T, mode="complete")[0][:, n:]
    values, vectors = np.linalg.eigh(basis.T @ _diagonal(blocks) @ basis)
    moves = np.repeat((basis @ vectors).T.reshape(-1, len(groups), d) / roots[:, None], groups, axis=1)
    found = list(zip(values, moves, strict=True))
    for first, count, block in zip(firsts, groups, blocks, strict=True):
        found += _differences(first, count, block, point.B.shape[0]) if count > 1 else []
    found.sort(key=lambda pair: float(pair[0]))
    return np.array([pair[0] for pair in found]), np.array([pair[1] for pair in found])


def _diagonal(blocks: list[Numbers]) -> Numbers:
    d = blocks[0].shape[0]
    matrix = np.zeros((len(blocks) * d, len(blocks) * d))
    for k, block in enumerate(blocks):
        matrix[k * d : (k + 1) * d, k * d : (k + 1) * d] = block
    return matrix


def _differences(first: int, count: int, block: Numbers, m: int) -> list[tuple[Any, Numbers]]:
    """The first unit of a group against the second."""
    values, vectors = np.linalg.eigh(block)
    moves = np.zeros((values.size, m, block.shape[0]))
    moves[:, first], moves[:, first + 1] = vectors.T / np.sqrt(2.0), -vectors.T / np.sqrt(2.0)
    return list(zip(values, moves, strict=True))


def refined_eigenvalue(point: Geometry, vector: Numbers, steps: int = 1) -> tuple[Any, Any]:
    """An eigenvalue of the Hessian by Rayleigh quotient iteration on T, and how far from one it can be.

    `point` has mpmath's numbers, `vector` (m, d) is a computed eigenvector. The quotient of a tangent vector is at
    least the smallest eigenvalue; the residual bounds the distance to some eigenvalue.
    """
    H, J = point.hessian_matrix(), point.constraints()
    n, size = J.shape
    v = _tangent(J, np.array([mpmath.mpf(float(x)) for x in vector.ravel()], dtype=object))
    for _ in range(steps):
        bordered = np.zeros((size + n, size + n), dtype=object)
        # Off by 20 digits: with an eigenvalue itself as the shift the system would be singular.
        shift = v @ H @ v * (1 + mpmath.mpf(10) ** -20) + mpmath.mpf(10) ** -40
        bordered[:size, :size] = H - np.eye(size, dtype=object) * shift
        bordered[:size, size:], bordered[size:, :size] = J.T, J
        v = _tangent(J, solve(bordered, np.concatenate([v, np.zeros(n, dtype=object)]))[:size])
    quotient = v @ H @ v
    residual = _project(J, H @ v) - quotient * v
    return quotient, square_root((residual**2).sum() + mpmath.mpf(0))


def _project(J: Numbers, v: Numbers) -> Numbers:
    return v - J.T @ solve(J @ J.T, J @ v)


def _tangent(J: Numbers, v: Numbers) -> Numbers:
    """The unit vector along the part of v that is tangent."""
    part = _project(J, v)
    return part / square_root((part**2).sum())
