r"""The document as LaTeX that needs amsmath and amssymb only."""

from __future__ import annotations

import re
from functools import singledispatch
from typing import TypeAlias

from derivations.printing import width
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
)
from derivations.report.layout import shares

Row: TypeAlias = tuple[Spans, ...]

_LINES = 40
"""Lines of a table on one page: tables that break need a package."""

_WIDTH, _GAP = 480, 12
"""Points of a line, as `_HEAD` sets it, and between two columns of a table."""

_LETTERS = 100
"""Letters on a line of a table, roughly."""


def tex(document: Document) -> str:
    r"""Write a document as LaTeX.

    >>> from derivations.report.document import spans
    >>> print(tex(Document("t", (Paragraph(spans("50 % of $x$")),))).splitlines()[-2])
    50 \% of $x$
    """
    body = "\n\n".join(_block(block) for block in document.blocks)
    return (
        f"{_HEAD}\\title{{{_escape(document.title)}}}\n\\begin{{document}}\n\\maketitle\n\\tableofcontents\n\n{body}\n\\end{{document}}\n"
    )


_HEAD = r"""\documentclass[11pt]{article}
\usepackage{amsmath,amssymb}
\setlength{\textwidth}{480pt}
\setlength{\oddsidemargin}{-5pt}
\setlength{\textheight}{640pt}
\setlength{\topmargin}{-30pt}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt plus 2pt}
\allowdisplaybreaks
\raggedbottom
\sloppy
\date{}
\author{}
"""

_SIZES = ((76, r"\scriptsize"), (62, r"\footnotesize"))
"""The size in which lines of more than so many characters fit."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
} | {sign: f"\\{sign}" for sign in "#$%&_{}"}
_SPECIAL['"'] = "''"


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def _spans(content: Spans) -> str:
    return "".join(map(_span, content))


def _span(span: Span) -> str:
    if isinstance(span, Maths):
        return f"${span.latex}$"
    if isinstance(span, Verbatim):
        # Breaks are allowed after the signs of a formula, so that long ones do not run into the margin.
        broken = re.sub(r"([*+/,-])", r"\1\\allowbreak{}", _escape(span.text))
        return rf"\texttt{{{broken}}}"
    if isinstance(span, Reference):
        return _reference(span)
    return _escape(span.text)


def _reference(span: Reference) -> str:
    number = rf"\ref{{{span.target}}}"
    if not span.content:
        return rf"\eqref{{{span.target}}}" if span.target.startswith("eq-") else number
    return f"{_spans(span.content)} ({number})" if _numbered(span.target) else _spans(span.content)


def _numbered(target: str) -> bool:
    return not target.startswith(("symbol-", "statement-"))


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(f"no rule writes {type(block).__name__}")


@_block.register
def _(block: Heading) -> str:
    command = ("section", "subsection", "subsubsection")[block.level - 1]
    return rf"\{command}{{{_title(block.title)}}}\label{{{block.anchor}}}"


def _title(content: Spans) -> str:
    return _spans(tuple(span for span in content if not isinstance(span, Reference)))


@_block.register
def _(block: Paragraph) -> str:
    return _spans(block.content)


@_block.register
def _(block: Formula) -> str:
    last = rf"\label{{{block.anchor}}}" if block.anchor else r"\notag"
    ends = [r"\notag \\"] * (len(block.lines) - 1) + [last]
    lines = [f"{line} {end}" for line, end in zip(block.lines, ends, strict=True)]
    shown = "\n".join([r"\begin{align}", *lines, r"\end{align}"])
    widest = max(map(width, block.lines))
    size = next((size for limit, size in _SIZES if widest > limit), None)
    return f"{{{size}\n{shown}\n}}" if size else shown


@_block.register
def _(block: Steps) -> str:
    lines = [r"\begin{enumerate}"]
    for formula, reason in block.items:
        lines += [rf"\item {_spans(reason)}", *([_block(formula)] if formula else [])]
    return "\n".join([*lines, r"\end{enumerate}"])


@_block.register
def _(block: Table) -> str:
    return "\n\n".join(_tabular(block.header, chunk, block.rows) for chunk in _pages(block))


def _pages(block: Table) -> list[list[Row]]:
    """The rows in groups that fit a page."""
    columns = shares((block.header, *block.rows))
    pages: list[list[Row]] = [[]]
    filled = 0.0
    for row in block.rows:
        lines = max(1 + sum(map(_length, cell)) // (share * _LETTERS) for cell, share in zip(row, columns, strict=True))
        if filled + lines > _LINES and pages[-1]:
            pages.append([])
            filled = 0.0
        pages[-1].append(row)
        filled += lines
    return pages


def _length(span: Span) -> float:
    if isinstance(span, Reference):
        return 6 + sum(map(_length, span.content))
    return width(span.latex) if isinstance(span, Maths) else len(span.text)


def _tabular(header: Row, rows: list[Row], every: tuple[Row, ...]) -> str:
    free = _WIDTH - _GAP * (len(header) - 1)
    columns = "".join(f"p{{{int(free * share)}pt}}" for share in shares((header, *every)))
    first, *rest = [" & ".join(rf"\raggedright {_spans(cell)}" for cell in row) for row in (header, *rows)]
    lines = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", first + r" \tabularnewline \hline"]
    lines += [rf"{line} \tabularnewline" for line in rest]
    return "\n".join([r"{\small", *lines, r"\end{tabular}", "}"])


@_block.register
def _(block: Listing) -> str:
    text = block.text.replace(r"\end{verbatim}", r"\end {verbatim}")
    return "{\\scriptsize\n\\begin{verbatim}\n" + text.rstrip("\n") + "\n\\end{verbatim}\n}"


@_block.register
def _(block: Checks) -> str:
    return r"{\small Checked. " + "; ".join(f"{r.method}: {_escape(outcome(r))}" for r in block.results) + ".}"
