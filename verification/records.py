"""What passes between the stages: a case, a check, a verdict, a statement, a report. All immutable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from manifoldflow.datasets import DataSet
from manifoldflow.errors import ManifoldflowError

from .errors import NotStatedError

if TYPE_CHECKING:
    from .evidence import Evidence

Status = Literal["holds", "fails", "does not apply", "inconclusive"]
Relation = Literal["<=", ">=", "=="]
STATUSES: tuple[Status, ...] = ("holds", "fails", "does not apply", "inconclusive")


@dataclass(frozen=True, eq=False)
class Case:
    """One problem to test the statements on: a data set, a unit, a width, and the seed of everything random.

    >>> import manifoldflow as mf
    >>> Case(mf.datasets.synthetic(n=3, d=5), "sinh(z)", width=4).name
    'synthetic, sinh(z)'
    """

    data: DataSet
    activation: str
    width: int = 10
    seed: int = 0

    @property
    def name(self) -> str:
        """Data set and activation, for tables."""
        return f"{self.data.name}, {self.activation}"


@dataclass(frozen=True)
class Hypothesis:
    """An assumption as it was found on one case: its name, whether it is met, and the numbers that show
    it.
    """

    name: str
    met: bool
    detail: str


@dataclass(frozen=True)
class Check:
    """One measured number against one bound.

    `margin` is the distance to failing over max(|bound|, tolerance), negative where the check fails;
    `uncertainty` is the statistical error of `measured`: a violation within it is not decided.
    """

    quantity: str
    measured: float
    relation: Relation
    bound: float
    tolerance: float
    tolerance_reason: str
    sample_size: int
    uncertainty: float = 0.0

    @property
    def slack(self) -> float:
        """Distance to failing, in the units of the measured number."""
        excess = self.measured - self.bound
        violation = {"<=": excess, ">=": -excess, "==": abs(excess)}[self.relation]
        return self.tolerance - violation

    @property
    def margin(self) -> float:
        """Slack relative to the bound (to the tolerance, where the bound is 0 or an equality is tested)."""
        scale = self.tolerance if self.relation == "==" else max(abs(self.bound), self.tolerance)
        return self.slack / scale if scale else self.slack

    @property
    def status(self) -> Status:
        """holds, fails, or inconclusive where the number is missing or its uncertainty hides the answer.

        >>> Check("ratio", 0.9, ">=", 1.0, 0.0, "exact", 1).status
        'fails'
        >>> Check("ratio", 0.9, ">=", 1.0, 0.0, "exact", 1, uncertainty=0.2).status
        'inconclusive'
        """
        if not math.isfinite(self.slack):
            return "holds" if self.slack == math.inf else "inconclusive"
        if self.slack >= 0.0:
            return "holds" if self.uncertainty <= max(self.tolerance, self.slack) else "inconclusive"
        return "fails" if -self.slack > self.uncertainty else "inconclusive"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one statement on one case; the first check is the one that decided.

    `reason` is one sentence; `notes` are observations that decide nothing.
    """

    statement: str
    title: str
    case: str
    status: Status
    reason: str
    hypotheses: tuple[Hypothesis, ...]
    checks: tuple[Check, ...]
    blind_spot: str
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def decisive(self) -> Check | None:
        """The check that the verdict rests on, if anything could be measured."""
        return self.checks[0] if self.checks else None


@dataclass(frozen=True)
class Measurement:
    """What a statement's measurement returns: its checks, most telling first, and notes."""

    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """A theorem as something that can be tested.

    Args:
        id: "S1" ...; title: a few words; formula: LaTeX; source: where it comes from.
        hypotheses: each examines the case and says whether it is met there.
        measure: computes the conclusion's numbers; raises `NotStatedError` where there is nothing to test.
        blind_spot: what the measurement would not notice.
    """

    id: str
    title: str
    formula: str
    source: str
    hypotheses: tuple[Callable[[Evidence], Hypothesis], ...]
    measure: Callable[[Evidence], Measurement]
    blind_spot: str

    def check(self, evidence: Evidence) -> Verdict:
        """Test the statement on the evidence of one case."""
        found = tuple(hypothesis(evidence) for hypothesis in self.hypotheses)
        missing = tuple(hypothesis for hypothesis in found if not hypothesis.met)
        try:
            measured = self.measure(evidence)
        except NotStatedError as error:
            return self._verdict(evidence, "does not apply", _because(missing, str(error)), found, Measurement(()))
        except ManifoldflowError as error:  # a point or a step of the measurement is out of the solvers' reach
            return self._verdict(evidence, "inconclusive", _because(missing, str(error)), found, Measurement(()))
        status, reason = _judge(measured.checks, missing)
        if status == "inconclusive" and not evidence.flow.success:
            reason += f" The flow: {evidence.flow.message}"
        return self._verdict(evidence, status, reason, found, measured)

    def _verdict(
        self,
        evidence: Evidence,
        status: Status,
        reason: str,
        found: tuple[Hypothesis, ...],
        measured: Measurement,
    ) -> Verdict:
        return Verdict(
            statement=self.id,
            title=self.title,
            case=evidence.case.name,
            status=status,
            reason=reason,
            hypotheses=found,
            checks=tuple(sorted(measured.checks, key=_rank)),
            blind_spot=self.blind_spot,
            seed=evidence.case.seed,
            notes=measured.notes,
        )


_ORDER: dict[Status, int] = {"fails": 0, "inconclusive": 1, "holds": 2, "does not apply": 3}


def _rank(check: Check) -> int:
    return _ORDER[check.status]


def _judge(checks: tuple[Check, ...], missing: tuple[Hypothesis, ...]) -> tuple[Status, str]:
    """The verdict of the checks, given the hypotheses that are not met."""
    first = min(checks, key=_rank)
    if first.status == "fails":
        return "fails", _because(missing, f"{first.quantity} is on the wrong side of the bound.")
    if missing:
        seen = (
            "the conclusion was observed all the same" if first.status == "holds" else "the measurement does not decide"
        )
        return "does not apply", _because(missing, f"{seen}, which the statement does not predict.")
    if first.status == "inconclusive":
        return (
            "inconclusive",
            f"{first.quantity}: the error of the measurement is too large, or it did not finish.",
        )
    return "holds", "Every hypothesis is met and every check is within its tolerance."


def _because(missing: tuple[Hypothesis, ...], text: str) -> str:
    if not missing:
        return text[0].upper() + text[1:]
    failing = "; ".join(f"{hypothesis.name} fails ({hypothesis.detail})" for hypothesis in missing)
    return f"{failing}: {text}"


@dataclass(frozen=True, eq=False)
class CaseReport:
    """Everything kept of one case: its verdicts, facts about it, and the series that the plots show."""

    name: str
    facts: dict[str, Any]
    verdicts: tuple[Verdict, ...]
    series: dict[str, Any] = field(default_factory=dict)
