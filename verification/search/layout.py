"""The variables of the search: what an optimiser moves, and the instance that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .family import Array, Coefficient, Family
from .geometry import geometry, spectrum

CLOSEST, FARTHEST = np.log(1e-3), np.log(4.0)
"""Of the distance from the flattest point, in logarithms: nearer, F - F* drowns in rounding."""
_CLIP, _ROUNDS = 1.0, 80


@dataclass(frozen=True, eq=False)
class Point:
    """An instance in floats: coefficients, data, features, output weights, and the features of the flattest point."""

    values: tuple[float, ...]
    X: Array
    Z: Array
    a: Array
    flattest: Array


@dataclass(frozen=True)
class Layout:
    """Sizes of an instance: units in groups that share their features, samples, and whether signs are mixed.

    The variables, each in a box: the coefficients; a lower triangular X (n, n), which has every Gram matrix; the
    features of the first unit at a flattest point, (n,); a direction (groups, n) and the logarithm of the distance
    gone along it; and, where signs are mixed, the logarithms of |a_j|.
    """

    family: Family
    groups: tuple[int, ...]
    n: int
    signed: bool = False

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.family.text}, m = {sum(self.groups)}, n = {self.n}"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the parts of the vector of variables, in the order of `Layout`'s text."""
        n, rows = self.n, len(self.groups)
        return len(self.family.names), n * (n + 1) // 2, n, rows * n, 1, rows if self.signed else 0

    @property
    def distance(self) -> int:
        """Where the distance is among the variables."""
        return sum(self.sizes[:4])

    @cached_property
    def bounds(self) -> Array:
        """Boxes, (variables, 2)."""
        coefficients, data, centre, direction, _, weights = self.sizes
        rows, columns = np.tril_indices(self.n)
        triangle = np.where(rows == columns, 1.2, 2.0)[:, None] * [[-1.0, 1.0]]
        return np.concatenate([
            np.array([_box(c) for c in self.family.coefficients]).reshape(coefficients, 2), triangle.reshape(data, 2),
            np.tile([-2.0, 2.0], (centre, 1)), np.tile([-1.0, 1.0], (direction, 1)), [[CLOSEST, FARTHEST]],
            np.tile([-1.0, 1.0], (weights, 1)),
        ])  # fmt: skip

    def parts(self, x: Array) -> list[Array]:
        """The vector cut into its parts."""
        return np.split(x, np.cumsum(self.sizes)[:-1])

    def point(self, x: Array) -> Point | None:
        """The instance that the variables stand for; None where its flattest point cannot be found."""
        coefficients, triangle, centre, direction, distance, weights = self.parts(np.clip(x, *self.bounds.T))
        values, a = self._values(coefficients), self._weights(weights)
        X = _lower(triangle, self.n)
        start = self._critical(values, a, centre)
        if start is None:
            return None
        move = np.repeat(direction.reshape(-1, self.n), self.groups, axis=0)
        move = move / max(float(np.abs(move).max()), 1e-12)
        Z = start + np.exp(distance[0]) * move
        flattest = flattest_features(self.family, values, a, Z, start)
        return None if flattest is None else Point(values, X, Z, a, flattest)

    def random(self, rng: np.random.Generator) -> Array:
        """Variables uniform in their boxes."""
        return np.asarray(rng.uniform(*self.bounds.T))

    def near_critical(self, rng: np.random.Generator) -> list[Array]:
        """Starts close to a flattest point, one along each eigenvector of the Hessian there; half about z = 0,
        and half with |a| = 1.
        """
        x = self.random(rng)
        parts = self.parts(x)
        parts[2][:] *= float(rng.integers(2))
        parts[5][:] *= float(rng.integers(2))
        values, a = self._values(parts[0]), self._weights(parts[5])
        start = self._critical(values, a, parts[2])
        if start is None:
            return []
        X = _lower(parts[1], self.n)
        point = geometry(X, a, self.family.table(start, values))
        if not np.isfinite(point.E).all():
            return []
        firsts = np.cumsum((0, *self.groups[:-1]))
        vectors = [(U @ X.T)[firsts] for U in spectrum(point, self.groups)[1]]
        return [self._along(parts, u, rng) for u in vectors if np.abs(u).max() > 1e-9]

    def _along(self, parts: list[Array], u: Array, rng: np.random.Generator) -> Array:
        moved = [part.copy() for part in parts]
        moved[3][:] = (u / np.abs(u).max()).ravel()
        moved[4][:] = np.log(10.0 ** rng.uniform(-3.0, -1.0))
        return np.concatenate(moved)

    def _values(self, u: Array) -> tuple[float, ...]:
        pairs = zip(u, self.family.coefficients, strict=True)
        return tuple(float(np.exp(v)) if c.logarithmic else float(v) for v, c in pairs)

    def _weights(self, logarithms: Array) -> Array:
        if not self.signed:
            return np.ones(sum(self.groups))
        signs = (-1.0) ** np.arange(len(self.groups))
        return np.repeat(signs * np.exp(logarithms), self.groups)

    def _critical(self, values: tuple[float, ...], a: Array, centre: Array) -> Array | None:
        """The features (m, n) where a_j phi'' is equal over the units, those of the first as given (S1, S10)."""
        Z = np.repeat(centre[None, :], a.size, axis=0)
        if not self.signed:
            return Z
        target = a[0] * self.family.table(Z[0], values)[2] / a[:, None]
        for _ in range(_ROUNDS):
            table = self.family.table(Z, values)
            with np.errstate(all="ignore"):  # phi''' = 0, outside A1
                step = np.clip((target - table[2]) / table[3], -_CLIP, _CLIP)
            Z = Z + step
            if not np.isfinite(step).all():
                return None
            if np.abs(step).max() < 1e-14 * (1.0 + np.abs(Z).max()):
                return Z
        return Z if np.abs(step).max() < 1e-10 else None


