"""One sample with |x| = 1: flows of several units on it, side by side, and where they end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.integrate import solve_ivp

from .family import Array, Family
from .geometry import Geometry, geometry

UNITS, RANDOM = 4, 6
TIME, STATIONARY, ALIKE = 1e3, 1e-7, 1e-3
ENDS = ("disagreeing", "moving", "rank one", "none")
"""Where a flow ends; of several flows the first of these words counts that is true of one."""


def point(family: Family, values: tuple[float, ...], Z: Array) -> Geometry:
    """Problems of one sample with |x| = 1 side by side, their features Z (m,) or (m, k): G = I keeps them apart."""
    Z = Z.reshape(len(Z), -1)
    return geometry(np.eye(Z.shape[1]), np.ones(len(Z)), family.table(Z, values))


def flows(
    family: Family, values: tuple[float, ...], z: float, y: float, rng: np.random.Generator
) -> tuple[str, str]:  # fmt: skip
    """Where the flow from beside the rank-one point ends, and those from random points."""
    starts = [_random(family, values, y, rng) for _ in range(RANDOM)]
    nearby, *others = ends(family, values, [_beside(z, rng), *(Z for Z in starts if Z is not None)])
    return nearby, next((word for word in ENDS if word in others), "none")


def _beside(z: float, rng: np.random.Generator) -> Array:
    """Features with mean z, off it by a hundredth."""
    move = rng.normal(size=UNITS)
    return z + 0.01 * (move - move.mean())


def _random(family: Family, values: tuple[float, ...], y: float, rng: np.random.Generator) -> Array | None:
    """Gaussian features moved onto M along phi', of a smaller scale where that fails."""
    for attempt in range(12):
        Z = 2.0 * 0.75**attempt * rng.normal(size=UNITS)
        for _ in range(100):
            table = family.table(Z, values)
            step = table[1] * (y - table[0].sum()) / (table[1] ** 2).sum()
            Z = Z + np.clip(step, -1.0, 1.0)
            if np.abs(step).max() < 1e-13:
                return Z
    return None


def ends(family: Family, values: tuple[float, ...], starts: Sequence[Array]) -> list[str]:
    """Where each flow ends: at rank one, at disagreeing units, or it still moves at time `TIME`; one integration."""
    shape = len(starts), UNITS

    def gradient(Z: Array) -> Array:
        return point(family, values, Z.reshape(shape).T).C.T

    def field(t: float, Z: Array) -> Array:
        return -gradient(Z).ravel()

    def stationary(t: float, Z: Array) -> float:
        return float(np.linalg.norm(gradient(Z), axis=1).max()) - STATIONARY

    stationary.terminal = True  # type: ignore[attr-defined]
    band = UNITS - 1  # the flows do not know of each other
    found = solve_ivp(field, (0.0, TIME), np.concatenate(starts), method="LSODA", rtol=1e-7, atol=1e-9,
                      events=stationary, lband=band, uband=band)  # fmt: skip
    last = found.y[:, -1]
    speeds = np.linalg.norm(gradient(last), axis=1)
    return [_word(Z, speed) for Z, speed in zip(last.reshape(shape), speeds, strict=True)]


def _word(Z: Array, speed: float) -> str:
    if float(np.ptp(Z)) < ALIKE * (1.0 + float(np.abs(Z).max())):
        return "rank one"
    return "disagreeing" if speed < 2.0 * STATIONARY else "moving"
