r"""The document as LaTeX that needs amsmath and amssymb only."""

from __future__ import annotations

import re
from functools import singledispatch

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
from derivations.report.layout import width

_ROWS = 30
"""Rows of a table on one page: tables that break need a package."""


def tex(document: Document) -> str:
    r"""Write a document as LaTeX.

    >>> from derivations.report.document import spans
    >>> print(tex(Document("t", (Paragraph(spans("50 % of $x$")),))).splitlines()[-2])
    50 \% of $x$
    """
    body = "\n\n".join(_block(block) for block in document.blocks)
    return f"{_HEAD}\\title{{{_escape(document.title)}}}\n\\begin{{document}}\n\\maketitle\n\\tableofcontents\n\n{body}\n\\end{{document}}\n"


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
    return not target.startswith("symbol-")


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
    last = len(block.lines) - 1
    ends = [r"\notag \\" if at < last else rf"\label{{{block.anchor}}}" if block.anchor else r"\notag" for at in range(last + 1)]
    lines = [f"{line} {end}" for line, end in zip(block.lines, ends, strict=True)]
    return "\\begin{align}\n" + "\n".join(lines) + "\n\\end{align}"


@_block.register
def _(block: Steps) -> str:
    items = [rf"\item {_spans(reason)}" + (f"\n{_block(formula)}" if formula else "") for formula, reason in block.items]
    return "\n".join([r"\begin{enumerate}", *items, r"\end{enumerate}"])


@_block.register
def _(block: Table) -> str:
    rows = list(block.rows)
    chunks = [rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS)]
    return "\n\n".join(_tabular(block.header, chunk, block.rows) for chunk in chunks)


def _tabular(header: Spans | tuple[Spans, ...], rows: list[tuple[Spans, ...]], every: tuple[tuple[Spans, ...], ...]) -> str:
    shares = _shares([header, *every])
    columns = "".join(rf"p{{{share:.2f}\textwidth}}" for share in shares)
    lines = [" & ".join(rf"\raggedright {_spans(cell)}" for cell in row) + r" \tabularnewline" for row in (header, *rows)]
    return "\n".join([r"{\small", rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", lines[0], r"\hline", *lines[1:], r"\end{tabular}", "}"])


def _shares(rows: list[tuple[Spans, ...]]) -> list[float]:
    """How much of the line each column gets, by what it holds."""
    sizes = [min(max(sum(_size(span) for span in cell) for cell in column), 60) + 3 for column in zip(*rows, strict=True)]
    return [0.92 * size / sum(sizes) for size in sizes]


def _size(span: Span) -> float:
    if isinstance(span, Maths):
        return width(span.latex)
    if isinstance(span, Reference):
        return sum(_size(part) for part in span.content) + 6
    return len(span.text)


@_block.register
def _(block: Listing) -> str:
    text = block.text.replace(r"\end{verbatim}", r"\end {verbatim}")
    return "{\\scriptsize\n\\begin{verbatim}\n" + text.rstrip("\n") + "\n\\end{verbatim}\n}"


@_block.register
def _(block: Checks) -> str:
    return r"{\small Checked. " + "; ".join(f"{r.method}: {_escape(outcome(r))}" for r in block.results) + ".}"
