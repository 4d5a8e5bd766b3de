"""How much S14 simulates when it is verified: two schemes of the study, at two step sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifoldflow.errors import ManifoldflowError

from .errors import NotStatedError
from .noise import simulate
from .study.large_steps import SCHEMES, LargeRow, large_step_study
from .study.sizes import LargePlan

if TYPE_CHECKING:
    from .evidence import Evidence

PLAN = LargePlan((0.25, 0.5), runs=12, uses=160_000, share=0.03, variances=(1.0, 4.0))


def large_steps(evidence: Evidence) -> tuple[LargeRow, ...]:
    """A row for each scheme and step size.

    Raises `NotStatedError` where the flow does not move, or SGD stops.
    """
    try:
        return large_step_study(evidence, PLAN, simulate, SCHEMES[:2])
    except ManifoldflowError as error:
        raise NotStatedError(f"the simulation stopped: {error}") from error
