"""From a derivation and its checks to one document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sympy import Symbol

from derivations.analysis.enclosed import Enclosed
from derivations.checks.result import CheckResult
from derivations.derivation import Derivation
from derivations.printing import latex
from derivations.records import Record
from derivations.report.activation import activation_blocks
from derivations.report.appendix import check_blocks, kernel_blocks, notation_blocks, origin_blocks
from derivations.report.derived import in_own_names, own_names, record_blocks
from derivations.report.document import Block, Document, Heading, Paragraph, spans
from derivations.report.layout import relation
from derivations.report.linking import linked
from derivations.report.statements import NUMBERS, closed_forms, note, overview
from derivations.rules import convexity, loss, manifold, theorems
from derivations.unit import UnitFunction

_PARTS = (
    (
        "From the loss to the sharpness",
        "part-loss",
        "A network is a sum of units. All that follows is differentiated by SymPy from that sum, for any sizes.",
        loss.RULES,
    ),
    (
        "Geometry of the zero-loss manifold",
        "part-manifold",
        r"Where $f = y$ and $K$ is invertible the parameters form a manifold with tangent space $T = \ker J$.",
        manifold.RULES,
    ),
    (
        "Convexity and convergence",
        "part-theorems",
        r"The flow is $\dot \Theta = -\mathrm{grad}\, F$. What it needs for its theorems is stated with each.",
        (
            *convexity.RULES_WITHOUT_OWN,
            theorems.gradient_decay,
            *convexity.RULES_OF_ACTIVATIONS,
            *theorems.RULES_OF_THEOREMS,
        ),
    ),
)


def build(
    derivation: Derivation,
    checks: tuple[CheckResult, ...] = (),
    *,
    kernel: str = "",
    command: str = "",
    versions: Mapping[str, str] | None = None,
    enclosed: Enclosed | None = None,
) -> Document:
    """Build the report of a derivation.

    Args:
        derivation: What to report.
        checks: The results of its machine checks.
        kernel: The generated source, where there is one.
        command: The command that makes the report again.
        versions: Versions of what computed it, by name.
        enclosed: What was proved of the activation by interval arithmetic, where its signs are not decided exactly.

    Raises:
        DerivationError: a reference leads nowhere.

    >>> from derivations.derivation import derive_general
    >>> build(derive_general(separable=True)).title
    'Derivation for a generic activation phi(z)'
    """
    subject = _Subject(derivation, checks, enclosed)
    blocks = [*_derived(subject)]
    if kernel:
        blocks += kernel_blocks(derivation, kernel)
    if checks:
        blocks += check_blocks(checks, subject.names)
    blocks += notation_blocks()
    if command:
        blocks += origin_blocks(command, versions or {})
    return Document(title(derivation), tuple(map(linked, blocks)))


@dataclass(frozen=True)
class _Subject:
    """What a report is about, with all that was found out about it."""

    derivation: Derivation
    checks: tuple[CheckResult, ...]
    enclosed: Enclosed | None

    @property
    def names(self) -> dict[str, str]:
        """The title of every record by its name."""
        return {record.name: record.title for record in self.derivation.records}


def title(derivation: Derivation) -> str:
    """What the report is about."""
    if derivation.unit is not None:
        return f"Derivation for {derivation.unit.formula}"
    if "convexity_bound" in {record.name for record in derivation.records}:
        return "Derivation for a generic activation phi(z)"
    return (
        f"Derivation for a generic unit psi(z, c; a) with p = {derivation.p}"
    ) if derivation.p else "Derivation for a generic unit psi(z; a)"


def _derived(subject: _Subject) -> Iterator[Block]:
    """The overview, and every record in its part."""
    names = subject.names
    yield from _opening(subject)
    for heading, anchor, text, rules in _PARTS:
        chosen = [subject.derivation[rule.__name__] for rule in rules if rule.__name__ in names]
        if anchor == "part-theorems":
            yield from _activation(subject)
        if chosen:
            yield Heading(1, spans(heading), anchor)
            yield Paragraph(spans(text))
        for record in chosen:
            yield from _record(record, subject)


def _record(record: Record, subject: _Subject) -> Iterator[Block]:
    derivation = subject.derivation
    own = tuple(check for check in subject.checks if check.record == record.name)
    yield from record_blocks(record, derivation.unit, own, subject.names, NUMBERS)
    yield from note(record.name, derivation.unit, derivation.p, subject.enclosed)
    if derivation.unit is not None:
        yield from closed_forms(record.name, derivation.unit)


def _opening(subject: _Subject) -> Iterator[Block]:
    derivation = subject.derivation
    yield Heading(1, spans("Overview"), "sec-overview")
    yield from _subject(derivation)
    yield Paragraph(spans("Which statements about the flow of steepest descent of the sharpness apply:"))
    yield from overview(derivation.unit, derivation.p, frozenset(subject.names), subject.enclosed)
    if derivation.unit is None or derivation.unit.phi is None:
        yield Heading(2, spans("Assumptions"), "sec-assumptions")
        yield Paragraph(
            spans(
                r"For a unit $a\, \phi(z)$: A1 is $\phi' \ge \rho_1 > 0$ and $\phi''' \ge \rho_2 > 0$; A2 is $\mu > "
                r"0$, the samples are independent; A3 is "
                r"$\beta |\phi''| \le \phi'^2 \phi'''$ for some $\beta > 0$. A1 and A3 are needed only for the "
                r"pre-activations that occur."
            )
        )


def _subject(derivation: Derivation) -> Iterator[Block]:
    unit = derivation.unit
    if unit is None:
        text = "The unit function is left open: the formulas hold for every one with as many derivatives as they show."
        yield Paragraph(spans(text))
        return
    scalars = f" Its own trained scalars are {_own(unit)}." if unit.p else ""
    text = "A network is a sum of units; $z$ is the pre-activation of one at a sample and $a$ a fixed coefficient."
    yield Paragraph(spans(f"{text}{scalars} The unit function is"))
    yield relation(Symbol(r"\psi", real=True), "==", unit.psi)


def _own(unit: UnitFunction) -> str:
    """The own scalars, each with its number, and with its name at unit j where that is used."""
    names = [latex(c) for c in unit.c]
    if own_names(unit):
        numbered = [f"c_{{{number}, j}}" for number in range(1, unit.p + 1)]
        pairs = ", ".join(f"${x} = {in_own_names(x, unit)}$" for x in numbered)
        return f"{_joined(names)}; those of unit $j$ are {pairs}"
    return ", ".join(f"$c_{{{number}}} = {name}$" for number, name in enumerate(names, start=1))


def _joined(names: list[str]) -> str:
    *first, last = [f"${name}$" for name in names]
    return f"{', '.join(first)} and {last}" if first else last


def _activation(subject: _Subject) -> Iterator[Block]:
    unit = subject.derivation.unit
    if unit is not None and unit.phi is not None:
        yield from activation_blocks(unit, subject.enclosed)
