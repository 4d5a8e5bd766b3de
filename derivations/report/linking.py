"""Symbols in running text, linked to their rows of the notation table."""

from __future__ import annotations

import re
from dataclasses import replace

from derivations.notation import NOTATION
from derivations.report.document import Block, Maths, Paragraph, Reference, Span, Spans, Steps, symbol_anchor

_NAMES = {entry.latex: name for name, entry in NOTATION.items()}
_DECORATED = re.compile(r"(?P<symbol>.+?)'*(?:_(?:[a-z]|\{[a-z ]+\}))?")


def linked(block: Block) -> Block:
    """The block with every formula of its text that is a single symbol made a link; others are left as they are.

    Headings and tables have links of their own, or are what the links lead to.
    """
    if isinstance(block, Paragraph):
        return Paragraph(_linked(block.content))
    if isinstance(block, Steps):
        return replace(block, items=tuple((formula, _linked(reason)) for formula, reason in block.items))
    return block


def _linked(content: Spans) -> Spans:
    return tuple(_link(span) for span in content)


def _link(span: Span) -> Span:
    if not isinstance(span, Maths):
        return span
    name = symbol(span.latex)
    return span if name is None else Reference(symbol_anchor(name), (span,))


def symbol(latex: str) -> str | None:
    r"""The entry of the notation table that a formula shows, with indices and primes at most; None for other formulas.

    >>> symbol(r"\lambda_i"), symbol(r"\phi'''"), symbol(r"\rho_1"), symbol("z_{j i}")
    ('lambda_', 'phi', 'rho1', 'z')
    >>> symbol("f = y"), symbol("T")
    (None, None)
    """
    decorated = _DECORATED.fullmatch(latex)
    return _NAMES.get(latex) or (_NAMES.get(decorated["symbol"]) if decorated else None)
