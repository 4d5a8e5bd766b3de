"""The document as Markdown: as GitHub renders it, or with plain dollars as Jupyter does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from derivations.notation import NOTATION
from derivations.report.checks_text import outcome
from derivations.report.document import (
    Block,
    Checks,
    Document,
    Formula,
    Heading,
    Listing,
    Maths,
    Paragraph,
    Reference,
    Span,
    Spans,
    Steps,
    Table,
    Verbatim,
    symbol_anchor,
)


def markdown(document: Document) -> str:
    """Write a document as Markdown for GitHub.

    >>> from derivations.report.document import spans
    >>> print(markdown(Document("t", (Paragraph(spans("so $x$")),))))
    # t
    <BLANKLINE>
    so $`x`$
    <BLANKLINE>
    """
    writer = Writer(document, GITHUB)
    return "\n\n".join([f"# {escaped(document.title)}", *map(writer.block, document.blocks)]) + "\n"


@dataclass(frozen=True)
class Flavour:
    """How formulas are marked: before and after, within a line and by themselves."""

    inline: tuple[str, str]
    display: tuple[str, str]


# GitHub applies the rules of Markdown inside plain dollars first; it leaves what is marked as code alone.
GITHUB = Flavour(("$`", "`$"), ("```math\n", "\n```"))
JUPYTER = Flavour(("$", "$"), ("$$\n", "\n$$"))

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def escaped(text: str) -> str:
    r"""Text as Markdown shows it, sign for sign.

    >>> print(escaped("c*tanh(b*z)"))
    c\*tanh(b\*z)
    """
    return _SPECIAL.sub(r"\\\1", text)


class Writer:
    """Writes one document in one flavour, block by block."""

    def __init__(self, document: Document, flavour: Flavour) -> None:
        self.numbers = document.numbers
        self.flavour = flavour

    def block(self, block: Block) -> str:
        """Write one block."""
        return _WRITERS[type(block)](self, block)

    def spans(self, content: Spans, *, cell: bool = False) -> str:
        """Write running text, in a cell of a table without bars."""
        return "".join(self._span(span, cell) for span in content)

    def _span(self, span: Span, cell: bool) -> str:
        if isinstance(span, Maths):
            before, after = self.flavour.inline
            return before + (span.latex.replace("|", r"\vert ") if cell else span.latex) + after
        if isinstance(span, Verbatim):
            return f"`{span.text.replace('|', chr(92) + '|') if cell else span.text}`"
        if isinstance(span, Reference):
            shown = self.spans(span.content, cell=cell) or self.numbers.get(span.target, span.target)
            return f"[{shown}](#{span.target})"
        return escaped(span.text)

    def formula(self, formula: Formula) -> str:
        """A formula by itself."""
        before, after = self.flavour.display
        return f"{before}{formula.latex}{after}"


def _heading(writer: Writer, block: Heading) -> str:
    title = f"{writer.numbers[block.anchor]} {writer.spans(block.title)}"
    return f'<a id="{block.anchor}"></a>\n\n{"#" * (block.level + 1)} {title}'


def _paragraph(writer: Writer, block: Paragraph) -> str:
    return writer.spans(block.content)


def _formula(writer: Writer, block: Formula) -> str:
    if not block.anchor:
        return writer.formula(block)
    before, after = writer.flavour.inline
    links = [f"[{before}{NOTATION[name].latex}{after}](#{symbol_anchor(name)})" for name in block.symbols]
    head = f'<a id="{block.anchor}"></a>**{writer.numbers[block.anchor]}**'
    return f"{head}\n\n{writer.formula(block)}" + (f"\n\nSymbols: {' '.join(links)}" if links else "")


def _steps(writer: Writer, block: Steps) -> str:
    items = []
    for number, (formula, reason) in enumerate(block.items, start=1):
        text = f"{writer.spans(reason)}" + (f"\n\n{writer.formula(formula)}" if formula else "")
        items.append(f"{number}. " + text.replace("\n", "\n   "))
    return re.sub(r"(?m)^ +$", "", "\n\n".join(items))


def _table(writer: Writer, block: Table) -> str:
    anchors = block.anchors or ("",) * len(block.rows)
    lines = [_row([writer.spans(cell, cell=True) for cell in block.header]), "|---" * len(block.header) + "|"]
    for anchor, row in zip(anchors, block.rows, strict=True):
        cells = [writer.spans(cell, cell=True) for cell in row]
        lines.append(_row([(f'<a id="{anchor}"></a>' if anchor else "") + cells[0], *cells[1:]]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _listing(writer: Writer, block: Listing) -> str:
    return f"```{block.language}\n{block.text.rstrip()}\n```"


def _checks(writer: Writer, block: Checks) -> str:
    return "Checked. " + "; ".join(f"*{result.method}*: {escaped(outcome(result))}" for result in block.results) + "."


_WRITERS: Mapping[type, Callable[[Writer, Any], str]] = {
    Heading: _heading,
    Paragraph: _paragraph,
    Formula: _formula,
    Steps: _steps,
    Table: _table,
    Listing: _listing,
    Checks: _checks,
}
