"""A derivation record: one formula with its steps, what it uses and where it comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Literal

from sympy import Basic

from derivations.blocks import Block, each
from derivations.copies import KeepsFormulas
from derivations.printing import RELATIONS, drawn_out, latex

# References in a statement, which only a report can follow: [text](#eq-name).
_REFERENCE = re.compile(r"\[([^\]]*)\]\(#eq-(\w+)\)")

Relation = Literal["==", ">=", "<=", "iff"]


@dataclass(frozen=True)
class Step(KeepsFormulas):
    """One step of a derivation: the expression it arrives at, and why it may be taken."""

    expression: Basic
    reason: str

    def latex(self) -> str:
        """Write the expression in LaTeX."""
        return latex(each(self.expression, drawn_out))


@dataclass(frozen=True)
class Record(KeepsFormulas):
    """One derived formula.

    Args:
        name: The name by which other records and the code generator refer to it.
        title: A heading.
        statement: One sentence that says what holds, and under which assumptions.
        left: The quantity, as a symbol or an expression.
        relation: "==", ">=", "<=", or "iff" (left vanishes exactly where right does).
        right: The derived expression; a tuple has one component for each of z, c_1, .., c_p.
        steps: How `right` was reached, first to last.
        uses: Names of earlier records and of assumptions.
        source: Paper and statement number.
        definition: What the left side is, in words of the operators that the machine checks apply.

    An index that occurs in left and right without a sum is free.
    """

    name: str
    title: str
    statement: str
    left: Block
    relation: Relation
    right: Block
    steps: tuple[Step, ...]
    uses: tuple[str, ...]
    source: str
    definition: str

    def latex(self) -> str:
        """Write the formula in LaTeX (amsmath and amssymb suffice)."""
        return f"{latex(self.left)} {RELATIONS[self.relation]} {latex(each(self.right, drawn_out))}"

    def _repr_latex_(self) -> str:
        """What Jupyter shows where it shows no HTML."""
        return rf"$\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        """What Jupyter shows: title, statement and formula, which its MathJax sets, in lines as in a report."""
        # Imported here because a report is made of records.
        from derivations.report.layout import relation

        statement = _REFERENCE.sub(r"\1(\2)", self.statement)
        shown = relation(self.left, self.relation, self.right).latex
        return f"<p><b>{escape(self.title)}.</b> {escape(statement)}</p>\n$$\n{escape(shown)}\n$$"
