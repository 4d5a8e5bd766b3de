"""Points of the manifold and what is measured at each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifoldflow.assumptions import Constants, reduced_constants
from manifoldflow.errors import ManifoldflowError
from manifoldflow.manifold import ZeroLossManifold

from .errors import NotStatedError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Point:
    """A point of M with its features Z (m, n), F, |grad F|, and the constants of S7 for a flow that starts there, which
    are from a grid and not proved.
    """

    theta: Array
    Z: Array
    sharpness: float
    gradient_norm: float
    constants: Constants

    @property
    def fails_a1_or_a2(self) -> bool:
        """Does A1 or A2 fail on the point's own interval? A grid can miss a pole, which F does not cross."""
        return bool({"A1", "A2"} & set(self.constants.failing))


@dataclass(frozen=True, eq=False)
class RegionPoint:
    """A point near the minimiser, with the ends of the Hessian's spectrum on T within the data's span."""

    point: Point
    smallest: float
    largest: float


@dataclass(frozen=True, eq=False)
class Minimiser:
    """The point where F is least by S2 or S10: its features Z (m, n), phi^{-1}(y_i / m) for output weights 1; theta;
    and F* = 2 sum_ji a_j^2 s_i phi'(Z_ji)^2.
    """

    Z: Array
    theta: Array
    sharpness: float


def measure(manifold: ZeroLossManifold, theta: Array) -> Point:
    """Everything cheap at one point."""
    constants = reduced_constants(manifold, manifold.coordinates.reduce(theta))
    gradient = float(np.linalg.norm(manifold.gradient(theta)))
    return Point(theta, manifold.preactivations(theta), manifold.sharpness(theta), gradient, constants)


def curvature(manifold: ZeroLossManifold, theta: Array) -> RegionPoint:
    """A point with the smallest and largest eigenvalue of the Hessian."""
    spectrum = manifold.hessian_spectrum(theta)
    return RegionPoint(measure(manifold, theta), float(spectrum[0]), float(spectrum[-1]))


def activation_table(manifold: ZeroLossManifold, Z: Array) -> Array:
    """phi and its first three derivatives at an array of pre-activations, (4, *Z.shape)."""
    with np.errstate(all="ignore"):  # outside phi's domain the table is not finite
        return np.asarray(manifold.kernel.table(np.ascontiguousarray(Z.ravel()))).reshape(4, *Z.shape)


def onto_manifold(manifold: ZeroLossManifold, theta: Array) -> Array | None:
    """Newton's method along normal spaces from a point near M; None where it does not converge."""
    W = manifold.coordinates.reduce(theta)
    if manifold.newton(W) is not None:
        return None
    return manifold.coordinates.expand(W) + manifold.coordinates.orthogonal_part(theta)


def random_points(manifold: ZeroLossManifold, rng: np.random.Generator, scales: Iterable[float]) -> tuple[Array, ...]:
    """One random point of M for each scale, those that are found."""
    points = []
    for scale in scales:
        try:
            points.append(manifold.random_point(rng=rng, scale=scale))
        except ManifoldflowError:  # out of reach at this scale; the sample size says how many were found
            continue
    return tuple(points)


def inverse_activation(manifold: ZeroLossManifold, values: Array, order: int = 0) -> Array:
    """phi^{-1} entrywise (of phi'' with order 2), by brackets that grow from 0 and bisection; independent of the flow.

    Raises `NotStatedError` where a value is not taken within |z| <= 1e6.
    """
    target = values.ravel()
    low, high = _brackets(manifold, target, order)
    below = _excess(manifold, low, target, order) <= 0.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        same = (_excess(manifold, middle, target, order) <= 0.0) == below
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.asarray(0.5 * (low + high)).reshape(values.shape)


def _excess(manifold: ZeroLossManifold, z: Array, target: Array, order: int) -> Array:
    return np.asarray(activation_table(manifold, z)[order] - target)


