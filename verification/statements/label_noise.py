"""S9: label-noise SGD follows the flow with an error of first order in the step size, towards rank one."""

from __future__ import annotations

from verification import hypotheses
from verification.errors import UnfinishedError
from verification.evidence import Evidence
from verification.noise import RUNS, ErrorStudy, LongRun, relaxations
from verification.records import Check, Measurement, Statement


def measure(evidence: Evidence) -> Measurement:
    """Fitted order of the mean error; the fall of the units' disagreement in a longer run, against the flow's."""
    errors = evidence.noise.errors
    if (relaxed := relaxations(evidence, errors)) < 1.0:
        raise UnfinishedError(
            f"runs of SGD that can be afforded are {relaxed:.2g} of the time n / (2 eta lambda_min(J J^T)) in which "
            "the slowest residual relaxes; before that, neither fluctuations nor the error are those of the limit."
        )
    note = (
        f"A run scatters about the mean by {errors.scatter[-1]:.3g} at the smallest step size, against a bias of "
        f"{errors.bias[-1]:.3g}; the scatter's fitted order is {errors.scatter_order:.2f}. The theory "
        f"of fluctuations about "
        "a mean gives 1/2 for n > 1: first order is a statement about the mean."
    )
    long = evidence.noise.long
    return Measurement((order(errors), *([] if long is None else [trend(long)])), (note,))


def order(errors: ErrorStudy) -> Check:
    """Exponent of the mean error in the step size."""
    low, high = errors.order_interval
    return Check(
        "fitted order of |mean SGD - flow| in the step size",
        errors.order,
        "==",
        1.0,
        0.3,
        "terms of higher order, at step sizes up to 0.4 of the stable one; uncertainty: 95 % bootstrap",
        RUNS * errors.step_sizes.size,
        uncertainty=(high - low) / 2.0,
    )


def trend(run: LongRun) -> Check:
    """How far the units' disagreement fell in the long run, over how far it fell along the flow."""
    reason = "bound and tolerance are a choice: one run, at 0.4 of the stable step size"
    fallen = (1.0 - float(run.spread[-1])) / max(1.0 - float(run.flow_spread[-1]), 1e-300)
    return Check("fall of the units' disagreement, SGD over flow", fallen, ">=", 0.5, 0.0, reason, 1)


STATEMENT = Statement(
    id="S9",
    title="label-noise SGD follows the flow",
    formula=r"\left\Vert\mathbb{E}\,\Phi(\Theta_k) - "
    r"\Theta\left(\eta^2k\,\sigma^2/2n\right)\right\Vert = O(\eta),"
    r"\qquad \mathrm{rank}\,Z \to 1",
    source="Gatmiry, Li, Reddi and Jegelka (ICML 2024); Li, Wang and Arora (ICLR 2022)",
    hypotheses=hypotheses.ANY_UNITS,
    measure=measure,
    blind_spot="The order is fitted over a factor 2.8 of step sizes, up to the time at which a "
    "quarter of the excess sharpness is "
    "gone; the longer run stops when 40 % of the units' disagreement is left. Rank one itself is "
    "seen in the flow, not in SGD.",
)
