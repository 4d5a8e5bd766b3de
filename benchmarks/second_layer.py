"""What the flattest points of a network with a trained second layer look like, over activations, shapes and seeds.

Run with `python -m benchmarks.second_layer`; prints the table of docs/models.md, in about ten seconds.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass

import numpy as np

import manifoldflow as mf
from manifoldflow.errors import AssumptionWarning

FORMULAS = ("z**3 + z", "z**3 + 5*z", "z**5 + z", "sinh(z)", "softplus(z)", "z*tanh(z)", "tanh(z)")
SHAPES = ((4, 8), (8, 3))  # n, d
WIDTH, STARTS = 8, 3
_DEAD = 1e-6  # share of the largest |c_j| below which a unit counts as switched off


@dataclass(frozen=True)
class Point:
    """One flattest point: whether it is a minimum, how many units act, how far they differ from each other."""

    minimum: bool
    acting: int
    weight_spread: float
    feature_spread: float
    imbalance: float


def examine(formula: str, n: int, d: int, seed: int) -> Point:
    """Minimise F from three random points on Gaussian data, and look at the best end."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=n)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=WIDTH, output_weights="trained"), X, y)
    found = mf.flattest_point(man, n_starts=STARTS, rng=seed)
    c = found.x[:, -1]
    acting = np.abs(c) > _DEAD * np.abs(c).max()
    # A unit with c < 0 of an odd activation is the same as one with c > 0 and the opposite feature.
    z = (man.preactivations(found.x) * np.sign(c)[:, None])[acting]
    return Point(
        minimum=found.status == 0,
        acting=int(acting.sum()),
        weight_spread=float(np.ptp(np.abs(c[acting])) / np.abs(c).max()),
        feature_spread=float(np.abs(z - z.mean(axis=0)).max() / np.abs(z).max()),
        imbalance=_imbalance(man, found.x),
    )


def _imbalance(man: mf.ZeroLossManifold, theta: np.ndarray) -> float:
    """Largest relative gap in sum_i phi^2 = c_j^2 sum_i s_i (phi'^2 - phi phi'') over the units."""
    phi = mf.UnitFunction(man.network.unit.psi.subs({man.network.unit.a: 1, man.network.unit.c[0]: 1}))
    z, c = man.preactivations(theta), theta[:, -1]
    table = mf.ZeroLossManifold(mf.TwoLayerNetwork(phi, width=1), [[1.0]], [0.5]).kernel.table(z.ravel())
    value, slope, bend, _ = table.reshape(4, *z.shape)
    left = (value**2).sum(axis=1)
    right = c**2 * ((slope**2 - value * bend) * (man.X**2).sum(axis=1)).sum(axis=1)
    return float(np.abs(left - right).max() / left.max())


def row(formula: str, n: int, d: int, seeds: int) -> str:
    """A line of the table."""
    points = [examine(formula, n, d, seed) for seed in range(seeds)]
    minima = [point for point in points if point.minimum]
    acting = ", ".join(map(str, sorted({point.acting for point in minima}))) or "-"
    spreads = (
        [point.weight_spread for point in minima],
        [point.feature_spread for point in minima],
        [point.imbalance for point in minima],
    )
    numbers = " | ".join(f"{max(values, default=np.nan):.0e}" for values in spreads)
    return f"| `{formula}` | {n} | {d} | {len(minima)} of {seeds} | {acting} | {numbers} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="data sets for each line (default: 10)")
    seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore", AssumptionWarning)
    print("| activation | n | d | minima found | acting units | weights differ by | features differ by | imbalance |")
    print("|---|---|---|---|---|---|---|---|")
    for n, d in SHAPES:
        for formula in FORMULAS:
            print(row(formula, n, d, seeds), flush=True)


if __name__ == "__main__":
    main()