def _brackets(manifold: ZeroLossManifold, target: Array, order: int) -> tuple[Array, Array]:
    """An interval with 0 at one end for each target, over which the function crosses it."""
    centre, end = np.zeros_like(target), np.full_like(target, np.nan)
    at_centre = _excess(manifold, centre, target, order)
    radius = 0.25
    while radius < 1e6 and np.isnan(end).any():
        for candidate in (radius, -radius):
            crosses = at_centre * _excess(manifold, np.full_like(target, candidate), target, order) <= 0.0
            end = np.where(np.isnan(end) & crosses, candidate, end)
        radius *= 1.5
    if np.isnan(end).any():
        name, value = "phi" + "'" * order, target[np.isnan(end)][0]
        raise NotStatedError(f"{name} does not take the value {value:.4g}, so that its inverse of it does not exist.")
    return np.minimum(centre, end), np.maximum(centre, end)


def minimiser(manifold: ZeroLossManifold) -> Minimiser:
    """The point of S2, or of S10 where the output weights differ.

    Raises `NotStatedError` where its features do not exist or no weights give them.
    """
    a = manifold.a
    Z = minimising_features(manifold)
    if not has_weights(manifold, Z):
        raise NotStatedError("the samples are dependent and no weights give the flattest features.")
    W = manifold.coordinates.weights_from_preactivations(Z)
    theta = onto_manifold(manifold, manifold.coordinates.expand(W))
    if theta is None:
        raise NotStatedError("the flattest features are not reached by any weights.")
    slope = activation_table(manifold, Z)[1]
    return Minimiser(Z, theta, 2.0 * float(np.sum(a**2 * manifold.problem.s * slope**2)))


def has_weights(manifold: ZeroLossManifold, Z: Array) -> bool:
    """Do weights exist that have these features Z (m, n), to 1e-8?"""
    W = manifold.coordinates.weights_from_preactivations(Z)
    return bool(np.allclose(W @ manifold.problem.R.T, Z, rtol=0.0, atol=1e-8))


def minimising_features(manifold: ZeroLossManifold) -> Array:
    """z_ji = (phi'')^{-1}(k_i / a_j) with sum_j a_j phi(z_ji) = y_i, (m, n): S10; phi^{-1}(y_i / sum_j a_j) for equal
    weights.
    """
    a, y = manifold.a, manifold.y
    if (a == a[0]).all():
        return np.repeat(inverse_activation(manifold, y / a.sum(axis=0))[None, :], manifold.m, axis=0)
    low, high = _level_brackets(manifold)
    for _ in range(64):
        middle = 0.5 * (low + high)
        below = output_at_level(manifold, middle) <= y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return features_at_level(manifold, 0.5 * (low + high))


def features_at_level(manifold: ZeroLossManifold, k: Array) -> Array:
    """z_ji = (phi'')^{-1}(k_i / a_j), (m, n)."""
    return inverse_activation(manifold, k / manifold.a, order=2)


def output_at_level(manifold: ZeroLossManifold, k: Array) -> Array:
    """sum_j a_j phi(z_ji) at those features, (n,)."""
    return np.asarray((manifold.a * activation_table(manifold, features_at_level(manifold, k))[0]).sum(axis=0))


def _level_brackets(manifold: ZeroLossManifold) -> tuple[Array, Array]:
    """Levels k (n,) below and above those of the labels, at distances that grow from the features 0."""
    a, y = manifold.a, manifold.y
    one_sign = bool((np.sign(a) == np.sign(a[0])).all())
    centre = a.mean(axis=0) * float(activation_table(manifold, np.zeros(1))[2, 0]) if one_sign else np.zeros_like(y)
    low, high, width = centre.copy(), centre.copy(), 1.0
    for _ in range(60):
        above, under = output_at_level(manifold, low) > y, output_at_level(manifold, high) < y
        if not (above.any() or under.any()):
            return low, high
        low, high = np.where(above, centre - width, low), np.where(under, centre + width, high)
        width *= 2.0
    raise NotStatedError("no common level a_j phi''(z_ji) of the units gives these labels.")
