"""What passes between the stages: a case, a check, a verdict, a statement, a report. All immutable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from manifoldflow.certificates import Certificate
from manifoldflow.datasets import DataSet
from manifoldflow.errors import ManifoldflowError
from manifoldflow.network import Network

from .errors import NotStatedError
from .networks import title, two_layer

if TYPE_CHECKING:
    from .evidence import Evidence

Basis = Literal["given", "proved", "refuted", "measured", "grid"]
Status = Literal["holds", "fails", "does not apply", "inconclusive"]
Relation = Literal["<=", ">=", "=="]
STATUSES: tuple[Status, ...] = ("holds", "fails", "does not apply", "inconclusive")


@dataclass(frozen=True, eq=False)
class Case:
    """One problem to test the statements on: a data set, a unit, a width, and the seed of everything random.

    `own` names the unit's own trained scalars; `output_weights` are `width` numbers, "signed" (drawn from the seed),
    "trained", or None for ones. `network` makes the network from the case: a function of a module or a
    `functools.partial` of one, so that a case can be sent to another process; networks that are not of two layers
    come in here. `verification.make_cases` makes those of a diagonal linear network, whose units are the columns.

    >>> import manifoldflow as mf
    >>> Case(mf.datasets.synthetic(n=3, d=5), "sinh(z)", width=4).name
    'synthetic, sinh(z)'
    >>> Case(mf.datasets.synthetic(n=3, d=5), "sinh(z)", width=4, output_weights="signed").name
    'synthetic, sinh(z), signed weights'
    """

    data: DataSet
    activation: str
    width: int = 10
    seed: int = 0
    own: tuple[str, ...] = ()
    output_weights: tuple[float, ...] | str | None = None
    network: Callable[[Case], Network] = two_layer

    @property
    def name(self) -> str:
        """Data set, activation and what is not usual, for tables; the network where it has units of its own."""
        special = title(self.network)
        if special:
            return f"{self.data.name}, {special}"
        weights = "given" if isinstance(self.output_weights, tuple) else self.output_weights
        own = [f"own {' '.join(self.own)}"] if self.own else []
        return ", ".join([self.data.name, self.activation, *own, *([f"{weights} weights"] if weights else [])])


@dataclass(frozen=True)
class Hypothesis:
    """An assumption as it was found on one case: its name, whether it is met, and the numbers that show it.

    `basis` is how that is known: "given" with the case, "proved" or "refuted" by a certificate, "measured" in floating
    point, or seen on a "grid" where a certificate was asked for; the detail then says why there is none. Where one that
    `sets_apart` is not met, the problem is of another kind: what fails there is not what the statement claims. Where
    one that is `needed` is not met, nothing can be measured.
    """

    name: str
    met: bool
    detail: str
    basis: Basis = "measured"
    sets_apart: bool = False
    needed: bool = False

    @property
    def text(self) -> str:
        """What a report prints.

        >>> Hypothesis("A2", True, "mu = 1", "proved").text
        'A2: met, proved (mu = 1)'
        """
        how = f", {_BASES[self.basis]}" if self.basis in _BASES else ""
        return f"{self.name}: {'met' if self.met else 'NOT met'}{how} ({self.detail})"


_BASES = {"proved": "proved", "refuted": "the opposite proved", "grid": "not proved"}


@dataclass(frozen=True)
class Check:
    """One measured number against one bound.

    `margin` is the distance to failing over max(|bound|, tolerance), negative where the check fails;
    `uncertainty` is the error of `measured`: a violation within it is not decided. Nor is one beyond `resolution` that
    only a large tolerance lets pass: with it the check could hardly fail.
    """

    quantity: str
    measured: float
    relation: Relation
    bound: float
    tolerance: float
    tolerance_reason: str
    sample_size: int
    uncertainty: float = 0.0
    resolution: float = math.inf

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
        >>> Check("distance", 0.9, "<=", 0.0, 2.0, "a gradient that is not small", 1, resolution=0.01).status
        'inconclusive'
        """
        if not math.isfinite(self.slack):
            return "holds" if self.slack == math.inf else "inconclusive"
        if self.slack >= 0.0:
            told = self.tolerance - self.slack <= self.resolution
            return "holds" if told and self.uncertainty <= max(self.tolerance, self.slack) else "inconclusive"
        return "fails" if -self.slack > self.uncertainty else "inconclusive"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one statement on one case; the first check is the one that decided.

    `reason` is one sentence; `notes` are observations that decide nothing; `problem` names what was tested where that
    is not the case itself but a problem made from it.
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
    certificates: tuple[Certificate, ...] = ()
    problem: str = ""

    @property
    def decisive(self) -> Check | None:
        """The check that the verdict rests on, if anything could be measured."""
        return self.checks[0] if self.checks else None

    @property
    def unproved(self) -> tuple[str, ...]:
        """Hypotheses that are met as far as a grid shows, and not proved."""
        return tuple(found.name for found in self.hypotheses if found.met and found.basis == "grid")


