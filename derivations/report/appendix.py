"""The end of a report: the kernel next to its formulas, every check, the notation, and how the report was made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sympy import Symbol

from derivations.checks.result import CheckResult
from derivations.derivation import Derivation
from derivations.notation import NOTATION
from derivations.pointwise import PointwiseExpression
from derivations.report.checks_text import outcome
from derivations.report.document import Block, Heading, Listing, Paragraph, Spans, Table, spans, symbol_anchor
from derivations.report.layout import relation

_STORES = {"psi": ("f[i] +=", "f[j] ="), "h": ("total +=",), "phi": ("out[",)}
"""How a kernel function stores an expression that is not stored under its own name."""

_LINE = 100
"""Characters of a command that fit a line."""


def kernel_blocks(derivation: Derivation, source: str) -> Iterator[Block]:
    """The generated source, each function after the formulas that it computes."""
    head, *functions = re.split(r"(?m)^(?=def (?!sigmoid|softplus|sech))", source)
    yield Heading(1, spans("The generated kernel"), "sec-kernel")
    yield Paragraph(
        spans(
            "The code generator reads these expressions off the records above and writes the file below, which is "
            "what the toolkit runs "
            r"(`man.kernel.source`). Here $z$, $a$, $s$ and $\lambda$ stand for $z_{ji}$, $a_{ji}$, $s_i$ and "
            r"$\lambda_i$. "
            "Every rewriting pass of the generator compares its program with these expressions at high precision."
        )
    )
    yield Heading(2, spans("Header"), "sec-kernel-header")
    yield Listing(head.rstrip(), "python")
    for text in functions:
        name = text[4 : text.index("(")]
        yield Heading(2, spans(f"`{name}`"), f"sec-kernel-{name.replace('_', '-')}")
        for entry in derivation.pointwise:
            if _stored(entry, text):
                yield Paragraph(spans(f"From [](#eq-{entry.record}):"))
                yield relation(_label(entry), "==", entry.expression)
        yield Listing(text.rstrip(), "python")


def _stored(entry: PointwiseExpression, text: str) -> bool:
    if entry.name == "phi":
        return f"out[{entry.index[0]}," in text
    stores = _STORES.get(entry.name) or (f"{entry.name}[{', '.join(map(str, entry.index))}, ",)
    return any(f"  {store}" in text for store in stores)


def _label(entry: PointwiseExpression) -> Symbol:
    """The name of an expression with its place, as one symbol that is only shown."""
    name = _NAMES.get(entry.name, entry.name)
    if entry.name == "phi":
        return Symbol(rf"\phi^{{({entry.index[0]})}}")
    indices = " ".join(map(str, entry.index))
    return Symbol(rf"\mathrm{{}}{name}_{{{indices}}}" if indices else rf"\mathrm{{}}{name}")


_NAMES = {"psi": r"\psi", "alpha": r"\alpha"}


def check_blocks(checks: tuple[CheckResult, ...], names: Mapping[str, str]) -> Iterator[Block]:
    """Every check with what it compared."""
    yield Heading(1, spans("Machine checks"), "sec-checks")
    yield Paragraph(
        spans(
            "Each record is checked in up to three ways that share nothing but the definition of its left side. "
            "Symbolic: SymPy differentiates the explicit loss of a "
            "small network with a generic unit, and both sides are compared in exact fractions at random integers; "
            "an inequality has a certificate, "
            "a polynomial in slacks without negative coefficients. Fifty digits: central differences of this "
            "unit's own loss at two hundred digits. "
            "Autograd: automatic differentiation of this unit's own loss in double precision. They cannot see "
            "other sizes than those tried, nor an error in the definition itself. "
            "A refused check stops the report."
        )
    )
    header = tuple(map(spans, ("record", "way", "outcome", "what was compared")))
    yield Table(header, tuple(_check_row(check, names) for check in checks))


def _check_row(check: CheckResult, names: Mapping[str, str]) -> tuple[Spans, ...]:
    link = f"[{names[check.record]}](#eq-{check.record})"
    cells = (link, check.method, outcome(check), check.detail if check.checked else "nothing")
    return tuple(map(spans, cells))


def notation_blocks() -> Iterator[Block]:
    """The notation table, with an anchor a symbol."""
    yield Heading(1, spans("Notation"), "sec-notation")
    header = tuple(map(spans, ("symbol", "shape", "meaning")))
    rows = tuple(tuple(map(spans, (f"${entry.latex}$", entry.shape, entry.meaning))) for entry in NOTATION.values())
    yield Table(header, rows, tuple(symbol_anchor(name) for name in NOTATION))


def origin_blocks(command: str, versions: Mapping[str, str]) -> Iterator[Block]:
    """The command and the versions; no date, so that the same command gives the same bytes."""
    yield Heading(1, spans("How this report was made"), "sec-origin")
    broken = re.sub(" (?=--(?:own|format|out) )", " \\\n    ", command)
    yield Listing(broken if len(command) > _LINE else command, "console")
    yield Paragraph(spans(", ".join(f"{name} {version}" for name, version in versions.items()) + "."))
    yield Paragraph(
        spans(
            "S1 to S4 are statements of Gatmiry, Li, Reddi and Jegelka, Simplicity Bias via Global "
            "Convergence of Sharpness Minimization (ICML 2024, arXiv 2410.16401), "
            "with the constants that the short proofs given here yield; S5 to S8 are short consequences, and S10 and "
            "S13 go beyond that paper."
        )
    )
