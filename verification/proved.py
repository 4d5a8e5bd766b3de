"""The constants of S7 with what is proved of them: the bounds of the statements are computed from these."""

from __future__ import annotations

from dataclasses import replace

from manifoldflow.assumptions import Constants
from manifoldflow.certificates import ConstantsEnclosure


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