@dataclass(frozen=True)
class Measurement:
    """What a statement's measurement returns: its checks, most telling first, notes, and what was proved on the way."""

    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    certificates: tuple[Certificate, ...] = ()


def the_case(evidence: Evidence) -> Evidence:
    """The problem of most statements: the case itself."""
    return evidence


@dataclass(frozen=True)
class Statement:
    """A theorem as something that can be tested.

    Args:
        id: "S1", "S2", ...
        title: a few words.
        formula: LaTeX.
        source: where it comes from.
        hypotheses: each examines the problem and says whether it is met there.
        measure: computes the conclusion's numbers; raises `NotStatedError` where there is nothing to test.
        blind_spot: what the measurement would not notice.
        scope: what the case must be like for the statement to say anything about it; where one of these is not met,
            nothing else is examined.
        problem: makes the problem that is tested from the case; raises `NotStatedError` where none can be made.
    """

    id: str
    title: str
    formula: str
    source: str
    hypotheses: tuple[Callable[[Evidence], Hypothesis], ...]
    measure: Callable[[Evidence], Measurement]
    blind_spot: str
    scope: tuple[Callable[[Evidence], Hypothesis], ...] = ()
    problem: Callable[[Evidence], Evidence] = the_case

    def check(self, evidence: Evidence) -> Verdict:
        """Test the statement on the evidence of one case."""
        limits = tuple(limit(evidence) for limit in self.scope)
        if not all(limit.met for limit in limits):
            return self._verdict(evidence, "does not apply", _outside(limits), limits, Measurement(()))
        try:
            problem = self.problem(evidence)
            found = limits + tuple(hypothesis(problem) for hypothesis in self.hypotheses)
        except NotStatedError as error:
            return self._verdict(evidence, "does not apply", _because((), str(error)), limits, Measurement(()))
        except ManifoldflowError as error:
            return self._verdict(evidence, "inconclusive", _because((), str(error)), limits, Measurement(()))
        return self._judged(evidence, problem, found)

    def examine(self, evidence: Evidence) -> tuple[Hypothesis, ...]:
        """The scope and, within it, the hypotheses on the problem; nothing else is measured.

        Raises `NotStatedError` where no problem can be made from the case.
        """
        limits = tuple(limit(evidence) for limit in self.scope)
        if not all(limit.met for limit in limits):
            return limits
        problem = self.problem(evidence)
        return limits + tuple(hypothesis(problem) for hypothesis in self.hypotheses)

    def _judged(self, evidence: Evidence, problem: Evidence, found: tuple[Hypothesis, ...]) -> Verdict:
        missing = tuple(hypothesis for hypothesis in found if not hypothesis.met)
        name = "" if problem.case.name == evidence.case.name else problem.case.name
        lacking = next((hypothesis for hypothesis in missing if hypothesis.needed), None)
        if lacking is not None:
            reason = _because((), lacking.detail)
            return self._verdict(evidence, "inconclusive", reason, found, Measurement(()), name)
        try:
            measured = self.measure(problem)
        except NotStatedError as error:
            return self._verdict(
                evidence, "does not apply", _because(missing, str(error)), found, Measurement(()), name
            )
        except ManifoldflowError as error:  # a point or a step of the measurement is out of the solvers' reach
            return self._verdict(evidence, "inconclusive", _because(missing, str(error)), found, Measurement(()), name)
        status, reason = _as_far_as_proved(*_judge(measured.checks, missing), found)
        if status == "inconclusive" and not problem.flow.success:
            reason += f" The flow: {problem.flow.message}"
        return self._verdict(evidence, status, reason, found, measured, name)

    def _verdict(
        self, evidence: Evidence, status: Status, reason: str, found: tuple[Hypothesis, ...], measured: Measurement,
        problem: str = "",
    ) -> Verdict:  # fmt: skip
        return Verdict(
            statement=self.id, title=self.title, case=evidence.case.name, status=status, reason=reason,
            hypotheses=found, checks=tuple(sorted(measured.checks, key=_rank)), blind_spot=self.blind_spot,
            seed=evidence.case.seed, notes=measured.notes, certificates=measured.certificates, problem=problem,
        )  # fmt: skip


