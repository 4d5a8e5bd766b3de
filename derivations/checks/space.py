"""The operators by which a left side is defined, and the algebra that all three ways share.

A backend differentiates in its own way: SymPy on explicit expressions, differences at many digits, or
autograd. Everything else here is plain linear algebra, deliberately not that of the records: the
tangential part comes from orthogonalising the rows of the Jacobian, never from K^-1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
"""A NumPy array of floats, of objects, or an autograd box of one."""

Field = Callable[[Array], Array]
"""A function of the parameters, or of the pre-activations."""


@dataclass(frozen=True)
class Point:
    """One network at one point.

    Args:
        X: Data, (n, d).
        a: Coefficients, (m, n).
        W: Parameters, (m, d + p), unit j's row is (theta_j, c_j).
        U: A direction, (m, d + p).
        y: Labels, (n,); on the manifold these are the outputs.
    """

    X: Array
    a: Array
    W: Array
    U: Array
    y: Array

    @property
    def d(self) -> int:
        """Number of inputs."""
        return int(self.X.shape[1])


class Space(ABC):
    """A network at a point, with the operators that definitions are made of."""

    xp: Any = np

    def __init__(self, point: Point) -> None:
        self.at = point

    @abstractmethod
    def unit(self, z: Array, own: tuple[Array, ...], a: Array) -> Array:
        """The unit function, entrywise on (m, n) arrays."""

    @abstractmethod
    def derivative(self, function: Field) -> Field:
        """The derivative by all parameters: adds the axes (m, d + p) at the end."""

    @abstractmethod
    def laplacian(self, function: Field) -> Field:
        """The trace of a scalar function's Hessian."""

    @abstractmethod
    def along(self, function: Field, direction: Array) -> Field:
        """The derivative along a fixed direction."""

    @abstractmethod
    def by_z(self, function: Field) -> Field:
        """The entrywise derivative of an entrywise function of the pre-activations."""

    def preactivations(self, parameters: Array) -> Array:
        """Z = Theta X^T, (m, n)."""
        return self.xp.dot(parameters[:, : self.at.d], self.at.X.T)

    def output(self, parameters: Array) -> Array:
        """The output, (n,)."""
        z = self.preactivations(parameters)
        own = tuple(parameters[:, q : q + 1] + 0 * z for q in range(self.at.d, parameters.shape[1]))
        return self.xp.sum(self.unit(z, own, self.at.a), axis=0)

    def loss(self, parameters: Array) -> Array:
        """The sum of squared residuals."""
        return self.xp.sum((self.output(parameters) - self.at.y) ** 2)

    def jacobian(self, parameters: Array) -> Array:
        """The Jacobian of the output, (n, m, d + p)."""
        return self.derivative(self.output)(parameters)

    def gram(self, parameters: Array) -> Array:
        """J J^T, (n, n)."""
        rows = self.jacobian(parameters)
        return self.xp.tensordot(rows, rows, axes=([1, 2], [1, 2]))

    def steepness(self, parameters: Array) -> Array:
        """Twice the squared norm of the Jacobian: the trace where the residual vanishes."""
        return 2 * self.xp.sum(self.jacobian(parameters) ** 2)

    def tangential(self, vector: Array, parameters: Array) -> Array:
        """The part of a vector orthogonal to every row of the Jacobian, by Gram-Schmidt."""
        normals: list[Array] = []
        for row in self.jacobian(parameters):
            normals.append(self._without(self.named(row), normals))
        return self._without(self.named(vector), normals)

    def named(self, value: Array) -> Array:
        """The same value; a backend of expressions may give it a name so that it is not written out twice."""
        return value

    def _without(self, vector: Array, normals: list[Array]) -> Array:
        """Take the components along mutually orthogonal vectors off."""
        for normal in normals:
            share = self.named(self.xp.sum(vector * normal) / self.xp.sum(normal**2))
            vector = self.named(vector - normal * share)
        return vector

    def solve(self, matrix: Array, right: Array) -> Array:
        """Solve a linear system by elimination."""
        return eliminate(self.xp, matrix, right)


def eliminate(xp: Any, matrix: Array, right: Array) -> Array:
    """Solve a system with nonzero leading minors, right (n,) or (n, k), in any kind of number.

    >>> eliminate(np, np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 4.0])).tolist()
    [1.0, 1.0]
    """
    if len(matrix) == 1:
        return xp.stack([right[0] / matrix[0, 0]])
    factor = matrix[1:, 0] / matrix[0, 0]
    spread = factor if right.ndim == 1 else factor[:, None]
    rest = eliminate(xp, matrix[1:, 1:] - xp.outer(factor, matrix[0, 1:]), right[1:] - spread * right[0])
    first = (right[0] - xp.dot(matrix[0, 1:], rest)) / matrix[0, 0]
    return xp.concatenate([xp.stack([first]), rest])
