"""The document that every format is written from: small frozen records, and the markup of running text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from derivations.checks.result import CheckResult
from derivations.errors import DerivationError


@dataclass(frozen=True)
class Text:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class Maths:
    """A formula within a line, in LaTeX."""

    latex: str


@dataclass(frozen=True)
class Verbatim:
    """Code within a line."""

    text: str


@dataclass(frozen=True)
class Reference:
    """A link to a heading, a formula or a symbol; without text it shows the number that its target has."""

    target: str
    content: tuple[Text | Maths | Verbatim, ...] = ()


Span: TypeAlias = Text | Maths | Verbatim | Reference
Spans: TypeAlias = tuple[Span, ...]


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is a section."""

    level: int
    title: Spans
    anchor: str


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    content: Spans


@dataclass(frozen=True)
class Formula:
    """A displayed formula.

    Args:
        lines: Its lines in LaTeX, each with one alignment mark & where there are several.
        anchor: What references name; a formula with an anchor is numbered.
        symbols: Names of entries of the notation table that occur in it.
    """

    lines: tuple[str, ...]
    anchor: str = ""
    symbols: tuple[str, ...] = ()

    @property
    def latex(self) -> str:
        """The formula as one piece of LaTeX."""
        if len(self.lines) == 1:
            return self.lines[0].replace("&", "", 1)
        return r"\begin{aligned} " + r" \\ ".join(self.lines) + r" \end{aligned}"


@dataclass(frozen=True)
class Steps:
    """Numbered steps: the formula that each arrives at (or none), and why."""

    items: tuple[tuple[Formula | None, Spans], ...]


@dataclass(frozen=True)
class Table:
    """A table; `anchors`, where given, has one a row that references can name."""

    header: tuple[Spans, ...]
    rows: tuple[tuple[Spans, ...], ...]
    anchors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """A program."""

    text: str
    language: str


@dataclass(frozen=True)
class Checks:
    """What the machine checks of one formula said."""

    results: tuple[CheckResult, ...]


Block: TypeAlias = Heading | Paragraph | Formula | Steps | Table | Listing | Checks


@dataclass(frozen=True)
class Document:
    """A title and blocks in order.

    Raises:
        DerivationError: an anchor occurs twice, or a reference leads nowhere.

    >>> Document("t", (Heading(1, spans("One"), "one"), Paragraph(spans("see [](#one)")))).numbers
    {'one': '1'}
    """

    title: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        anchors = list(self.anchors())
        twice = sorted({anchor for anchor in anchors if anchors.count(anchor) > 1})
        missing = sorted({x.target for x in self.references()} - set(anchors))
        if twice or missing:
            raise DerivationError(f"anchors that occur twice: {twice}; references that lead nowhere: {missing}")

    def anchors(self) -> Iterator[str]:
        """Every anchor in order."""
        for block in self.blocks:
            if isinstance(block, Heading | Formula) and block.anchor:
                yield block.anchor
            if isinstance(block, Table):
                yield from block.anchors

    def references(self) -> Iterator[Reference]:
        """Every reference in order."""
        yield from (span for content in self.contents() for span in content if isinstance(span, Reference))
        for block in self.blocks:
            if isinstance(block, Formula):
                yield from (Reference(symbol_anchor(name)) for name in block.symbols)

    def contents(self) -> Iterator[Spans]:
        """Every piece of running text in order."""
        for block in self.blocks:
            if isinstance(block, Heading):
                yield block.title
            elif isinstance(block, Paragraph):
                yield block.content
            elif isinstance(block, Steps):
                yield from (reason for _, reason in block.items)
            elif isinstance(block, Table):
                yield from (cell for row in (block.header, *block.rows) for cell in row)

    def formulas(self) -> Iterator[tuple[str, bool]]:
        """Every piece of LaTeX, with whether it is displayed."""
        for content in self.contents():
            inner = [part for span in content if isinstance(span, Reference) for part in span.content]
            yield from ((part.latex, False) for part in (*content, *inner) if isinstance(part, Maths))
        for block in self.blocks:
            if isinstance(block, Formula):
                yield block.latex, True
            if isinstance(block, Steps):
                yield from ((formula.latex, True) for formula, _ in block.items if formula)

    @property
    def numbers(self) -> dict[str, str]:
        """The number of every section and formula by its anchor."""
        found, counts, equations = {}, [0, 0, 0], 0
        for block in self.blocks:
            if isinstance(block, Heading):
                counts[block.level - 1] += 1
                counts[block.level :] = [0] * (3 - block.level)
                found[block.anchor] = ".".join(map(str, counts[: block.level]))
            elif isinstance(block, Formula) and block.anchor:
                equations += 1
                found[block.anchor] = f"({equations})"
        return found


_MARKUP = re.compile(
    r"\$(?P<maths>[^$]+)\$|`(?P<code>[^`]+)`|\[(?P<text>(?:[^\]$`]|\$[^$]*\$|`[^`]*`)*)\]\(#(?P<target>[^)]+)\)"
)


def spans(markup: str) -> Spans:
    """Read running text: $LaTeX$, `code` and [text](#anchor); everything else is plain.

    >>> spans("so $x$ is `y`")
    (Text(text='so '), Maths(latex='x'), Text(text=' is '), Verbatim(text='y'))
    """
    found: list[Span] = []
    end = 0
    for match in _MARKUP.finditer(markup):
        if match.start() > end:
            found.append(Text(markup[end : match.start()]))
        found.append(_span(match))
        end = match.end()
    return (*found, Text(markup[end:])) if end < len(markup) else tuple(found)


def _span(match: re.Match[str]) -> Span:
    if match["maths"]:
        return Maths(match["maths"])
    if match["code"]:
        return Verbatim(match["code"])
    content = [span for span in spans(match["text"]) if not isinstance(span, Reference)]
    return Reference(match["target"], tuple(content))


def symbol_anchor(name: str) -> str:
    """The anchor of a symbol's row in the notation table.

    >>> symbol_anchor("lambda_")
    'symbol-lambda'
    """
    return "symbol-" + name.rstrip("_").replace("_", "-")


def statement_anchor(number: str) -> str:
    """The anchor of a statement's row in the overview.

    >>> statement_anchor("S13")
    'statement-s13'
    """
    return f"statement-{number.lower()}"
