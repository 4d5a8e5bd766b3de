"""The document as PDF without TeX: typst sets the text, mathra draws the formulas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache, singledispatch
from typing import Any

from derivations.errors import DerivationError
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
from derivations.report.layout import shares

Numbers = Mapping[str, str]


def pdf(document: Document) -> bytes:
    """Write a document as PDF; the same document gives the same bytes.

    Raises:
        DerivationError: typst or mathra is not installed, or mathra refuses a formula.
    """
    compiler = _module("typst")
    numbers = document.numbers
    body = "\n\n".join(_block(block, numbers) for block in document.blocks)
    source = f"{_HEAD}#doc-title({_string(document.title)})\n#outline(depth: 1)\n\n{body}\n"
    # Typst's own fonts and no date, so that every machine gives the same bytes.
    made = compiler.Compiler(source.encode("utf-8"), ignore_system_fonts=True).compile(format="pdf", timestamp=0)
    return bytes(made)


_HEAD = """#set document(date: none)
#set page(paper: "a4", margin: 2.2cm, numbering: "1")
#set text(size: 10pt)
#set par(justify: false)
#set heading(numbering: "1.1")
#show raw.where(block: true): set text(size: 6.5pt)
#let doc-title(text-of) = { set document(title: text-of); align(center, text(17pt, strong(text-of))) }
#let formula(svg, w, speech) = layout(size => {
  let drawn(width) = image(bytes(svg), format: "svg", width: width, alt: speech)
  let width = calc.min(w * 10pt, size.width)
  let height = measure(drawn(width)).height
  align(center, drawn(if height > 680pt { width * (680pt / height) } else { width }))
})
#let inline(svg, w, depth, speech) = box(
  baseline: depth * 10pt, image(bytes(svg), format: "svg", width: w * 10pt, alt: speech)
)

"""


def _module(name: str) -> Any:
    try:
        # Imported here so that every other format works without them.
        if name == "typst":
            import typst

            return typst
        import mathra
    except ImportError:
        raise DerivationError(
            "a PDF needs typst and mathra: run 'pip install manifoldflow[report]', or choose --format html, md, tex "
            "or ipynb"
        ) from None
    return mathra


@lru_cache(maxsize=4096)
def _drawn(latex: str, display: bool) -> tuple[str, float, float, str]:
    """A formula as SVG, its width and depth in em, and how it is read aloud."""
    mathra = _module("mathra")
    try:
        svg = mathra.tex_to_svg(latex, display=display, strict=True)
    except ValueError as problem:
        raise DerivationError(f"the formula {latex[:200]} cannot be drawn: {problem}") from None
    speech = re.search(r"<title[^>]*>(.*?)</title>", svg, flags=re.DOTALL)
    size = re.search(r'width="([\d.]+)em"', svg)
    depth = re.search(r"vertical-align: -?([\d.]+)em", svg)
    plain = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return plain, _em(size), _em(depth), speech[1] if speech else latex


def _em(match: re.Match[str] | None) -> float:
    return float(match[1]) if match else 0.0


def _string(text: str) -> str:
    """A text as a string of typst's, which has JSON's escapes for what occurs."""
    return json.dumps(text, ensure_ascii=False)


def _spans(content: Spans, numbers: Numbers) -> str:
    return "".join(_span(span, numbers) for span in content)


def _span(span: Span, numbers: Numbers) -> str:
    if isinstance(span, Maths):
        svg, width, depth, speech = _drawn(span.latex, False)
        return f"#inline({_string(svg)}, {width}, {depth}, {_string(speech)})"
    if isinstance(span, Verbatim):
        return f"#raw({_string(span.text)})"
    if isinstance(span, Reference):
        shown = _spans(span.content, numbers) or f"#{_string(numbers.get(span.target, span.target))}"
        return f"#link(label({_string(span.target)}))[{shown}]"
    return f"#{_string(span.text)}"


@singledispatch
def _block(block: Block, numbers: Numbers) -> str:
    raise TypeError(f"no rule writes {type(block).__name__}")


@_block.register
def _(block: Heading, numbers: Numbers) -> str:
    title = tuple(span for span in block.title if not isinstance(span, Reference))
    return f"#heading(level: {block.level})[{_spans(title, numbers)}] #label({_string(block.anchor)})"


@_block.register
def _(block: Paragraph, numbers: Numbers) -> str:
    return _spans(block.content, numbers)


@_block.register
def _(block: Formula, numbers: Numbers) -> str:
    svg, width, _, speech = _drawn(block.latex, True)
    drawn = f"formula({_string(svg)}, {width}, {_string(speech)})"
    if not block.anchor:
        return f"#{drawn}"
    number = f"[#{_string(numbers[block.anchor])} #label({_string(block.anchor)})]"
    grid = f"#grid(columns: (1fr, auto), align: horizon, {drawn}, {number})"
    links = [Reference(symbol_anchor(name), (Maths(NOTATION[name].latex),)) for name in block.symbols]
    shown = " ".join(_span(link, numbers) for link in links)
    return f"{grid}\n#text(8pt)[Symbols: {shown}]" if links else grid


@_block.register
def _(block: Steps, numbers: Numbers) -> str:
    shown = [(_spans(reason, numbers), _block(formula, numbers) if formula else "") for formula, reason in block.items]
    items = ", ".join(f"[{reason} {formula}]" for reason, formula in shown)
    return f"#enum({items})"


@_block.register
def _(block: Table, numbers: Numbers) -> str:
    anchors = block.anchors or ("",) * len(block.rows)
    cells = [f"[#strong[{_spans(cell, numbers)}]]" for cell in block.header]
    for anchor, row in zip(anchors, block.rows, strict=True):
        target = f"#metadata(none) #label({_string(anchor)})" if anchor else ""
        cells += [f"[{target if place == 0 else ''}{_spans(cell, numbers)}]" for place, cell in enumerate(row)]
    columns = ", ".join(f"{share:.3f}fr" for share in shares((block.header, *block.rows)))
    return f"#text(8.5pt, table(columns: ({columns}), stroke: none, align: left, {', '.join(cells)}))"


@_block.register
def _(block: Listing, numbers: Numbers) -> str:
    return f"#raw({_string(block.text)}, block: true, lang: {_string(block.language)})"


@_block.register
def _(block: Checks, numbers: Numbers) -> str:
    text = "; ".join(f"{result.method}: {outcome(result)}" for result in block.results)
    return f"#text(8pt)[#{_string(f'Checked. {text}.')}]"
