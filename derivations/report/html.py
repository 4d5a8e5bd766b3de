"""The document as one HTML page: MathML with its own font, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import lru_cache, singledispatch
from html import escape
from pathlib import Path

from derivations.checks.result import CheckResult
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
    Text,
    Verbatim,
    symbol_anchor,
)
from derivations.report.mathml import mathml
from derivations.report.style import STYLE

Numbers = Mapping[str, str]


def html(document: Document) -> str:
    """Write a document as HTML.

    Raises:
        DerivationError: math-core is missing or refuses a formula.

    >>> from derivations.report.document import spans
    >>> "<math>" in html(Document("t", (Paragraph(spans("so $x$")),)))
    True
    """
    numbers = document.numbers
    body = "\n".join(_block(block, numbers) for block in document.blocks)
    return _FRAME.format(
        title=escape(document.title), font=font(), style=STYLE, contents=_contents(document), body=body
    )


_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
/* Manifoldflow Maths is a subset of STIX Math 1.1.1, copyright (c) 2001-2011 by the STI Pub Companies, (c) 1998-2003 by
MicroPress, Inc., (c) 1990 by Elsevier, Inc. It is under the SIL Open Font License 1.1, https://openfontlicense.org */
@font-face {{ font-family: "Manifoldflow Maths"; src: url(data:font/woff2;base64,{font}) format("woff2"); }}
{style}</style>
</head>
<body>
<nav aria-label="Contents">
{contents}
</nav>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


@lru_cache(maxsize=1)
def font() -> str:
    """The font of the formulas, in base 64."""
    return base64.b64encode((Path(__file__).parent / "maths.woff2").read_bytes()).decode("ascii")


def _contents(document: Document) -> str:
    numbers = document.numbers
    headings = [block for block in document.blocks if isinstance(block, Heading) and block.level <= 2]
    links = [f'<a href="#{block.anchor}">{numbers[block.anchor]} {_plain(block.title)}</a>' for block in headings]
    items = [f'<li class="level{block.level}">{link}</li>' for block, link in zip(headings, links, strict=True)]
    return "\n".join(["<p>Contents</p>", "<ol>", *items, "</ol>"]) if items else ""


def _plain(content: Spans) -> str:
    """Running text without links, for a link."""
    return "".join(_span(span, {}) for span in content if not isinstance(span, Reference))


def _spans(content: Spans, numbers: Numbers) -> str:
    """Running text, in which no line begins with the sign that follows a formula."""
    pieces: list[str] = []
    for before, span in zip((None, *content), content, strict=False):
        shown = _span(span, numbers)
        mark = _MARK.match(shown) if isinstance(span, Text) and _is_formula(before) else None
        if mark:
            pieces[-1] = f'<span class="kept">{pieces[-1]}{mark.group()}</span>'
            shown = shown[mark.end() :]
        pieces.append(shown)
    return "".join(pieces)


_MARK = re.compile(r"[.,;:)]+")


def _is_formula(span: Span | None) -> bool:
    """Whether a span is a formula, perhaps within a link."""
    content = span.content if isinstance(span, Reference) else (span,)
    return all(isinstance(part, Maths) for part in content) and bool(content)


def _span(span: Span, numbers: Numbers) -> str:
    if isinstance(span, Maths):
        return mathml(span.latex)
    if isinstance(span, Verbatim):
        return f"<code>{escape(span.text)}</code>"
    if isinstance(span, Reference):
        shown = _spans(span.content, numbers) or numbers.get(span.target, span.target)
        kind = ' class="symbol"' if span.target.startswith("symbol-") else ""
        return f'<a{kind} href="#{span.target}">{shown}</a>'
    return escape(span.text)


@singledispatch
def _block(block: Block, numbers: Numbers) -> str:
    raise TypeError(f"no rule writes {type(block).__name__}")


@_block.register
def _(block: Heading, numbers: Numbers) -> str:
    tag = f"h{block.level + 1}"
    link = f'<a class="number" href="#{block.anchor}">{numbers[block.anchor]}</a>'
    return f'<{tag} id="{block.anchor}">{link} {_spans(block.title, numbers)}</{tag}>'


@_block.register
def _(block: Paragraph, numbers: Numbers) -> str:
    return f"<p>{_spans(block.content, numbers)}</p>"


@_block.register
def _(block: Formula, numbers: Numbers) -> str:
    identity = f' id="{block.anchor}"' if block.anchor else ""
    number = f'<a class="number" href="#{block.anchor}">{numbers[block.anchor]}</a>' if block.anchor else ""
    maths = f'<div class="wide" tabindex="0">{mathml(block.latex, display=True)}</div>'
    shown = f'<div class="formula"{identity}>{maths}{number}</div>'
    return shown + (_symbols(block) if block.symbols else "")


def _symbols(block: Formula) -> str:
    links = [f'<a href="#{symbol_anchor(name)}">{mathml(NOTATION[name].latex)}</a>' for name in block.symbols]
    return f'\n<p class="symbols">Symbols: {" ".join(links)}</p>'


@_block.register
def _(block: Steps, numbers: Numbers) -> str:
    items = []
    for formula, reason in block.items:
        shown = _block(formula, numbers) if formula else ""
        items.append(f"<li><p>{_spans(reason, numbers)}</p>{shown}</li>")
    return "\n".join(['<ol class="steps">', *items, "</ol>"])


@_block.register
def _(block: Table, numbers: Numbers) -> str:
    head = "".join(f'<th scope="col">{_spans(cell, numbers)}</th>' for cell in block.header)
    anchors = block.anchors or ("",) * len(block.rows)
    rows = []
    for anchor, row in zip(anchors, block.rows, strict=True):
        identity = f' id="{anchor}"' if anchor else ""
        cells = "".join(f"<td>{_spans(cell, numbers)}</td>" for cell in row)
        rows.append(f"<tr{identity}>{cells}</tr>")
    table = "\n".join([f"<table><thead><tr>{head}</tr></thead><tbody>", *rows, "</tbody></table>"])
    return f'<div class="wide" tabindex="0">{table}</div>'


@_block.register
def _(block: Listing, numbers: Numbers) -> str:
    return f'<pre class="wide" tabindex="0"><code class="{block.language}">{escape(block.text)}</code></pre>'


@_block.register
def _(block: Checks, numbers: Numbers) -> str:
    items = [f'<li class="{_class(result)}"><b>{result.method}</b> {outcome(result)}</li>' for result in block.results]
    return "".join(['<ul class="checks">', *items, "</ul>"])


def _class(result: CheckResult) -> str:
    return "passed" if result.passed else "refused" if result.checked else "unchecked"
