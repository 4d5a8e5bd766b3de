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
    """A point of M with its features Z (m, n), F, |grad F|, and the constants of S7 for a flow that
    starts there.
    """

    theta: Array
    Z: Array
    sharpness: float
    gradient_norm: float
    constants: Constants


@dataclass(frozen=True, eq=False)
class RegionPoint:
    """A point near the minimiser, with the ends of the Hessian's spectrum on T within the data's span."""

    point: Point
    smallest: float
    largest: float


@dataclass(frozen=True, eq=False)
class Minimiser:
    """The point where all units have the features phi^{-1}(y_i / m): z (n,), theta, and F* by the
    formula of S2.
    """

    z: Array
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


def inverse_activation(manifold: ZeroLossManifold, values: Array) -> Array:
    """phi^{-1} entrywise, by brackets that grow from 0 and bisection; independent of the flow.

    Raises `NotStatedError` where phi does not take a value within |z| <= 1e6.
    """
    target = values.ravel()
    low, high = _brackets(manifold, target)
    below = _excess(manifold, low, target) <= 0.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        same = (_excess(manifold, middle, target) <= 0.0) == below
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.asarray(0.5 * (low + high)).reshape(values.shape)


def _excess(manifold: ZeroLossManifold, z: Array, target: Array) -> Array:
    return np.asarray(activation_table(manifold, z)[0] - target)


def _brackets(manifold: ZeroLossManifold, target: Array) -> tuple[Array, Array]:
    """An interval with 0 at one end for each target, over which phi crosses it."""
    centre, end = np.zeros_like(target), np.full_like(target, np.nan)
    at_centre = _excess(manifold, centre, target)
    radius = 0.25
    while radius < 1e6 and np.isnan(end).any():
        for candidate in (radius, -radius):
            crosses = at_centre * _excess(manifold, np.full_like(target, candidate), target) <= 0.0
            end = np.where(np.isnan(end) & crosses, candidate, end)
        radius *= 1.5
    if np.isnan(end).any():
        value = target[np.isnan(end)][0]
        raise NotStatedError(f"phi does not take the value {value:.4g}, so that phi^-1 of it does not exist.")
    return np.minimum(centre, end), np.maximum(centre, end)


def minimiser(manifold: ZeroLossManifold) -> Minimiser:
    """The rank-one point and F* = 2 m sum_i s_i phi'(phi^{-1}(y_i/m))^2."""
    z = inverse_activation(manifold, manifold.y / manifold.m)
    slope = activation_table(manifold, z)[1]
    Z = np.repeat(z[None, :], manifold.m, axis=0)
    row = np.linalg.lstsq(manifold.problem.R, z, rcond=None)[0]
    if not np.allclose(manifold.problem.R @ row, z, rtol=0.0, atol=1e-8):
        raise NotStatedError("the samples are dependent and no weights give these features.")
    theta = onto_manifold(manifold, manifold.coordinates.expand(np.repeat(row[None, :], manifold.m, axis=0)))
    if theta is None:
        raise NotStatedError("the rank-one features are not reached by any weights.")
    sharpness = 2.0 * manifold.m * float(np.sum(manifold.problem.s * slope**2))
    return Minimiser(Z[0].copy(), theta, sharpness)