_ORDER: dict[Status, int] = {"fails": 0, "inconclusive": 1, "holds": 2, "does not apply": 3}


def _rank(check: Check) -> int:
    return _ORDER[check.status]


def _judge(checks: tuple[Check, ...], missing: tuple[Hypothesis, ...]) -> tuple[Status, str]:
    """The verdict of the checks, given the hypotheses that are not met."""
    first = min(checks, key=_rank)
    elsewhere = any(hypothesis.sets_apart for hypothesis in missing)
    wrong = f"{first.quantity} is on the wrong side of the bound"
    if first.status == "fails" and not elsewhere:
        return "fails", _because(missing, f"{wrong}.")
    if missing:
        seen = {
            "fails": f"{wrong}, which the statement does not exclude.",
            "holds": "the conclusion was observed all the same, which the statement does not predict.",
        }.get(first.status, "the measurement does not decide, which the statement does not predict.")
        return "does not apply", _because(missing, seen)
    if first.status == "inconclusive":
        return (
            "inconclusive",
            f"{first.quantity}: the error of the measurement is too large, or it did not finish.",
        )
    return "holds", "Every hypothesis is met and every check is within its tolerance."


def _as_far_as_proved(status: Status, reason: str, found: tuple[Hypothesis, ...]) -> tuple[Status, str]:
    """A statement fails where its hypotheses are proved, or one is refuted: a grid misses poles and narrow dips."""
    doubtful = ", ".join(hypothesis.name for hypothesis in found if hypothesis.basis == "grid")
    missing = [hypothesis for hypothesis in found if not hypothesis.met]
    if not doubtful or status not in ("fails", "holds") or any(hypothesis.basis != "grid" for hypothesis in missing):
        return status, reason
    if status == "holds":
        return status, f"Every check is within its tolerance. Seen on a grid and not proved: {doubtful}."
    undecided: Status = "does not apply" if missing else "inconclusive"
    return undecided, f"{reason} This is no counterexample: neither proved nor refuted is {doubtful}."


def _outside(limits: tuple[Hypothesis, ...]) -> str:
    missing = [limit for limit in limits if not limit.met]
    return f"The statement is about {' and '.join(limit.name for limit in missing)}; {missing[0].detail}."


def _because(missing: tuple[Hypothesis, ...], text: str) -> str:
    if not missing:
        return text[0].upper() + text[1:]
    failing = "; ".join(f"{hypothesis.name} fails ({hypothesis.detail})" for hypothesis in missing)
    return f"{failing}: {text}"


@dataclass(frozen=True, eq=False)
class CaseReport:
    """Everything kept of one case: its verdicts, facts about it, the series that the plots show, and the certificates
    that there are, whatever statements were tested. `plots` are those of the page, by statement, each a caption and an
    SVG; None where they are not drawn yet.
    """

    name: str
    facts: dict[str, Any]
    verdicts: tuple[Verdict, ...]
    series: dict[str, Any] = field(default_factory=dict)
    certificates: tuple[Certificate, ...] = ()
    plots: dict[str, list[tuple[str, str]]] | None = None
