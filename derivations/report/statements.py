"""The part of a report about the theorems: which of S1-S8, S10 and S13 apply to the unit, and with which formulas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sympy import Expr, Symbol, exp, radsimp, simplify

from derivations.analysis.assumptions import Assumptions, assumptions, derivatives
from derivations.analysis.closed import LEVEL
from derivations.analysis.enclosed import Enclosed
from derivations.analysis.roots import number
from derivations.printing import latex
from derivations.report.activation import (
    confinement_formula,
    inverse_formula,
    least_sharpness,
    number_latex,
)
from derivations.report.document import Block, Formula, Paragraph, Spans, Table, spans, statement_anchor
from derivations.unit import UnitFunction


@dataclass(frozen=True)
class Statement:
    """A theorem: its number, what it says in short, what it needs, and the record that states it."""

    id: str
    title: str
    needs: tuple[str, ...]
    record: str


STATEMENTS = (
    Statement("S1", "stationary points", ("A1", "A2"), "stationarity"),
    Statement("S2", "global minimality", ("A1", "A2"), "flattest_value"),
    Statement("S3", "local geodesic convexity", ("A1", "A2", "A3"), "modulus"),
    Statement("S4", "exponential convergence", ("A1", "A2", "A3"), "local_decay"),
    Statement("S5", "local Polyak-Lojasiewicz inequality", ("A1", "A2", "A3"), "local_pl"),
    Statement("S6", "distance to the flattest point", ("A1", "A2"), "distance"),
    Statement("S7", "constants known at the start", ("A1",), "confinement"),
    Statement("S8", "conservation", (), "multipliers"),
    Statement("S10", "coefficients of any sign", ("A1", "A2"), "feature_slope"),
    Statement("S13", "hidden convexity and a global rate", ("A1", "A2"), "global_rate"),
)

NUMBERS = {
    **{statement.record: statement.id for statement in STATEMENTS},
    "convexity_bound": "S3",
    "hidden_convexity": "S13",
    "gradient_decay": "S4",
    "entry_time": "S4",
}
"""The number of the statement that a record belongs to."""


def overview(
    unit: UnitFunction | None, p: int, records: frozenset[str], enclosed: Enclosed | None = None
) -> Iterator[Block]:
    """A table of the statements with what the report says of each."""
    header = tuple(map(spans, ("statement", "needs", "for this unit", "formula")))
    said: dict[str, str] = {}
    verdicts = [_once(statement, verdict(statement, unit, p, enclosed), said) for statement in STATEMENTS]
    rows = tuple(_row(*pair, records) for pair in zip(STATEMENTS, verdicts, strict=True))
    yield Table(header, rows, tuple(statement_anchor(statement.id) for statement in STATEMENTS))


def _once(statement: Statement, text: str, said: dict[str, str]) -> str:
    """A verdict, or the statement that has the same if its text is long."""
    first = said.setdefault(text, statement.id)
    return text if first == statement.id or len(text) < _LONG else f"as [{first}](#{statement_anchor(first)})"


_LONG = 30


def _row(statement: Statement, said: str, records: frozenset[str]) -> tuple[Spans, ...]:
    known = statement.record in records
    link = f"[](#eq-{statement.record})" if known else "none"
    needs = ", ".join(statement.needs) or "nothing"
    cells = (f"{statement.id}, {statement.title}", needs, said, link)
    return tuple(map(spans, cells))


def verdict(statement: Statement, unit: UnitFunction | None, p: int, enclosed: Enclosed | None = None) -> str:
    """Whether a statement applies to a unit, and why not."""
    if not statement.needs:
        return "applies"
    if p:
        return f"does not apply: it is about units without trained scalars of their own, and this one has $p = {p}$"
    if unit is None:
        return "applies where what it needs holds"
    if unit.phi is None:
        return r"does not apply: the unit is not of the form $a\, \phi(z)$"
    return _activation_verdict(statement, assumptions(unit), enclosed)


def _activation_verdict(statement: Statement, found: Assumptions, enclosed: Enclosed | None) -> str:
    if "A1" not in statement.needs:
        return "applies"
    data = " for independent samples" if "A2" in statement.needs else ""
    if not found.exact:
        return _enclosed_verdict(statement, enclosed, data)
    if found.interval is None:
        return f"does not apply: A1 holds nowhere, because {found.reason}"
    if found.everywhere:
        return f"applies{data}"
    inside = f"applies{data} while all pre-activations stay in [an interval where A1 holds](#sec-assumptions)"
    if found.interval.contains(0.0):
        return inside
    return f"does not apply around $z = 0$, because $\\phi'$ and $\\phi'''$ are not both positive there; {inside}"


def _enclosed_verdict(statement: Statement, enclosed: Enclosed | None, data: str) -> str:
    if enclosed is None or ("A3" in statement.needs and not enclosed.normal):
        return "not decided: see [the assumptions](#sec-assumptions)"
    return rf"applies{data} while all pre-activations stay in ${enclosed.latex}$: [proved there](#sec-assumptions)"


def note(record: str, unit: UnitFunction | None, p: int, enclosed: Enclosed | None = None) -> Iterator[Block]:
    """Whether the statement that a record belongs to applies to the unit."""
    found = next((x for x in STATEMENTS if x.id == NUMBERS.get(record)), None)
    if found is not None and found.needs:
        yield Paragraph(spans(f"{found.id} {verdict(found, unit, p, enclosed)}."))
    elif found is not None:
        yield Paragraph(spans(_CONSERVATION))


_CONSERVATION = (
    r"S8 follows: along the flow $\mathrm{d} f / \mathrm{d} t = -J\, \mathrm{grad}\, F = 0$, so $f$ stays $y$; and the "
    r"blocks of $\Theta$ in [](#eq-riemannian_gradient) are combinations of the samples, so the part of $\Theta$ that "
    r"is orthogonal to every sample stays where it is. Units that start in the samples' span end as one vector where "
    "S1 applies."
)


def closed_forms(name: str, unit: UnitFunction) -> Iterator[Block]:
    """What a statement becomes for the unit, in closed form where there is one."""
    found = assumptions(unit) if unit.phi is not None else None
    if found is None or not found.exact:
        return
    if name in _CLOSED and (found.interval is not None or name == "stationarity"):
        yield from _CLOSED[name](unit, found)


def _stationary(unit: UnitFunction, found: Assumptions) -> Iterator[Block]:
    flips = _flips(unit, found)
    if flips:
        yield Paragraph(
            spans(
                r"Outside the intervals of A1 units can rest at different pre-activations, since $\phi''$ is not "
                r"monotone over the line. "
                r"Where $\phi' > 0 > \phi'''$ the point at which all units agree is a strict local maximum of $F$ in "
                r"that sample's "
                r"features, as [](#eq-hidden_convexity) is negative there (S11)."
            )
        )
        values = ", ".join(f"${number_latex(value)}$" for value in flips)
        yield Paragraph(spans(f"The change is at $y_i / m$ equal to {values}, where $\\phi'''$ vanishes."))
    if derivatives(unit)[3] == 0:
        yield from _flat(unit)


def _flips(unit: UnitFunction, found: Assumptions) -> tuple[Expr, ...]:
    """The values of phi at which its third derivative changes sign while it grows, in ascending order."""
    value, slope, _, third = derivatives(unit)
    ends = {end for x in found.holds for end in (x.low, x.high) if end.is_finite}
    there = [(value.subs(unit.z, z), slope.subs(unit.z, z), third.subs(unit.z, z)) for z in ends]
    flips = [v for v, first, last in there if v.is_finite and first.evalf() > 0 and abs(last.evalf()) < _NOUGHT]
    return tuple(sorted((radsimp(simplify(v.rewrite(exp))) for v in flips), key=number))


def _flat(unit: UnitFunction) -> Iterator[Block]:
    """phi is a polynomial of degree two at most: F is constant on the manifold."""
    z, (phi, slope, bend, _) = unit.z, derivatives(unit)
    rate = latex((2 * bend).expand())
    start = latex((slope**2 - 2 * bend * phi).expand())
    yield Paragraph(
        spans(
            rf"Here $\phi'({z})^2 = {rate}\, \phi({z}) + \left({start}\right)$ identically, so for equal "
            rf"coefficients $a_{{ji}} = 1$ the sharpness "
            r"depends on the outputs alone: it is constant on the manifold, and there is no flow."
        )
    )


def _minimum(unit: UnitFunction, found: Assumptions) -> Iterator[Block]:
    formula = inverse_formula(unit, 0)
    if formula is None:
        yield Paragraph(spans(r"No closed form is given; $\zeta_i$ solves one equation, $\phi(\zeta_i) = y_i / m$."))
        return
    yield Paragraph(spans("For this unit the inverse has a closed form:"))
    yield formula
    value = least_sharpness(unit)
    if value is not None:
        at_label = latex(value.subs(LEVEL, Symbol(r"\left(y_i / m\right)", real=True)))
        yield Paragraph(spans("so that"))
        yield Formula((rf"F_{{\star}} = 2 m \sum_{{i=1}}^{{n}} s_i \left({at_label}\right)",))


def _features(unit: UnitFunction, found: Assumptions) -> Iterator[Block]:
    formula = inverse_formula(unit, 2)
    if formula is not None and found.interval is not None:
        yield Paragraph(spans(
            r"The stationary pre-activations are $z_{ji} = (\phi'')^{-1}(\nu_i / a_{ji})$, and for this unit"
        ))
        yield formula


def _confined(unit: UnitFunction, found: Assumptions) -> Iterator[Block]:
    formula = confinement_formula(unit)
    if formula is not None:
        yield Paragraph(spans(r"With $b = \sqrt{F_0 / (2 a_{ji}^2 s_i)}$ this is, for the unit at hand,"))
        yield formula
    least = found.extremum("rho1")
    if least is not None and not all(end.is_infinite for end in least.ends):
        yield Paragraph(
            spans(
                r"The slope does not grow without bound towards both ends of the interval, so a large $F_0$ confines "
                r"nothing on one side; "
                "the constants then have to be taken over the pre-activations that occur."
            )
        )


def _rate(unit: UnitFunction, found: Assumptions) -> Iterator[Block]:
    constants = [found.extremum(name) for name in ("rho1", "gamma")]
    if all(x is not None and number(x.infimum) > 0 for x in constants):
        first, ratio = (x.infimum for x in constants if x is not None)
        factor = number_latex(8 * first**2 * ratio)
        yield Paragraph(
            spans(
                rf"Over the whole interval of A1 the constants are positive, so for every starting point with "
                rf"pre-activations in it, $a_{{ji}} = 1$: the factor is $8 \rho_1^2 \gamma = {factor}$ times $\mu\, "
                rf"s_{{\min}}$, "
                r"and $F - F_\star$ falls at least as fast as $e^{-8 \rho_1^2 \gamma\, \mu s_{\min} t}$."
            )
        )
    else:
        yield Paragraph(
            spans(
                r"One of $\rho_1$ and $\gamma$ is nought over the whole interval; take both over the interval of "
                r"[](#eq-confinement), as [the constants](#sec-constants) say."
            )
        )


def _local(unit: UnitFunction, found: Assumptions) -> Iterator[Block]:
    constants = {name: found.extremum(name) for name in ("rho1", "rho2", "beta")}
    positive = {name: x.infimum for name, x in constants.items() if x is not None and number(x.infimum) > 0}
    if "beta" in positive:
        yield Paragraph(spans(
            rf"For this unit $\beta = {number_latex(positive['beta'])}$ can be taken on the whole interval of A1."
        ))
    if len(positive) == 3:
        product = number_latex(positive["rho1"] * positive["rho2"])
        yield Paragraph(spans(
            rf"There $\rho_1 \rho_2 = {product}$, so $c_\kappa = (4 - \kappa)\, \rho_1 \rho_2\, \tau \mu$ is known "
            rf"before the start."
        ))


_NOUGHT = 1e-12

_CLOSED = {
    "stationarity": _stationary,
    "flattest_value": _minimum,
    "feature_slope": _features,
    "confinement": _confined,
    "global_rate": _rate,
    "modulus": _local,
}
