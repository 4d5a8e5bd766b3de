"""Symbols in running text, linked to their rows of the notation table, and statements, to theirs of the overview."""

from __future__ import annotations

import re
from dataclasses import replace

from derivations.notation import NOTATION
from derivations.report.document import (
    Block,
    Maths,
    Paragraph,
    Reference,
    Span,
    Spans,
    Steps,
    Text,
    statement_anchor,
    symbol_anchor,
)
from derivations.report.statements import STATEMENTS

_NAMES = {entry.latex: name for name, entry in NOTATION.items()}
_STATEMENT = re.compile(rf"\b({'|'.join(statement.id for statement in STATEMENTS)})\b")
_DECORATED = re.compile(r"(?P<symbol>.+?)'*(?:_(?:[a-z]|\{[a-z ]+\}))?")


def linked(block: Block) -> Block:
    """The block with every statement's number, and every formula that is a single symbol, made a link.

    Headings and tables have links of their own, or are what the links lead to.
    """
    if isinstance(block, Paragraph):
        return Paragraph(_linked(block.content))
    if isinstance(block, Steps):
        return replace(block, items=tuple((formula, _linked(reason)) for formula, reason in block.items))
    return block


def _linked(content: Spans) -> Spans:
    return tuple(part for span in content for part in _parts(span))


def _parts(span: Span) -> Spans:
    if isinstance(span, Text):
        return tuple(_named(part) for part in _STATEMENT.split(span.text) if part)
    if not isinstance(span, Maths):
        return (span,)
    name = symbol(span.latex)
    return (span,) if name is None else (Reference(symbol_anchor(name), (span,)),)


def _named(part: str) -> Span:
    return Reference(statement_anchor(part), (Text(part),)) if _STATEMENT.fullmatch(part) else Text(part)


def symbol(latex: str) -> str | None:
    r"""The entry of the notation table that a formula shows, with indices and primes at most; None for other formulas.

    >>> symbol(r"\lambda_i"), symbol(r"\phi'''"), symbol(r"\rho_1"), symbol("z_{j i}")
    ('lambda_', 'phi', 'rho1', 'z')
    >>> symbol("f = y"), symbol("b")
    (None, None)
    """
    decorated = _DECORATED.fullmatch(latex)
    return _NAMES.get(latex) or (_NAMES.get(decorated["symbol"]) if decorated else None)
