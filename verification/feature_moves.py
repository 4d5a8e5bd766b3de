"""F along moves of one sample's features at the rank-one point, by differences: no derivative of F enters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

import manifoldflow as mf
from manifoldflow.codegen import load_kernel

from .errors import NotStatedError
from .points import Array, activation_table

STEP = 0.02
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Curvatures:
    """Second derivatives of F (n,), one sample's features moving: measured, with an error, and by the formula."""

    measured: Array
    error: Array
    predicted: Array


def curvatures(manifold: mf.ZeroLossManifold, z: Array) -> Curvatures:
    """Unit 0 moves by t on one sample, unit 1 so that the output stays, the others not at all.

    At the rank-one point z (n,) the speeds are 1 and -1, so that the second derivative is 2 E = 8 s phi' phi'''.
    """
    table = activation_table(manifold, z)
    wide, narrow = (_second_differences(manifold, z, h) for h in (STEP, STEP / 2.0))
    F = 2.0 * manifold.m * float(np.sum(manifold.problem.s * table[1] ** 2))
    error = np.abs(narrow - wide) / 3.0 + 32.0 * _EPS * F / (STEP / 2.0) ** 2
    return Curvatures((4.0 * narrow - wide) / 3.0, error, 8.0 * manifold.problem.s * table[1] * table[3])


def _second_differences(manifold: mf.ZeroLossManifold, z: Array, h: float) -> Array:
    centre = _sharpness(manifold, np.repeat(z[None], manifold.m, axis=0))
    ends = [_moved(manifold, z, t) for t in (h, -h)]
    return np.array([_pair(manifold, z, ends, i) - 2.0 * centre for i in range(z.size)]) / h**2


def _pair(manifold: mf.ZeroLossManifold, z: Array, ends: list[tuple[Array, Array]], i: int) -> float:
    total = 0.0
    for first, second in ends:
        Z = np.repeat(z[None], manifold.m, axis=0)
        Z[0, i], Z[1, i] = first[i], second[i]
        total += _sharpness(manifold, Z)
    return total


def _moved(manifold: mf.ZeroLossManifold, z: Array, t: float) -> tuple[Array, Array]:
    """Features z + t of one unit, and those of another that keep the sum of outputs, by Newton's method."""
    target = 2.0 * activation_table(manifold, z)[0] - activation_table(manifold, z + t)[0]
    other = z - t
    for _ in range(50):
        table = activation_table(manifold, other)
        step = (table[0] - target) / table[1]
        other = other - step
        if np.all(np.abs(step) <= 4.0 * _EPS * (1.0 + np.abs(other))):
            return z + t, other
    raise NotStatedError("no second unit makes up for a move of the first: phi' is nought near a feature.")


def _sharpness(manifold: mf.ZeroLossManifold, Z: Array) -> float:
    weights = manifold.coordinates.weights_from_preactivations(Z)
    return float(manifold.sharpness(manifold.coordinates.expand(weights)))


@lru_cache(maxsize=256)  # of the activation alone: cases share it
def measured_flip(formula: str, zeros: tuple[float, ...], k: int) -> float:
    """The z near the k-th zero of phi''' at which the measured curvature changes its sign, by bisection.

    On one sample and two units, with the label that has its rank-one point at z; NaN where the sign does not change.
    """
    centre, others = zeros[k], np.delete(zeros, k)
    reach = min(0.05, 0.3 * float(np.abs(others - centre).min(initial=np.inf)))
    low, high = centre - 0.83 * reach, centre + reach  # not the same distance: the middle must not be the answer
    ends = _sign(formula, low), _sign(formula, high)
    if ends[0] == ends[1]:
        return float("nan")
    for _ in range(18):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _sign(formula, middle) == ends[0] else (low, middle)
    return 0.5 * (low + high)


def _sign(formula: str, z: float) -> float:
    network = mf.TwoLayerNetwork(mf.UnitFunction(formula), width=2)
    value = _value(formula, z)
    manifold = mf.ZeroLossManifold(network, [[1.0]], [2.0 * value])
    return float(np.sign(curvatures(manifold, np.array([z])).measured[0]))


def _value(formula: str, z: float) -> float:
    return float(load_kernel(mf.UnitFunction(formula)).table(np.array([z]))[0, 0])