def flattest_features(
    family: Family, values: tuple[float, ...], a: Array, Z: Array, start: Array
) -> Array | None:
    """The features (m, n) of the flattest point of the M that Z lies on, by Newton's method from `start`.

    For each sample a_j phi''(z_j) = k for all j and sum_j a_j phi(z_j) = y: dz_j = (dk - r_j) / (a_j phi''').
    """
    y = (a[:, None] * family.table(Z, values)[0]).sum(axis=0)
    found, k = start.copy(), a[0] * family.table(start, values)[2][0]
    for _ in range(_ROUNDS):
        with np.errstate(all="ignore"):
            step, k_step = newton_step(family.table(found, values), a, k, y)
        if not np.isfinite(step).all():
            return None
        damping = min(1.0, _CLIP / max(float(np.abs(step).max()), 1e-300))
        found, k = found + damping * step, k + damping * k_step
        if np.abs(step).max() < 1e-14 * (1.0 + np.abs(found).max()):
            return found
    return found if np.abs(step).max() < 1e-10 else None


def newton_step(table: Array, a: Array, k: Array, y: Array) -> tuple[Array, Array]:
    """One step for the features and the values k of a_j phi'', in any arithmetic."""
    weights = a[:, None]
    r = weights * table[2] - k
    missing = y - (weights * table[0]).sum(axis=0)
    share = table[1] / table[3]
    k_step = (missing + (share * r).sum(axis=0)) / share.sum(axis=0)
    return (k_step - r) / (weights * table[3]), k_step


def _box(coefficient: Coefficient) -> tuple[float, float]:
    if coefficient.logarithmic:
        return float(np.log(coefficient.low)), float(np.log(coefficient.high))
    return coefficient.low, coefficient.high


def _lower(triangle: Array, n: int) -> Array:
    X = np.zeros((n, n))
    X[np.tril_indices(n)] = triangle
    np.fill_diagonal(X, np.exp(np.diagonal(X)))
    return X
