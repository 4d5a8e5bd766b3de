"""The constants of S7 with what is proved of them: the bounds of the statements are computed from these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from manifoldflow.assumptions import Constants
from manifoldflow.certificates import ConstantsEnclosure, enclose_constants
from manifoldflow.manifold import ZeroLossManifold

from .points import Point

_NEEDED = ("A1", "A2", "confinement")


def constants_with_proofs(grid: Constants, proved: ConstantsEnclosure) -> Constants:
    """The end of each enclosure with which the theorems claim least, where the certificate is given.

    Where it is not, the number is the grid's; where the certificate refutes an assumption that the grid has seen hold,
    the number is the proved one, so that the assumption fails.
    """
    found = replace(
        grid, mu=proved.mu.low if proved.certificate("A2").proved else grid.mu,
        s_min=proved.s_min.low, weight=proved.weight.low, sharpness=proved.sharpness.high,
    )  # fmt: skip
    if not (proved.confined or proved.certificate("A1").refuted):
        return found
    if proved.certificate("A1").refuted:
        return replace(
            found, rho1=min(grid.rho1, proved.rho1.high), rho2=min(grid.rho2, proved.rho2.high), beta=0.0,
        )  # fmt: skip
    return replace(found, interval=proved.interval, confined=True, **_extrema(proved))


def _extrema(proved: ConstantsEnclosure) -> dict[str, float]:
    """Over the proved interval: lower ends."""
    found: dict[str, float] = {}
    if proved.certificate("A1").proved:
        found |= {"rho1": proved.rho1.low, "rho2": proved.rho2.low, "ratio": proved.ratio.low}
    if proved.certificate("A3").proved:
        found |= {"beta": proved.beta.low}
    return found


def settled(
    manifold: ZeroLossManifold, points: Sequence[Point], holds: Callable[[Point], bool]
) -> tuple[list[Point], tuple[str, ...]]:
    """The points, with proved constants in place of a grid's where it does not hold with those; and a note on the
    points at which nothing is proved, which are left out: a grid misses a narrow dip, and reaches across a pole.
    """
    found = [point if holds(point) else _reexamined(manifold, point) for point in points]
    missing = sum(point is None for point in found)
    note = f"{missing} points were left out: with the constants of a grid they contradict the statement, and A1, A2 or "
    notes = (f"{note}the confinement is not proved there.",) if missing else ()
    return [point for point in found if point is not None], notes


def _reexamined(manifold: ZeroLossManifold, point: Point) -> Point | None:
    """The point with constants that are proved at it; None where the theorem's assumptions are not."""
    proved = enclose_constants(manifold, point.theta)
    if not all(proved.certificate(name).proved for name in _NEEDED):
        return None
    return replace(point, constants=constants_with_proofs(point.constants, proved))
