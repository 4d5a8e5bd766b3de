"""The error against the step size: SGD pulled back to M, at a fixed time of the flow, and a fitted order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manifoldflow.errors import ManifoldflowError
from manifoldflow.sgd import finite_step_flow
from verification.evidence import Evidence
from verification.noise import ErrorStudy, Plan, Simulate, error_study, fitted_order
from verification.points import Array
from verification.records import Status

NOISE_SIZE = 0.05  # in the order: the noise has a size, which S14 leaves out. A choice; the smallest plan sees 0.02
RESOLUTION = 0.25  # an interval of this half-width or more cannot tell order 1 from 1/2


@dataclass(frozen=True, eq=False)
class OrderResult:
    """`errors` as measured on a case; `corrected` (k,): distance of the flow of S14 from that of F at the same step
    sizes, NaN where S14 has no value; `predicted`: the order fitted to it, which tends to 1 with the step sizes.
    """

    case: str
    runs: int
    errors: ErrorStudy
    corrected: Array
    predicted: float

    @property
    def status(self) -> Status:
        """holds: the interval contains the predicted order, and tells it from 1/2."""
        low, high = self.errors.order_interval
        if not high - low < 2.0 * RESOLUTION:
            return "inconclusive"
        return "holds" if low - NOISE_SIZE <= self.predicted <= high + NOISE_SIZE else "fails"


def order_study(evidence: Evidence, plan: Plan, simulated: Simulate) -> OrderResult:
    """Simulate and fit."""
    errors = error_study(evidence, plan, simulated)
    corrected = np.array([_distance(evidence, float(eta), errors.horizon) for eta in errors.step_sizes])
    known = np.isfinite(corrected)
    predicted = fitted_order(errors.step_sizes[known], corrected[known]) if known.sum() > 1 else 1.0
    return OrderResult(evidence.case.name, plan.runs, errors, corrected, predicted)


def _distance(evidence: Evidence, eta: float, time: float) -> float:
    try:
        end = finite_step_flow(evidence.manifold, evidence.start, [time], eta, 1e-8, batch_size=1)[0]
    except ManifoldflowError:
        return float("nan")
    return float(np.linalg.norm(end - evidence.flow.sol(time)))
