"""Reduced coordinates: an isometry onto the span of the data, after which no cost depends on d."""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .compiled.batches import padded
from .compiled.coefficients import Frame
from .validation import Array


class ReducedCoordinates:
    """X = R Q with orthonormal rows in Q (r, d), r = rank X; parameters (m, d + p) <-> (m, r + p).

    The rank counts singular values above max(n, d) eps times the largest, NumPy's rule.

    >>> coordinates = ReducedCoordinates(np.array([[3.0, 4.0, 0.0]]), p=0)
    >>> coordinates.R.shape, abs(coordinates.reduce(np.array([[3.0, 4.0, 7.0]])))
    ((1, 1), array([[5.]]))
    """

    def __init__(self, X: Array, p: int) -> None:
        U, singular_values, Q = scipy.linalg.svd(X, full_matrices=False)
        threshold = max(X.shape) * np.finfo(float).eps * (singular_values[0] if singular_values.size else 0.0)
        rank = int(np.sum(singular_values > threshold))
        self.p = p
        self.d = X.shape[1]
        self.singular_values = singular_values
        self.left = np.ascontiguousarray(U[:, :rank])
        self.R = np.ascontiguousarray(U[:, :rank] * singular_values[:rank])
        self.Q = np.ascontiguousarray(Q[:rank])
        self.inverse = self.left / singular_values[:rank]

    def repeated(self, group: NDArray[np.intp]) -> ReducedCoordinates:
        """The same coordinates for the data whose row i is row group[i] of these; each occurs."""
        found = copy(self)
        found.R = np.ascontiguousarray(self.R[group])
        found.left, found.singular_values, V = scipy.linalg.svd(found.R, full_matrices=False)
        found.inverse = (found.left / found.singular_values) @ V
        return found

    @property
    def rank(self) -> int:
        """Rank r of the data."""
        return self.R.shape[1]

    @property
    def largest(self) -> float:
        """Largest eigenvalue of the Gram matrix; 0 where units meet no inputs."""
        return float(self.singular_values[0] ** 2) if self.singular_values.size else 0.0

    @cached_property
    def frame(self) -> Frame:
        """What the integrators need of the data."""
        n, r = self.R.shape
        p, wide = self.p, r == n
        R_hat = np.zeros((n + p, r + p))
        R_hat[:n, :r] = self.R
        R_hat[n:, r:] = np.eye(p)
        sizes = self.singular_values[:r]
        eigenvalues = sizes**2
        shift = 0.5 / self.largest if wide else 0.0  # nothing else reads it
        shifted = np.zeros((padded(n), padded(n)))
        shifted[:n, :n] = (self.left * (eigenvalues / (1.0 - shift * eigenvalues))) @ self.left.T
        condition = float(sizes[0] / sizes[-1]) if r else 1.0
        largest = max(self.largest, float(n) if p else 0.0)
        return Frame(R_hat, self.left, self.inverse, condition, wide, shifted, shift, largest)

    def reduce(self, theta: Array) -> Array:
        """Coordinates of theta in the span, (..., m, r + p)."""
        reduced = np.empty((*theta.shape[:-1], self.rank + self.p))
        np.matmul(theta[..., : self.d], self.Q.T, out=reduced[..., : self.rank])
        reduced[..., self.rank :] = theta[..., self.d :]
        return reduced

    def expand(self, W: Array) -> Array:
        """The parameters (..., m, d + p) in the span with coordinates W."""
        theta = np.empty((*W.shape[:-1], self.d + self.p))
        np.matmul(W[..., : self.rank], self.Q, out=theta[..., : self.d])
        theta[..., self.d :] = W[..., self.rank :]
        return theta

    def orthogonal_part(self, theta: Array) -> Array:
        """The part of theta orthogonal to the span, (m, d + p) with zero own parameters."""
        rest = theta - self.expand(self.reduce(theta))
        rest -= self.expand(self.reduce(rest))
        rest[..., self.d :] = 0.0
        return rest

    def weights_from_preactivations(self, Z: Array) -> Array:
        """The W (m, r) with W R^T = Z, for independent rows (rank n)."""
        return Z @ self.inverse
