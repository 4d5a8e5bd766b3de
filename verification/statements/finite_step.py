"""S14: step sizes that are not small. The speed of SGD along the flow, against the corrected flow."""

from __future__ import annotations

from verification import hypotheses
from verification.evidence import Evidence
from verification.records import Check, Measurement, Statement
from verification.study.comparison import RESOLUTION
from verification.study.large_steps import LargeRow


def measure(evidence: Evidence) -> Measurement:
    """The speed in each scheme and at each step size, and whether the leading order could be told from S14 at all."""
    rows = evidence.large_steps
    return Measurement((told_apart(rows), *map(speed, rows)), tuple(map(_note, rows)))


def speed(row: LargeRow) -> Check:
    """Speed along the flow on SGD's clock, 1 to leading order, against that of the corrected flow."""
    found = row.comparison
    wide = not found.half_width < RESOLUTION * abs(found.predicted)
    return Check(
        f"speed, {found.name}", found.estimate.value, "==", found.predicted, found.half_width,
        "half of the interval that covers with 99.9 % for all schemes and step sizes together: S14 is of weak noise, "
        "and two sizes of it are extrapolated to none, which leaves its fourth power", found.runs,
        uncertainty=float("inf") if wide else 0.0,
    )  # fmt: skip


def told_apart(rows: tuple[LargeRow, ...]) -> Check:
    """Largest distance of the corrected speed from 1, over the half width of its interval."""
    shares = [abs(row.comparison.predicted - 1.0) / row.comparison.half_width for row in rows]
    reason = "exact: below 1 no speed tells S14 from the leading order, and nothing is decided"
    share = max(shares)
    undecided = float("inf") if share < 1.0 else 0.0
    name = "distance of S14 from the leading order, over the half width"
    return Check(name, share, ">=", 1.0, 0.0, reason, len(rows), uncertainty=undecided)


def _note(row: LargeRow) -> str:
    value = row.comparison.estimate
    return (
        f"{row.comparison.name}: {value.value:.4f} +- {value.error:.4f}, S14 {row.comparison.predicted:.4f}; "
        f"the leading order, 1, is off by {row.missed:.1f} standard errors."
    )


STATEMENT = Statement(
    id="S14",
    title="step sizes that are not small",
    formula=r"\dot\Theta = -\mathrm{grad}\,F_\eta,\qquad "
    r"F_\eta = -\dfrac{2}{\eta}\,\log\det(I - \eta\,J J^\top)\ \mathrm{(full\ batch)}",
    source="Damian, Ma and Lee (NeurIPS 2021); other batches: this toolkit, docs/sgd.md",
    hypotheses=(hypotheses.existence, hypotheses.moving),
    measure=measure,
    blind_spot="Two schemes and two step sizes, over a short way along one flow, with weak noise: the correction is "
    "exact in the step size only as the noise goes to 0, and what is tested is the speed that those with two sizes of "
    "noise, one twice the other, are extrapolated to. manifoldflow study has more schemes and step sizes.",
)
